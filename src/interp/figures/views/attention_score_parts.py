"""The presentation of the parts of an attention score."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, measured, show_prompt, show_text, show_token, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Table, View, Words
from interp.methods.graphs.results import AttentionScorePartsResult

_BARS = 12


def view(result: AttentionScorePartsResult) -> View:
    """The score, the nodes in the query and in the key, and the strongest pairs."""
    return View(
        title="Why does the head attend there?",
        above=(
            f"Prompt: {show_prompt(result.tokens, bos=result.provenance.bos)}",
            f"Head {result.layer}.{result.head}, from {_at(result, result.query)} to "
            f"{_at(result, result.key)}{_other(result)}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _sums(result, result.by_query, "query", "In the query: the sum of a node's pairs"),
            _sums(result, result.by_key, "key", "In the key: the sum of a node's pairs"),
            _pairs(result),
        ),
        below=(
            "Scores are those before the softmax; patterns of earlier layers and the scales of norms are "
            "frozen. What a node put into query or key it put there along all paths through attention of "
            "earlier layers.",
            "Only differences of scores between keys move attention: what raises all of them does nothing.",
        ),
    )


def _at(result: AttentionScorePartsResult, position: int) -> str:
    return f"{show_token(result.tokens[position])} @{position}"


def _other(result: AttentionScorePartsResult) -> str:
    return "" if result.other_key is None else f" rather than {_at(result, result.other_key)}"


def _verdict(result: AttentionScorePartsResult) -> str:
    shares = " and ".join(decimal(share, 3) for share in result.attention)
    what = "The score" if result.other_key is None else "The lead in score"
    if not len(result.pair_values):
        return f"{what} is {measured(result.score)} (attention {shares})."
    q, k = (int(numbers[0]) for numbers in (result.pair_queries, result.pair_keys))
    return (
        f"{what} is {measured(result.score)} (attention {shares}). The strongest pair, "
        f"{show_text(result.nodes[q])} in the query with {show_text(result.nodes[k])} in the key, adds "
        f"{signed(float(result.pair_values[0]))}."
    )


def _sums(result: AttentionScorePartsResult, sums: np.ndarray, name: str, title: str) -> Bars:
    order = np.argsort(-np.abs(sums), kind="stable")[:_BARS]
    return Bars(
        labels=tuple(show_text(result.nodes[i]) for i in order.tolist()),
        values=tuple(sums[order].tolist()),
        unit="score",
        name=name,
        title=title,
        note=f"The {len(order)} largest of {len(sums)}; all sum to {measured(result.score)}.",
    )


def _pairs(result: AttentionScorePartsResult) -> Table:
    rows = tuple(
        (show_text(result.nodes[q]), show_text(result.nodes[k]), signed(value))
        for q, k, value in zip(
            result.pair_queries.tolist(),
            result.pair_keys.tolist(),
            result.pair_values.tolist(),
            strict=True,
        )
    )
    return Table(
        ("in the query", "in the key", "score"), rows, title="The strongest pairs", name="strongest_pairs"
    )


figure, table, report = presentation(view)
