"""What effects of features show: the strongest where they act, and how well two estimates foretell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import (
    brief,
    count,
    decimal,
    interval,
    measured,
    probability,
    show_text,
)
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Axis, Grid, Scatter, Table, View, Words, block_name
from interp.metrics import METRICS

if TYPE_CHECKING:
    from interp.methods.features.feature_effects import FeatureEffectsResult

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
    estimates = (result.mean_attribution, result.mean_integrated)
    return View(
        title="What does each feature do to the answer?",
        above=(
            *_setting(result),
            f"Features: {result.n_features} of an SAE at {result.site} of {show_text(result.sae_model)}, "
            f"each alone {_CHANGES[result.change]}. Left out: {result.excluded}.",
            f"Metric: {METRICS[result.metric].description}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _grid(result),
            _table(result),
            *(_scatter(result, i, values) for i, values in enumerate(estimates)),
        ),
        below=(
            "Empty: the feature is the same before and after there, in all prompts.",
            "An effect is that of one feature with all others in place: of two that say the same, neither "
            "may matter. Integrated estimates add up to the effect of changing all features at once.",
        ),
    )


figure, table, report = presented(view)


def _setting(result: FeatureEffectsResult) -> list[str]:
    foil = "" if result.foils is None else f", foil {brief(result.foils[0])}"
    first = f"{show_text(result.prompts[0])} (answer {brief(result.answers[0])}{foil})"
    if len(result.prompts) == 1:
        return [f"Prompt: {first}. The metric as it is: {measured(result.before[0])}."]
    lines = [
        f"{count(len(result.prompts), 'prompt')} of {show_text(result.task)}, the first of them: {first}. "
        f"The metric as it is: {measured(float(result.before.mean()))} on average."
    ]
    if result.dropped:
        why = "; ".join(dict.fromkeys(why for _, why in result.dropped[:3]))
        lines.append(f"Left out of the dataset: {len(result.dropped)} ({show_text(why)}).")
    return lines


def _verdict(result: FeatureEffectsResult) -> str:
    named = ", ".join(f"{_name(result, i)} ({_signed(result.mean[i])})" for i in result.strongest(_NAMED))
    kinds = zip(_ESTIMATES.values(), result.pearson, result.spearman, strict=True)
    agreement = "; ".join(f"{name}: Pearson {_or_none(p)}, Spearman {_or_none(s)}" for name, p, s in kinds)
    return (
        f"The strongest, in {METRICS[result.metric].unit}: {named}. Estimates against the exact effects, "
        f"over {count(len(result.exact), 'cell')}: {agreement}."
    )


def _name(result: FeatureEffectsResult, cell: int) -> str:
    place = result.places[result.cell_place[cell]]
    if len(result.prompts) > 1:
        return f"{result.cell_feature[cell]} at {show_text(place)}"
    return f"{result.cell_feature[cell]} at {brief(place)} ({result.cell_place[cell]})"


def _grid(result: FeatureEffectsResult) -> Grid:
    """The features of the strongest cells, the strongest first; empty where one never changes."""
    rows: dict[int, int] = {}
    for cell in result.strongest(len(result.mean)):
        if len(rows) < _ROWS:
            rows.setdefault(int(result.cell_feature[cell]), len(rows))
    arrays = {
        name: np.full((len(rows), len(result.places)), np.nan)
        for name in ("mean", "low", "high", "share", "mean_attribution", "mean_integrated")
    }
    for cell, (feature, place) in enumerate(zip(result.cell_feature, result.cell_place, strict=True)):
        if int(feature) in rows:
            for name, array in arrays.items():
                array[rows[int(feature)], place] = getattr(result, name)[cell]
    one = len(result.prompts) == 1
    hover = () if one else (("from", arrays["low"]), ("to", arrays["high"]), ("active in", arrays["share"]))
    total = len(np.unique(result.cell_feature))
    shown = f": the {len(rows)} strongest of {total} features" if total > len(rows) else ""
    return Grid(
        name="effects_by_place",
        values=arrays["mean"],
        rows=Axis.names("feature", list(rows)),
        columns=Axis.tokens(result.places) if one else Axis.names("role", result.places),
        unit=METRICS[result.metric].unit,
        title=f"Exact effects{shown}",
        above="the metric rises",
        below="the metric falls",
        hover=(
            *hover,
            ("attribution", arrays["mean_attribution"]),
            ("integrated", arrays["mean_integrated"]),
        ),
        down=True,
    )


def _table(result: FeatureEffectsResult) -> Table:
    one = len(result.prompts) == 1
    activation = _activations(result)
    rows = []
    for i in result.strongest(_LISTED):
        row = [_name(result, i), decimal(activation[i])]
        row += [] if one else [probability(result.share[i])]
        row += [_signed(result.mean[i])]
        row += [] if one else [interval(result.low[i], result.high[i])]
        rows.append((*row, _signed(result.mean_attribution[i]), _signed(result.mean_integrated[i])))
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
    width = result.n_features
    cell = result.cell_place * width + result.cell_feature  # sorted, as `np.unique` left them
    at = np.searchsorted(cell, result.entry_place * width + result.entry_feature)
    return np.bincount(at, weights=result.activation, minlength=len(cell)) / np.bincount(at)


def _scatter(result: FeatureEffectsResult, which: int, values: np.ndarray) -> Scatter:
    chosen = list(result.strongest(_POINTS))
    name = list(_ESTIMATES.values())[which]
    drawn = f"The {len(chosen)} strongest are drawn. " if len(chosen) < len(result.mean) else ""
    return Scatter(
        name=block_name("exact_against", tuple(_ESTIMATES)[which]),
        x=tuple(values[chosen].tolist()),
        y=tuple(result.mean[chosen].tolist()),
        labels=tuple(_name(result, i) for i in chosen),
        x_title=f"{name} ({METRICS[result.metric].unit})",
        y_title=f"exact ({METRICS[result.metric].unit})",
        title=f"Exact effects against {name}",
        labelled=tuple(range(min(_NAMED, len(chosen)))),
        diagonal=True,
        pearson=result.pearson[which],
        spearman=result.spearman[which],
        note=f"{drawn}Correlations are over the cells of each prompt.",
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{decimal(value)}"


def _or_none(value: float | None) -> str:
    return "none" if value is None else decimal(value)
