"""What the measure of a circuit shows: its faithfulness, beside random circuits and other ablations."""

from __future__ import annotations

from interp.figures.engine.notation import decimal, interval, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Block, Table, View, Words
from interp.figures.views.circuit_graph import circuit_graph
from interp.figures.views.circuit_text import REPLACEMENTS, members_text
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, intervals_sentence, pairs_sentences, weak_sentence
from interp.methods.circuits.results import BASELINES, FaithfulnessResult
from interp.metrics import METRICS

_FULL, _CIRCUIT = BASELINES.index("full"), BASELINES.index("circuit")
_CLOSE = 0.1  # of faithfulness


def view(result: FaithfulnessResult) -> View:
    """Faithfulness and gap, random circuits, a table over ablations, and the graph of a circuit of edges."""
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _bars(result),
        _ablations(result),
    ]
    if result.level == "edge" and result.circuit:
        blocks.append(circuit_graph(result.circuit, result.scores.tolist(), "The circuit"))
    kept = ""
    if result.level == "node":
        kept = " The input and MLPs are never ablated." if result.kept else " The input is never ablated."
    what = f"{result.level}s"
    replaced = "are replaced by" if result.level == "node" else "carry"
    return View(
        title="Does the circuit do what the model does?",
        above=(
            *doubts(result.pairs, result.metric, result.values[0, _FULL]),
            *pairs_sentences(result.pairs),
            *weak_sentence(result.metric, *result.values[0, :2], than="with everything ablated"),
            f"Circuit: {len(result.circuit)} of {result.n_candidates} {what}: "
            f"{members_text(result.circuit, most=30 if result.level == 'node' else 8)}.",
            f"All other {what} {replaced} {REPLACEMENTS[result.ablations[0]]} ({result.ablations[0]} "
            f"ablation).{kept} Metric: {METRICS[result.metric].description}.",
        ),
        blocks=tuple(blocks),
        below=(
            "Faithfulness is (m(circuit) - m(empty)) / (m(full) - m(empty)) of means: 1 as the full "
            "model, 0 as the empty circuit; it may lie outside. The gap is |mean of m(full) - m(circuit)|, "
            f"in {METRICS[result.metric].unit}; 0 is best. "
            + intervals_sentence(result.pairs, result.faithfulness),
            *(() if result.outliers is None else (result.outliers.sentence,)),
            "Random circuits have the same size"
            + ("." if result.level == "edge" else ", in heads and MLPs."),
            "A circuit that was found on these pairs looks better than it is.",
            *norms_sentences(result.provenance, "frozen"),
            *(f"No {kind} ablation: {show_text(why)}" for kind, why in result.left_out),
        ),
    )


figure, table, report = presentation(view)


def _verdict(result: FaithfulnessResult) -> str:
    own = result.faithfulness[0, _CIRCUIT]
    return (
        f"Faithfulness {decimal(float(own.value))} ({interval(float(own.low), float(own.high))})"
        f"{_beside_random(result)}. Gap: {decimal(result.gap.value[0, _CIRCUIT])} "
        f"{METRICS[result.metric].unit}.{_over_ablations(result)}"
    )


def _beside_random(result: FaithfulnessResult) -> str:
    randoms = _range_of_random(result, 0)
    return f"; random circuits of the same size {randoms}" if randoms else ""


def _over_ablations(result: FaithfulnessResult) -> str:
    """How far the kinds of ablation agree; nothing where there is one."""
    spread = result.faithfulness.value[:, _CIRCUIT]
    if len(spread) == 1:
        return ""
    close = spread.max() - spread.min() <= _CLOSE
    return f" Over kinds of ablation it goes from {decimal(spread.min())} to {decimal(spread.max())}" + (
        "." if close else ": the figure depends on the kind."
    )


def _range_of_random(result: FaithfulnessResult, ablation: int) -> str:
    """From the least to the most faithful of the random circuits; nothing where there are none."""
    randoms = result.random_faithfulness[ablation]
    return interval(randoms.min(), randoms.max()) if len(randoms) else ""


def _bars(result: FaithfulnessResult) -> Bars:
    shown = result.faithfulness[0, _CIRCUIT:]
    return Bars(
        name="faithfulness",
        labels=result.runs[_CIRCUIT:],
        values=tuple(shown.value.tolist()),
        unit="faithfulness",
        title=f"By {result.ablations[0]} ablation",
        low=tuple(shown.low.tolist()),
        high=tuple(shown.high.tolist()),
        note="1: as the full model; 0: as the empty circuit.",
    )


def _ablations(result: FaithfulnessResult) -> Table:
    rows: list[tuple[str, ...]] = []
    for i, kind in enumerate(result.ablations):
        own = result.faithfulness[i, _CIRCUIT]
        rows.append(
            (
                kind,
                *(decimal(mean) for mean in result.values[i, : len(BASELINES)].mean(-1)),
                decimal(float(own.value)),
                interval(float(own.low), float(own.high)),
                decimal(result.gap.value[i, _CIRCUIT]),
                _range_of_random(result, i),
            )
        )
    columns = ("ablation", "full", "empty", "circuit", "faithfulness", "interval", "gap", "random circuits")
    return Table(
        columns, tuple(rows), title="Sensitivity to the kind of ablation", strong=(0,), name="by_ablation"
    )
