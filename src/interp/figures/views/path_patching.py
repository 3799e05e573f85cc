"""What path patching shows: who acts directly on the receivers, and how much of the total effect that is."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, interval
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Block, Grid, Table, View, Words, block_name
from interp.figures.views.chance_text import chance_sentence, framed_cells
from interp.figures.views.circuit_text import members_text
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import (
    doubts,
    intervals_sentence,
    metric_sentence,
    pairs_sentences,
    weak_sentence,
)
from interp.methods.patching.results import PathPatchingResult
from interp.metrics import METRICS
from interp.results import Estimate, Interval

_NAMED, _LISTED, _FRAMED = 4, 12, 3
_RUNS = {
    "noising": "In the clean run, a sender's output is replaced by that of the corrupted run",
    "denoising": "In the corrupted run, a sender's output is replaced by that of the clean run",
}
_MLPS = {
    "frozen": "All other heads and all MLPs keep their outputs until the receivers have read.",
    "recomputed": "All other heads keep their outputs until the receivers have read; MLPs react, so paths "
    "through them count as direct.",
}
_SHOWS = {
    "noising": "Noising shows which paths the answer needs in this context; where others stand in for a "
    "head, its total effect is smaller than its direct one.",
    "denoising": "Denoising shows which paths suffice by themselves to bring the answer back, in this "
    "context. It does not show which are necessary.",
}


def view(result: PathPatchingResult) -> View:
    """Maps of the direct and the total effect of heads, and a table of the strongest senders."""
    return View(
        title=f"Who acts directly on {_named(result)}?",
        above=(
            *doubts(result.pairs, result.metric, result.clean_values),
            *pairs_sentences(result.pairs),
            *weak_sentence(result.metric, result.clean_values, result.corrupted_values),
            f"Receivers: {members_text(result.receivers)}" + (f", at {result.role}." if result.role else "."),
            f"{_RUNS[result.direction]}. {_MLPS[result.mlps]}",
            metric_sentence(result.metric, result.clean_values, result.corrupted_values),
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *_maps(result), _table(result)),
        below=(
            "The direct effect is the change of the metric (patched - base) by what reaches the receivers "
            "alone; the total effect that of replacing the output for all who read it"
            + ("." if result.total else ", which was not measured here."),
            _SHOWS[result.direction],
            *chance_sentence(result.direct, "direct effects"),
            intervals_sentence(result.pairs, result.direct),
            *norms_sentences(result.provenance, "frozen"),
        ),
    )


figure, table, report = presentation(view)


def _named(result: PathPatchingResult) -> str:
    return "the logits" if result.receivers == ("logits",) else members_text(result.receivers, 3)


def _order(result: PathPatchingResult) -> list[int]:
    return np.argsort(-np.abs(result.direct.mean), kind="stable").tolist()


def _verdict(result: PathPatchingResult) -> str:
    strongest = _order(result)[:_NAMED]
    if not result.direct.mean[strongest].any():
        return "No sender acts directly on the receivers."
    total = {i: f"; total {decimal(result.total.mean[i])}" if result.total else "" for i in strongest}
    named = [
        f"{result.senders[i]} ({decimal(result.direct.mean[i])}{total[i]})"
        for i in strongest
        if result.direct.mean[i]
    ]
    return f"Strongest direct effects, in {METRICS[result.metric].unit}: {', '.join(named)}."


def _maps(result: PathPatchingResult) -> list[Block]:
    """The effects of heads; none where no sender is a head by itself."""
    if np.isnan(result.by_head(result.direct.mean)).all():
        return []
    raised = {
        "noising": ("corrupting it raises the metric", "corrupting it lowers the metric"),
        "denoising": ("restoring it raises the metric", "restoring it lowers the metric"),
    }
    above, below = raised[result.direction]
    grids: list[Block] = []
    for title, effect in _measured(result):
        values = result.by_head(effect.mean)
        ends = Interval(
            value=values,
            low=result.by_head(effect.low),
            high=result.by_head(effect.high),
            error=None if effect.error is None else result.by_head(effect.error),
            clusters=effect.clusters,
        )
        grids.append(
            Grid(
                name=block_name(title),
                values=values,
                rows=Axis.numbers("layer", result.n_layers),
                columns=Axis.numbers("head", result.n_heads),
                unit=METRICS[result.metric].unit,
                title=title,
                above=above,
                below=below,
                hover=(("from", ends.low), ("to", ends.high)),
                **framed_cells(ends),
            )
        )
    return grids


def _table(result: PathPatchingResult) -> Table:
    effects = [effect for _, effect in _measured(result)]
    rows = tuple(
        (
            result.senders[i],
            *(
                text
                for effect in effects
                for text in (decimal(effect.mean[i]), interval(effect.low[i], effect.high[i]))
            ),
        )
        for i in _order(result)[:_LISTED]
    )
    columns = ("sender", "direct", "interval", "total", "interval")[: len(rows[0])]
    return Table(
        columns, rows, title=f"The strongest senders, in {METRICS[result.metric].unit}", name="senders"
    )


def _measured(result: PathPatchingResult) -> list[tuple[str, Estimate]]:
    """The effects that were measured, each with its title."""
    direct = ("Direct effect", result.direct)
    return [direct] if result.total is None else [direct, ("Total effect", result.total)]
