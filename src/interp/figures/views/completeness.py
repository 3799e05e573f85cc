"""What taking a circuit apart shows: where circuit and model break alike, and which members matter."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import measured
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Scatter, Table, View, Words
from interp.figures.views.circuit_text import REPLACEMENTS, members_text
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, pairs_sentences
from interp.methods.circuits.results import CompletenessResult
from interp.metrics import METRICS

_LABELLED = 6


def view(result: CompletenessResult) -> View:
    """The scatter of completeness, its table, and the bars of minimality."""
    ablation = f"{REPLACEMENTS[result.ablation]} ({result.ablation} ablation)"
    kept = " The input and MLPs are never ablated." if result.kept else ""
    return View(
        title="Does the circuit have all that it needs, and nothing else?",
        above=(
            *doubts(result.pairs, result.metric, result.full_values),
            *pairs_sentences(result.pairs),
            f"Circuit of {len(result.circuit)} {result.level}s: {members_text(result.circuit)}.",
            f"Ablated parts are replaced by {ablation}.{kept} "
            f"Metric: mean {METRICS[result.metric].description}; full model {measured(result.full_value)}, "
            f"empty circuit {measured(result.empty_value)}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _completeness(result),
            _parts(result),
            _members(result),
        ),
        below=(
            *(() if result.outliers is None else (result.outliers.sentence,)),
            "Complete: without any part K, circuit and model give the same, so that points lie on the line. "
            "Below it, the circuit lacks what the model falls back on.",
            "Minimal: for each member there is some K without which leaving the member out changes much. "
            "More tries can only raise this, and the worst incompleteness; compare by the same tries.",
            *norms_sentences(result.provenance, "frozen"),
        ),
    )


figure, table, report = presentation(view)


def _verdict(result: CompletenessResult) -> str:
    worst, least = int(result.incompleteness.argmax()), int(result.minimality.argmin())
    unit = METRICS[result.metric].unit
    return (
        f"Worst incompleteness {measured(result.incompleteness[worst])} {unit} (without "
        f"{result.parts[worst]}). The member that matters least is {result.circuit[least]}, "
        f"{measured(result.minimality[least])} {unit}."
    )


def _completeness(result: CompletenessResult) -> Scatter:
    order = np.argsort(-result.incompleteness, kind="stable")[:_LABELLED]
    return Scatter(
        name="completeness",
        x=tuple(result.model_without.tolist()),
        y=tuple(result.circuit_without.tolist()),
        labels=result.parts,
        x_title="model without K",
        y_title="circuit without K",
        title=f"Completeness: {METRICS[result.metric].description}",
        labelled=tuple(int(i) for i in order),
        diagonal=True,
    )


def _parts(result: CompletenessResult) -> Table:
    rows = zip(
        result.parts,
        (members_text(part) for part in result.part_members),
        result.model_without.tolist(),
        result.circuit_without.tolist(),
        result.incompleteness.tolist(),
        strict=True,
    )
    columns = ("K", "members", "model without K", "circuit without K", "incompleteness")
    return Table(columns, tuple(rows), title="The parts that were tried", name="parts")


def _members(result: CompletenessResult) -> Bars:
    labels = [
        name if part == "nothing" else f"{name} (K: {part})"
        for name, part in zip(result.circuit, result.minimality_part, strict=True)
    ]
    return Bars(
        name="minimality",
        labels=tuple(labels),
        values=tuple(result.minimality.tolist()),
        unit=METRICS[result.metric].unit,
        title="Minimality: what leaving out each member changes, at most over K",
    )
