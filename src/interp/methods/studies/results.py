"""The results of studies from end to end, without what computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.results import Interval, Pairs, Result, Stored


@dataclass(frozen=True, kw_only=True)
class RoleSwap(Stored):
    """A prompt of which another exists with the roles of its names swapped."""

    kind: ClassVar[str] = "role_swap"
    prompt: str
    answer: str
    logit_diff: float  # logit(IO) - logit(S)


@dataclass(frozen=True, eq=False, kw_only=True)
class IOIBaseline(Stored):
    """How well the model does the task, with nothing patched; differences are logit(IO) - logit(S)."""

    kind: ClassVar[str] = "ioi_baseline"
    logit_diff: Float[np.ndarray, " prompt"]
    corrupted_logit_diff: Float[np.ndarray, " prompt"]  # of the same tokens, in p_ABC
    prob: Float[np.ndarray, " prompt"]  # of IO
    swaps: tuple[RoleSwap, ...]  # none where the dataset was given


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassAblation(Stored):
    """The model without a class of heads: logit(IO) - logit(S), the mean over prompts."""

    kind: ClassVar[str] = "class_ablation"
    name: str  # of the class, or "all of them"
    heads: tuple[str, ...]
    after: float
    change: Interval  # after - before, one number


@dataclass(frozen=True, eq=False, kw_only=True)
class CircuitAlone(Stored):
    """What a circuit of heads keeps when all other heads are ablated, and MLPs left as they are."""

    kind: ClassVar[str] = "circuit_alone"
    heads: tuple[str, ...]
    faithfulness: Interval  # the share of the difference that it keeps, one number
    gap: float  # |E[m(whole model) - m(circuit)]|, in logits
    random: Float[np.ndarray, " seed"]  # the share that as many heads drawn at random keep


@dataclass(frozen=True, eq=False, kw_only=True)
class IOIResult(Result):
    """Every step's numbers. Heads are named ``9.6``; effects are in logits, patched minus clean."""

    kind: ClassVar[str] = "ioi"
    pairs: Pairs
    baseline: IOIBaseline
    maps: Mapping[str, Interval]  # [layer, head] each: effects, shares of attention, copying scores
    least: float  # the share of the clean difference that a head changes to act on something
    attends: float  # the share of its attention that a head pays to look somewhere
    classes: Mapping[str, tuple[str, ...]]  # the heads of each class, the strongest first
    ablations: tuple[ClassAblation, ...]  # of the classes that have heads, then of all together
    circuits: tuple[CircuitAlone, ...]  # the paper's classes, where there are any; all heads that act
    path: str  # how patched runs were computed

    def map(self, name: str) -> Float[np.ndarray, "layer head"]:
        """One of the maps, by name."""
        if name not in self.maps:
            raise InputError(f"The result holds no map {name!r}; it has {', '.join(self.maps)}.")
        return self.maps[name].value

    def heads(self, name: str) -> tuple[str, ...]:
        """The heads of a class, such as ``("9.6", "9.9")``."""
        return self.classes[name]
