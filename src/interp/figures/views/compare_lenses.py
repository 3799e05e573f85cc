"""The presentation of the comparison of lenses: a verdict for each question, and the tables behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan

import numpy as np

from interp.figures.engine.notation import compact, count, decimal, show_text, show_token, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Table, View, Words
from interp.figures.views.by_layer import lines_by_layer, nats_by_layer
from interp.methods.lens.comparison_results import CompareLensesResult, JudgedLens
from interp.results import Interval


def view(result: CompareLensesResult) -> View:
    """Three verdicts, KL and bridges over the layers, and a table of each question."""
    by_label = {one.label: one for one in result.lenses}
    blocks: list[Block] = [
        Words(" ".join(verdicts(result)), strong=True, name="verdict"),
        nats_by_layer(
            result.layers,
            {label: one.text.kl.value for label, one in by_label.items()},
            name="divergence",
            title="On text: how far each layer is from the model's prediction",
            y_title="KL(final || lens), nats",
        ),
    ]
    if result.prompts:
        blocks.append(
            lines_by_layer(
                result.layers,
                {label: one.bridges.in_top.value for label, one in by_label.items() if one.bridges},
                name="bridges",
                title="At a known step: is it read?",
                y_title=f"share of prompts with the bridge in the first {result.k}",
                note="The best over the positions behind the first.",
            )
        )
        blocks.append(_ranks(result))
    if any(one.bands for one in result.lenses):
        blocks.append(_bands(result))
    blocks += [_on_text(result), *((_on_prompts(result),) if result.prompts else ())]
    blocks += [_by_layer(result, one) for one in result.lenses]
    return View(
        title="Which lens is to be believed?",
        above=tuple(_asked(result)),
        blocks=tuple(blocks),
        below=(
            "Near the model's prediction early is no virtue where the model has not made it yet, and a model "
            "may know the answer of two steps by heart. Intervals: 95 %, over sequences and over prompts; "
            "prompts of one relation are alike.",
        ),
    )


def _asked(result: CompareLensesResult) -> list[str]:
    lines = [
        f"Text: {show_text(result.text)}: {count(result.n_sequences, 'sequence')}, {result.n_tokens} tokens.",
        f"Held against the first lens, {show_text(result.lenses[0].label)}.",
    ]
    lines += [
        f"{show_text(one.label)}{' (control)' if one.control else ''}: {show_text(one.description)}."
        for one in result.lenses
    ]
    n, left = len(result.prompts), len(result.dropped)
    if n:
        shown = (
            f"“{show_text(prompt)}” ({show_token(bridge)}, then {show_token(answer)})"
            for prompt, bridge, answer in zip(
                result.prompts[:2], result.bridges[:2], result.answers[:2], strict=True
            )
        )
        lines.append(
            f"{count(n, 'prompt')} of two steps that the model knows in both, such as {' and '.join(shown)}; "
            f"{left} left out."
        )
    elif left:
        lines.append(
            f"No prompt of two steps: {left} left out, such as “{show_text(result.dropped[0].what)}” as "
            f"{show_text(result.dropped[0].why)}."
        )
    return lines


# ---- verdicts ----


def verdicts(result: CompareLensesResult) -> list[str]:
    """A sentence or two for each of the three questions, whichever way they go."""
    said = [_verdict_on_text(result)]
    if result.prompts:
        said += [_verdict_on_bridges(result), _verdict_on_exchange(result)]
        said += [_verdict_on_bands(result)] if any(one.bands for one in result.lenses) else []
    else:
        said.append("There is no prompt of two steps that the model knows in both, so nothing else is said.")
    return said


def _verdict_on_text(result: CompareLensesResult) -> str:
    first = result.lenses[0]
    by_kl = sorted((one for one in result.lenses if not one.control), key=lambda one: _mean_kl(one))
    parts = [f"{show_text(one.label)} {decimal(_mean_kl(one))}" for one in by_kl]
    told = [
        f"{show_text(one.label)} is {_side(one.text.gain)} {show_text(first.label)}, by "
        f"{_with_interval(one.text.gain.times(-1 if _side(one.text.gain).startswith('far') else 1))} nats"
        for one in result.lenses[1:]
    ]
    return f"On text, mean KL over the layers before the last, in nats, least first: {', '.join(parts)}." + (
        f" {'; '.join(told)}." if told else ""
    )


def _verdict_on_bridges(result: CompareLensesResult) -> str:
    read = [(show_text(one.label), one.bridges) for one in result.lenses if one.bridges is not None]
    told = [f"{label} {_with_interval(own.above_chance)}{_doubt(own.above_chance)}" for label, own in read]
    ranks = [f"{label} {_times(own.nearer)}{_doubt(own.nearer)}" for label, own in read]
    return (
        f"The step in between is read (within the first {result.k}) above another one, in share of prompts, "
        f"mean over the layers before the last: {'; '.join(told)}. Its rank is so many times nearer to the "
        f"top than the other's: {'; '.join(ranks)}."
    )


def _verdict_on_exchange(result: CompareLensesResult) -> str:
    told = []
    for one in result.lenses:
        if one.exchange is None:
            continue
        best = int(np.argmax(one.exchange.flips.value))
        told.append(
            f"{show_text(one.label)} at most {decimal(float(one.exchange.flips.value[best]))} (after "
            f"layer {result.layers[best]}; as large random changes "
            f"{decimal(float(one.exchange.random_flips.value[best]))}), and the foretold answer gains "
            f"{_with_interval(one.exchange.above_random)} logits over random"
            f"{_doubt(one.exchange.above_random)}"
        )
    if not told:
        return "No lens has directions to exchange."
    return f"Exchanged, the model says what the lens foretells in this share of prompts: {'; '.join(told)}."


def _verdict_on_bands(result: CompareLensesResult) -> str:
    told = []
    for one in result.lenses:
        if one.bands is None:
            continue
        held, live = (
            ", ".join(decimal(float(share)) for share in flips.value)
            for flips in (one.bands.held_flips, one.bands.live_flips)
        )
        told.append(f"{show_text(one.label)} {held} (live {live})")
        widths = ", ".join(map(str, one.bands.widths))
    return (
        f"Over bands of {widths} layers, with the clean run's coordinates held, and with those that each "
        f"layer finds: {'; '.join(told)}."
    )


def _mean_kl(one: JudgedLens) -> float:
    return float(one.text.kl.value[:-1].mean())


def _side(gain: Interval) -> str:
    low, high = float(gain.low), float(gain.high)
    if isnan(low) or low <= 0 <= high:
        return "not told from"
    return "nearer to the model than" if low > 0 else "farther from the model than"


def _doubt(value: Interval) -> str:
    low, high = float(value.low), float(value.high)
    return " (not told from none)" if isnan(low) or low <= 0 <= high else ""


def _times(value: Interval) -> str:
    """A difference of logarithms as a factor."""
    factor, low, high = (float(np.exp(end)) for end in (value.value, value.low, value.high))
    ends = "no interval" if isnan(low) else f"{compact(low)} to {compact(high)}"
    return f"{compact(factor)} ({ends})"


def _with_interval(value: Interval) -> str:
    low, high = float(value.low), float(value.high)
    ends = "no interval" if isnan(low) else f"{signed(low)} to {signed(high)}"
    return f"{signed(float(value.value))} ({ends})"


# ---- charts and tables ----


def _ranks(result: CompareLensesResult) -> Lines:
    """The typical rank of the bridge by layer, one of the other bridge beside the first lens's."""
    ranks, ends = {}, {}
    for one in result.lenses:
        if one.bridges is not None:
            ranks[one.label] = np.exp(one.bridges.log_rank.value)
            ends[one.label] = (np.exp(one.bridges.log_rank.low), np.exp(one.bridges.log_rank.high))
    drawn = lines_by_layer(
        result.layers,
        ranks,
        name="ranks",
        title="At a known step: at which rank is it?",
        y_title="typical rank of the bridge (1 is top)",
        note="Geometric means over prompts of the best over positions; bands: 95 % intervals.",
    )
    series = tuple(
        replace(own, low=tuple(map(float, ends[own.name][0])), high=tuple(map(float, ends[own.name][1])))
        for own in drawn.series
    )
    return replace(drawn, series=series, log_y=True, downwards=True)


def _bands(result: CompareLensesResult) -> Table:
    """The exchange over bands, by width: flips, and the shift in logits."""
    judged = [(show_text(one.label), one.bands) for one in result.lenses if one.bands is not None]
    rows = []
    for label, bands in judged:
        flips = (bands.held_flips, bands.live_flips, bands.random_flips)
        shifts = (bands.held_shift, bands.live_shift, bands.random_shift)
        for i, width in enumerate(bands.widths):
            shares = [decimal(float(one.value[i])) for one in flips]
            rows.append((label, str(width), *shares, *(_with_interval(one[i]) for one in shifts)))
    starts = judged[0][1].starts
    where = starts[0] if len(starts) == 1 else f"{starts[0]} to {starts[-1]}"
    columns = ("lens", "layers", "held", "live", "random", "shift, held", "shift, live", "shift, random")
    title = f"Exchanged over bands that begin after layer {where}: share flipped, and shift in logits (95 %)"
    return Table(columns, tuple(rows), title=title, name="bands")


def _on_text(result: CompareLensesResult) -> Table:
    """Means over the layers before the last."""
    rows = tuple(
        (
            show_text(one.label),
            decimal(_mean_kl(one)),
            decimal(float(one.text.top1.value[:-1].mean())),
            decimal(float(np.exp(one.text.log_rank.value[:-1].mean())), 1),
            decimal(float(one.text.bias[:-1].mean())),
            _with_interval(one.text.gain),
        )
        for one in result.lenses
    )
    columns = ("lens", "KL, nats", "first token", "typical rank", "bias, bits", "gain in KL (95 %)")
    return Table(columns, rows, title="On text, means over the layers before the last", name="on_text")


def _on_prompts(result: CompareLensesResult) -> Table:
    rows = []
    for one in result.lenses:
        bridges, exchange = one.bridges, one.exchange
        assert bridges is not None
        changed = ("-", "-", "-")
        if exchange is not None:
            best = int(np.argmax(exchange.flips.value))
            changed = (
                f"{decimal(float(exchange.flips.value[best]))} (layer {result.layers[best]})",
                decimal(float(exchange.random_flips.value[best])),
                _with_interval(exchange.above_random),
            )
        top = int(np.argmax(bridges.in_top.value))
        rows.append(
            (
                show_text(one.label),
                f"{decimal(float(bridges.in_top.value[top]))} (layer {result.layers[top]})",
                decimal(float(bridges.other_in_top.value[top])),
                _with_interval(bridges.above_chance),
                *changed,
            )
        )
    columns = (
        "lens",
        f"bridge in the first {result.k}",
        "another bridge",
        "above chance (95 %)",
        "flipped",
        "by random",
        "shift over random, logits (95 %)",
    )
    title = f"{count(len(result.prompts), 'prompt')} of two steps; at the best layer, and means over layers"
    return Table(columns, tuple(rows), title=title, name="on_prompts")


def _by_layer(result: CompareLensesResult, one: JudgedLens) -> Table:
    """All numbers of one lens."""

    def at(values: np.ndarray, i: int, write: Callable[[float], str] = decimal) -> str:
        return write(float(values[i])) if i < len(values) else "-"

    rows = []
    for i, layer in enumerate(result.layers):
        row = [
            layer,
            _ends(one.text.kl, i),
            _ends(one.text.top1, i),
            decimal(float(np.exp(one.text.log_rank.value[i])), 1),
            at(one.text.bias, i),
        ]
        if one.bridges is not None:
            row += [at(one.bridges.in_top.value, i), at(one.bridges.other_in_top.value, i)]
            row += [_rank(one.bridges.log_rank, i), _rank(one.bridges.other_log_rank, i)]
        if one.exchange is not None:
            row += [at(one.exchange.flips.value, i), at(one.exchange.random_flips.value, i)]
            row.append(at(one.exchange.shift.mean(0), i, signed))
        rows.append(tuple(row))
    columns = ["after layer", "KL (95 %)", "first token (95 %)", "typical rank", "bias, bits"]
    if one.bridges is not None:
        columns += ["bridge", "another", "its rank (95 %)", "another's (95 %)"]
    if one.exchange is not None:
        columns += ["flipped", "by random", "shift"]
    number = result.lenses.index(one) + 1
    return Table(
        tuple(columns), tuple(rows), title=show_text(one.label), name=f"lens_{number}", media=("page",)
    )


def _ends(value: Interval, i: int) -> str:
    low, high = float(value.low[i]), float(value.high[i])
    ends = "" if isnan(low) else f" ({decimal(low)} to {decimal(high)})"
    return f"{decimal(float(value.value[i]))}{ends}"


def _rank(log_rank: Interval, i: int) -> str:
    """A typical rank with its interval."""
    rank, low, high = (float(np.exp(end[i])) for end in (log_rank.value, log_rank.low, log_rank.high))
    ends = "" if isnan(low) else f" ({_size(low)} to {_size(high)})"
    return f"{_size(rank)}{ends}"


def _size(rank: float) -> str:
    return decimal(rank, 1) if rank < 100 else f"{rank:,.0f}"


figure, table, report = presentation(view)
