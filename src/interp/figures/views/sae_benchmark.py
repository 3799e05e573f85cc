"""The presentation of the benchmark of dictionaries."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Bars, Grid, Table, View, Words
from interp.methods.features.benchmark_results import MEASURES, SAEBenchmarkResult

_F1 = MEASURES.index("F1")


def view(result: SAEBenchmarkResult) -> View:
    """All measures with their intervals over seeds, F1 by setting, and F1 by label."""
    return View(
        title="Which dictionary says best what the tokens are?",
        above=(
            f"Dictionaries of {result.site}, trained on {show_text(result.trained_on)}, "
            f"{count(result.seeds, 'seed')} each.",
            f"Read on {show_text(result.text)}; reconstruction measured on {show_text(result.held_out)}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _bars(result),
            _table(result),
            _by_label(result),
        ),
        below=(
            f"Over {count(len(result.labels), 'label')}; features and thresholds are chosen on one half of "
            "the text and measured on the other. Intervals are over seeds: how much another would differ.",
            f"F1 of k: a linear probe on {result.k} features. Absorption: the share of a label's tokens at "
            "which its best feature is silent and another that is specific to it speaks. Splitting: features "
            "specific to a label. Duplicates: directions with a cosine of 0.9 or more.",
            "Settings of different L0 are not on one footing; untrained is what any dictionary reaches.",
        ),
    )


def _verdict(result: SAEBenchmarkResult) -> str:
    f1 = result.measures.mean[:, _F1]
    order = np.argsort(-f1, kind="stable")
    first, second = (int(i) for i in order[:2])
    return (
        f"{result.settings[first]}: F1 {_with_interval(result, first, _F1)}; next "
        f"{result.settings[second]}: {_with_interval(result, second, _F1)}."
    )


def _with_interval(result: SAEBenchmarkResult, row: int, measure: int) -> str:
    found = result.measures
    mean, low, high = (float(x[row, measure]) for x in (found.mean, found.low, found.high))
    digits = 1 if MEASURES[measure] in ("L0", "splitting") else 3
    if np.isnan(low):
        return decimal(mean, digits)
    return f"{decimal(mean, digits)} ({decimal(low, digits)} to {decimal(high, digits)})"


def _bars(result: SAEBenchmarkResult) -> Bars:
    found = result.measures
    return Bars(
        labels=result.settings,
        values=tuple(found.mean[:, _F1].tolist()),
        low=tuple(found.low[:, _F1].tolist()),
        high=tuple(found.high[:, _F1].tolist()),
        unit="F1",
        name="f1",
        title="F1 of the best feature, the mean over labels",
        note="Bars end at the mean over seeds; whiskers are its 95 % interval.",
    )


def _table(result: SAEBenchmarkResult) -> Table:
    rows = tuple(
        (setting, *(_with_interval(result, row, measure) for measure in range(len(MEASURES))))
        for row, setting in enumerate(result.settings)
    )
    return Table(("setting", *MEASURES), rows, title="All measures", name="measures")


def _by_label(result: SAEBenchmarkResult) -> Grid:
    return Grid(
        name="by_label",
        values=result.f1.T,
        rows=Axis.names("label", result.labels),
        columns=Axis.names("setting", result.settings),
        unit="F1",
        centre=None,
        above="the feature is the label",
        down=True,
        title="F1 of the best feature by label, the mean over seeds",
    )


figure, table, report = presentation(view)
