"""What a size curve shows: faithfulness by the share of edges or nodes, beside random orders; CPR and CMD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.figures.engine.notation import decimal
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Lines, Series, Table, View, Words
from interp.figures.views.circuit_words import ABLATIONS, interval, on_pairs
from interp.metrics import METRICS

if TYPE_CHECKING:
    from interp.methods.circuits.faithfulness_curve import FaithfulnessCurveResult


def view(result: FaithfulnessCurveResult) -> View:
    """The curve with its interval, the random ones, and all sizes."""
    by = "largest" if result.absolute else "highest"
    return View(
        title="How large must the circuit be?",
        above=(
            *on_pairs(result),
            f"The {by} scores of {result.n_scored} {result.level}s first "
            f"({result.construction}); all else is replaced by "
            f"{ABLATIONS[result.ablation]} ({result.ablation} ablation). "
            f"Metric: {METRICS[result.metric].description}.",
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), _curve(result), _sizes(result)),
        below=(
            "CPR is the area under faithfulness, CMD that under its distance from 1, over the share of "
            f"{result.level}s on a linear axis, as in the MIB benchmark: perfect at every size would be CPR "
            ".999 and CMD 0. CPR rewards doing better than the model.",
            "Intervals and the band: 95 %, bootstrap over pairs.",
        ),
    )


figure, table, report = presented(view)


def _verdict(result: FaithfulnessCurveResult) -> str:
    def beside(values: list[float]) -> str:
        return f"; random orders {decimal(min(values))} to {decimal(max(values))}" if values else ""

    return (
        f"CPR {decimal(result.cpr)} ({interval(*result.cpr_interval)}{beside(result.random_cpr.tolist())}), "
        f"CMD {decimal(result.cmd)} ({interval(*result.cmd_interval)}{beside(result.random_cmd.tolist())})."
    )


def _curve(result: FaithfulnessCurveResult) -> Lines:
    x = result.fractions.tolist()
    shown = slice(1 if x[0] == 0 else 0, None)  # a logarithmic axis has no 0

    def series(name: str, y: list[float], low: list[float], high: list[float]) -> Series:
        return Series(name, tuple(x[shown]), tuple(y[shown]), low=tuple(low[shown]), high=tuple(high[shown]))

    own = series("by score", result.faithfulness.tolist(), result.low.tolist(), result.high.tolist())
    randoms = result.random_faithfulness
    mean = [
        series(
            "random order, mean and range", *(f(0).tolist() for f in (randoms.mean, randoms.min, randoms.max))
        )
    ]
    return Lines(
        name="curve",
        series=(own, *(mean if len(randoms) else [])),
        x_title=f"share of {result.level}s",
        y_title="faithfulness",
        title="Faithfulness by size",
        log_x=True,
        ticks=tuple((share, f"{share:g}") for share in x[shown]),
        levels=((1.0, "the full model"), (0.0, "the empty circuit")),
    )


def _sizes(result: FaithfulnessCurveResult) -> Table:
    rows = zip(
        (f"{share:g}" for share in result.fractions.tolist()),
        map(float, result.sizes),
        map(float, result.edges_left),
        result.faithfulness.tolist(),
        (interval(*ends) for ends in zip(result.low.tolist(), result.high.tolist(), strict=True)),
        strict=True,
    )
    columns = ("share", f"{result.level}s", "edges left by pruning", "faithfulness", "interval")
    return Table(columns, tuple(rows), title="All sizes", name="sizes")
