"""What path patching shows: who acts directly on the receivers, and how much of the total effect that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import decimal, measured
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Axis, Block, Grid, Table, View, Words, block_name
from interp.figures.views.circuit_words import interval, members, on_pairs
from interp.metrics import METRICS

if TYPE_CHECKING:
    from interp.methods.patching.path_patching import PathPatchingResult

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
            *on_pairs(result),
            f"Receivers: {members(result.receivers)}" + (f", at {result.role}." if result.role else "."),
            f"{_RUNS[result.direction]}. {_MLPS[result.mlps]}",
            f"Metric: {METRICS[result.metric].description}; "
            f"{measured(float(result.clean_values.mean()))} clean, "
            f"{measured(float(result.corrupted_values.mean()))} corrupted, means over pairs.",
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *_maps(result), _table(result)),
        below=(
            "The direct effect is the change of the metric (patched - base) by what reaches the receivers "
            "alone; the total effect that of replacing the output for all who read it.",
            _SHOWS[result.direction],
            "Intervals: 95 %, bootstrap over pairs."
            if len(result.prompts) > 1
            else "One pair: there is no interval.",
        ),
    )


figure, table, report = presented(view)


def _named(result: PathPatchingResult) -> str:
    return f"the {result.receivers[0]}" if result.receivers == ("logits",) else members(result.receivers, 3)


def _order(result: PathPatchingResult) -> list[int]:
    return np.argsort(-np.abs(result.direct), kind="stable").tolist()


def _verdict(result: PathPatchingResult) -> str:
    strongest = _order(result)[:_NAMED]
    if not result.direct[strongest].any():
        return "No sender acts directly on the receivers."
    said = [
        f"{result.senders[i]} ({decimal(result.direct[i])}; total {decimal(result.total[i])})"
        for i in strongest
        if result.direct[i]
    ]
    return f"Strongest direct effects, in {METRICS[result.metric].unit}: {', '.join(said)}."


def _maps(result: PathPatchingResult) -> list[Block]:
    """The effects of heads; none where no sender is a head by itself."""
    if np.isnan(result.by_head(result.direct)).all():
        return []
    raised = {
        "noising": ("corrupting it raises the metric", "corrupting it lowers the metric"),
        "denoising": ("restoring it raises the metric", "restoring it lowers the metric"),
    }
    above, below = raised[result.direction]
    grids: list[Block] = []
    for title, effect, low, high in (
        ("Direct effect", result.direct, result.direct_low, result.direct_high),
        ("Total effect", result.total, result.total_low, result.total_high),
    ):
        values = result.by_head(effect)
        order = np.argsort(-np.abs(np.nan_to_num(values)), axis=None, kind="stable")[:_FRAMED]
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
                hover=(("from", result.by_head(low)), ("to", result.by_head(high))),
                framed=tuple((int(i) // result.n_heads, int(i) % result.n_heads) for i in order),
                framed_means="the strongest",
            )
        )
    return grids


def _table(result: PathPatchingResult) -> Table:
    rows: list[tuple[str, ...]] = []
    for i in _order(result)[:_LISTED]:
        rows.append(
            (
                result.senders[i],
                decimal(result.direct[i]),
                interval(result.direct_low[i], result.direct_high[i]),
                decimal(result.total[i]),
                interval(result.total_low[i], result.total_high[i]),
            )
        )
    columns = ("sender", "direct", "interval", "total", "interval")
    return Table(
        columns, tuple(rows), title=f"The strongest senders, in {METRICS[result.metric].unit}", name="senders"
    )
