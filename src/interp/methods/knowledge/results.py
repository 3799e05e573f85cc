"""The result of comparing what a model has with what it makes up, without what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.results import Dropped, Interval, Result, Stored

SURE = 0.9  # the probability from which on an answer counts as sure


@dataclass(frozen=True, eq=False, kw_only=True)
class WhatIsSaid(Stored):
    """The likeliest next token after the prompts of each status."""

    kind: ClassVar[str] = "what_is_said"
    right: Interval | None  # share of what the model has that it answers rightly; None: no answers were given
    abstains: Interval | None  # [status], share of prompts whose answer makes nothing up; None: none is known
    top: tuple[tuple[str, ...], ...]  # the most frequent answers, [status][rank]
    top_counts: tuple[tuple[int, ...], ...]
    probability: Interval  # [status], of the likeliest token
    entropy: Interval  # [status], of the prediction, nats


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectories(Stored):
    """The prediction at the end of the prompts, read after each layer; `differences` are the last
    group less the first."""

    kind: ClassVar[str] = "trajectories"
    lens: str
    layers: tuple[str, ...]  # "embed" first
    probability: Interval  # [group, layer], of the answer that is given in the end
    probability_difference: Interval  # [layer]
    entropy: Interval  # [group, layer], nats
    margin: Interval  # [group, layer], log-probability of the final answer less that of the best other
    margin_difference: Interval  # [layer]
    settles: Float[np.ndarray, " prompt"]  # the place in `layers` from which on the answer is the likeliest
    settles_mean: Interval  # [group]
    settles_difference: Interval  # []
    settles_difference_sure: Interval | None  # [], of answers said with `SURE` or more; None: too few
    at_subject: Interval  # [group, layer], log-probability of the final answer at the subject's last token
    at_subject_difference: Interval  # [layer]


@dataclass(frozen=True, eq=False, kw_only=True)
class WhereItComesFrom(Stored):
    """What the answer rests on: the subject's stream taken from another prompt of the same status and
    wording, and what each part writes of logit(answer) - logit(runner-up)."""

    kind: ClassVar[str] = "where_it_comes_from"
    layers: tuple[str, ...]
    n_pairs: tuple[int, ...]  # [group], prompts that have a partner
    exchanged: Interval  # [group, layer], change of the answer's log-probability, nats
    exchanged_difference: Interval  # [layer]
    parts: tuple[str, ...]  # "embed", "a0", "m0", ...
    by_part: Interval  # [group, part], logits
    by_part_difference: Interval  # [part]
    by_head_difference: Interval | None  # [layer, head]; None: heads cannot be told apart in this model


@dataclass(frozen=True, eq=False, kw_only=True)
class Telling(Stored):
    """How well two statuses are told apart, as AUROC, by probes at each layer and by the output alone."""

    kind: ClassVar[str] = "telling"
    no: str
    yes: str
    how: str  # on other entities | on other entities and wordings | by a probe of other statuses
    layers: tuple[str, ...]
    auroc: Interval  # [role, layer]
    by_entropy: Interval  # []
    by_top_probability: Interval  # [], of 1 - p
    by_abstaining: Interval | None  # [], of the probability of the answer that makes nothing up
    by_frequency: Interval | None = None  # [], of how rare the name is in the text; None: not known


@dataclass(frozen=True, eq=False, kw_only=True)
class Steered(Stored):
    """One direction, at several strengths or taken out."""

    kind: ClassVar[str] = "steered_knowledge"
    way: str  # direction | random
    lost: Float[
        np.ndarray, " strength"
    ]  # share of the known answers, right before (of all, where few are), that are lost
    made_up: Float[
        np.ndarray, " strength"
    ]  # share of it that is still made up: no abstaining, or the same word
    abstains: Float[np.ndarray, "strength status"]  # share of prompts; 0 where no such answer is known
    same: Float[np.ndarray, "strength status"]  # share of prompts whose likeliest token is what it was


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeredAlong(Stored):
    """What steering along the direction of not knowing does."""

    kind: ClassVar[str] = "steered_along"
    direction: str
    site: str
    strengths: tuple[float, ...]  # in units of the typical norm
    n: tuple[int, ...]  # [status], prompts that were steered
    made_up_before: float  # share of what is made up, as `Steered.made_up`, when nothing is done
    ways: tuple[Steered, ...]  # the direction first, then random ones
    taken_out: tuple[Steered, ...]  # as `ways`, one strength each


@dataclass(frozen=True, eq=False, kw_only=True)
class KnowledgeResult(Result):
    """What differs between what a model has and what it makes up. Intervals are over entities."""

    kind: ClassVar[str] = "knowledge"
    data: str
    statuses: tuple[str, ...]  # what it has first, what is made up last
    n_prompts: tuple[int, ...]
    n_entities: tuple[int, ...]
    examples: tuple[str, ...]
    wordings: int
    lengths: Float[np.ndarray, " status"]  # mean tokens of a prompt
    subject_lengths: Float[np.ndarray, " status"]
    rarest: Float[
        np.ndarray, " status"
    ]  # mean of the largest token id of the name: how rare its rarest token is
    frequency: Float[np.ndarray, " status"] | None = None  # of the name, a thousand documents of training
    dropped: tuple[Dropped, ...]
    abstaining: str | None  # the answer that makes nothing up
    groups: tuple[str, ...]  # of which trajectories and origins are told: the first has, the last makes up
    n_of_group: tuple[int, ...]
    status_of: Int[np.ndarray, " prompt"]
    said: WhatIsSaid
    trajectories: Trajectories
    where: WhereItComesFrom | None  # None: too few prompts to exchange subjects between
    roles: tuple[str, ...]
    telling: tuple[Telling, ...]
    surface: Interval  # [telling], AUROC of length, place and tokens, for those that are fitted
    steered: SteeredAlong | None
