"""Linear probes: at which layer and position can a label be read off the activations, and is that news?

A logistic regression is fitted at each layer and position to some groups (people, tokens, templates) and
tested on others (`interp.methods.probing.fitting`). Beside its accuracy stand the numbers without which it
says little:

1. *Surface*: the same regression on the length of the prompt, the place, and the tokens there.
2. *Untrained*: the same probe in a model of the same shape before training, which keeps much of what is in
   the tokens, too.
3. *Shuffled*: the labels dealt anew among the groups, and the strength of regularisation kept. As other
   groups are tested, this is chance, and its spread says how far chance goes.
4. *Selectivity* (Hewitt & Liang 2019, https://arxiv.org/abs/1909.03368): with every group in training too,
   what the labels give less what labels give that are drawn for each group: a probe that does as well on
   these has learned the groups by heart.

When it misleads: that a label can be read at a place does not show that the model reads it there. Whether the
direction acts is asked by adding it or taking it out (`interp.find_directions`,
`interp.direction_effects`). And the best layer of many was chosen after looking: its interval does not know
that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.probing.fitting import (
    GRID,
    check_installed,
    drawn_by_group,
    folds_by_group,
    out_of_fold,
    shuffled_by_group,
    strengths_by_fold,
    within_groups,
)
from interp.methods.probing.measures import accuracy_value, auroc, balanced_accuracy
from interp.methods.probing.readings import (
    addresses_of,
    layer_name,
    read_activations,
    surface_features,
    untrained_like,
)
from interp.methods.probing.results import LabelledData, ProbingResult, Selectivity
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Interval
from interp.tasks.labelled import LabelledDataset


def probing(
    model: Model,
    data: LabelledDataset,
    *,
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    roles: Sequence[str] = ("END",),
    folds: int = 5,
    n_shuffled: int = 3,
    selectivity: bool = True,
    untrained: bool = True,
    seed: int = 0,
) -> ProbingResult:
    """Probe for the label of `data` at a site, in each layer and at each role.

    Args:
        data: labelled prompts (`interp.make_labelled`); groups of it are never on both sides of a split.
        site, layers: where; all layers by default. Of ``resid_post``, -1 is the stream before the first.
        roles: at which positions, such as ``subject_last`` and ``END``.
        folds: of the groups; each is tested once. Fewer where a label has fewer groups.
        n_shuffled: draws of the shuffled labels, and of the control of `selectivity`; 0 leaves both out.
        untrained: probe a model of the same shape before training, too.

    Raises:
        InputError: scikit-learn is not installed; a role or layer that is not there; groups that cannot be
            split so that both labels are on both sides.
        SiteError: the model does not have the site.
    """
    check_installed()
    addresses = addresses_of(model, site, layers)
    data.check_roles(roles)
    if folds < 2 or n_shuffled < 0:
        raise InputError("Give at least 2 folds, and n_shuffled of at least 0.")
    y, groups = data.values, data.groups
    split = folds_by_group(y, groups, folds, seed)
    x = read_activations(model, data, addresses, roles)
    places = [(r, a) for r in range(len(roles)) for a in range(len(addresses))]
    shape = (len(roles), len(addresses))
    n_folds = len(np.unique(split))

    strength = np.zeros((*shape, n_folds))
    shuffled = np.zeros((*shape, n_shuffled))
    scores = np.zeros((*shape, len(y)))
    for done, (r, a) in enumerate(places):
        report("probes", done, len(places))
        found = strengths_by_fold(x[r, a], y, groups, split, seed)
        strength[r, a] = found
        scores[r, a] = out_of_fold(x[r, a], y, split, found)
        for draw in range(n_shuffled):
            dealt = shuffled_by_group(y, groups, np.random.default_rng((seed, draw)))
            wrong = out_of_fold(x[r, a], dealt, split, found)
            shuffled[r, a, draw] = accuracy_value(wrong, dealt)
    report("probes", len(places), len(places))

    bare = None
    if untrained:
        before = read_activations(untrained_like(model, seed), data, addresses, roles)
        bare = np.stack([_nested(before[r, a], data, split, seed) for r, a in places]).reshape(*shape, -1)
    plain = np.stack([_nested(surface_features(data, role), data, split, seed) for role in roles])
    return ProbingResult(
        provenance=Provenance.of(model, seed=seed),
        data=described(data),
        site=site,
        roles=tuple(roles),
        layers=tuple(layer_name(address, site) for address in addresses),
        folds=n_folds,
        accuracy=_accuracy(scores, data, seed),
        auroc=_auroc(scores, data, split, seed),
        strength=strength,
        shuffled=shuffled,
        surface=_accuracy(plain, data, seed),
        surface_auroc=_auroc(plain, data, split, seed),
        untrained=None if bare is None else _accuracy(bare, data, seed),
        untrained_auroc=None if bare is None else _auroc(bare, data, split, seed),
        selectivity=_selectivity(x, data, strength, folds, n_shuffled, seed) if selectivity else None,
    )


def described(data: LabelledDataset) -> LabelledData:
    """A labelled dataset in numbers, for a result."""
    of = {label: [one for one in data.prompts if one.label == label] for label in (False, True)}
    no, yes = of[False], of[True]
    return LabelledData(
        name=data.name,
        labels=data.labels,
        prompts=(len(no), len(yes)),
        groups=(len({one.group for one in no}), len({one.group for one in yes})),
        grouped_by=data.grouped_by,
        example=(no[0].text, yes[0].text),
        dropped=data.dropped,
    )


def _nested(
    x: Float[np.ndarray, "prompt width"], data: LabelledDataset, split: np.ndarray, seed: int
) -> Float[np.ndarray, " prompt"]:
    """The log-odds of each prompt by probes of other groups, their strength chosen within these."""
    y, groups = data.values, data.groups
    return out_of_fold(x, y, split, strengths_by_fold(x, y, groups, split, seed))


def _accuracy(scores: Float[np.ndarray, "*place prompt"], data: LabelledDataset, seed: int) -> Interval:
    flat = scores.reshape(-1, scores.shape[-1])
    return shaped(balanced_accuracy(flat, data.values, data.groups, seed), scores.shape[:-1])


def _auroc(
    scores: Float[np.ndarray, "*place prompt"], data: LabelledDataset, split: np.ndarray, seed: int
) -> Interval:
    flat = scores.reshape(-1, scores.shape[-1])
    return shaped(auroc(flat, data.values, split, data.groups, seed), scores.shape[:-1])


def shaped(interval: Interval, shape: tuple[int, ...]) -> Interval:
    """The same cells in another shape."""
    parts = {name: getattr(interval, name) for name in ("value", "low", "high", "error")}
    arrays = {name: None if part is None else part.reshape(shape) for name, part in parts.items()}
    return Interval(**arrays, clusters=interval.clusters)  # type: ignore[arg-type]


def _selectivity(
    x: Float[np.ndarray, "role layer prompt width"],
    data: LabelledDataset,
    strength: Float[np.ndarray, "role layer fold"],
    folds: int,
    n_draws: int,
    seed: int,
) -> Selectivity | None:
    """What labels give that are learned with every group in training, and what drawn ones give. The strength
    of regularisation is the one that was chosen most often, so that both probes are as free."""
    y, groups = data.values, data.groups
    split = within_groups(y, groups, folds, seed)
    if split is None or n_draws == 0:
        return None
    n = len(np.unique(split))
    accuracy, control = np.zeros(x.shape[:2]), np.zeros(x.shape[:2])
    for r, a in np.ndindex(*x.shape[:2]):
        c = max(GRID, key=lambda one, place=(r, a): (strength[place] == one).sum())  # type: ignore[misc]
        own = out_of_fold(x[r, a], y, split, [c] * n)
        accuracy[r, a] = accuracy_value(own, y)
        for draw in range(n_draws):
            drawn = drawn_by_group(groups, np.random.default_rng((seed, draw)))
            scores = out_of_fold(x[r, a], drawn, split, [c] * n)
            control[r, a] += accuracy_value(scores, drawn) / n_draws
    return Selectivity(accuracy=accuracy, control=control)
