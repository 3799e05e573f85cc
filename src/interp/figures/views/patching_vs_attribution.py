"""What patching against attribution shows: every head by both, and the heads on which they disagree."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, interval
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, Scatter, Table, View, Words
from interp.figures.views.chance_text import chance_sentence
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, intervals_sentence, pairs_sentences
from interp.methods.attribution.results import PatchingVsAttributionResult

_NAMED = 5
_BY = {
    "direct": "direct logit attribution",
    "attribution": "attribution patching",
    "integrated": "attribution patching with integrated gradients",
}
_CHANGE = {"denoising": "patched - corrupted", "noising": "clean - patched"}
_WHY = {
    "direct": "Direct attribution sees what a head writes straight into the logits, patching all that it "
    "does: a head far above the line acts through others; one far below is made up for, or writes the same "
    "in both runs.",
    "attribution": "Attribution patching is the first-order estimate of the same effect: where it is off, "
    "the metric is far from linear in what the head writes.",
}


def view(result: PatchingVsAttributionResult) -> View:
    """The scatter, the heads that disagree, and both maps."""
    return View(
        title="Do patching and attribution find the same heads?",
        above=(
            *doubts(result.pairs, "logit_diff", result.clean_values),
            *pairs_sentences(result.pairs),
            f"Patching: z of each head, {result.direction}, {_CHANGE[result.direction]}. Attribution: "
            f"{_BY[result.attribution_by]}. Both in logits of answer less foil, means over pairs.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _scatter(result),
            _table(result),
            *_maps(result),
        ),
        below=(
            _WHY["direct" if result.attribution_by == "direct" else "attribution"],
            *chance_sentence(result.patching, "patched heads"),
            f"{intervals_sentence(result.pairs, result.patching)} Correlations are over all heads; a few "
            "large ones make Pearson's.",
            *_norms(result),
        ),
    )


def _norms(result: PatchingVsAttributionResult) -> tuple[str, ...]:
    """Patching computes norms behind attention anew; direct attribution does not."""
    if not norms_sentences(result.provenance, "frozen"):
        return ()
    if result.attribution_by == "direct":
        return ("Norms behind attention are recomputed where a head is patched, and frozen in attribution.",)
    return norms_sentences(result.provenance, "recomputed")


figure, table, report = presentation(view)


def _verdict(result: PatchingVsAttributionResult) -> str:
    return (
        f"Pearson {decimal(result.pearson)}, Spearman {decimal(result.spearman)} over {len(result.heads)} "
        f"heads. They disagree most on {', '.join(result.disagreeing(_NAMED))}."
    )


def _scatter(result: PatchingVsAttributionResult) -> Scatter:
    named = result.disagreeing(_NAMED)
    return Scatter(
        name="scatter",
        x=tuple(result.attribution.value.ravel().tolist()),
        y=tuple(result.patching.value.ravel().tolist()),
        labels=result.heads,
        x_title=f"{_BY[result.attribution_by]} (logits)",
        y_title="exact patching (logits)",
        title="Every head by both",
        labelled=tuple(result.heads.index(name) for name in named),
        diagonal=True,
        pearson=result.pearson,
        spearman=result.spearman,
    )


def _table(result: PatchingVsAttributionResult) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in result.disagreeing(2 * _NAMED):
        at = np.unravel_index(result.heads.index(name), result.patching.shape)
        patching, attribution = result.patching[at], result.attribution[at]
        rows.append(
            (
                name,
                decimal(float(patching.value)),
                interval(float(patching.low), float(patching.high)),
                decimal(float(attribution.value)),
                interval(float(attribution.low), float(attribution.high)),
                decimal(result.disagreement[at]),
            )
        )
    columns = ("head", "patching", "interval", "attribution", "interval", "apart")
    return Table(columns, tuple(rows), title="The heads that disagree most, in logits", name="disagreeing")


def _maps(result: PatchingVsAttributionResult) -> list[Grid]:
    layers, heads = result.patching.shape
    framed = [divmod(result.heads.index(name), heads) for name in result.disagreeing(_NAMED)]
    return [
        Grid(
            name=name,
            values=values,
            rows=Axis.numbers("layer", layers),
            columns=Axis.numbers("head", heads),
            unit="logits",
            title=title,
            above="towards the answer",
            below="towards the foil",
            framed=tuple(framed),
            framed_means="where the two disagree most",
        )
        for name, title, values in (
            ("patching", "Exact patching", result.patching.value),
            ("attribution", _BY[result.attribution_by].capitalize(), result.attribution.value),
        )
    ]
