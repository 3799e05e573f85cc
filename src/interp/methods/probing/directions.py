"""Directions from contrast: what differs in the activations of two sets of prompts, as a vector by layer.

Three ways, from the same activations:

- ``mean_difference``: the mean of yes less the mean of no (Marks & Tegmark 2023, https://arxiv.org/abs/2310.06824;
  Belrose 2023 on why it is the one to steer with).
- ``principal_component``: the first principal component of differences between a yes and a no (Zou et al.
  2023, https://arxiv.org/abs/2310.01405), pairs being of one group where a group has both, else drawn.
- ``logistic``: the normal of the probe's boundary, its regularisation chosen by group (scikit-learn). It
  leaves out what is correlated with the label but not needed to tell it.

When it misleads: a direction holds everything in which the two sets differ, wording and length with it.
Compare with shuffled labels and other concepts (`interp.direction_effects`), and probe on other groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float

from interp.errors import InputError, check_choice
from interp.methods.common.direction import Direction
from interp.methods.probing.fitting import check_installed, chosen_strength, fit
from interp.methods.probing.readings import addresses_of, read_activations
from interp.models.base import Model
from interp.models.unembedding import unembed_hashes
from interp.sites import SITES
from interp.tasks.labelled import LabelledDataset

How = Literal["mean_difference", "principal_component", "logistic"]
WAYS: tuple[How, ...] = ("mean_difference", "principal_component", "logistic")

Values = Float[np.ndarray, "prompt width"]
Labels = Bool[np.ndarray, " prompt"]


def find_directions(
    model: Model,
    data: LabelledDataset,
    *,
    how: How = "mean_difference",
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    role: str = "END",
    seed: int = 0,
) -> list[Direction]:
    """The direction from no to yes of `data` in each layer of a site without heads, at one role.

    Raises `InputError` for a way, role, site or layer that is not there, and where the two labels do not
    differ at all.
    """
    check_choice("way to find a direction", how, WAYS)
    if how == "logistic":
        check_installed()
    addresses = addresses_of(model, site, layers)
    if SITES[site].per_head:
        raise InputError(f"A direction is found at a site without heads, and {site!r} has them.")
    data.check_roles([role])
    x = read_activations(model, data, addresses, [role])[0].astype(np.float64)  # [layer, prompt, width]
    y, digest = data.values, unembed_hashes(model)["unembed_sha256"]
    found = []
    for address, values in zip(addresses, x, strict=True):
        vector = _vector(values, y, data.groups, how, seed)
        along = values @ vector
        found.append(
            Direction(
                vector=torch.tensor(vector, dtype=torch.float32),
                address=address,
                role=role,
                how=how,
                labels=data.labels,
                ends=(float(along[~y].mean()), float(along[y].mean())),
                scale=float(np.median(np.linalg.norm(values, axis=1))),
                prompts=(int((~y).sum()), int(y.sum())),
                data=data.name,
                model=model.identity.name,
                revision=model.identity.revision,
                unembed_sha256=digest,
            )
        )
    return found


def random_direction(like: Direction, seed: int) -> Direction:
    """A direction of no meaning at the same place: a normal draw, of length 1."""
    drawn = torch.randn(like.vector.shape, generator=torch.Generator().manual_seed(seed))
    return replace(like, vector=drawn / drawn.norm(), how="random", ends=(0.0, 0.0))


def _vector(x: Values, y: Labels, groups: Sequence[str], how: How, seed: int) -> Float[np.ndarray, " width"]:
    """The unit vector from no to yes."""
    if how == "mean_difference":
        vector = x[y].mean(0) - x[~y].mean(0)
    elif how == "principal_component":
        yes, no = _paired(y, groups, seed)
        differences = x[yes] - x[no]
        vector = np.linalg.svd(differences, full_matrices=False)[2][0]
        vector = vector * (1 if differences.mean(0) @ vector >= 0 else -1)
    else:
        vector = fit(x, y, chosen_strength(x, y, groups, seed)).weight
    length = float(np.linalg.norm(vector))
    if length < 1e-9 * float(np.abs(x).max(initial=1e-30)):
        raise InputError("The two labels have the same activations here, so that no direction tells them.")
    return vector / length


def _paired(y: Labels, groups: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Each prompt of yes with one of no: of its own group where that has one, else of those that are left."""
    rng = np.random.default_rng(seed)
    left = list(rng.permutation(np.flatnonzero(~y)))
    yes, no, alone = [], [], []
    for i in rng.permutation(np.flatnonzero(y)):
        partner = next((j for j in left if groups[j] == groups[i]), None)
        if partner is None:
            alone.append(int(i))
            continue
        left.remove(partner)
        yes.append(int(i))
        no.append(int(partner))
    for i, j in zip(alone, left, strict=False):
        yes.append(i)
        no.append(int(j))
    return yes, no
