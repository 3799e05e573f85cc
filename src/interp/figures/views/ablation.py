"""The presentation of ablation: the metric before and after, side by side over kinds of ablation."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, interval, measured, show_text, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, Table, View, Words, block_name
from interp.figures.views.chance_text import chance_sentence
from interp.figures.views.head_maps import head_map
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, intervals_sentence
from interp.methods.ablation.results import AblationResult
from interp.metrics import METRICS
from interp.results import Interval

_NAMED = 3
_MOST = 30  # rows of a grid or a table; of more sets, the ones of the strongest effect
_BESIDE_MAPS = 12  # rows of a table that stands below maps of every head

_ABOVE, _BELOW = "the metric rises", "the metric falls"
_IN_ITS_PLACE = {
    "zero": "zeros",
    "mean": "the mean over positions",
    "mean_by_position": "the mean at the position",
    "mean_by_template": "the mean of the template",
    "resample": "what it is in another prompt",
    "noise": "itself plus noise",
}


def view(result: AblationResult) -> View:
    """Maps of heads, or a grid of sets by kinds; and the table of the strongest."""
    kinds = "; ".join(f"{kind}: {_IN_ITS_PLACE[kind]}" for kind in result.kinds)
    before = result.before
    return View(
        title="What does the model lose without it?",
        above=(
            *doubts(result.pairs, result.metric, before.each),
            f"Task: {result.pairs.task}, {count(len(result.pairs), 'prompt')}; the first: "
            f"{show_text(result.pairs.prompts[0])}",
            f"Metric: {METRICS[result.metric].description}. Before: {measured(float(before.mean))} "
            f"({interval(float(before.low), float(before.high))}).",
            f"Replaced by - {kinds}. Means, noise and other prompts are those of the {result.reference} "
            f"prompts. {intervals_sentence(result.pairs, result.change)}",
            *chance_sentence(result.change, "changes"),
            *(() if result.outliers is None else (result.outliers.sentence,)),
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *_maps(result), _table(result)),
        below=(
            "A small change does not mean that it does nothing: other components may take over. Knock out "
            "sets.",
            *(norms_sentences(result.provenance, "recomputed") if _inside(result) else ()),
        ),
    )


def _inside(result: AblationResult) -> bool:
    """Whether heads or neurons are replaced, which write through a norm where there is one behind them."""
    return any(part.kind in ("head", "neuron") for one in result.components for part in one)


def _verdict(result: AblationResult) -> str:
    by_kind = []
    for kind, change in zip(result.kinds, result.change.mean, strict=True):
        order = np.argsort(-np.abs(change), kind="stable")[:_NAMED]
        named = ", ".join(f"{show_text(result.sets[i])} ({signed(change[i])})" for i in order)
        by_kind.append(f"{kind}: {named}")
    text = f"The largest changes - {'; '.join(by_kind)}."
    return text if len(result.kinds) == 1 else f"{text} {_disagreement(result)}"


def _disagreement(result: AblationResult) -> str:
    """The set about which the kinds of ablation differ most."""
    changes = result.change.mean  # [kind, set]
    i = int(np.ptp(changes, axis=0).argmax())
    low, high = int(changes[:, i].argmin()), int(changes[:, i].argmax())
    return (
        f"The kinds differ most about {show_text(result.sets[i])}: {signed(changes[low, i])} by "
        f"{result.kinds[low]}, {signed(changes[high, i])} by {result.kinds[high]}."
    )


def _strongest(result: AblationResult, most: int = _MOST) -> list[int]:
    """The sets of the strongest effect under any kind, in the order in which they were given."""
    order = np.argsort(-np.abs(result.change.mean).max(0), kind="stable")[:most]
    return sorted(order.tolist())


def _limit(result: AblationResult) -> float:
    return float(np.abs(result.change.mean).max()) or 1.0


def _maps(result: AblationResult) -> list[Grid]:
    """A map of heads for each kind where every head was ablated by itself; else a grid of sets by kinds."""
    shape = _all_heads(result)
    if shape is None:
        return [_grid_of_sets(result)]
    return [_map_of_heads(result, kind, shape) for kind in range(len(result.kinds))]


def _map_of_heads(result: AblationResult, kind: int, shape: tuple[int, int]) -> Grid:
    name, change = result.kinds[kind], result.change[kind]
    parts = {"value": change.mean, "low": change.low, "high": change.high, "error": change.error}
    reshaped = {part: None if x is None else x.reshape(shape) for part, x in parts.items()}
    return head_map(
        Interval(**reshaped, clusters=change.clusters),  # type: ignore[arg-type]
        name=block_name("change", name),
        unit="change",
        title=f"Change of the metric: {name}",
        signed=True,
        limit=_limit(result),
        above=_ABOVE,
        below=_BELOW,
    )


def _grid_of_sets(result: AblationResult) -> Grid:
    rows = _strongest(result)
    change = result.change[:, rows]
    return Grid(
        name="change",
        values=change.mean.T,
        rows=Axis.names("", [result.sets[i] for i in rows]),
        columns=Axis.names("", result.kinds),
        unit="change",
        title="Change of the metric" + _how_many(rows, result),
        limit=_limit(result),
        hover=(("after", result.after[:, rows].T), ("from", change.low.T), ("to", change.high.T)),
        down=True,
        above=_ABOVE,
        below=_BELOW,
    )


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
                decimal(float(result.before.mean)),
                *(_after(result, kind, i) for kind in range(len(result.kinds))),
            )
            for i in rows
        ),
        title="The metric before and after, with the interval of the change" + _how_many(rows, result),
    )


def _after(result: AblationResult, kind: int, i: int) -> str:
    change = result.change[kind, i]
    low, high = float(change.low), float(change.high)
    ends = "no interval" if np.isnan(low) else f"{signed(low)} to {signed(high)}"
    return f"{decimal(result.after[kind, i])} ({ends})"


def _how_many(rows: list[int], result: AblationResult) -> str:
    return f": the {len(rows)} strongest of {len(result.sets)}" if len(rows) < len(result.sets) else ""


figure, table, report = presentation(view)
