"""The presentation of two models side by side: how alike, how good, and which part makes the difference."""

from __future__ import annotations

from math import isnan

import numpy as np

from interp.figures.engine.notation import count, decimal, interval, measured, show_text, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import (
    MEDIA,
    Axis,
    Bars,
    Block,
    Grid,
    Lines,
    Series,
    Table,
    View,
    Words,
    block_name,
)
from interp.figures.views.by_layer import lines_by_layer
from interp.methods.comparison.results import (
    CARRIES,
    Alikeness,
    CompareModelsResult,
    OnTask,
    OnText,
    Stitched,
)
from interp.metrics import METRICS
from interp.results import Interval

_FLATTENS = 50.0  # nats
_NEAR = 0.999  # of CKA: streams that are not told apart by it


def view(result: CompareModelsResult) -> View:
    """A verdict, the alikeness over the layers, and for each task its metric, its lens and its stitches."""
    blocks: list[Block] = [Words(" ".join(verdicts(result)), strong=True, name="verdict")]
    if result.text is not None:
        blocks += _on_text(result, result.text)
    if result.tasks:
        blocks.append(_metrics(result))
    for task in result.tasks:
        blocks += _on_task(result, task)
    return View(
        title="Where do two models differ?",
        above=tuple(_asked(result)),
        blocks=tuple(blocks),
        below=(
            "Stitched, a part of the donor stands in the base; closed is the share of KL(donor || base) that "
            f"is gone then. By weights: {CARRIES['weights']}; by activation: {CARRIES['activation']}.",
            "CKA does not see rotations, scales, or directions of little variance, and is high with an "
            "untrained model, too: what counts is what lies above those. Parts that only work together close "
            "nothing alone. Intervals: 95 %, over sequences and over prompts.",
        ),
    )


figure, table, report = presentation(view)


def _asked(result: CompareModelsResult) -> list[str]:
    first, other = map(show_text, result.names)
    sizes = " and ".join(f"{size / 1e6:.0f} MB" for size in result.weight_bytes)
    lines = [
        f"First: {first} ({result.provenance.dtype}). Other: {other} ({result.other.dtype}). "
        f"Weights: {sizes}."
    ]
    if result.text is not None:
        lines.append(
            f"Text: {show_text(result.text.described)}; {result.text.n_tokens} tokens compared, without the "
            "first position of each sequence."
        )
    for task in result.tasks:
        lines.append(
            f"Task {show_text(task.pairs.task or '')}: {count(len(task.pairs), 'prompt')}, such as "
            f"“{show_text(task.pairs.prompts[0], max_chars=90)}”; metric: {METRICS[task.metric].description}."
        )
    return lines


# ---- verdicts ----


def verdicts(result: CompareModelsResult) -> list[str]:
    """A sentence on the streams, one on the losses, and one for each task."""
    said = []
    if result.text is not None:
        said += [_verdict_on_streams(result, result.text), _verdict_on_losses(result, result.text)]
    return said + [_verdict_on_task(result, task) for task in result.tasks]


def _verdict_on_streams(result: CompareModelsResult, text: OnText) -> str:
    cka = text.alike.cka.value
    lowest = int(cka.argmin())
    same = int(np.argmax(cka < _NEAR)) if (cka < _NEAR).any() else len(cka)
    if same == len(cka):
        return "CKA does not tell the two streams apart at any layer (0.999 or more)."
    until = f"is 1 up to {_after(result.layers[same - 1])}, " if same else ""
    beside = ""
    if text.untrained is not None:
        beside = f" (with an untrained model: {decimal(float(text.untrained[0].cka.value[lowest]))})"
    return f"CKA {until}is lowest {_after(result.layers[lowest])}, {decimal(float(cka[lowest]))}{beside}."


def _after(layer: str) -> str:
    return "at the embedding" if layer == "embed" else f"after layer {layer}"


def _verdict_on_losses(result: CompareModelsResult, text: OnText) -> str:
    first, other = (decimal(float(value), 3) for value in text.losses.value)
    kl = measured(float(text.kl.value))
    return f"Loss on the text: {first} and {other} nats; KL between the predictions {kl} nats a token."


def _verdict_on_task(result: CompareModelsResult, task: OnTask) -> str:
    name = show_text(task.pairs.task or "the task")
    first, other = (decimal(float(value)) for value in task.values.value)
    begins = f"{name}: {first} against {other} {METRICS[task.metric].unit}"
    parts = task.parts(0)
    if not task.stitched:
        return f"{begins}."
    if not parts:
        return f"{begins}; the two predict the same."
    ranked = sorted(parts.items(), key=lambda item: -item[1][0])
    ranked = [ranked[0], *(item for item in ranked[1:3] if item[1][0] >= 0.005)]
    best, (value, low, high) = ranked[0]
    then = ", ".join(f"{part} {decimal(shares[0])}" for part, shares in ranked[1:])
    return (
        f"{begins}; of the difference, the other's {best} alone closes {decimal(value)} "
        f"({interval(low, high)}){f', then {then}' if then else ''}."
    )


# ---- on the text ----


def _on_text(result: CompareModelsResult, text: OnText) -> list[Block]:
    alike: dict[str, Alikeness] = {"the two models": text.alike}
    if text.untrained is not None:
        labels = (f"{show_text(name, max_chars=24)} and untrained" for name in result.names)
        alike |= dict(zip(labels, text.untrained, strict=True))
    blocks: list[Block] = []
    for name, title in (("cka", "Linear CKA of the streams"), ("cosine", "Cosine of the streams")):
        of = {label: getattr(one, name) for label, one in alike.items()}
        blocks.append(
            _by_layer(
                result.layers,
                of,
                name=name,
                title=title,
                y_title=name.replace("cka", "CKA"),
                beside=name == "cosine",
            )
        )
    rows = []
    for i, layer in enumerate(result.layers):
        cells = [_ends(of, i) for of in (text.alike.cka, text.alike.cosine, text.alike.distance)]
        bare = [] if text.untrained is None else [_ends(one.cka, i) for one in text.untrained]
        rows.append((layer, *cells, *bare))
    columns = ["after layer", "CKA (95 %)", "cosine (95 %)", "distance (95 %)"]
    if text.untrained is not None:
        columns += ["CKA, first and untrained", "CKA, other and untrained"]
    title = "Alikeness on the text; distance: the difference's length over that of the first model's stream"
    blocks.append(
        Table(tuple(columns), tuple(rows), title=title, name="alikeness", media=("terminal", "page"))
    )
    return blocks


def _by_layer(
    layers: tuple[str, ...],
    of: dict[str, Interval],
    *,
    name: str,
    title: str,
    y_title: str,
    beside: bool = False,
) -> Lines:
    """A line with its band for each; logarithmic where a value at the embedding would flatten all others."""
    plain = lines_by_layer(layers, {label: one.value for label, one in of.items()}, y_title=y_title)
    series = tuple(
        Series(one.name, one.x, one.y, low=_plain(ends.low), high=_plain(ends.high))
        for one, ends in zip(plain.series, of.values(), strict=True)
    )
    ends = [y for one in series for values in (one.y, one.low, one.high) for y in values]
    flattens = min(ends) < -_FLATTENS
    return Lines(
        series,
        plain.x_title,
        f"{y_title} (logarithmic below -1)" if flattens else y_title,
        ticks=plain.ticks,
        name=name,
        title=title,
        beside=beside,
        symlog_y=flattens,
        y_range=(min(ends), max(*ends, 0.0)) if flattens else None,
    )


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, values.ravel()))


def _ends(of: Interval, i: int) -> str:
    return f"{decimal(float(of.value[i]), 3)} ({interval(float(of.low[i]), float(of.high[i]))})"


# ---- on tasks ----


def _metrics(result: CompareModelsResult) -> Table:
    rows = []
    for task in result.tasks:
        shares = (decimal(float(value)) for value in task.first_choice.value)
        values = (_with(task.values[i]) for i in (0, 1))
        rows.append(
            (
                show_text(task.pairs.task or ""),
                *values,
                _with(task.change),
                *shares,
                measured(float(task.kl.value[0])),
            )
        )
    first, other = (show_text(name, max_chars=24) for name in result.names)
    columns = (
        "task",
        first,
        other,
        "change (95 %)",
        f"{first}: first choice",
        f"{other}: first choice",
        "KL, nats",
    )
    title = "The metric of both (95 %), the share of prompts with the answer first, and KL(other || first)"
    return Table(columns, tuple(rows), title=title, name="metrics")


def _with(of: Interval) -> str:
    low, high = float(of.low), float(of.high)
    ends = "" if isnan(low) else f" ({signed(low)} to {signed(high)})"
    return f"{signed(float(of.value))}{ends}"


def _on_task(result: CompareModelsResult, task: OnTask) -> list[Block]:
    name = show_text(task.pairs.task or "task")
    lens = {show_text(label): task.lens[i] for i, label in enumerate(result.names)}
    blocks: list[Block] = [
        _by_layer(
            result.layers,
            lens,
            name=block_name("lens", name),
            title=f"{name}: the answer, read by the logit lens",
            y_title="log-probability, nats",
        )
    ]
    blocks += [bars for into in (0, 1) if (bars := _parts(result, task, name, into)) is not None]
    if cuts := [one for one in task.stitched if one.site == "resid_pre" and one.closed is not None]:
        blocks.append(_cuts(result, cuts, name))
    for into in (0, 1):
        blocks += _stitches(result, task, name, into)
    return blocks


def _parts(result: CompareModelsResult, task: OnTask, name: str, into: int) -> Bars | None:
    """What each part closes by its weights; None where there is nothing to close."""
    base, donor = (show_text(result.names[i], max_chars=24) for i in (into, 1 - into))
    parts = task.parts(into)
    if not parts:
        return None
    return Bars(
        tuple(parts),
        tuple(value for value, _, _ in parts.values()),
        "share closed",
        low=tuple(low for _, low, _ in parts.values()),
        high=tuple(high for _, _, high in parts.values()),
        title=f"{name}: one part of {donor} in {base}, by weights",
        note="Towards 1: with this part alone it predicts as the donor; below 0: farther from it. "
        "Beyond -1 the axis is logarithmic.",
        symlog=True,
        name=block_name("parts", name, str(into)),
        media=MEDIA if into == 0 else ("page",),
    )


def _stitches(result: CompareModelsResult, task: OnTask, name: str, into: int) -> list[Block]:
    """What each head closes, and what attention layers and MLPs close by activation."""
    base, donor = (show_text(result.names[i], max_chars=24) for i in (into, 1 - into))
    own = [one for one in task.stitched if one.into == into and one.closed is not None]
    blocks: list[Block] = [heads for one in own if (heads := _heads(one, name, base, donor)) is not None]
    activations = [one for one in own if one.carries == "activation" and one.site in ("attn_out", "mlp_out")]
    if activations:
        rows = []
        for layer in range(len(activations[0].kl.value)):
            cells = [one.closed[layer, 0] for one in activations if one.closed is not None]
            rows.append((str(layer), *map(_with, cells)))
        columns = ("layer", *(one.site for one in activations))
        title = f"{name}: by activation, {donor} into {base}, share closed (95 %)"
        table_name = block_name("activation", name, str(into))
        blocks.append(Table(columns, tuple(rows), title=title, name=table_name, media=("page",)))
    return blocks


def _cuts(result: CompareModelsResult, cuts: list[Stitched], name: str) -> Lines:
    series = []
    for one in cuts:
        assert one.closed is not None
        base, donor = (show_text(result.names[i], max_chars=24) for i in (one.into, 1 - one.into))
        ends = (_plain(end) for end in (one.closed.value, one.closed.low, one.closed.high))
        value, low, high = ends
        x = tuple(map(float, range(len(value))))
        series.append(Series(f"{donor} below, {base} above", x, value, low=low, high=high))
    return Lines(
        tuple(series),
        "layers of the donor, from the embedding up",
        "share closed",
        ticks=tuple((i, f"{i:.0f}") for i in series[0].x),
        levels=((1.0, "as the donor"), (0.0, "as the base")),
        symlog_y=True,
        note="Below -1 the axis is logarithmic.",
        title=f"{name}: cuts, the donor's layers below and the base's above",
        name=block_name("cuts", name),
        media=("figure", "page"),
    )


def _heads(one: Stitched, name: str, base: str, donor: str) -> Grid | None:
    if one.site != "z" or one.closed is None:
        return None
    layers, heads = one.closed.value.shape
    return Grid(
        values=one.closed.value,
        rows=Axis.numbers("layer", layers),
        columns=Axis.numbers("head", heads),
        unit="share closed",
        centre=0.0,
        limit=1.0,
        above="nearer to the donor's prediction",
        below="farther from it",
        title=f"{name}: z of one head of {donor} in {base}, by {one.carries}",
        name=block_name("heads", name, str(one.into), one.carries),
        media=("figure", "page") if one.carries == "weights" and one.into == 0 else ("page",),
    )
