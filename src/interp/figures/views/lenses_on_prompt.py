"""The presentation of several lenses side by side on a prompt."""

from __future__ import annotations

from collections import Counter

import numpy as np

from interp.figures.engine.notation import brief, decimal, probability, show_prompt, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, Table, View, Words, block_name
from interp.figures.views.by_layer import from_layer, lines_by_layer, nats_by_layer
from interp.figures.views.lens_words import about_lens, lens_name
from interp.methods.lens.results import LensesOnPromptResult, LogitLensResult

_TOP = 3


def view(result: LensesOnPromptResult) -> View:
    """What each lens reads at each layer, and how far it is from the model's own prediction."""
    first, names = result.readings[0], lens_names(result)
    answer = brief(first.answer)
    (position,) = first.positions
    return View(
        title=f"When does {answer} form, by each lens?",
        above=(
            f"Prompt: {show_prompt(first.tokens, first.prompt, bos=result.provenance.bos)}",
            f"Read at position {position} ({brief(first.tokens[position])}); the model says "
            f"{brief(first.final_top_token)} with probability {probability(first.final_top_prob)}.",
            *(" ".join(about) for about in map(about_lens, result.readings) if about),
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            lines_by_layer(
                first.layers,
                {name: one.answer_prob for name, one in zip(names, result.readings, strict=True)},
                name="answer_prob",
                title=f"The probability of {answer}",
                y_title=f"probability of {answer}",
            ),
            nats_by_layer(
                first.layers,
                {name: one.kl_to_final for name, one in zip(names, result.readings, strict=True)},
                name="divergence",
                title="How far each layer is from the model's prediction",
                y_title="KL(final || lens), nats",
            ),
            *(_tokens(name, one) for name, one in zip(names, result.readings, strict=True)),
            *(_table(name, one) for name, one in zip(names, result.readings, strict=True)),
        ),
        below=("A lens that was fitted to predict may find in a layer what the model does not use there.",),
    )


def lens_names(result: LensesOnPromptResult) -> tuple[str, ...]:
    """The names of the lenses, with numbers where several are of one kind."""
    kinds = [one.lens for one in result.readings]
    several, seen, names = Counter(kinds), Counter[str](), []
    for kind in kinds:
        seen[kind] += 1
        names.append(lens_name(kind) + (f" {seen[kind]}" if several[kind] > 1 else ""))
    return tuple(names)


def _verdict(result: LensesOnPromptResult) -> str:
    def when(layer: int | None) -> str:
        return "never top-1 up to the end" if layer is None else f"top-1 {from_layer(layer)} on"

    by = zip(lens_names(result), result.crossover_layers, strict=True)
    said = "; ".join(f"{name}: {when(layer)}" for name, layer in by)
    return f"{brief(result.readings[0].answer)} by each lens: {said}."


def _tokens(name: str, reading: LogitLensResult) -> Grid:
    """The likeliest tokens by one lens at each layer; those of several lenses stand side by side."""
    probs, own = reading.top_probs[:, :_TOP], reading.top_ids[:, :_TOP] == reading.answer_id
    texts = [[show_token(token, max_chars=14) for token in row[:_TOP]] for row in reading.top_tokens]
    notes = [[decimal(p) for p in row] for row in probs.tolist()]
    return Grid(
        name=block_name(*name.split(), "tokens"),
        values=probs,
        rows=Axis.names("after layer", reading.layers),
        columns=Axis.names("likeliest", range(1, probs.shape[1] + 1)),
        unit="probability",
        title=f"{name} would say",
        centre=None,
        limit=1.0,
        texts=np.array(texts, dtype=object),
        notes=np.array(notes, dtype=object),
        framed=tuple((int(row), int(i)) for row, i in np.argwhere(own)),
        framed_means="the answer",
        media=("figure",),
    )


def _table(name: str, reading: LogitLensResult) -> Table:
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
    return Table(columns, tuple(rows), title=name, name=block_name(*name.split()), media=("terminal", "page"))


figure, table, report = presentation(view)
