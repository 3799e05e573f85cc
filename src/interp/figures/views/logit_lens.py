"""What a lens reads at each layer: the answer's probability and rank, and the tokens that are likeliest.

At one position, a figure has curves over the layers and the top tokens; over all positions, the top token at
each. A terminal has the layers as a table; a page has all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from interp.figures.engine.notation import (
    brief,
    count,
    decimal,
    probability,
    show_prompt,
    show_token,
)
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Cell, Grid, Panels, Table, View, Words
from interp.figures.views.by_layer import from_layer, lines_by_layer, nats_by_layer
from interp.figures.views.lens_words import about_lens, card_table, lens_name
from interp.methods.lens.results import LogitLensResult

_TOP_TOKENS = 5  # more would not be read

_TITLES = {
    "resid": "what would the model say after each layer?",
    "attn_out": "what would each layer's attention alone say?",
    "mlp_out": "what would each layer's MLP alone say?",
}


def view(result: LogitLensResult) -> View:
    """The verdict, the map of positions where all were read, and the layers at the last position."""
    return View(
        title=f"{lens_name(result.lens)}: {_TITLES.get(result.site, f'at {result.site}')}",
        above=tuple(_question(result)),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            *(() if result.one_position else (positions_grid(result),)),
            _layers(result),
            *(() if result.answer_token_log_probs is None else (_answer_tokens(result),)),
            *((_curves(result),) if result.one_position else ()),
            _top_tokens(result),
            *(() if result.lens_card is None else (card_table(result.lens_card),)),
        ),
    )


def _ties(result: LogitLensResult) -> str:
    """How many other tokens have the answer's logit at the end; nothing where none have."""
    n = 0 if result.answer_ties is None else int(result.answer_ties.reshape(len(result.layers), -1)[-1, -1])
    return f", tied with {count(n, 'other token')}" if n else ""


figure, table, report = presentation(view)


# ---- in words ----


def _question(result: LogitLensResult) -> list[str]:
    """The prompt, the answer looked for, and what the model itself says."""
    where = _last_position(result)
    read = f"at {where}" if result.one_position else f"at {_how_many_positions(result)}"
    lines = [
        f"Prompt: “{show_prompt(result.tokens, result.prompt, bos=result.provenance.bos, max_chars=160)}”",
        f"Answer: {brief(result.answer)}, read {read}. The model's own answer at {where}: "
        f"{brief(result.final_top_token)} ({probability(result.final_top_prob)}).",
    ]
    if result.edits:
        lines.append(f"Read of an edited run: {'; '.join(result.edits)}.")
    if result.answer_tokens:
        forms = ", or ".join(" + ".join(map(show_token, form)) for form in result.answer_tokens)
        lines.append(
            f"Its tokens: {forms}. Each is read behind those before it; the probability is that of all of "
            "them, of several forms the sum; the rank is that of the token which ranks last."
        )
    return lines + about_lens(result)


def _how_many_positions(result: LogitLensResult) -> str:
    """How many positions were read, where that is not one."""
    n, read = len(result.tokens), len(result.positions)
    return f"all {n} positions" if read == n else f"{read} of {n} positions"


def _last_position(result: LogitLensResult) -> str:
    position = result.positions[-1]
    return f"position {position} ({brief(result.tokens[position])})"


def _verdict(result: LogitLensResult) -> str:
    """From which layer on the answer is on top, or that it is not."""
    answer, grid = brief(result.answer), result.grid
    at = "" if result.one_position else f" at position {result.positions[-1]}"
    if result.crossover_layer is None:
        rank, prob = int(grid["answer_rank"][-1, -1]), float(grid["answer_prob"][-1, -1])
        return (
            f"No crossover: at the last layer {answer} has rank {rank}{at} (probability "
            f"{probability(prob)}){_ties(result)}."
        )
    return f"Crossover: {from_layer(result.crossover_layer)} on, {answer} stays on top{at}."


def _crossover_row(result: LogitLensResult) -> int | None:
    """The row of the result's arrays at which the crossover happens."""
    layer = result.crossover_layer
    if layer is None:
        return None
    return layer + 1 if result.layers[0] == "embed" else layer


# ---- all positions ----


def positions_grid(result: LogitLensResult) -> Grid:
    """The top token at each [layer, position], coloured by its probability."""
    grid, answer = result.grid, brief(result.answer)
    top = grid["top_probs"][..., 0]
    return Grid(
        name="positions",
        values=top,
        rows=Axis.names("layer", result.layers),
        columns=Axis.tokens(
            [result.tokens[position] for position in result.positions], positions=result.positions
        ),
        unit="probability",
        title="Top token by layer and position",
        centre=None,
        limit=1.0,
        texts=_each(grid["top_tokens"][..., 0], show_token),
        hover=(
            ("probability of the top token", _each(top, probability)),
            (f"probability of {answer}", _each(grid["answer_prob"], probability)),
            (f"rank of {answer}", grid["answer_rank"]),
            ("entropy (nats)", _each(grid["entropy"], decimal)),
            ("KL to the final prediction (nats)", _each(grid["kl_to_final"], decimal)),
            ("top tokens", _several(grid["top_tokens"], grid["top_probs"])),
        ),
        framed=tuple((int(row), int(column)) for row, column in np.argwhere(grid["answer_rank"] == 1)),
        framed_means="the answer is the top token",
    )


def _each(values: np.ndarray, write: Callable[[Any], str]) -> np.ndarray:
    """Every value as a text."""
    return np.array([write(value) for value in values.ravel()], dtype=object).reshape(values.shape)


def _several(tokens: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """The likeliest tokens of each [layer, position], with their probabilities, in a line."""
    lines = np.empty(tokens.shape[:2], dtype=object)
    for at in np.ndindex(lines.shape):
        pairs = zip(tokens[at][:_TOP_TOKENS], probs[at], strict=False)
        lines[at] = ", ".join(f"{show_token(token, max_chars=24)} {probability(p)}" for token, p in pairs)
    return lines


# ---- the layers at the last position that was read ----


def _layers(result: LogitLensResult) -> Table:
    """What each layer would say, with the answer's probability and rank; marked: the crossover."""
    grid = {name: array[:, -1] for name, array in result.grid.items()}
    rows = []
    for i, layer in enumerate(result.layers):
        top, answer = float(grid["top_probs"][i, 0]), float(grid["answer_prob"][i])
        on_top = bool(grid["answer_rank"][i] == 1)
        rows.append(
            (
                layer,
                Cell(show_token(grid["top_tokens"][i][0], max_chars=13), shade=top, strong=on_top),
                probability(top),
                Cell(probability(answer), bar=answer, strong=on_top),
                int(grid["answer_rank"][i]),
                decimal(float(grid["entropy"][i])),
                decimal(float(grid["kl_to_final"][i])),
            )
        )
    row = _crossover_row(result)
    p_answer = f"p({show_token(result.answer, max_chars=10)})"
    return Table(
        ("layer", "would say", "prob", p_answer, "rank", "entropy", "KL"),
        tuple(rows),
        title=f"Layer by layer at {_last_position(result)}",
        marked=() if row is None else (row,),
        name="layers",
        media=("terminal", "page"),
    )


def _answer_tokens(result: LogitLensResult) -> Table:
    """The probability of each token of the answer behind those before it, by layer."""
    assert result.answer_token_log_probs is not None
    (form,) = result.answer_tokens
    return Table(
        ("layer", *(f"p({show_token(token, max_chars=10)})" for token in form)),
        tuple(
            (layer, *map(probability, np.exp(of_layer).tolist()))
            for layer, of_layer in zip(result.layers, result.answer_token_log_probs, strict=True)
        ),
        title="Token by token, each behind those before it",
        name="answer_tokens",
        media=("terminal", "page"),
    )


def _curves(result: LogitLensResult) -> Panels:
    """The answer's probability and rank, entropy and KL over the layers."""
    grid = {name: array[:, -1] for name, array in result.grid.items()}
    answer, rank = brief(result.answer), grid["answer_rank"]
    below = tuple(np.flatnonzero(rank != 1).tolist())
    probability_of, rank_of = f"probability of {answer}", f"rank of {answer} (1 is top)"
    of_probability = lines_by_layer(
        result.layers,
        {probability_of: grid["answer_prob"]},
        y_title=probability_of,
        hollow=below,
        note="Rings: the answer is not the top token." if below else "",
    )
    of_rank = lines_by_layer(result.layers, {rank_of: rank}, y_title=rank_of, hollow=below)
    of_nats = nats_by_layer(
        result.layers, {"entropy": grid["entropy"], "KL to the final prediction": grid["kl_to_final"]}
    )
    row = _crossover_row(result)
    named = () if row is None else ((float(row), f"crossover: {from_layer(result.layers[row])} on"),)
    unnamed = tuple((x, "") for x, _ in named)
    ranks = (1.0, max(float(rank.max()), 3.0))
    return Panels(
        (
            replace(of_probability, y_range=(0.0, 1.0), x_marks=named),
            replace(of_rank, y_range=ranks, log_y=True, downwards=True, x_marks=unnamed),
            replace(of_nats, x_marks=unnamed),
        ),
        title="Over the layers",
        name="curves",
        media=("figure", "page"),
    )


def _top_tokens(result: LogitLensResult) -> Grid:
    """The likeliest tokens of each layer at the last position that was read."""
    grid = {name: array[:, -1, :_TOP_TOKENS] for name, array in result.grid.items() if array.ndim == 3}
    probs = grid["top_probs"]
    return Grid(
        name="top_tokens",
        values=probs,
        rows=Axis.names("layer", result.layers),
        columns=Axis.names("rank", range(1, probs.shape[1] + 1)),
        unit="probability",
        title="The likeliest tokens" + ("" if result.one_position else f" at {_last_position(result)}"),
        centre=None,
        limit=1.0,
        texts=_each(grid["top_tokens"], show_token),
        notes=_each(probs, decimal),
        hover=(("token", _each(grid["top_tokens"], show_token)),),
        framed=tuple((int(row), int(i)) for row, i in np.argwhere(grid["top_ids"] == result.answer_id)),
        framed_means="the answer",
        media=("figure", "page") if result.one_position else ("page",),
        beside=True,
    )
