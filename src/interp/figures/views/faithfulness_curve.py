"""What a faithfulness curve shows: faithfulness by size of circuit, beside random orders; CPR and CMD."""

from __future__ import annotations

from interp.figures.engine.notation import decimal, interval
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Lines, Series, Table, View, Words
from interp.figures.views.circuit_text import REPLACEMENTS
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, intervals_sentence, pairs_sentences
from interp.methods.circuits.results import FaithfulnessCurveResult
from interp.metrics import METRICS
from interp.results import Interval


def view(result: FaithfulnessCurveResult) -> View:
    """The curve with its interval, the random ones, and all sizes."""
    by = "largest" if result.absolute else "highest"
    return View(
        title="How large must the circuit be?",
        above=(
            *doubts(result.pairs, result.metric, result.full_values),
            *pairs_sentences(result.pairs),
            f"The {by} scores of {result.n_scored} {result.level}s first "
            f"({result.construction}); all else is replaced by "
            f"{REPLACEMENTS[result.ablation]} ({result.ablation} ablation). "
            f"Metric: {METRICS[result.metric].description}.",
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), _curve(result), _sizes(result)),
        below=(
            "CPR is the area under faithfulness, CMD that under its distance from 1, over the share of "
            f"{result.level}s on a linear axis, as in the MIB benchmark: perfect at every size would be CPR "
            ".999 and CMD 0. CPR rewards doing better than the model.",
            intervals_sentence(result.pairs, result.faithfulness),
            *(() if result.outliers is None else (result.outliers.sentence,)),
            *norms_sentences(result.provenance, "frozen"),
        ),
    )


figure, table, report = presentation(view)


def _verdict(result: FaithfulnessCurveResult) -> str:
    cpr = _area(result.cpr, result.random_cpr.tolist())
    cmd = _area(result.cmd, result.random_cmd.tolist())
    return f"CPR {cpr}, CMD {cmd}."


def _area(own: Interval, random: list[float]) -> str:
    """An area with its interval, beside those of random orders."""
    beside = f"; random orders {interval(min(random), max(random))}" if random else ""
    return f"{decimal(float(own.value))} ({interval(float(own.low), float(own.high))}{beside})"


def _curve(result: FaithfulnessCurveResult) -> Lines:
    x = result.fractions.tolist()
    shown = slice(1 if x[0] == 0 else 0, None)  # a logarithmic axis has no 0

    def series(name: str, y: list[float], low: list[float], high: list[float]) -> Series:
        return Series(name, tuple(x[shown]), tuple(y[shown]), low=tuple(low[shown]), high=tuple(high[shown]))

    own = result.faithfulness
    by_score = series("by score", *(part.tolist() for part in (own.value, own.low, own.high)))
    randoms = result.random_faithfulness
    mean = []
    if len(randoms):
        ends = (f(0).tolist() for f in (randoms.mean, randoms.min, randoms.max))
        mean = [series("random order, mean and range", *ends)]
    return Lines(
        name="curve",
        series=(by_score, *mean),
        x_title=f"share of {result.level}s",
        y_title="faithfulness",
        title="Faithfulness by size",
        log_x=True,
        ticks=tuple((share, f"{share:g}") for share in x[shown]),
        levels=((1.0, "the full model"), (0.0, "the empty circuit")),
    )


def _sizes(result: FaithfulnessCurveResult) -> Table:
    own = result.faithfulness
    rows = zip(
        (f"{share:g}" for share in result.fractions.tolist()),
        map(float, result.sizes),
        map(float, result.edges_left),
        own.value.tolist(),
        (interval(*ends) for ends in zip(own.low.tolist(), own.high.tolist(), strict=True)),
        strict=True,
    )
    columns = ("share", f"{result.level}s", "edges left by pruning", "faithfulness", "interval")
    return Table(columns, tuple(rows), title="All sizes", name="sizes")
