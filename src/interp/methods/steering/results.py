"""The result of steering, without what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.results import Interval, Result, Stored


@dataclass(frozen=True, eq=False, kw_only=True)
class Unsteered(Stored):
    """What follows each prompt when nothing is added."""

    kind: ClassVar[str] = "unsteered"
    probabilities: Float[np.ndarray, "prompt tracked"]  # of the next token
    likeliest: tuple[str, ...]  # the next token, [prompt]
    continuations: tuple[str, ...]  # greedy, [prompt]


@dataclass(frozen=True, eq=False, kw_only=True)
class Steered(Stored):
    """What follows each prompt at each strength."""

    kind: ClassVar[str] = "steered"
    probabilities: Float[np.ndarray, "prompt strength tracked"]  # of the next token
    kl: Float[np.ndarray, "prompt strength"]  # KL(unsteered || steered) of the next token, nats
    top: tuple[tuple[tuple[str, ...], ...], ...]  # the likeliest next tokens, [prompt][strength][rank]
    top_probabilities: Float[np.ndarray, "prompt strength rank"]
    continuations: tuple[tuple[str, ...], ...]  # greedy, [prompt][strength]


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringResult(Result):
    """What the model predicts and says after each prompt, steered at several strengths and not at all."""

    kind: ClassVar[str] = "steering"
    what: str  # "feature 12 of an SAE of demo-gpt2", "a direction of length 3.2"
    site: str  # the hook name
    op: str  # add | set
    where: str  # the positions, in words
    prompts: tuple[str, ...]
    strengths: tuple[float, ...]  # in the SAE's units of activation; of a direction, multiples of it
    activation: tuple[float, ...] | None  # the feature's strongest, [prompt]; None for a direction
    tracked: tuple[str, ...]  # the tokens of which probabilities are kept
    unsteered: Unsteered
    steered: Steered
    typical_norm: float | None = (
        None  # of the activation at the site, the median over positions; None: not kept
    )
    relative: tuple[float, ...] = ()  # the length of what each strength adds, over the typical norm
    text_tokens: int = 0  # of neutral text, on which the cost was measured
    text_loss: float | None = None  # the log-loss there as it is, nats a token; None: not measured
    cost: Interval | None = None  # [strength], KL(as it is || steered) on that text, nats a token
    rise: Interval | None = None  # [strength], of the log-loss on that text, nats a token
