"""What a page says of the pairs that were measured: the prompts, the metric on them, the intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from interp.figures.engine.notation import brief, count, measured, show_text
from interp.methods.common.intervals import FEWEST
from interp.metrics import METRICS, weak_pairs
from interp.results import Estimate, Interval, Pairs

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


def intervals_sentence(pairs: Pairs, of: Estimate | Interval) -> str:
    """How intervals were made, and over what."""
    return how_interval(of, over="pairs", cluster=pairs.clustered_by)


def how_interval(of: Estimate | Interval, *, over: str, cluster: str = "") -> str:
    """How an interval was made: of so many prompts, or clusters that share a template or an answer."""
    n = of.clusters
    if n == 0:
        return f"Intervals: 95 %, percentile bootstrap over {over}, which is too narrow with few."
    if n == 1:
        return f"One {cluster or over.removesuffix('s')} alone: there is no interval."
    what = f"{n} clusters of {over} that share the {cluster}" if cluster else f"{n} {over}"
    how = "studentised bootstrap" if n >= FEWEST else "Student's t, wide with so few,"
    return f"Intervals: 95 %, {how} over {what}."


def weak_sentence(
    metric: str,
    clean_values: Float[np.ndarray, " pair"],
    corrupted_values: Float[np.ndarray, " pair"],
    *,
    than: str = "the corrupted one",
) -> tuple[str, ...]:
    """How many pairs do not have the clean metric above the other; nothing where all have."""
    n = len(weak_pairs(metric, clean_values, corrupted_values))
    if not n:
        return ()
    return (
        f"In {n} of {count(len(clean_values), 'pair')} the clean run does not favour the answer more than "
        f"{than}; they count in the means, against the others.",
    )


def doubts(pairs: Pairs, metric: str, clean_values: Float[np.ndarray, " pair"]) -> tuple[str, ...]:
    """What speaks against calling the clean runs clean, for the first lines of a page: the answer is not
    above its foil, or not what the model says; nothing where all is well."""
    return clean_doubts(
        metric,
        clean_values,
        answers=pairs.answers,
        said=() if pairs.several_tokens else pairs.said,
        foil=pairs.foils[0] if pairs.foils else None,
    )


def clean_doubts(
    metric: str,
    clean_values: Float[np.ndarray, " pair"],
    *,
    answers: Sequence[str],
    said: Sequence[str],
    foil: str | None,
) -> tuple[str, ...]:
    """As `doubts`, of answers and what the model says instead."""
    n, found = max(len(clean_values), len(answers)), []  # runs stored before may have one of them alone
    lost = int((clean_values <= 0).sum()) if metric == "logit_diff" else 0
    others = [own for own, answer in zip(said, answers, strict=False) if own not in answer.split("|")]
    if n == 1 and lost and answers:
        value = measured(float(clean_values[0]))
        found.append(
            f"The clean run does not favour {brief(answers[0])} over {brief(foil or '')} (logit difference "
            f"{value}): what is measured is not an answer of this model."
        )
    elif lost:
        found.append(f"In {lost} of {n} pairs the clean run does not put the answer above the foil.")
    if n == 1 and others:
        found.append(
            f"The model does not say {brief(answers[0])} here: its first choice is {brief(others[0])}."
        )
    elif others:
        common = Counter(others).most_common(1)[0][0]
        found.append(
            f"In {len(others)} of {n} pairs the answer is not what the model says first (often "
            f"{brief(common)})."
        )
    return tuple(found)
