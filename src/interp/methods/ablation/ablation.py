"""Ablation, or knock-out: what does the model lose without a head, an MLP, a position, or a set of them?

In each prompt of a dataset, components (see `interp.methods.common.components`) are knocked out: replaced by
zeros (zero ablation), a mean (mean ablation), what they are in another prompt (resample ablation), or
disturbed by noise; `interp.methods.ablation.replacement` says what each kind is. A metric is measured before
and after. By what they are replaced matters, so that several kinds are shown side by side.

The reference prompts are the dataset's corrupted ones (for Wang et al., p_ABC) or its clean ones.

When it misleads: other components may take over (backup heads), so that a head that does the work seems not
to matter; ablate sets. A component can matter for being there, not for what it says about this prompt: see
whether ``mean`` and ``resample`` agree with ``zero``. What can be concluded depends on the kind (Miller et
al. 2024, https://arxiv.org/abs/2407.08734).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.ablation.reference_activations import REFERENCES, Reference, ReferenceActivations
from interp.methods.ablation.replacement import check_kinds, replace_component
from interp.methods.ablation.results import AblationResult
from interp.methods.common.answers import Measure
from interp.methods.common.components import Set, find_sets
from interp.methods.common.first_choice import pairs_with_choices
from interp.methods.common.names import Component, set_name
from interp.methods.common.outlier_positions import OutlierPositions
from interp.methods.common.outliers import OVERWRITING, outliers_under
from interp.methods.common.over_pairs import dataset_key, likeliest, over_pairs
from interp.methods.common.question import prompt_readout
from interp.methods.common.statistics import estimate
from interp.metrics import METRICS, MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.readout import AnyReadout
from interp.tasks.base import Pair, PairDataset


def ablation(
    model: Model,
    dataset: PairDataset,
    what: str | Sequence[str | Sequence[str]] = "heads",
    *,
    kinds: str | Sequence[str] = ("zero", "mean", "resample"),
    reference: Reference = "corrupted",
    metric: MetricKind = "logit_diff",
    exact: Exact = "auto",
    batch_size: int = 64,
    include_outliers: bool = False,
    seed: int = 0,
) -> AblationResult:
    """Knock out each set of components in the clean prompts of a dataset, in each way.

    Args:
        what: ``heads``, ``attention``, ``mlps``, ``layers``, ``positions``, ``m3.neurons``; or a list of
            names, ``["a5.h1", "m3@END", ["a5.h1", "a5.h2"]]``, of which those in a list are knocked out
            together. See `interp.methods.common.components`.
        kinds: one or several of ``zero``, ``mean``, ``mean_by_position``, ``mean_by_template``, ``resample``
            and ``noise``; see `interp.methods.ablation.replacement`.
        reference: where means, deviations and resampled activations come from. With ``corrupted``, a prompt
            is resampled from its own corrupted one; with ``clean``, from another prompt of as many tokens.
        metric: ``logit_diff``, ``prob``, ``log_prob`` or ``kl`` (from the prediction before), where the
        prompt
            ends. Where the answer or foil has several tokens, components are knocked out at these, too.
        exact, batch_size: see `interp.Model.sweep`; ``path`` in the result says how it was computed.
        include_outliers: ablate also positions whose norm is an outlier (BOS and attention sinks; see
            `interp.methods.common.outlier_positions`), and take them into means. By default zeros, means and
            noise leave them as they are, unless a component names its position; the result records them.
        seed: of the noise, of which prompt is resampled from which, and of the bootstrap.

    Raises:
        InputError: a component, kind or role that is not there; prompts of different lengths for
            ``mean_by_position``, or one alone of its template and length for ``mean_by_template``; no other
            prompt of as many tokens to resample from.
        SiteError: the backend or model does not have a component's activation.
    """
    kinds = check_kinds(kinds)
    check_choice("reference", reference, REFERENCES)
    check_choice("metric", metric, METRICS)
    sets = find_sets(model, what, dataset.roles)
    _check_roles(dataset, sets)
    keys = {key for one in sets for component in one for key in component.sites}
    references = ReferenceActivations.of(
        model, dataset, keys, kinds, reference=reference, seed=seed, leave_out_outliers=not include_outliers
    )
    outliers = outliers_under(model, dataset.clean, kinds, include=include_outliers)

    def measured(number: int) -> dict[str, np.ndarray]:
        pair = dataset[number]
        readout = prompt_readout(model, pair.clean, Measure.of_pair(pair, metric))
        branches = _branches(references, number, readout, kinds, sets, outliers)
        swept = model.sweep(pair.clean, branches, readout, exact=exact, batch_size=batch_size)
        return {"values": swept.values.numpy(), "path": np.array(swept.path)}

    how = [list(kinds), list(map(set_name, sets)), reference, metric, seed, str(exact), include_outliers]
    among = {"ablation": how, "dataset": dataset_key(dataset)}

    parts = over_pairs(
        len(dataset),
        int,
        measured,
        key=lambda number: {"number": number, **among, **likeliest(model, dataset[number].clean)},
        describe=lambda number: repr(dataset[number].text),
        task="prompts",
    )
    values = parts.stacked("values")  # [prompt, branch], the first branch without any edit
    before, after = values[:, 0], values[:, 1:].reshape(-1, len(kinds), len(sets))
    return AblationResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_with_choices(model, dataset),
        metric=metric,
        kinds=kinds,
        reference=reference,
        path=parts.path,
        sets=tuple(map(set_name, sets)),
        before=estimate(before, seed, dataset.clusters),
        outliers=outliers,
        change=estimate(after - before[:, None, None], seed, dataset.clusters),
    )


def _check_roles(dataset: PairDataset, sets: Sequence[Set]) -> None:
    """Refuse a role that not every prompt has, and a position that one of them has not."""
    for component in {component for one in sets for component in one if component.where is not None}:
        if isinstance(component.where, str):
            dataset.positions(component.where)
        for pair in dataset:
            _positions(component, pair, len(pair))


def _branches(
    references: ReferenceActivations,
    number: int,
    readout: AnyReadout,
    kinds: Sequence[str],
    sets: Sequence[Set],
    outliers: OutlierPositions | None,
) -> list[list[Edit]]:
    """The edits of each run of a prompt: none at all, then those of every kind and set."""
    model, pair = references.model, references.dataset[number]
    replacement = references.for_prompt(number, readout)
    n_pos = len(pair) + min(len(part.continuation) for part in readout.parts)
    branches: list[list[Edit]] = [[]]
    for kind in kinds:
        activation = partial(replacement, kind)
        left = outliers.at[number] if outliers is not None and kind in OVERWRITING else ()
        for one in sets:
            edits = [
                replace_component(
                    model, component, kind, activation, positions=_positions(component, pair, n_pos, left)
                )
                for component in one
            ]
            branches.append([edit for of_component in edits for edit in of_component])
    return branches


def _positions(
    component: Component, pair: Pair, n_pos: int, left: tuple[int, ...] = ()
) -> tuple[int, ...] | None:
    """The positions at which a component is knocked out in a run of `n_pos` (a prompt, perhaps with an answer
    behind it), without those that are left as they are where it names none; None for all of them."""
    if component.where is None:
        return tuple(i for i in range(n_pos) if i not in left) if left else None
    if isinstance(component.where, str):
        return pair.positions[component.where]
    if not -len(pair) <= component.where < len(pair):
        raise InputError(f"{component} is at no position of {pair.text!r}, which has {len(pair)} tokens.")
    return (component.where % len(pair),)
