"""The presentation of copying scores."""

from __future__ import annotations

from interp.figures.engine.notation import count, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import View, Words
from interp.figures.views.head_maps import head_map, strongest_heads
from interp.figures.views.pairs_text import intervals_sentence
from interp.methods.heads.results import CopyingScoresResult


def view(result: CopyingScoresResult) -> View:
    """A map of heads for each sign of what they write."""
    return View(
        title="Which heads copy the name that they look at?",
        above=(
            f"Task: {result.pairs.task}, {count(len(result.pairs), 'prompt')}; the tokens of "
            f"{', '.join(result.roles)}. The first prompt: {show_text(result.pairs.prompts[0])}",
            f"Score: the share of names that are among the {result.k} likeliest tokens if the head attends "
            "to the name alone, with intervals.",
            intervals_sentence(result.pairs, result.copying),
        ),
        blocks=(
            Words(
                f"Highest: {strongest_heads(result.copying.mean)}. With the sign turned round: "
                f"{strongest_heads(result.negative.mean)}.",
                strong=True,
                name="verdict",
            ),
            head_map(
                result.copying.interval,
                name="copying",
                unit="share of names",
                title="Copying score",
                above="makes the name it looks at likely",
            ),
            head_map(
                result.negative.interval,
                name="negative_copying",
                unit="share of names",
                title="Negative copying score",
                above="makes the name it looks at unlikely",
            ),
        ),
        below=("It is what a head would write if it looked there; whether it does is another question.",),
    )


figure, table, report = presentation(view)
