"""What a page says of the pairs that were measured: the prompts, the metric on them, the intervals."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from interp.figures.engine.notation import brief, count, measured, show_text
from interp.metrics import METRICS
from interp.results import Pairs

#: What the metric is, where answers have several tokens.
SEVERAL_TOKENS = (
    "Answers of several tokens, each read behind those before it: their log-probabilities stand for logits."
)


def pairs_sentences(pairs: Pairs) -> tuple[str, ...]:
    """How many pairs of which task, the first of them, and how many were left out of the dataset."""
    foil = "" if pairs.foils is None else f", foil {brief(pairs.foils[0])}"
    of_task = "" if pairs.task is None else f" of {show_text(pairs.task)}"
    first = (
        f"{count(len(pairs), 'pair')}{of_task}, the first of them: {show_text(pairs.prompts[0])} "
        f"(answer {brief(pairs.answers[0])}{foil})."
    )
    of_several = (SEVERAL_TOKENS,) if pairs.several_tokens else ()
    return first, *of_several, *dropped_sentences(pairs)


def dropped_sentences(pairs: Pairs) -> tuple[str, ...]:
    """How many pairs were left out of the dataset, and why; nothing where none were."""
    if not pairs.dropped:
        return ()
    why = "; ".join(dict.fromkeys(one.why for one in pairs.dropped[:3]))
    return (f"Left out of the dataset: {len(pairs.dropped)} ({show_text(why)}).",)


def metric_with_tokens(metric: str, answer: str, foil: str | None, *, several_tokens: bool = False) -> str:
    """The metric of one pair, with its tokens, as in ``logit(␣Paris) - logit(␣Tokyo)``."""
    if metric == "log_prob":
        return f"log p({brief(answer)})"
    if metric == "logit_diff" and foil is not None:
        of = "log p" if several_tokens else "logit"
        return f"{of}({brief(answer)}) - {of}({brief(foil)})"
    return f"probability of {brief(answer)}" if metric == "prob" else METRICS[metric].description


def metric_sentence(
    metric: str, clean_values: Float[np.ndarray, " pair"], corrupted_values: Float[np.ndarray, " pair"]
) -> str:
    """What the metric is, and what it is without patching."""
    return (
        f"Metric: {METRICS[metric].description}; {measured(float(clean_values.mean()))} clean, "
        f"{measured(float(corrupted_values.mean()))} corrupted, means over pairs."
    )


def intervals_sentence(pairs: Pairs) -> str:
    """What intervals are over."""
    return "Intervals: 95 %, bootstrap over pairs." if len(pairs) > 1 else "One pair: there is no interval."
