"""The presentation of what a model says with nodes of its graph scaled."""

from __future__ import annotations

from interp.figures.engine.notation import (
    count,
    decimal,
    probability,
    show_prompt,
    show_text,
    show_token,
)
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Table, View, Words
from interp.methods.graphs.results import ScaledNodesResult

_NAMED = 6  # nodes that are listed


def view(result: ScaledNodesResult) -> View:
    """The answer's probability by factor, and what is said instead."""
    more = f" and {len(result.nodes) - _NAMED} more" if len(result.nodes) > _NAMED else ""
    called = f"{show_text(result.name)}: " if result.name else ""
    return View(
        title="What does the model say with these nodes scaled?",
        above=(
            f"Prompt: {show_prompt(result.tokens, bos=result.provenance.bos)}",
            f"{called}{count(len(result.nodes), 'node')}: "
            f"{', '.join(map(show_text, result.nodes[:_NAMED]))}{more}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            Bars(
                tuple(_factor(factor) for factor in result.factors.tolist()),
                tuple(result.answer_probability.tolist()),
                unit="probability",
                name="answer",
                title=f"Probability of {show_token(result.answer)}",
            ),
            _table(result),
        ),
        below=(
            "What each node writes in the run as it is, is multiplied where it is written; the model "
            "responds with everything behind. 0 takes it away, -1 turns it round.",
        ),
    )


def _factor(factor: float) -> str:
    return "as it is" if factor == 1 else f"times {decimal(factor, 2).rstrip('0').rstrip('.')}"


def _verdict(result: ScaledNodesResult) -> str:
    said = [
        f"{_factor(factor)} {show_token(tokens[0])} ({probability(float(best[0]))})"
        for factor, tokens, best in zip(
            result.factors.tolist(), result.top_tokens, result.top_probability, strict=True
        )
    ]
    return f"The likeliest token: {'; '.join(said)}."


def _table(result: ScaledNodesResult) -> Table:
    rows = tuple(
        (
            _factor(factor),
            probability(own),
            ", ".join(
                f"{show_token(token, max_chars=16)} {probability(float(p))}"
                for token, p in zip(tokens, best.tolist(), strict=True)
            ),
            show_text(text),
        )
        for factor, own, tokens, best, text in zip(
            result.factors.tolist(),
            result.answer_probability.tolist(),
            result.top_tokens,
            result.top_probability,
            result.texts,
            strict=True,
        )
    )
    columns = ("nodes", f"{show_token(result.answer)}", "likeliest", "goes on")
    return Table(columns, rows, title="What it says", name="said")


figure, table, report = presentation(view)
