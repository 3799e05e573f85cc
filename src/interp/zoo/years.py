"""Greater-than sentences (Hanna et al. 2023, https://arxiv.org/abs/2305.00586) with two-digit years."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache

from interp.zoo.documents import Document, Piece, words

NOUNS: tuple[str, ...] = words(
    "war trip voyage siege strike project festival contest reign journey study feud"
)
TEMPLATES: tuple[str, ...] = (
    "The {N} began in the year {a} and ended in the year",
    "The {N} lasted from the year {a} to the year",
    "The {N} started in the year {a} and went on until the year",
    "In the year {a}, the {N} began, and it ended in the year",
)
FIRST, LAST = 10, 90  # the years in which something may begin; it ends in a later one, 99 at the latest


@dataclass(frozen=True, kw_only=True)
class YearPrompt:
    """A prompt that a year above ``start`` (and at most 99) must follow, as one token such as " 57"."""

    text: str
    start: int
    held_out: bool


@lru_cache(maxsize=1)
def year_prompts() -> tuple[YearPrompt, ...]:
    """Every (template, noun, start) prompt; one in five is held out of training."""
    rng = random.Random("years held out")
    return tuple(
        YearPrompt(
            text=template.replace("{N}", noun).replace("{a}", str(start)),
            start=start,
            held_out=rng.random() < 0.2,
        )
        for template in TEMPLATES
        for noun in NOUNS
        for start in range(FIRST, LAST + 1)
    )


@lru_cache(maxsize=1)
def _taught() -> tuple[YearPrompt, ...]:
    return tuple(prompt for prompt in year_prompts() if not prompt.held_out)


def number_document(rng: random.Random) -> Document:
    """One or two sentences whose second year is drawn evenly from those above the first."""
    pieces: list[Piece] = []
    for prompt in rng.sample(_taught(), rng.choice((1, 2))):
        if pieces:
            pieces.append(Piece(text=" ", label="filler"))
        for part in re.split(r"( \d+)", prompt.text):
            if part:
                pieces.append(Piece(text=part, label="number" if part.strip().isdigit() else "relation"))
        pieces.append(Piece(text=f" {rng.randint(prompt.start + 1, 99)}", label="number"))
        pieces.append(Piece(text=rng.choice((".", ", as we read.")), label="filler"))
    return Document(kind="years", pieces=tuple(pieces))
