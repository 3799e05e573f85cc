"""Can it be told from the activations that a model was never told, and better than from what it says?

A probe (`interp.methods.probing`) is fitted to some entities of two statuses and tested

- on other entities, in any wording,
- on other entities in wordings that it was not fitted to,
- where there is a third status: on withheld entities, whose status it never saw, against known ones that it
  was not fitted to.

Beside it stands what needs no probe: the entropy of the model's prediction, 1 less the probability of the
likeliest token, the probability of an answer that makes nothing up, and how rare the name is in the text of
training, where that is known. All are AUROCs; a score that says the opposite is below 0.5 and left there.

When it misleads: a probe may tell two statuses by anything in which their entities differ, such as how rare
their tokens are; `surface` says what that gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from interp.methods.knowledge.results import Telling
from interp.methods.knowledge.trajectories import Readings
from interp.methods.probing.fitting import fit, folds_by_group, out_of_fold, parts, strengths_by_fold
from interp.methods.probing.measures import auroc
from interp.methods.probing.probing import shaped
from interp.methods.probing.readings import addresses_of, layer_name, read_activations, surface_features
from interp.models.base import Model
from interp.progress import report
from interp.results import Interval
from interp.sites import Address
from interp.tasks.known_or_not import KnowledgeDataset

ROLES: tuple[str, ...] = ("subject_last", "END")
FOLDS = 5


def telling(
    model: Model,
    data: KnowledgeDataset,
    readings: Readings,
    *,
    layers: Sequence[int] | None = None,
    seed: int = 0,
) -> tuple[list[Telling], Interval]:
    """Each comparison that the data allow, at some layers or all, and the AUROC of the surface in each."""
    addresses = addresses_of(model, "resid_post", layers)
    fitted_to = data.told_unknown or data.made_up
    found, surface = [], []
    pairs = [(fitted_to, "on other entities")]
    if data.told_unknown:
        pairs.append((data.made_up, f"by a probe of {data.told_unknown!r} and {data.has!r}"))
    own = data.labelled(data.has, fitted_to)
    x = read_activations(model, own, addresses, ROLES)
    y, groups = own.values, own.groups
    folds = folds_by_group(y, groups, FOLDS, seed)
    strengths = np.zeros((*x.shape[:2], len(list(parts(folds)))))
    for r, a in np.ndindex(*x.shape[:2]):
        report("strengths of probes", r * x.shape[1] + a, 2 * x.shape[1])
        strengths[r, a] = strengths_by_fold(x[r, a], y, groups, folds, seed)
    scores = np.zeros(x.shape[:3])
    for r, a in np.ndindex(*x.shape[:2]):
        report("probes", r * x.shape[1] + a, 2 * x.shape[1])
        scores[r, a] = out_of_fold(x[r, a], y, folds, strengths[r, a].tolist())
    report("probes", 2 * x.shape[1], 2 * x.shape[1])

    often = data.frequencies

    def told(
        status: str, how: str, values: Float[np.ndarray, "role layer prompt"], folds: np.ndarray
    ) -> None:
        chosen = data.of(data.has, status)
        labels = np.array([data.prompts[i].status == status for i in chosen])
        names = [data.prompts[i].entity for i in chosen]
        one_fold = np.zeros(len(chosen), dtype=np.int64)

        def by(score: Float[np.ndarray, " prompt"]) -> Interval:
            return shaped(auroc(score[chosen][None], labels, one_fold, names, seed), ())

        flat = auroc(values.reshape(-1, len(chosen)), labels, folds, names, seed)
        found.append(
            Telling(
                no=data.has,
                yes=status,
                how=how,
                layers=tuple(layer_name(address, "resid_post") for address in addresses),
                auroc=shaped(flat, values.shape[:2]),
                by_entropy=by(readings.final_entropy),
                by_top_probability=by(-readings.final_log_probability),
                by_abstaining=None if data.abstains is None else by(readings.abstaining),
                by_frequency=None if often is None else by(-np.array(often)),
            )
        )
        plain = data.labelled(data.has, status)
        features = surface_features(plain, "END")
        split = folds_by_group(labels, names, FOLDS, seed)
        guesses = out_of_fold(
            features, labels, split, strengths_by_fold(features, labels, names, split, seed)
        )
        surface.append(auroc(guesses[None], labels, split, names, seed))

    told(fitted_to, pairs[0][1], scores, folds)
    crossed = _other_wordings(x, data, own_wordings(data, fitted_to), y, folds, strengths)
    if crossed is not None:
        told(fitted_to, "on other entities and wordings", crossed, folds)
    if data.told_unknown:
        values, split = _transferred(model, data, x, y, folds, strengths, scores, addresses, seed)
        told(data.made_up, pairs[1][1], values, split)
    stacked = {
        name: np.array([getattr(one, name)[0] for one in surface])
        for name in ("value", "low", "high", "error")
    }
    return found, Interval(**stacked, clusters=min(one.clusters for one in surface))


def own_wordings(data: KnowledgeDataset, status: str) -> list[str]:
    """The wordings of the prompts that are fitted to, in their order."""
    return [data.prompts[i].wording for i in data.of(data.has, status)]


def _other_wordings(
    x: Float[np.ndarray, "role layer prompt width"],
    data: KnowledgeDataset,
    wordings: Sequence[str],
    y: np.ndarray,
    folds: Int[np.ndarray, " prompt"],
    strengths: Float[np.ndarray, "role layer fold"],
) -> Float[np.ndarray, "role layer prompt"] | None:
    """Scores by probes of other entities in the other half of the wordings; None where there is one wording,
    or a half without both labels."""
    first = set(data.wordings[: len(data.wordings) // 2])
    half = np.array([wording in first for wording in wordings])
    scores = np.zeros(x.shape[:3])
    for fold, (fitted, tested) in enumerate(parts(folds)):
        for side in (half, ~half):
            train, test = fitted & ~side, tested & side
            if len(set(y[train])) < 2:
                return None
            for r, a in np.ndindex(*x.shape[:2]):
                if test.any():
                    scores[r, a, test] = fit(x[r, a][train], y[train], strengths[r, a, fold])(x[r, a][test])
    return scores


def _transferred(
    model: Model,
    data: KnowledgeDataset,
    x: Float[np.ndarray, "role layer prompt width"],
    y: np.ndarray,
    folds: Int[np.ndarray, " prompt"],
    strengths: Float[np.ndarray, "role layer fold"],
    scores: Float[np.ndarray, "role layer prompt"],
    addresses: Sequence[Address],
    seed: int,
) -> tuple[Float[np.ndarray, "role layer compared"], Int[np.ndarray, " compared"]]:
    """The scores of what the model has, each by the probe of the folds that it is not in, and of what is made
    up, its entities dealt out over the probes; and the fold of each."""
    chosen = data.of(data.has, data.made_up)
    both = data.labelled(data.has, data.made_up)
    other = read_activations(model, both, addresses, ROLES)
    entities = sorted({prompt.group for prompt in both.prompts if prompt.label})
    order = np.random.default_rng(seed).permutation(len(entities))
    names = list(np.unique(folds))
    dealt = {entities[i]: names[k % len(names)] for k, i in enumerate(order)}
    known = [j for j, i in enumerate(data.of(data.has, data.told_unknown or "")) if not y[j]]
    values = np.zeros((*x.shape[:2], len(chosen)))
    split = np.zeros(len(chosen), dtype=np.int64)
    of_known = iter(known)
    for k, prompt in enumerate(both.prompts):
        if prompt.label:
            split[k] = dealt[prompt.group]
            continue
        j = next(of_known)
        split[k] = folds[j]
        values[:, :, k] = scores[:, :, j]
    for fold, (fitted, _) in enumerate(parts(folds)):
        here = np.flatnonzero(both.values & (split == names[fold]))
        for r, a in np.ndindex(*x.shape[:2]):
            if len(here):
                values[r, a, here] = fit(x[r, a][fitted], y[fitted], strengths[r, a, fold])(other[r, a][here])
    return values, split
