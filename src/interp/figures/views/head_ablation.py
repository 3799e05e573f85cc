"""The presentation of head ablation: before, after, and beside random heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from interp.figures.engine.notation import count, decimal, probability, show_prompt
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Table, View, Words, block_name
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import clean_doubts, metric_with_tokens
from interp.methods.ablation.results import HeadAblationResult
from interp.metrics import METRICS

_LOSSES = {
    "prompt_loss": "the loss on the prompt",
    "text_loss": "the loss on text",
    "copy_loss": "the loss on copied random tokens",
}


def view(result: HeadAblationResult) -> View:
    """The verdict, all numbers, and the metric and the losses as bars."""
    sizes = result.text_sizes
    return View(
        title=f"What does the model lose without {_heads(result)}?",
        above=(
            *_doubts(result),
            f"Prompt: {show_prompt(result.tokens, result.prompt, bos=result.provenance.bos)}",
            f"The heads are taken out together, at all positions. Means are over {sizes.n_reference} "
            "sequences of simple English, and the outputs resampled are those of "
            f"{count(sizes.n_donors, 'sequence')} of it. Losses: nats a token; on {sizes.n_texts} other "
            f"sequences of {sizes.text_length} tokens, and on the second copy of {sizes.copy_length} "
            f"random tokens, of {count(sizes.n_texts, 'sequence')}.",
        ),
        blocks=(Words(verdict(result), strong=True, name="verdict"), table_of(result), *bars(result)),
        below=(
            *(() if result.outliers is None else (result.outliers.sentence,)),
            "A small change does not mean that the heads do nothing: others may take over.",
            f"Random heads: {count(len(result.random_heads), 'draw')} of as many, from all heads.",
            *norms_sentences(result.provenance, "recomputed"),
        ),
    )


def _doubts(result: HeadAblationResult) -> tuple[str, ...]:
    return clean_doubts(
        result.measures[0],
        result.before[:1],
        answers=(result.answer,),
        said=() if result.several_tokens or not result.clean_top else (result.clean_top,),
        foil=result.foil,
    )


def verdict(result: HeadAblationResult) -> str:
    """The metric before and after, in a sentence."""
    write = _write(result, 0)
    after = ", ".join(
        f"{write(v)} ({kind})" for kind, v in zip(result.kinds, result.after[:, 0], strict=True)
    )
    others = result.random[:, :, 0].mean(1)
    beside = ", ".join(f"{write(v)} ({kind})" for kind, v in zip(result.kinds, others, strict=True))
    return (
        f"{_name(result, 0)}: {write(result.before[0])} before; without {_heads(result)}: {after}; without "
        f"random heads: {beside}."
    )


def table_of(result: HeadAblationResult) -> Table:
    """Each measure before, without the heads, and without random ones: mean and range of the draws."""
    columns = [column for kind in result.kinds for column in (kind, f"{kind}, random heads")]
    return Table(
        ("", "before", *columns),
        tuple(
            (
                _name(result, m),
                _write(result, m)(result.before[m]),
                *(text for kind in range(len(result.kinds)) for text in _cells(result, kind, m)),
            )
            for m in range(len(result.measures))
        ),
        title=f"Before, without {_heads(result)}, and without as many random heads (mean, and least to most)",
        name="before_and_after",
    )


def bars(result: HeadAblationResult) -> tuple[Bars, ...]:
    """By how much the metric and each loss change, beside random heads."""
    return tuple(_bars(result, m) for m in range(len(result.measures)))


def _bars(result: HeadAblationResult, m: int) -> Bars:
    picked, measure = result.change[:, m], result.measures[m]  # [kind]
    draws = result.random[:, :, m] - result.before[m]  # [kind, draw]

    def alternating(of_random: np.ndarray) -> tuple[float, ...]:
        return tuple(np.stack([picked, of_random], axis=1).ravel().tolist())

    return Bars(
        name=block_name("change", result.measures[m]),
        labels=tuple(f"{kind}{of}" for kind in result.kinds for of in ("", ", random heads")),
        values=alternating(draws.mean(1)),
        low=alternating(draws.min(1)),
        high=alternating(draws.max(1)),
        unit=f"change, {METRICS[measure].unit if measure in METRICS else 'nats a token'}",
        worse="below" if measure in METRICS and METRICS[measure].favours > 0 else "above",
        title=f"Change of {_name(result, m)}",
        note="Of random heads: the mean, and the least and the most of the draws.",
    )


def _cells(result: HeadAblationResult, kind: int, m: int) -> tuple[str, str]:
    write, draws = _write(result, m), result.random[kind, :, m]
    return write(
        result.after[kind, m]
    ), f"{write(draws.mean())} ({write(draws.min())} to {write(draws.max())})"


def _write(result: HeadAblationResult, m: int) -> Callable[[float], str]:
    return probability if result.measures[m] == "prob" else decimal


def _name(result: HeadAblationResult, m: int) -> str:
    measure = result.measures[m]
    if measure in _LOSSES:
        return _LOSSES[measure]
    the = "the " if measure == "prob" else ""
    return the + metric_with_tokens(measure, result.answer, result.foil, several_tokens=result.several_tokens)


def _heads(result: HeadAblationResult) -> str:
    """``head 5.1``, ``heads 5.1 and 2.4``; how many where they are more than six."""
    names = [f"{layer}.{head}" for layer, head in result.heads]
    if len(names) > 6:
        return f"{len(names)} heads"
    return f"head {names[0]}" if len(names) == 1 else f"heads {', '.join(names[:-1])} and {names[-1]}"


figure, table, report = presentation(view)
