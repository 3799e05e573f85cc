"""What the measure of a circuit shows: its faithfulness, beside random circuits and other ablations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.figures.engine.notation import decimal, show_text
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Bars, Block, Table, View, Words
from interp.figures.views.circuit_words import ABLATIONS, drawn, interval, members, on_pairs
from interp.metrics import METRICS

if TYPE_CHECKING:
    from interp.methods.circuits.faithfulness import FaithfulnessResult

_BASELINES = 3  # full, empty, circuit
_CLOSE = 0.1  # of faithfulness


def view(result: FaithfulnessResult) -> View:
    """Faithfulness and gap, random circuits, a table over ablations, and the graph of a circuit of edges."""
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _bars(result),
        _ablations(result),
    ]
    if result.level == "edge" and result.circuit:
        blocks.append(drawn(result.circuit, result.scores.tolist(), "The circuit"))
    kept = ""
    if result.level == "node":
        kept = " The input and MLPs are never ablated." if result.kept else " The input is never ablated."
    what = f"{result.level}s"
    replaced = "are replaced by" if result.level == "node" else "carry"
    return View(
        title="Does the circuit do what the model does?",
        above=(
            *on_pairs(result),
            f"Circuit: {len(result.circuit)} of {result.n_candidates} {what}: "
            f"{members(result.circuit, most=30 if result.level == 'node' else 8)}.",
            f"All other {what} {replaced} {ABLATIONS[result.ablations[0]]} ({result.ablations[0]} "
            f"ablation).{kept} Metric: {METRICS[result.metric].description}.",
        ),
        blocks=tuple(blocks),
        below=(
            "Faithfulness is (m(circuit) - m(empty)) / (m(full) - m(empty)) of means: 1 as the full "
            "model, 0 as the empty circuit; it may lie outside. The gap is |mean of m(full) - m(circuit)|, "
            f"in {METRICS[result.metric].unit}; 0 is best. Intervals: 95 %, bootstrap over pairs.",
            "Random circuits have the same size"
            + ("." if result.level == "edge" else ", in heads and MLPs."),
            "A circuit that was found on these pairs looks better than it is.",
            *(f"No {kind} ablation: {show_text(why)}" for kind, why in result.left_out),
        ),
    )


figure, table, report = presented(view)


def _verdict(result: FaithfulnessResult) -> str:
    value = result.faithfulness[0, 2]
    said = f"Faithfulness {decimal(value)} ({interval(*_interval(result, 0, 2))})"
    randoms = result.random_faithfulness[0]
    beside = (
        f"; random circuits of the same size {decimal(randoms.min())} to {decimal(randoms.max())}"
        if len(randoms)
        else ""
    )
    spread = result.faithfulness[:, 2]
    kinds = (
        f" Over kinds of ablation it goes from {decimal(spread.min())} to {decimal(spread.max())}"
        + (": the figure depends on the kind." if spread.max() - spread.min() > _CLOSE else ".")
        if len(spread) > 1
        else ""
    )
    return f"{said}{beside}. Gap: {decimal(result.gap[0, 2])} {METRICS[result.metric].unit}.{kinds}"


def _interval(result: FaithfulnessResult, ablation: int, run: int) -> tuple[float, float]:
    return float(result.faithfulness_low[ablation, run]), float(result.faithfulness_high[ablation, run])


def _bars(result: FaithfulnessResult) -> Bars:
    chosen = slice(2, None)
    return Bars(
        name="faithfulness",
        labels=result.runs[chosen],
        values=tuple(result.faithfulness[0, chosen].tolist()),
        unit="faithfulness",
        title=f"By {result.ablations[0]} ablation",
        low=tuple(result.faithfulness_low[0, chosen].tolist()),
        high=tuple(result.faithfulness_high[0, chosen].tolist()),
        note="1: as the full model; 0: as the empty circuit.",
    )


def _ablations(result: FaithfulnessResult) -> Table:
    rows: list[tuple[str, ...]] = []
    for i, kind in enumerate(result.ablations):
        full, empty, circuit = (decimal(x) for x in result.values[i, :_BASELINES].mean(-1))
        randoms = result.random_faithfulness[i]
        low, high = _interval(result, i, 2)
        beside = f"{decimal(randoms.min())} to {decimal(randoms.max())}" if len(randoms) else ""
        rows.append(
            (
                kind,
                full,
                empty,
                circuit,
                decimal(result.faithfulness[i, 2]),
                interval(low, high),
                decimal(result.gap[i, 2]),
                beside,
            )
        )
    columns = ("ablation", "full", "empty", "circuit", "faithfulness", "interval", "gap", "random circuits")
    return Table(
        columns, tuple(rows), title="Sensitivity to the kind of ablation", strong=(0,), name="by_ablation"
    )
