"""What differs between what a model has and what it makes up, in figures."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, measured, show_text, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import (
    Axis,
    Block,
    Grid,
    Lines,
    Scatter,
    Series,
    Table,
    View,
    Words,
    block_name,
)
from interp.figures.views.knowledge_text import sentences
from interp.methods.common.chance import standing_out
from interp.methods.knowledge.results import KnowledgeResult, SteeredAlong, Telling, WhereItComesFrom
from interp.results import Interval


def view(result: KnowledgeResult) -> View:
    """A sentence for each question, and its lines."""
    first, *others = sentences(result)
    blocks: list[Block] = [Words(first, strong=True, name="verdict")]
    blocks += [Words(text, name=f"sentence_{i}") for i, text in enumerate(others)]
    blocks += [_answers(result), *_trajectories(result)]
    if result.where is not None:
        blocks += _where(result, result.where)
    blocks += [_telling(result, one) for one in result.telling]
    if result.steered is not None:
        blocks += [_curve(result, result.steered), _steered(result, result.steered)]
    return View(
        title="What it knows, what it lacks, what it makes up",
        above=(_data(result), _names(result)),
        blocks=tuple(blocks),
        below=(
            "Intervals are over entities. The answer is the model's own, the likeliest next token. "
            "Differences are what is made up less what the model has.",
            "An artefact, if names of one status are longer, rarer or elsewhere in the prompt, or if the "
            "surface tells them apart as well as the probe.",
        ),
    )


figure, table, report = presentation(view)


def _data(result: KnowledgeResult) -> str:
    parts = [
        f"{result.n_prompts[i]} of {result.n_entities[i]} {status!r} "
        f"(such as {show_text(result.examples[i], max_chars=60)})"
        for i, status in enumerate(result.statuses)
    ]
    dropped = f" {len(result.dropped)} left out." if result.dropped else ""
    return f"Prompts of {result.data}, in {result.wordings} wordings: {'; '.join(parts)}.{dropped}"


def _names(result: KnowledgeResult) -> str:
    parts = [
        f"{status}: {decimal(result.lengths[i], 1)} tokens, {decimal(result.subject_lengths[i], 1)} of the "
        f"name, its rarest token number {result.rarest[i]:.0f} of the vocabulary"
        for i, status in enumerate(result.statuses)
    ]
    often = ""
    if result.frequency is not None:
        each = (
            f"{status} {decimal(of, 1)}" for status, of in zip(result.statuses, result.frequency, strict=True)
        )
        often = f" In a thousand documents of the text of training the name stands: {', '.join(each)} times."
    return f"Means: {'; '.join(parts)}.{often}"


def _answers(result: KnowledgeResult) -> Table:
    rows = []
    for i, status in enumerate(result.statuses):
        counts = zip(result.said.top[i], result.said.top_counts[i], strict=True)
        rows.append(
            (
                status,
                ", ".join(f"{show_token(token)} {n}" for token, n in counts),
                decimal(result.said.probability.value[i]),
                decimal(result.said.entropy.value[i]),
            )
        )
    return Table(
        ("", "most frequent answers", "probability", "entropy"),
        tuple(rows),
        title="What it says",
        name="answers",
    )


def _by_status(
    result: KnowledgeResult, of: Interval, layers: tuple[str, ...], name: str, title: str, y_title: str
) -> Lines:
    x = tuple(float(i) for i in range(len(layers)))
    series = tuple(
        Series(
            status,
            x,
            tuple(of.value[i].tolist()),
            low=tuple(of.low[i].tolist()),
            high=tuple(of.high[i].tolist()),
        )
        for i, status in enumerate(result.groups)
    )
    ticks = tuple(zip(x, layers, strict=True))
    return Lines(name=name, series=series, x_title="after layer", y_title=y_title, title=title, ticks=ticks)


def _trajectories(result: KnowledgeResult) -> list[Block]:
    of = result.trajectories
    asked = (
        (of.probability, "probability", "The final answer, read at the end of the prompt", "probability"),
        (of.margin, "margin", "Its lead over the best other token", "nats"),
        (of.entropy, "entropy", "Entropy of the prediction read there", "nats"),
        (
            of.at_subject,
            "at_subject",
            "The final answer, read at the subject's last token",
            "log-probability",
        ),
    )
    return [_by_status(result, values, of.layers, name, title, y) for values, name, title, y in asked]


def _where(result: KnowledgeResult, of: WhereItComesFrom) -> list[Block]:
    blocks: list[Block] = [
        _by_status(
            result,
            of.exchanged,
            of.layers,
            "exchanged",
            "The answer's log-probability with the subject's stream of another prompt",
            "change, nats",
        )
    ]
    if of.by_head_difference is not None:
        told = standing_out(of.by_head_difference)
        cells = np.argwhere(told.cells) if told is not None else np.zeros((0, 2), dtype=int)
        layers, heads = of.by_head_difference.shape
        made_up, has = result.groups[-1], result.groups[0]
        blocks.append(
            Grid(
                name="heads",
                title=f"What heads write of the answer over the runner-up: {made_up} less {has}",
                values=of.by_head_difference.value,
                rows=Axis.numbers("layer", layers),
                columns=Axis.numbers("head", heads),
                unit="logits",
                centre=0,
                above=f"more for {made_up}",
                below=f"more for {has}",
                framed=tuple((int(row), int(column)) for row, column in cells),
                framed_means="told from chance",
            )
        )
    return blocks


def _telling(result: KnowledgeResult, one: Telling) -> Lines:
    layers = one.layers
    x = tuple(float(i) for i in range(len(layers)))
    series = tuple(
        Series(
            f"probe at {role}",
            x,
            tuple(one.auroc.value[r].tolist()),
            low=tuple(one.auroc.low[r].tolist()),
            high=tuple(one.auroc.high[r].tolist()),
        )
        for r, role in enumerate(result.roles)
    )
    levels = [
        (float(one.by_entropy.value), "entropy"),
        (float(one.by_top_probability.value), "1 - top probability"),
        (float(result.surface.value[result.telling.index(one)]), "surface"),
    ]
    if one.by_abstaining is not None:
        levels.append((float(one.by_abstaining.value), f"p({show_token(result.abstaining or '')})"))
    return Lines(
        name=block_name("telling", one.yes, one.how),
        series=series,
        x_title="after layer",
        y_title="AUROC",
        title=f"{one.yes!r} or {one.no!r}, {one.how}",
        ticks=tuple(zip(x, layers, strict=True)),
        levels=tuple(levels),
    )


def _curve(result: KnowledgeResult, of: SteeredAlong) -> Scatter:
    """What is made up against the known answers lost, a point for each strength and way."""
    points = [(0.0, of.made_up_before, "as it is")]
    for name, ways in (("", of.ways[:1]), ("random ", of.ways[1:])):
        for way in ways:
            for strength, lost, made_up in zip(of.strengths, way.lost, way.made_up, strict=True):
                points.append((float(lost), float(made_up), f"{name}{measured(strength)}"))
    own = of.taken_out[0]
    points.append((float(own.lost[0]), float(own.made_up[0]), "taken out"))
    x, y, labels = zip(*points, strict=True)
    n = len(of.strengths)
    return Scatter(
        name="curve",
        x=x,
        y=y,
        labels=labels,
        x_title="share of known answers lost",
        y_title="still made up" if result.abstaining else "still the same",
        labelled=(*range(n + 1), len(points) - 1),
        title=f"{result.statuses[-1].capitalize()} answers against known ones lost, by strength",
        note="Unlabelled: random directions of the same lengths.",
    )


def _steered(result: KnowledgeResult, of: SteeredAlong) -> Table:
    what = "still made up" if result.abstaining else "still the same"
    columns = ("", "strength", "known lost", what, *(f"unchanged, {status}" for status in result.statuses))
    rows: list[tuple[str, ...]] = [
        ("as it is", "", "0.00", decimal(of.made_up_before), *("1.00" for _ in result.statuses))
    ]
    names = ["the direction", *(f"random {i + 1}" for i in range(len(of.ways) - 1))]
    for name, way, out in zip(names, of.ways, of.taken_out, strict=True):
        for s, strength in enumerate(of.strengths):
            rows.append((name, measured(strength), *_shares(way.lost, way.made_up, way.same, s)))
        rows.append((name, "taken out", *_shares(out.lost, out.made_up, out.same, 0)))
    return Table(
        columns,
        tuple(rows),
        title=f"Steered along {of.direction} at {of.site}, the last position",
        name="steered",
    )


def _shares(lost: np.ndarray, made_up: np.ndarray, same: np.ndarray, s: int) -> tuple[str, ...]:
    return (decimal(lost[s]), decimal(made_up[s]), *map(decimal, same[s].tolist()))
