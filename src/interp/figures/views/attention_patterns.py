"""The presentation of attention patterns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, show_prompt
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Attention, Medium, Table, View, Words
from interp.methods.common.names import head_name
from interp.methods.heads.results import AttentionPatternsResult

_PATTERNS = 8  # of more heads, those that look at one place the most are drawn


def view(result: AttentionPatternsResult) -> View:
    """The patterns as token-by-token grids, and what each head looks at most from the last position."""
    chosen = _heads_to_draw(result)
    names = [head_name(head) for head in result.heads]
    which = Words(
        f"Drawn: {len(chosen)} of {count(len(names), 'head')}, those whose last position looks the most at "
        "one place that is neither the first nor itself. Name others to see them.",
        name="which_heads",
    )
    return View(
        title="Where do the heads look?",
        above=(f"Prompt: {show_prompt(result.tokens, result.prompt, bos=result.provenance.bos)}",),
        blocks=(
            *([which] if len(chosen) < len(names) else []),
            Attention(
                name="patterns",
                tokens=result.tokens,
                patterns=tuple((names[i], result.patterns[i].astype(float)) for i in chosen),
                title="Attention from each token (row) to each token (column)",
            ),
            _last_position(result, chosen, name="last_position_of_drawn", media=("figure",)),
            _last_position(result, range(len(names)), name="last_position", media=("terminal", "page")),
        ),
        below=(
            *(["Rows sum to less than 1: a learned sink takes the rest."] if result.sinks else []),
            "Attention says where a head looks, not what it reads there or whether that matters: ablate it.",
        ),
    )


def _last_position(
    result: AttentionPatternsResult, heads: Iterable[int], *, name: str, media: tuple[Medium, ...]
) -> Table:
    """What heads look at most from the last position."""
    return Table(
        name=name,
        columns=("head", "from the last token, it looks most at", "attention", "at the first token"),
        rows=tuple(_row(result, i) for i in heads),
        title="The last position",
        media=media,
    )


def _row(result: AttentionPatternsResult, i: int) -> tuple[str, ...]:
    """Where one head looks from the last position."""
    last = result.patterns[i][-1]
    at = int(last.argmax())
    where = f"{brief(result.tokens[at])} (position {at})"
    return head_name(result.heads[i]), where, decimal(float(last[at])), decimal(float(last[0]))


def _heads_to_draw(result: AttentionPatternsResult) -> list[int]:
    """All heads, or of many those that look the most at one place."""
    if len(result.heads) <= _PATTERNS:
        return list(range(len(result.heads)))
    between = result.patterns[:, -1, 1:-1]
    strongest = between.max(-1) if between.shape[-1] else result.patterns[:, -1].max(-1)
    return sorted(np.argsort(-strongest, kind="stable")[:_PATTERNS].tolist())


figure, table, report = presentation(view)
