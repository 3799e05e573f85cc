"""What probing shows: accuracy by layer, beside what else would give it."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, interval, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words, block_name
from interp.figures.views.by_layer import from_layer
from interp.methods.probing.results import LabelledData, ProbingResult
from interp.results import Interval


def view(result: ProbingResult) -> View:
    """A sentence, and for each role the lines and their numbers."""
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict")]
    for role in range(len(result.roles)):
        blocks += [_lines(result, role), _table(result, role)]
    data = result.data
    return View(
        title=f"Where can {data.labels[1]!r} be told from {data.labels[0]!r}?",
        above=(
            data_in_words(data),
            f"A linear probe of {result.site}, fitted to some {data.grouped_by} and tested on others, in "
            f"{result.folds} folds; its regularisation is chosen within the training part.",
        ),
        blocks=tuple(blocks),
        below=(
            "Bands: 95 % intervals over the groups that were tested. Surface: the same regression on length, "
            "place and tokens, without a model. Untrained: the probe in a model of the same shape before "
            "training. Shuffled: labels dealt anew among the groups.",
            *_selectivity_note(result),
            "That a label can be read does not show that the model reads it: add the direction, or take it "
            "out.",
        ),
    )


figure, table, report = presentation(view)


def data_in_words(data: LabelledData) -> str:
    """Which prompts, how many of each label, and one of each."""
    parts = [
        f"{count(data.prompts[i], 'prompt')} of {data.groups[i]} {data.grouped_by} are {data.labels[i]!r} "
        f"(such as {show_text(data.example[i], max_chars=70)})"
        for i in (0, 1)
    ]
    dropped = f" {count(len(data.dropped), 'prompt')} left out." if data.dropped else ""
    return f"{data.name[:1].upper()}{data.name[1:]}: {'; '.join(parts)}.{dropped}"


def _verdict(result: ProbingResult) -> str:
    return " ".join(_of_role(result, role) for role in range(len(result.roles)))


def _of_role(result: ProbingResult, role: int) -> str:
    role_name, surface = result.roles[role], float(result.surface.value[role])
    accuracy, first = result.accuracy, result.first_layer(role)
    best = int(np.argmax(accuracy.value[role]))
    found = f"{decimal(accuracy.value[role, best])} ({_ends(accuracy, role, best)})"
    without = f"surface features give {decimal(surface)}"
    if result.untrained is not None:
        without += f", an untrained model at most {decimal(result.untrained.value[role].max())}"
    if first is None:
        return (
            f"At {role_name}, no: up to the last layer the probe does not stay above chance and surface "
            f"features; its best balanced accuracy is {found} at {result.layers[best]}, where {without}."
        )
    return (
        f"At {role_name}, {from_layer(result.layers[first])} on above chance and surface features, with "
        f"a balanced accuracy of up to {found} at {result.layers[best]}; {without}."
    )


def _ends(of: Interval, role: int, layer: int) -> str:
    return interval(float(of.low[role, layer]), float(of.high[role, layer]))


def _selectivity_note(result: ProbingResult) -> tuple[str, ...]:
    if result.selectivity is None:
        return ()
    return (
        "Selectivity: with every group in training too, the accuracy on other prompts of it less that of "
        "labels drawn for each group. Near 0, the probe could have learned the groups by heart.",
    )


def _lines(result: ProbingResult, role: int) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    series = [_series("probe", x, result.accuracy, role)]
    if result.untrained is not None:
        series.append(_series("untrained model", x, result.untrained, role))
    if result.shuffled.shape[-1]:
        series.append(Series("shuffled labels", x, tuple(result.shuffled[role].mean(-1).tolist())))
    return Lines(
        name=block_name("accuracy", result.roles[role]),
        series=tuple(series),
        x_title="layer",
        y_title="balanced accuracy",
        title=f"At {result.roles[role]}, on {result.data.grouped_by} that the probe was not fitted to",
        ticks=tuple(zip(x, result.layers, strict=True)),
        levels=((0.5, "chance"), (float(result.surface.value[role]), "surface features")),
        y_range=(min(0.4, float(np.min(result.accuracy.value))), 1.0),
    )


def _series(name: str, x: tuple[float, ...], of: Interval, role: int) -> Series:
    low, high = tuple(of.low[role].tolist()), tuple(of.high[role].tolist())
    return Series(name, x, tuple(of.value[role].tolist()), low=low, high=high)


def _table(result: ProbingResult, role: int) -> Table:
    columns = ["layer", "accuracy", "interval", "AUROC", "interval", "shuffled"]
    columns += ["untrained"] if result.untrained is not None else []
    columns += ["selectivity"] if result.selectivity is not None else []
    rows: list[tuple[str, ...]] = []
    for i, layer in enumerate(result.layers):
        draws = result.shuffled[role, i]
        row = [
            layer,
            decimal(result.accuracy.value[role, i]),
            _ends(result.accuracy, role, i),
            decimal(result.auroc.value[role, i]),
            _ends(result.auroc, role, i),
            decimal(draws.mean()) if len(draws) else "",
        ]
        if result.untrained is not None:
            row.append(decimal(result.untrained.value[role, i]))
        if result.selectivity is not None:
            row.append(decimal(result.selectivity.value[role, i]))
        rows.append(tuple(row))
    of = f"accuracy {decimal(result.surface.value[role])}, AUROC {decimal(result.surface_auroc.value[role])}"
    return Table(
        tuple(columns),
        tuple(rows),
        title=f"At {result.roles[role]} (surface features: {of})",
        name=block_name("numbers", result.roles[role]),
    )
