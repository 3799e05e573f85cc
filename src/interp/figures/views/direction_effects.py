"""What a direction does: the metric by strength for either label, what it costs, and the controls."""

from __future__ import annotations

from typing import Literal

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words
from interp.figures.views.probing import data_in_words
from interp.figures.views.text_costs import perplexity
from interp.methods.probing.results import DirectionEffectsResult, EditedBy
from interp.metrics import METRICS

_KINDS = {
    "direction": "the direction",
    "random": "random",
    "shuffled": "shuffled labels",
    "other": "another question",
}


def view(result: DirectionEffectsResult) -> View:
    """A sentence, lines by strength for either label, the cost, and a table of what else was done."""
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict")]
    blocks += [_lines(result, label) for label in (0, 1)]
    if result.own.cost is not None:
        blocks.append(_costs(result, "cost"))
    if result.own.rise is not None:
        blocks.append(_costs(result, "rise"))
    blocks.append(_table(result))
    answer = (
        show_token(result.answer)
        if result.foil is None
        else (f"{show_token(result.answer)} over {show_token(result.foil)}")
    )
    where = "at all positions but the first" if result.positions == "all" else f"at {result.role}"
    return View(
        title="Is the direction a cause, and what does it cost?",
        above=(
            f"{result.direction[:1].upper()}{result.direction[1:]} at {result.site}, {result.role}, found in "
            f"{result.found_in.groups[0]} + {result.found_in.groups[1]} {result.found_in.grouped_by} and "
            f"measured on others, {where}. Strengths are in units of the typical norm there, "
            f"{measured(result.scale)}; the means of the two labels are "
            f"{measured(abs(result.ends[1] - result.ends[0]) / result.scale)} of it apart.",
            data_in_words(result.data),
            f"Metric: {METRICS[result.metric].description}, of {answer}.",
        ),
        blocks=tuple(blocks),
        below=(
            "Bands: of random directions and shuffled labels, from the least to the most of the draws. A "
            "direction is a cause of what it changes more than these do at the same cost; at a great "
            "strength every direction breaks what is said. It is used by the model only if taking it out "
            "matters, too.",
        ),
    )


figure, table, report = presentation(view)


def _mean(result: DirectionEffectsResult, values: np.ndarray, label: int) -> float:
    return float(values[result.labels_of_prompts == bool(label)].mean())


def _verdict(result: DirectionEffectsResult) -> str:
    own, no, yes = result.own, result.data.labels[0], result.data.labels[1]
    most = len(result.strengths) - 1
    least = 0
    parts = []
    for label, name, s in ((0, no, most), (1, yes, least)):
        before = _mean(result, result.before, label)
        after = _mean(result, own.added[s], label)
        drawn = [
            _mean(result, one.added[s], label) for kind in ("random", "shuffled") for one in result.of(kind)
        ]
        beside = f" (controls {decimal(min(drawn))} to {decimal(max(drawn))})" if drawn else ""
        parts.append(
            f"on prompts of {name!r} the metric is {decimal(before)}, and {decimal(after)}{beside} with "
            f"{measured(result.strengths[s])} times the norm added"
        )
    out = [
        f"{decimal(_mean(result, own.projected, label))} on {name!r}" for label, name in ((0, no), (1, yes))
    ]
    text = f"{'; '.join(parts)}. With the direction taken out: {' and '.join(out)}."
    return text[:1].upper() + text[1:]


def _lines(result: DirectionEffectsResult, label: int) -> Lines:
    x = (*(s for s in result.strengths if s < 0), 0.0, *(s for s in result.strengths if s > 0))
    at = sum(s < 0 for s in result.strengths)
    before = _mean(result, result.before, label)

    def line(one: EditedBy) -> list[float]:
        values = [_mean(result, added, label) for added in one.added]
        return [*values[:at], before, *values[at:]]

    series = []
    for kind, name in _KINDS.items():
        drawn = np.array([line(one) for one in result.of(kind)])
        if len(drawn) == 1:
            series.append(Series(name, x, tuple(drawn[0].tolist())))
        elif len(drawn):
            low, high = tuple(drawn.min(0).tolist()), tuple(drawn.max(0).tolist())
            series.append(Series(name, x, tuple(drawn.mean(0).tolist()), low=low, high=high))
    return Lines(
        name=f"effect_{('no', 'yes')[label]}",
        series=tuple(series),
        x_title="strength, in units of the typical norm",
        y_title=METRICS[result.metric].unit,
        title=f"On prompts of {result.data.labels[label]!r}, mean over "
        f"{count(int((result.labels_of_prompts == bool(label)).sum()), 'prompt')}",
        levels=((before, "as it is"),),
    )


def _costs(result: DirectionEffectsResult, what: Literal["cost", "rise"]) -> Lines:
    """The divergence on neutral text, or the rise of the log-loss there, by strength."""
    series = []
    for kind, name in _KINDS.items():
        drawn = [one for one in (getattr(way, what) for way in result.of(kind)) if one is not None]
        if drawn:
            mean = np.mean([cost.value[:-1] for cost in drawn], axis=0)
            ends = (
                {"low": tuple(drawn[0].low[:-1].tolist()), "high": tuple(drawn[0].high[:-1].tolist())}
                if len(drawn) == 1
                else {}
            )
            series.append(Series(name, result.strengths, tuple(mean.tolist()), **ends))
    text = f"on {result.text_tokens} tokens of neutral text"
    if what == "cost":
        y_title, title = "KL, nats a token", f"How far it moves predictions {text}"
    else:
        y_title = "rise of the log-loss, nats a token"
        title = f"How much worse it makes them (perplexity as it is: {perplexity(result.text_loss)})"
    return Lines(
        name=what,
        series=tuple(series),
        x_title="strength, in units of the typical norm",
        y_title=y_title,
        title=title,
    )


def _table(result: DirectionEffectsResult) -> Table:
    no, yes = result.data.labels
    as_it_is = perplexity(result.text_loss)
    rows: list[tuple[str, ...]] = [
        ("as it is", *(decimal(_mean(result, result.before, label)) for label in (0, 1)), "", as_it_is)
    ]
    for one in result.ways:
        name = _KINDS[one.way]
        cost = "" if one.cost is None else decimal(one.cost.value[-1], 3)
        out = [decimal(_mean(result, one.projected, label)) for label in (0, 1)]
        rows.append((f"{name}, taken out", *out, cost, perplexity(result.text_loss, one.rise, -1)))
        if one.way == "direction":
            for held, label_name in ((0, no), (1, yes)):
                cells = [decimal(_mean(result, one.clamped[held], label)) for label in (0, 1)]
                rows.append((f"{name}, held at the mean of {label_name!r}", *cells, "", ""))
    return Table(
        ("", f"on {no!r}", f"on {yes!r}", "KL on text", "perplexity of text"),
        tuple(rows),
        title=f"The metric, {METRICS[result.metric].unit}, without and with other edits",
        name="table",
    )
