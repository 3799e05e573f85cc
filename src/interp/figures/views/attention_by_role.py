"""The presentation of attention between roles."""

from __future__ import annotations

from interp.figures.engine.notation import count, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import View, Words, block_name
from interp.figures.views.head_maps import head_map, strongest_heads
from interp.figures.views.pairs_text import intervals_sentence
from interp.methods.heads.results import AttentionByRoleResult


def view(result: AttentionByRoleResult) -> View:
    """A map of heads for each pair of roles."""
    strongest, maps = [], []
    for query, key in dict.fromkeys(result.between):
        attention = result.of(query, key)
        strongest.append(f"{query} to {key}: {strongest_heads(attention.mean)}.")
        maps.append(
            head_map(
                attention.interval,
                name=block_name("from", query, "to", key),
                unit="attention",
                title=f"From {query} to {key}",
                above=f"{query} attends to {key}",
            )
        )
    return View(
        title="Which heads look from where to where?",
        above=(
            f"Task: {result.pairs.task}, {count(len(result.prompts), f'{result.side} prompt')}; the first: "
            f"{show_text(result.prompts[0])}",
            "Attention, from 0 to 1; the mean over prompts, with intervals.",
            intervals_sentence(result.pairs, result.attention),
        ),
        blocks=(Words(" ".join(strongest), strong=True, name="verdict"), *maps),
        below=(
            "Attention is not an effect: it says where a head looks, not what it reads there or whether that "
            "matters; ablation does.",
        ),
    )


figure, table, report = presentation(view)
