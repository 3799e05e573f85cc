"""What effects of features show: the strongest where they act, and how well two estimates foretell them."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import (
    brief,
    count,
    decimal,
    interval,
    measured,
    probability,
    show_text,
    signed,
)
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, Scatter, Table, View, Words, block_name
from interp.figures.views.pairs_text import dropped_sentences, intervals_sentence
from interp.methods.features.results import EstimateAgreement, FeatureEffectsResult
from interp.metrics import METRICS

_NAMED = 5
_ROWS = 20  # features of the grid
_LISTED = 15
_POINTS = 400  # of a scatter
_CHANGES = {
    "ablate": "set to 0",
    "noising": "set, in the clean run, to what it is in the corrupted run",
    "denoising": "set, in the corrupted run, to what it is in the clean run",
}
_ESTIMATES = {
    "attribution": "attribution (gradient)",
    "integrated": "integrated gradients",
}


def view(result: FeatureEffectsResult) -> View:
    """The grid of the strongest features by place, both scatters, and the table."""
    sae, cells = result.sae, result.cells
    return View(
        title="What does each feature do to the answer?",
        above=(
            *_setting(result),
            f"Features: {sae.n_features} of an SAE at {sae.site} of {show_text(sae.model)}, "
            f"each alone {_CHANGES[result.change]}. Left out: {result.excluded}.",
            f"Metric: {METRICS[result.metric].description}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _grid(result),
            _table(result),
            *(
                _scatter(result, agreement, estimate)
                for agreement, estimate in zip(
                    result.agreement, (cells.attribution, cells.integrated), strict=True
                )
            ),
        ),
        below=(
            "Empty: the feature is the same before and after there, in all prompts.",
            "An effect is that of one feature with all others in place: of two that say the same, neither "
            "may matter. Integrated estimates add up to the effect of changing all features at once.",
            *(() if _is_one_prompt(result) else (intervals_sentence(result.pairs, result.cells.exact),)),
        ),
    )


figure, table, report = presentation(view)


def _setting(result: FeatureEffectsResult) -> tuple[str, ...]:
    pairs, before = result.pairs, float(result.before.mean())
    foil = "" if pairs.foils is None else f", foil {brief(pairs.foils[0])}"
    first = f"{show_text(result.edited[0])} (answer {brief(pairs.answers[0])}{foil})"
    if _is_one_prompt(result):
        return (f"Prompt: {first}. The metric as it is: {measured(before)}.",)
    of_task = "" if pairs.task is None else f" of {show_text(pairs.task)}"
    return (
        f"{count(len(result.edited), 'prompt')}{of_task}, the first of them: {first}. "
        f"The metric as it is: {measured(before)} on average.",
        *dropped_sentences(pairs),
    )


def _is_one_prompt(result: FeatureEffectsResult) -> bool:
    return len(result.edited) == 1


def _verdict(result: FeatureEffectsResult) -> str:
    effects = result.cells.exact.value
    named = ", ".join(f"{_name(result, i)} ({signed(effects[i])})" for i in result.strongest(_NAMED))
    agreement = "; ".join(
        f"{_ESTIMATES[one.estimate]}: Pearson {_or_none(one.pearson)}, Spearman {_or_none(one.spearman)}"
        for one in result.agreement
    )
    return (
        f"The strongest, in {METRICS[result.metric].unit}: {named}. Estimates against the exact effects, "
        f"over {count(len(result.entries.exact), 'cell')}: {agreement}."
    )


def _name(result: FeatureEffectsResult, cell: int) -> str:
    feature, at = show_text(result.sae.called(int(result.cells.feature[cell]))), result.cells.place[cell]
    place = result.places[at]
    if _is_one_prompt(result):
        return f"{feature} at {brief(place)} ({at})"
    return f"{feature} at {show_text(place)}"


def _grid(result: FeatureEffectsResult) -> Grid:
    """The features of the strongest cells, the strongest first; empty where one never changes."""
    cells = result.cells
    by_size = cells.feature[list(result.strongest(len(cells)))].tolist()
    features = list(dict.fromkeys(by_size))
    rows = {feature: row for row, feature in enumerate(features[:_ROWS])}

    def by_place(values: np.ndarray) -> np.ndarray:
        grid = np.full((len(rows), len(result.places)), np.nan)
        for feature, place, value in zip(cells.feature.tolist(), cells.place.tolist(), values, strict=True):
            if feature in rows:
                grid[rows[feature], place] = value
        return grid

    one, exact = _is_one_prompt(result), cells.exact
    spread = {"from": exact.low, "to": exact.high, "active in": cells.share}
    hover = {**({} if one else spread), "attribution": cells.attribution, "integrated": cells.integrated}
    shown = f": the {len(rows)} strongest of {len(features)} features" if len(features) > len(rows) else ""
    return Grid(
        name="effects_by_place",
        values=by_place(exact.value),
        rows=Axis.names("feature", [show_text(result.sae.called(feature)) for feature in rows]),
        columns=Axis.tokens(result.places) if one else Axis.names("role", result.places),
        unit=METRICS[result.metric].unit,
        title=f"Exact effects{shown}",
        above="the metric rises",
        below="the metric falls",
        hover=tuple((name, by_place(values)) for name, values in hover.items()),
        down=True,
    )


def _table(result: FeatureEffectsResult) -> Table:
    one, cells, activation = _is_one_prompt(result), result.cells, _activations(result)
    rows = []
    for i in result.strongest(_LISTED):
        exact = cells.exact[i]
        row = [_name(result, i), decimal(activation[i])]
        row += [] if one else [probability(cells.share[i])]
        row += [signed(float(exact.value))]
        row += [] if one else [interval(float(exact.low), float(exact.high))]
        rows.append((*row, signed(cells.attribution[i]), signed(cells.integrated[i])))
    spread = () if one else ("interval",)
    columns = ("feature", "activation", *(() if one else ("active in",)), "exact", *spread)
    return Table(
        (*columns, "attribution", "integrated"),
        tuple(rows),
        title=f"The strongest, in {METRICS[result.metric].unit}",
        name="strongest",
    )


def _activations(result: FeatureEffectsResult) -> np.ndarray:
    """Of each cell, the mean activation where it changes."""
    width, cells, entries = result.sae.n_features, result.cells, result.entries
    cell = cells.place * width + cells.feature  # rising, as cells are in order
    at = np.searchsorted(cell, entries.place * width + entries.feature)
    return np.bincount(at, weights=entries.activation, minlength=len(cell)) / np.bincount(at)


def _scatter(result: FeatureEffectsResult, agreement: EstimateAgreement, estimate: np.ndarray) -> Scatter:
    chosen = list(result.strongest(_POINTS))
    name, unit = _ESTIMATES[agreement.estimate], METRICS[result.metric].unit
    shown = f"The {len(chosen)} strongest are drawn. " if len(chosen) < len(result.cells) else ""
    return Scatter(
        name=block_name("exact_against", agreement.estimate),
        x=tuple(estimate[chosen].tolist()),
        y=tuple(result.cells.exact.value[chosen].tolist()),
        labels=tuple(_name(result, i) for i in chosen),
        x_title=f"{name} ({unit})",
        y_title=f"exact ({unit})",
        title=f"Exact effects against {name}",
        labelled=tuple(range(min(_NAMED, len(chosen)))),
        diagonal=True,
        pearson=agreement.pearson,
        spearman=agreement.spearman,
        note=f"{shown}Correlations are over the cells of each prompt.",
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else decimal(value)
