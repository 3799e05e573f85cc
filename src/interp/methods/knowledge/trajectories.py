"""How the answer forms over the layers: does what a model has sharpen early, and what it makes up late?

At the end of each prompt the stream after each layer is read as a prediction (`interp.methods.lens`). *The
answer* is the model's own, the likeliest token in the end, right or not, so that the question is the same for
what is known and what is made up. It *settles* at the first layer from which on it stays the likeliest.

When it misleads: an answer that is said with more probability settles earlier whatever it rests on; compare
what is made up with known answers of as much probability. And at early layers the logit lens is a poor
reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.answers import Answer
from interp.methods.common.groups import difference, means_by_group
from interp.methods.common.intervals import probability_interval
from interp.methods.knowledge.results import SURE, Trajectories
from interp.methods.lens.lens import STREAMS, Lens, layer_names, residual_streams, stream_layers
from interp.models.base import Model
from interp.progress import report
from interp.readout import widened
from interp.results import Interval
from interp.tasks.known_or_not import KnowledgeDataset

_FEWEST = 4  # entities in a group


@dataclass(frozen=True, eq=False, kw_only=True)
class Readings:
    """What each prompt's run shows. Layers as `interp.methods.lens.lens.stream_layers` has them."""

    answer: Int[np.ndarray, " prompt"]  # the likeliest token in the end
    runner_up: Int[np.ndarray, " prompt"]
    log_probability: Float[np.ndarray, "prompt layer"]  # of the answer
    entropy: Float[np.ndarray, "prompt layer"]
    margin: Float[np.ndarray, "prompt layer"]
    settles: Float[np.ndarray, " prompt"]
    at_subject: Float[np.ndarray, "prompt layer"]
    final_entropy: Float[np.ndarray, " prompt"]  # of the model's own prediction, not the lens's
    final_log_probability: Float[np.ndarray, " prompt"]
    abstaining: Float[np.ndarray, " prompt"]  # log-probability of the answer's first tokens; -inf where none


def read(model: Model, data: KnowledgeDataset, lens: Lens) -> Readings:
    """One run of each prompt."""
    rows: dict[str, list[np.ndarray]] = {}
    layers = stream_layers(model)
    first = [] if data.abstains is None else sorted({form[0] for form in data.abstains})
    for done, prompt in enumerate(data.prompts):
        report("prompts", done, len(data.prompts))
        cache = model.run_with_cache([list(prompt.ids)], STREAMS)
        final = widened(cache.logits[0, -1]).log_softmax(-1)
        answer, runner_up = final.topk(2).indices.tolist()
        streams = residual_streams(cache)[:, 0]  # [layer, pos, d_model]
        places = streams[:, [-1, prompt.subject[-1]]]
        logits = lens.logits_of_layers(model, places, layers)
        read_off = widened(logits).log_softmax(-1)  # [layer, place, d_vocab]
        end = read_off[:, 0]
        others = end.clone()
        others[:, answer] = -torch.inf
        margin = end[:, answer] - others.max(-1).values
        behind = torch.nonzero(margin <= 0).flatten()
        found = {
            "answer": answer,
            "runner_up": runner_up,
            "log_probability": end[:, answer],
            "entropy": -(end.exp() * end.clamp(min=-1e4)).sum(-1),
            "margin": margin,
            "settles": float(behind[-1]) + 1 if len(behind) else 0.0,
            "at_subject": read_off[:, 1, answer],
            "final_entropy": -(final.exp() * final.clamp(min=-1e4)).sum(-1),
            "final_log_probability": final[answer],
            "abstaining": final[first].logsumexp(-1) if first else torch.tensor(0.0),
        }
        for name, value in found.items():
            array = value.cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
            rows.setdefault(name, []).append(array)
    report("prompts", len(data.prompts), len(data.prompts))
    return Readings(**{name: np.stack(values) for name, values in rows.items()})


def groups_of(data: KnowledgeDataset, readings: Readings) -> dict[str, Bool[np.ndarray, " prompt"]]:
    """Which prompts are compared, by name: first those that the model has, if answers are known those that it
    answers rightly; then those that it was told are unknown; of the rest those of which it says that it does
    not know, and last those that it makes up. A part with fewer than four entities is not told apart."""
    right = np.array(
        [a in first_tokens(p.answer) for a, p in zip(readings.answer, data.prompts, strict=True)]
    )
    abstains = np.isin(readings.answer, sorted(first_tokens(data.abstains)))
    has, made_up = mask(data, data.has), mask(data, data.made_up)
    found = {f"{data.has}, right": has & right} if enough(data, has & right) else {data.has: has}
    if data.told_unknown:
        found[data.told_unknown] = mask(data, data.told_unknown)
    if data.abstains is None or not enough(data, made_up & ~abstains):
        return found | {data.made_up: made_up}
    if enough(data, made_up & abstains):
        found[f"{data.made_up}, abstains"] = made_up & abstains
    return found | {f"{data.made_up}, made up": made_up & ~abstains}


def enough(data: KnowledgeDataset, which: Bool[np.ndarray, " prompt"]) -> bool:
    """Whether some prompts are of four entities or more."""
    return len({entity for entity, own in zip(data.entities, which, strict=True) if own}) >= _FEWEST


def first_tokens(answer: int | Answer | None) -> set[int]:
    """The tokens that an answer may begin with."""
    return set() if answer is None else {form[0] for form in Answer.of(answer)}


def trajectories(
    model: Model, data: KnowledgeDataset, readings: Readings, lens: Lens, seed: int
) -> Trajectories:
    """The readings by group, and the last group less the first."""
    entities = data.entities
    groups = list(groups_of(data, readings).values())
    sure = [own & (readings.final_log_probability >= np.log(SURE)) for own in (groups[0], groups[-1])]

    def by_status(each: np.ndarray) -> Interval:
        return means_by_group(each, groups, seed, entities)

    def less(each: np.ndarray) -> Interval:
        return difference(each, groups[0], groups[-1], seed, entities)

    probability = np.exp(readings.log_probability)
    return Trajectories(
        lens=lens.name,
        layers=layer_names(stream_layers(model)),
        probability=means_by_group(probability, groups, seed, entities, interval=probability_interval),
        probability_difference=less(probability),
        entropy=by_status(readings.entropy),
        margin=by_status(readings.margin),
        margin_difference=less(readings.margin),
        settles=readings.settles,
        settles_mean=by_status(readings.settles),
        settles_difference=less(readings.settles),
        settles_difference_sure=difference(readings.settles, sure[0], sure[1], seed, entities)
        if all(enough(data, own) for own in sure)
        else None,
        at_subject=by_status(readings.at_subject),
        at_subject_difference=less(readings.at_subject),
    )


def mask(data: KnowledgeDataset, *statuses: str) -> np.ndarray:
    """Which prompts are of these statuses."""
    return np.array([prompt.status in statuses for prompt in data.prompts])


def most_frequent(model: Model, answers: Sequence[int], k: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The `k` most frequent tokens and how often each is there."""
    ids, counts = np.unique(np.asarray(answers), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:k]
    return tuple(model.labels(ids[order].tolist())), tuple(counts[order].tolist())
