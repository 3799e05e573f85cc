"""The presentation of a plain and a tuned lens side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.figures.engine.notation import brief, decimal, probability, show_prompt, show_token
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Lines, Series, Table, View, Words

if TYPE_CHECKING:
    import numpy as np

    from interp.methods.lens.tuned_lens import TunedLensResult

_LENSES = ("plain", "tuned")
_TOP = 3


def view(result: TunedLensResult) -> View:
    """What both lenses read at each layer, and how far they are from the model's own prediction."""
    answer = brief(result.answer)
    return View(
        title=f"When does {answer} form, by the plain and by the tuned lens?",
        above=(
            f"Prompt: {show_prompt(result.tokens, bos=result.provenance.bos)}",
            f"Read at position {result.position} ({brief(result.tokens[result.position])}); the model says "
            f"{brief(result.final_top_token)} with probability {probability(result.final_top_prob)}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _lines(
                result,
                "answer_prob",
                result.answer_prob,
                f"probability of {answer}",
                f"The probability of {answer}",
            ),
            _lines(
                result,
                "divergence",
                result.kl_to_final,
                "KL(final || lens), nats",
                "How far each layer is from the model's prediction",
            ),
            *(_table(result, lens) for lens in range(len(_LENSES))),
        ),
        below=(
            "A translator is trained to predict, and may find in a layer what the model does not use there.",
        ),
    )


def _verdict(result: TunedLensResult) -> str:
    def when(layer: int | None) -> str:
        if layer is None:
            return "never top-1 up to the end"
        return f"top-1 from {'the embedding' if layer < 0 else f'layer {layer}'} on"

    plain, tuned = (when(layer) for layer in result.crossover_layers)
    return f"{brief(result.answer)} is {plain} by the plain lens, {tuned} by the tuned one."


def _lines(result: TunedLensResult, name: str, values: np.ndarray, y_title: str, title: str) -> Lines:
    x = tuple(float(i) for i in range(len(result.layers)))
    return Lines(
        name=name,
        series=tuple(
            Series(f"{lens} lens", x, tuple(row.tolist())) for lens, row in zip(_LENSES, values, strict=True)
        ),
        x_title="after layer",
        y_title=y_title,
        title=title,
        ticks=tuple(zip(x, result.layers, strict=True)),
    )


def _table(result: TunedLensResult, lens: int) -> Table:
    rows = []
    for i, layer in enumerate(result.layers):
        top = zip(result.top_tokens[lens][i], result.top_probs[lens, i].tolist(), strict=True)
        said = [f"{show_token(token, max_chars=12)} {probability(p)}" for token, p in top]
        rows.append(
            (
                layer,
                "  ".join(said[:_TOP]),
                probability(float(result.answer_prob[lens, i])),
                str(result.answer_rank[lens, i]),
                decimal(float(result.kl_to_final[lens, i])),
            )
        )
    columns = ("after layer", "would say", f"p({brief(result.answer)})", "rank", "KL")
    return Table(columns, tuple(rows), title=f"The {_LENSES[lens]} lens", name=f"{_LENSES[lens]}_lens")


figure, table, report = presented(view)
