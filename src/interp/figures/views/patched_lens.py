"""The presentation of a patched lens: two prompts' lenses, and one's with a cell of the other in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interp.figures.engine.notation import brief, decimal, probability, show_prompt
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, View, Words
from interp.figures.views.lens_words import about_lens
from interp.figures.views.logit_lens import positions_grid
from interp.methods.lens.results import LogitLensResult, PatchedLensResult

READINGS = ("source", "target", "patched")


def view(result: PatchedLensResult) -> View:
    """What the patch changes in what the model says, the three lenses, and the change of the answer."""
    return View(
        title="What does a cell of one prompt do in another?",
        above=(
            *(
                f"{name.capitalize()}: {show_prompt(one.tokens, one.prompt, bos=one.provenance.bos)}"
                for name, one in (("source", result.source), ("target", result.target))
            ),
            f"The residual stream {cell_in_words(result.source, result.source_cell)} of the source takes the "
            f"place of that {cell_in_words(result.target, result.target_cell)} of the target.",
            *about_lens(result.source),
        ),
        blocks=(
            Words(verdict(result), strong=True, name="verdict"),
            *(lens_grid(result, name) for name in READINGS),
            change_grid(result),
        ),
        below=(
            "What the patch can reach are later layers at its position, and later layers at the positions "
            "behind it. Into a late layer it brings what the source says anyway: look at what changes behind "
            "it.",
        ),
    )


figure, table, report = presentation(view)


def cell_in_words(reading: LogitLensResult, cell: tuple[int, int]) -> str:
    """Where a cell is: ``after layer 3 at position 4 (␣France)``."""
    layer, position = cell
    named = "at the embedding" if layer < 0 else f"after layer {layer}"
    return f"{named} at position {position} ({brief(reading.tokens[position])})"


def verdict(result: PatchedLensResult) -> str:
    """What the model says behind the target, with the patch and without, and the token that is followed."""
    before, after = result.target, result.patched
    last = len(before.tokens) - 1
    if last not in before.positions:
        return "The last position of the target was not read; what the model says there is not told."
    if not result.reached[-1, before.positions.index(last)]:
        return (
            "The patch stands behind the last layer and before the last position: it reaches nothing of what "
            "the model says there."
        )
    column = before.positions.index(last)
    was, now = (_says(one, column) for one in (before, after))
    top = [one.top_ids[-1, column, 0] for one in (before, after)]
    said = (
        f"With the patch the model says {now} where it said {was}."
        if top[0] != top[1]
        else f"The model says the same with the patch, {now}; without it {was}."
    )
    (p, q), (rank, new) = (
        [of[-1, column] for of in pair]
        for pair in ((before.answer_prob, after.answer_prob), (before.answer_rank, after.answer_rank))
    )
    return (
        f"{said} {brief(before.answer)}: from {probability(float(p))} (rank {int(rank):,}) to "
        f"{probability(float(q))} (rank {int(new):,})."
    )


def _says(reading: LogitLensResult, column: int) -> str:
    token, p = reading.top_tokens[-1][column][0], float(reading.top_probs[-1, column, 0])
    return f"{brief(token)} ({probability(p)})"


def lens_grid(result: PatchedLensResult, name: str) -> Grid:
    """One of the `READINGS`: the top token of each cell, and the cell that was taken, or put in."""
    reading: LogitLensResult = getattr(result, name)
    cell = result.source_cell if name == "source" else result.target_cell
    titles = {"source": "The source", "target": "The target", "patched": "The target with the patch"}
    grid = positions_grid(reading)
    return replace(
        grid,
        name=name,
        title=titles[name],
        framed=_framed(reading, cell),
        framed_means="the cell that was taken" if name == "source" else "the cell that was put in",
        beside=name == "target",
    )


def change_grid(result: PatchedLensResult) -> Grid:
    """By how much the patch changes the answer's probability, at each [layer, position]."""
    reading = result.patched
    return Grid(
        name="change",
        values=result.change,
        rows=Axis.names("layer", reading.layers),
        columns=Axis.tokens([reading.tokens[p] for p in reading.positions], positions=reading.positions),
        unit=f"change of the probability of {brief(reading.answer)}",
        title=f"What the patch does to {brief(reading.answer)}",
        above="likelier with the patch",
        below="less likely",
        texts=_where_reached(result),
        hover=(("change", _texts(result.change)),),
        framed=_framed(reading, result.target_cell),
        framed_means="the cell that was put in",
        beside=True,
    )


def _framed(reading: LogitLensResult, cell: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """A cell's row and column; nothing where its position was not read."""
    layer, position = cell
    return ((layer + 1, reading.positions.index(position)),) if position in reading.positions else ()


def _texts(values: np.ndarray) -> np.ndarray:
    return np.array([decimal(v) for v in values.ravel().tolist()], dtype=object).reshape(values.shape)


def _where_reached(result: PatchedLensResult) -> np.ndarray:
    """The changes, of the cells that the patch can reach; nothing in the others."""
    return np.where(result.reached, _texts(result.change), "")
