"""The presentation of a plain and a tuned lens side by side."""

from __future__ import annotations

from interp.figures.engine.notation import (
    brief,
    decimal,
    probability,
    show_prompt,
    show_text,
    show_token,
)
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Table, View, Words
from interp.figures.views.by_layer import from_layer, lines_by_layer, nats_by_layer
from interp.methods.lens.results import LogitLensResult, TunedLensResult

_TOP = 3


def view(result: TunedLensResult) -> View:
    """What both lenses read at each layer, and how far they are from the model's own prediction."""
    plain, answer = result.plain, brief(result.plain.answer)
    (position,) = plain.positions
    return View(
        title=f"When does {answer} form, by the plain and by the tuned lens?",
        above=(
            f"Prompt: {show_prompt(plain.tokens, plain.prompt, bos=result.provenance.bos)}",
            f"Read at position {position} ({brief(plain.tokens[position])}); the model says "
            f"{brief(plain.final_top_token)} with probability {probability(plain.final_top_prob)}.",
            f"The tuned lens: {show_text(result.tuned.lens_description)}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            lines_by_layer(
                plain.layers,
                {f"{one.lens} lens": one.answer_prob for one in result.readings},
                name="answer_prob",
                title=f"The probability of {answer}",
                y_title=f"probability of {answer}",
            ),
            nats_by_layer(
                plain.layers,
                {f"{one.lens} lens": one.kl_to_final for one in result.readings},
                name="divergence",
                title="How far each layer is from the model's prediction",
                y_title="KL(final || lens), nats",
            ),
            *(_table(one) for one in result.readings),
        ),
        below=(
            "A translator is trained to predict, and may find in a layer what the model does not use there.",
        ),
    )


def _verdict(result: TunedLensResult) -> str:
    def when(layer: int | None) -> str:
        return "never top-1 up to the end" if layer is None else f"top-1 {from_layer(layer)} on"

    plain, tuned = (when(layer) for layer in result.crossover_layers)
    return f"{brief(result.plain.answer)} is {plain} by the plain lens, {tuned} by the tuned one."


def _table(reading: LogitLensResult) -> Table:
    """What one lens reads at each layer."""
    rows = []
    for i, layer in enumerate(reading.layers):
        top = zip(reading.top_tokens[i], reading.top_probs[i].tolist(), strict=True)
        tokens = [f"{show_token(token, max_chars=12)} {probability(p)}" for token, p in top]
        rows.append(
            (
                layer,
                "  ".join(tokens[:_TOP]),
                probability(float(reading.answer_prob[i])),
                str(reading.answer_rank[i]),
                decimal(float(reading.kl_to_final[i])),
            )
        )
    columns = ("after layer", "would say", f"p({brief(reading.answer)})", "rank", "KL")
    return Table(columns, tuple(rows), title=f"The {reading.lens} lens", name=f"{reading.lens}_lens")


figure, table, report = presentation(view)
