"""The effects of all features of one prompt at all its places: exactly, and by two estimates.

`interp.methods.features.feature_effects` says what they are. A cell is a place and a feature that is moved at
one of the place's positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.features.feature_questions import FeatureQuestion
from interp.models.base import Exact
from interp.parts import Arrays
from interp.saes.activations import JumpReLU
from interp.saes.dictionary import SAE
from interp.saes.edits import KnownFeatures

#: The arrays that have a number for each cell.
OF_CELL = ("place", "feature", "activation", "exact", "attribution", "integrated")

Cell = tuple[int, int]  # place, feature


@dataclass(frozen=True)
class Options:
    """How effects are computed: the steps of the integrated estimate, and what `Model.sweep` takes."""

    steps: int
    exact: Exact
    batch_size: int


@dataclass(frozen=True, eq=False)
class BaseRun:
    """The run of a question's prompt before any feature is changed."""

    question: FeatureQuestion
    known: KnownFeatures
    metric: float

    def key(self, digest: str, options: Options) -> dict[str, Any]:
        """What the effects depend on, as JSON values, for an SAE of this digest; the metric before any change
        stands for the model's weights."""
        how = [digest, options.steps, str(options.exact), self.metric]
        return {"feature_effects": how, **self.question.key}


def base_run(sae: SAE, question: FeatureQuestion) -> BaseRun:
    """The run of a question's prompt as it is."""
    cache = question.model.run_with_cache(question.base, [sae.address])
    known = KnownFeatures.of(sae, cache[sae.address])
    return BaseRun(question, known, float(question.readout(cache.logits)[0]))


def cell_effects(run: BaseRun, options: Options) -> Arrays:
    """The effects of one prompt: the arrays `OF_CELL`, ``before``, the metric, and ``path``."""
    places = run.question.places
    moves = _moves(run)
    cells = [
        (place, feature)
        for place, where in enumerate(places)
        for feature in moves[list(where)].any(0).nonzero()[:, 0].tolist()
    ]
    before, after, path = _swept(run, cells, moves, options)
    attribution, integrated = _estimates(run, moves, options.steps)
    return {
        "place": np.array([place for place, _ in cells], dtype=int),
        "feature": np.array([feature for _, feature in cells], dtype=int),
        "activation": _at_cells(run.known.features, places, cells, lambda each: each.amax(0)),
        "exact": after - before,
        "attribution": _at_cells(attribution, places, cells, lambda each: each.sum(0)),
        "integrated": _at_cells(integrated, places, cells, lambda each: each.sum(0)),
        "path": np.array(path),
        "before": before,
    }


def sae_digest(sae: SAE) -> str:
    """Which dictionary it is, by its weights."""
    digest = hashlib.sha256(
        f"{sae.address} {sae.activation} {sae.normalise} {sae.apply_b_dec_to_input} {sae.centred}".encode()
    )
    weights = [sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec]
    if isinstance(sae.activation, JumpReLU):
        weights.append(sae.activation.threshold)
    for weight in weights:
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


# ---- the steps ----


def _moves(run: BaseRun) -> Float[Tensor, "pos feature"]:
    """By how much each feature is moved at each position; nothing at the first."""
    features, donor, sae = run.known.features, run.question.donor, run.known.sae
    target = torch.zeros_like(features)
    if donor is not None:
        cache = run.question.model.run_with_cache(donor, [sae.address], logits=False)
        target = KnownFeatures.of(sae, cache[sae.address]).features
    moves = target - features
    moves[0] = 0
    return moves


def _swept(
    run: BaseRun, cells: Sequence[Cell], moves: Float[Tensor, "pos feature"], options: Options
) -> tuple[np.ndarray, Float[np.ndarray, " cell"], str]:
    """The metric before any change and after each, by a run of each cell; and how they were computed."""
    question, branches = run.question, []
    for place, feature in cells:
        where = [position for position in question.places[place] if position]
        change = run.known.activation_change(moves[where][:, [feature]], [feature], where)
        branches.append([run.known.edit(change, where)])
    swept = question.model.sweep(
        question.base,
        [[], *branches],
        question.readout,
        batch_size=options.batch_size,
        exact=options.exact,
    )
    values = swept.values.double().numpy()
    return np.asarray(values[0]), values[1:], swept.path


def _estimates(
    run: BaseRun, moves: Float[Tensor, "pos feature"], steps: int
) -> tuple[Float[Tensor, "pos feature"], Float[Tensor, "pos feature"]]:
    """What each move of a feature does, to first order and by integrated gradients."""
    question, known = run.question, run.known
    positions = range(len(moves))
    all_moved = known.activation_change(moves, range(known.sae.n_features), positions)

    def feature_gradient(share: float) -> Float[Tensor, "pos feature"]:
        """Where all features have gone this share of their way."""
        edits = [known.edit(share * all_moved, positions)]
        gradients = question.model.gradients(question.base, [known.sae.address], question.readout, edits)
        return known.feature_gradient(gradients[0])

    mean = torch.stack([feature_gradient((step + 0.5) / steps) for step in range(steps)]).mean(0)
    return moves * feature_gradient(0.0), moves * mean


def _at_cells(
    each: Float[Tensor, "pos feature"],
    places: Sequence[Sequence[int]],
    cells: Sequence[Cell],
    combine: Callable[[Tensor], Tensor],
) -> Float[np.ndarray, " cell"]:
    """A number of each cell, combined over the positions of its place."""
    of_places = torch.stack([combine(each[list(where)]) for where in places]).cpu().double()
    return np.array([of_places[cell].item() for cell in cells])
