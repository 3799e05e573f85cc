"""The presentation of knock-outs: the metric before and after, side by side over kinds of ablation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Axis, Block, Grid, Table, View, Words, block_name
from interp.figures.views.head_maps import head_map

if TYPE_CHECKING:
    from interp.methods.ablation.ablation import AblationResult

_NAMED = 3
_MOST = 30  # rows of a grid or a table; of more sets, the ones of the strongest effect
_BESIDE_MAPS = 12  # rows of a table that stands below maps of every head

_METRIC = {
    "logit_diff": "logit(answer) - logit(foil)",
    "prob": "probability of the answer",
    "kl": "KL divergence (nats) from the prediction before",
}
_WITH = {
    "zero": "zeros",
    "mean": "the mean over positions",
    "mean_by_position": "the mean at the position",
    "mean_by_template": "the mean of the template",
    "resample": "what it is in another prompt",
    "noise": "itself plus noise",
}


def view(result: AblationResult) -> View:
    """Maps of heads, or a grid of sets by kinds; and the table of the strongest."""
    kinds = "; ".join(f"{kind}: {_WITH[kind]}" for kind in result.kinds)
    return View(
        title="What does the model lose without it?",
        above=(
            f"Task: {result.task}, {count(len(result.prompts), 'prompt')}; the first: "
            f"{show_text(result.prompts[0])}",
            f"Metric: {_METRIC[result.metric]}. Before: {measured(result.before)} "
            f"({measured(result.before_low)} to {measured(result.before_high)}).",
            f"Replaced by - {kinds}. Means, noise and other prompts are those of the {result.reference} "
            "prompts. Intervals: 95 %, bootstrap over prompts.",
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *_maps(result), _table(result)),
        below=(
            "A small change does not mean that it does nothing: other components may take over. Knock out "
            "sets.",
        ),
    )


def _verdict(result: AblationResult) -> str:
    said = []
    for kind, change in zip(result.kinds, result.change, strict=True):
        order = np.argsort(-np.abs(change), kind="stable")[:_NAMED]
        named = ", ".join(f"{show_text(result.sets[i])} ({_signed(change[i])})" for i in order)
        said.append(f"{kind}: {named}")
    text = f"The largest changes - {'; '.join(said)}."
    if len(result.kinds) > 1:
        apart = result.change.max(0) - result.change.min(0)
        i = int(apart.argmax())
        low, high = int(result.change[:, i].argmin()), int(result.change[:, i].argmax())
        text += (
            f" The kinds differ most about {show_text(result.sets[i])}: {_signed(result.change[low, i])} by "
            f"{result.kinds[low]}, {_signed(result.change[high, i])} by {result.kinds[high]}."
        )
    return text


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{decimal(value)}"


def _strongest(result: AblationResult, most: int = _MOST) -> list[int]:
    """The sets of the strongest effect under any kind, in the order in which they were given."""
    order = np.argsort(-np.abs(result.change).max(0), kind="stable")[:most]
    return sorted(order.tolist())


def _limit(result: AblationResult) -> float:
    return float(np.abs(result.change).max()) or 1.0


def _maps(result: AblationResult) -> list[Block]:
    shape = _all_heads(result)
    above, below = "the metric rises", "the metric falls"
    if shape is not None:
        return [
            head_map(
                change.reshape(shape),
                name=block_name("change", kind),
                low=low.reshape(shape),
                high=high.reshape(shape),
                unit="change",
                title=f"Change of the metric: {kind}",
                signed=True,
                limit=_limit(result),
                above=above,
                below=below,
            )
            for kind, change, low, high in zip(
                result.kinds, result.change, result.change_low, result.change_high, strict=True
            )
        ]
    rows = _strongest(result)
    return [
        Grid(
            name="change",
            values=result.change[:, rows].T,
            rows=Axis.names("", [result.sets[i] for i in rows]),
            columns=Axis.names("", result.kinds),
            unit="change",
            title="Change of the metric" + _of(rows, result),
            limit=_limit(result),
            hover=(
                ("after", result.after[:, rows].T),
                ("from", result.change_low[:, rows].T),
                ("to", result.change_high[:, rows].T),
            ),
            down=True,
            above=above,
            below=below,
        )
    ]


def _all_heads(result: AblationResult) -> tuple[int, int] | None:
    """(layers, heads) where the sets are every single head, in order."""
    if any(len(one) != 1 or one[0].kind != "head" or one[0].where is not None for one in result.components):
        return None
    places = [(one[0].layer, one[0].index or 0) for one in result.components]
    layers, heads = (max(numbers) + 1 for numbers in zip(*places, strict=True))
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    return (layers, heads) if places == every else None


def _table(result: AblationResult) -> Table:
    rows = _strongest(result, _MOST if _all_heads(result) is None else _BESIDE_MAPS)
    return Table(
        name="before_and_after",
        columns=("knocked out", "before", *(f"after {kind}" for kind in result.kinds)),
        rows=tuple(
            (
                result.sets[i],
                decimal(result.before),
                *(_after(result, kind, i) for kind in range(len(result.kinds))),
            )
            for i in rows
        ),
        title="The metric before and after, with the interval of the change" + _of(rows, result),
    )


def _after(result: AblationResult, kind: int, i: int) -> str:
    low, high = (_signed(ends[kind, i]) for ends in (result.change_low, result.change_high))
    return f"{decimal(result.after[kind, i])} ({low} to {high})"


def _of(rows: list[int], result: AblationResult) -> str:
    return f": the {len(rows)} strongest of {len(result.sets)}" if len(rows) < len(result.sets) else ""


figure, table, report = presented(view)
