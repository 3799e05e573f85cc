"""The presentation of head scores on repeated random tokens."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Grid, Lines, Series, Table, View, Words
from interp.figures.views.head_maps import head_map, strongest_heads
from interp.methods.common.names import head_name
from interp.methods.heads.results import HeadScoresResult

_MEANING = {
    "previous_token": "to the token before",
    "duplicate_token": "to the same token in the first copy",
    "induction": "to the token after the earlier occurrence, which is the one to be said next",
    "prefix_matching": "to the tokens after all earlier occurrences, of a sequence said four times",
}
_CLEAR = 0.25  # attention to one shift that is worth a line of the table
_SEEN = 0.1  # scores below are not named, nor framed


def view(result: HeadScoresResult) -> View:
    """A map of heads for each score, the heads that look near the earlier occurrence, the loss by token."""
    maps = [score_map(result, name) for name in result.scores]
    highest = [f"{name.replace('_', ' ')}: {_highest(result.score(name))}" for name in result.scores]
    return View(
        title="Which heads look at the token before, at duplicates, and at what came after them?",
        above=(
            f"{count(result.sequences, 'sequence')} of {result.copy_length} random tokens said twice"
            f"{', after a BOS' if result.bos else ''}; attention of the second copy, with 95 % bootstrap "
            "intervals over sequences.",
            f"Loss: {decimal(result.first_copy_loss)} nats a token in the first copy, "
            f"{decimal(result.second_copy_loss)} in the second (without its first token).",
        ),
        blocks=(
            Words(f"Highest: {'; '.join(highest)}.", strong=True, name="verdict"),
            *maps,
            _shifts(result),
            _losses(result),
        ),
        below=(
            "A score says where a head looks on random tokens, not what it writes, nor what it does on text.",
        ),
    )


def score_map(result: HeadScoresResult, name: str) -> Grid:
    """One of the scores of all heads, [layer, head]."""
    chance = result.chance[result.scores.index(name)]
    return head_map(
        result.estimate(name).interval,
        name=name,
        unit="attention",
        title=f"{name.replace('_', ' ').capitalize()} (spread evenly: {decimal(chance)})",
        above=f"attends {_MEANING[name]}",
        least=_SEEN,
    )


def _highest(score: np.ndarray) -> str:
    """The strongest heads, at most three; or that there is none."""
    seen = int((score >= _SEEN).sum())
    return strongest_heads(score, min(seen, 3)) if seen else f"none (at most {decimal(score.max())})"


def _shifts(result: HeadScoresResult) -> Table:
    """The heads that look at one place near the earlier occurrence, each with the place."""
    best = result.by_shift.argmax(0)  # [layer, head]
    rows = []
    for layer, head in np.argwhere(result.by_shift.max(0) >= _CLEAR).tolist():
        at = int(best[layer, head])
        rows.append(
            (head_name((layer, head)), _place(result.shifts[at]), float(result.by_shift[at, layer, head]))
        )
    rows.sort(key=lambda row: -row[2])
    return Table(
        name="shifts",
        columns=("head", "looks most at", "attention"),
        rows=tuple((a, b, decimal(c)) for a, b, c in rows),
        title=f"Heads that pay {_CLEAR} or more to one place near the earlier occurrence of the same token",
    )


def _place(shift: int) -> str:
    if shift == 0:
        return "the earlier occurrence (duplicate token)"
    away = f"{count(abs(shift), 'place')} {'after' if shift > 0 else 'before'} it"
    return f"{away} (induction)" if shift == 1 else away


def _losses(result: HeadScoresResult) -> Lines:
    first = 2 * result.copy_length + result.bos - len(result.loss.mean)  # position of the first predicted
    x = tuple(float(first + i) for i in range(len(result.loss.mean)))
    return Lines(
        name="loss",
        series=(
            Series(
                "loss",
                x,
                tuple(result.loss.mean.tolist()),
                low=tuple(result.loss.low.tolist()),
                high=tuple(result.loss.high.tolist()),
            ),
        ),
        x_title="position of the token predicted",
        y_title="nats",
        title="Loss by token",
        note=f"The second copy begins at position {result.copy_length + result.bos}. Band: 95 % bootstrap "
        "interval.",
    )


figure, table, report = presentation(view)
