"""What activation patching shows: the map of recovery, its two ends, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, interval, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Arrays, Axis, Block, Grid, Scatter, View, Words
from interp.figures.views.chance_text import chance_sentence, framed_cells
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, intervals_sentence, metric_with_tokens, weak_sentence
from interp.figures.views.recovery import CARRIED, LIMIT, no_effect, recovery_map
from interp.methods.patching.results import ActivationPatchingResult, ComparedActivationPatchingResult
from interp.metrics import METRICS

_NOTABLE = 0.1  # a change of recovery that is worth a word
_MOST = 5  # cells named in a sentence
_SMALL_LIMIT = 0.3  # of recovery, where the colours end when all effects are small

_PLURAL = {"position": "positions", "head": "heads", "neuron": "neurons", "layer": "layers"}
#: Sites that lie before a norm behind attention or MLP, where a model has one.
_INSIDE = ("q", "k", "v", "pattern", "z", "mlp_act")

_SHOWS = {
    "denoising": "Denoising shows what is sufficient in this context: 1 means that the clean activation of "
    "this cell alone, in the corrupted run, brings the clean answer back; 0 that it brings back nothing. It "
    "does not show what is necessary.",
    "noising": "Noising shows what is necessary in this context: 0 means that the corrupted activation of "
    "this cell alone, in the clean run, loses the clean answer; 1 that nothing is lost. It does not show "
    "what is sufficient, and where parts can stand in for each other, none of them looks necessary.",
}
_SHOWS_OF_DOUBT = {
    "denoising": "1 means that the clean activation of this cell alone, in the corrupted run, brings back "
    "the clean run's metric; 0 that it brings back nothing. As the clean run does not give the answer, this "
    "does not show what suffices for it.",
    "noising": "0 means that the corrupted activation of this cell alone, in the clean run, loses the clean "
    "run's metric; 1 that nothing is lost. As the clean run does not give the answer, this does not show "
    "what it needs.",
}
_PATHS = {
    "branching": "as branches of one run (path “branching”), which is equal to a forward pass for each cell "
    "but for rounding",
    "plain": "by a whole forward pass for each cell (path “plain”)",
    "gradients": "by gradients (path “gradients”)",
}
_METHODS = {
    "exact": "Each cell was patched and run",
    "attribution": "An estimate of first order: (donor - base) · gradient at the base run, one backward pass "
    "for all cells. It misleads where the metric is far from linear in the activation (first layers, "
    "saturated attention); method 'exact' or compare_exact checks it. Computed",
    "integrated": "An estimate: (donor - base) · gradient, averaged over {steps} steps from the base's "
    "embeddings to the donor's. Mostly better than one gradient, and still an estimate; method 'exact' or "
    "compare_exact checks it. Computed",
}


def view(result: ActivationPatchingResult | ComparedActivationPatchingResult) -> View:
    """The map, and beside an approximation how it agrees with the exact result."""
    if isinstance(result, ComparedActivationPatchingResult):
        exact = ("exact recovery", result.exact.recovery.mean)
        return _view(result.approximate, hover=(exact,), blocks=_agreement(result))
    return _view(result)


def _view(result: ActivationPatchingResult, *, hover: Arrays = (), blocks: Sequence[Block] = ()) -> View:
    small = f"All effects are small: the colours end at a change of {_SMALL_LIMIT:g}, not {LIMIT:g}."
    return View(
        title=_title(result),
        above=(
            *doubts(result.pairs, result.metric, result.clean_values),
            *weak_sentence(result.metric, result.clean_values, result.corrupted_values),
            _setting(result),
            *_baselines(result),
        ),
        blocks=(Words(_strongest(result), strong=True, name="verdict"), _map(result, hover), *blocks),
        below=(
            (_SHOWS if not _doubted(result) else _SHOWS_OF_DOUBT)[result.direction],
            f"{_METHODS[result.method].format(steps=result.steps)} {_path(result)}.",
            *(_over_pairs(result) if len(result.pairs) > 1 else ()),
            *((small,) if _all_small(result) else ()),
            *(norms_sentences(result.provenance, "recomputed") if result.site in _INSIDE else ()),
        ),
    )


figure, table, report = presentation(view)


# ---- the map ----


def _map(result: ActivationPatchingResult, hover: Arrays) -> Grid:
    return recovery_map(
        result.recovery.mean,
        direction=result.direction,
        columns=_columns(result),
        peak=result.peak,
        unit="recovery" if result.method == "exact" else "estimated recovery",
        limit=_SMALL_LIMIT if _all_small(result) else LIMIT,
        hover=(*_details(result), *hover),
        **({} if len(result.pairs) == 1 else framed_cells(result.recovery, null=no_effect(result.direction))),
    )


def _details(result: ActivationPatchingResult) -> list[tuple[str, np.ndarray]]:
    """What else is known of each cell: the metric; of several pairs also the interval."""
    recovery = result.recovery
    metric = result.values.mean(0)
    if len(result.pairs) == 1:
        return [("metric", metric)]
    ends = zip(recovery.low.ravel(), recovery.high.ravel(), strict=True)
    intervals = [
        "none" if np.isnan(low) else f"{decimal(low, 3)} to {decimal(high, 3)}" for low, high in ends
    ]
    return [
        ("95 % interval of the mean", np.array(intervals).reshape(recovery.shape)),
        ("metric, mean", metric),
    ]


def _columns(result: ActivationPatchingResult) -> Axis:
    if result.by == "position":
        return Axis.tokens(result.columns, others=result.corrupted_columns)
    if result.by == "layer":
        return Axis.names("", ["whole layer"])
    return Axis.names(_unit(result), result.columns)


def _unit(result: ActivationPatchingResult) -> str:
    """What a column is: a head of keys and values may belong to several queries."""
    return "kv head" if result.by == "head" and result.site in ("k", "v") else result.by


def _effect(result: ActivationPatchingResult) -> np.ndarray:
    """How far each cell's recovery is from no effect."""
    return np.abs(result.recovery.mean - no_effect(result.direction))


def _all_small(result: ActivationPatchingResult) -> bool:
    """Whether the usual colours would show hardly anything; as for single neurons."""
    return float(_effect(result).max()) < _SMALL_LIMIT / 2


# ---- in words ----


def _doubted(result: ActivationPatchingResult) -> bool:
    """Whether most of the clean runs do not give the answer."""
    pairs, lost = result.pairs, result.clean_values <= 0
    said = () if pairs.several_tokens else pairs.said
    other = [own not in answer.split("|") for own, answer in zip(said, pairs.answers, strict=False)]
    not_given = np.array(other or [False] * len(lost)) | (lost if result.metric == "logit_diff" else False)
    return bool(2 * not_given.sum() > len(lost))


def _title(result: ActivationPatchingResult) -> str:
    answers = set(result.pairs.answers)
    answer = brief(result.pairs.answers[0]) if len(answers) == 1 else "the answer"
    return f"Patching {result.site}: which {_PLURAL[result.by]} carry {answer}?"


def _setting(result: ActivationPatchingResult) -> str:
    reach = {
        "position": "one layer and position",
        "head": f"one {_unit(result)} at all positions",
        "neuron": "one neuron at all positions",
        "layer": "one whole layer",
    }[result.by]
    carried = CARRIED[result.direction]
    return (
        f"{result.direction.capitalize()} ({carried}) at {result.site}, {reach} at a time; "
        f"{count(len(result.pairs), 'pair')} of prompts. Metric: {_metric(result)}."
    )


def _metric(result: ActivationPatchingResult) -> str:
    pairs = result.pairs
    if result.metric != "logit_diff":
        return METRICS[result.metric].description
    if len(pairs) > 1 or pairs.foils is None:
        return f"{METRICS[result.metric].description} of each pair"
    return metric_with_tokens(result.metric, pairs.answers[0], pairs.foils[0])


def _baselines(result: ActivationPatchingResult) -> list[str]:
    """What recovery is measured between: both runs of the one pair, or the means of several."""
    lines = []
    for name, values, prompts in (
        ("Clean", result.clean_values, result.pairs.prompts),
        ("Corrupted", result.corrupted_values, result.pairs.corrupted),
    ):
        first = _prompt(result, prompts[0])
        if len(prompts) == 1:
            lines.append(f"{name}: {measured(values[0])}. {first}")
        else:
            spread = f"{measured(values.min())} to {measured(values.max())}"
            lines.append(f"{name}: {measured(values.mean())} on average ({spread}). First: {first}")
    return lines


def _prompt(result: ActivationPatchingResult, text: str) -> str:
    bos = result.provenance.bos
    return f"“{show_text(text.removeprefix(bos) if bos else text, max_chars=120)}”"


def _strongest(result: ActivationPatchingResult) -> str:
    """The cells of strongest effect, by name, and how many there are of any note."""
    effect = _effect(result)
    order = np.argsort(-effect, axis=None, kind="stable")
    notable = int((effect >= _NOTABLE).sum())
    cells = [divmod(int(i), effect.shape[1]) for i in order[: min(max(notable, 1), _MOST)]]
    named = ", ".join(
        f"{_name(result, *cell)} ({decimal(float(result.recovery.mean[cell]))})" for cell in cells
    )
    estimate = "" if result.method == "exact" else "By the estimate: "
    if not notable:
        return f"{estimate}No cell changes the recovery by {_NOTABLE:g} or more; the strongest is {named}."
    few = f"{notable} of {effect.size} cells change the recovery by {_NOTABLE:g} or more"
    return f"{estimate}Strongest {_PLURAL[result.by]}: {named}. {few}."


def _name(result: ActivationPatchingResult, layer: int, column: int) -> str:
    """A cell as the field names it: head 5.1; or layer and token, with the position where it recurs."""
    if result.by == "position":
        token = result.columns[column]
        return f"layer {layer} {brief(token)}" + (f" at {column}" if result.columns.count(token) > 1 else "")
    return f"layer {layer}" if result.by == "layer" else f"{layer}.{result.columns[column]}"


def _path(result: ActivationPatchingResult) -> str:
    return " and ".join(_PATHS.get(path, path) for path in result.path.split(" and "))


def _over_pairs(result: ActivationPatchingResult) -> list[str]:
    """What is averaged, and what an interval of so few pairs is worth."""
    n = len(result.pairs)
    how = "a ratio of means" if result.aggregation == "ratio of means" else "the mean of each pair's ratio,"
    lines = [
        f"Cells: {how} over {n} pairs; on hover in the report its interval. "
        + intervals_sentence(result.pairs, result.recovery),
        *chance_sentence(result.recovery, "cells", null=no_effect(result.direction)),
    ]
    low, high = (float(end[result.peak]) for end in (result.recovery.low, result.recovery.high))
    lines.append(f"{_name(result, *result.peak)}, the strongest: {interval(low, high)}.")
    if result.by == "position":
        lines.append("Columns bear the tokens of the first pair; in the others, other words may stand there.")
    return lines


# ---- an approximation beside the exact sweep ----


def _agreement(result: ComparedActivationPatchingResult) -> list[Block]:
    """How the two agree in words, and every cell by both."""
    estimates, exact = result.approximate.recovery.mean, result.exact.recovery.mean
    cell = result.worst_cell
    off = np.abs(estimates - exact).ravel()
    labelled = tuple(i for i in np.argsort(-off, kind="stable").tolist()[:5] if off[i] > 0.02)
    return [
        Words(
            f"Against the exact sweep: rank correlation {decimal(result.rank_correlation)} over all cells; "
            f"farthest off at {_name(result.approximate, *cell)}: {decimal(float(estimates[cell]))} "
            f"estimated, {decimal(float(exact[cell]))} exact.",
            strong=True,
            name="agreement",
        ),
        Scatter(
            name="estimate_against_exact",
            x=tuple(exact.ravel().tolist()),
            y=tuple(estimates.ravel().tolist()),
            labels=tuple(_name(result.approximate, *place) for place in np.ndindex(exact.shape)),
            x_title="exact recovery",
            y_title="estimated recovery",
            title="The estimate against the exact sweep, cell by cell",
            labelled=labelled,
            diagonal=True,
            spearman=result.rank_correlation,
            note="Labelled: the cells farthest from y = x.",
        ),
    ]
