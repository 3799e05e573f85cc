"""The results of ablation, without what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.errors import check_choice
from interp.methods.common.names import Component, Head, parse_set
from interp.methods.common.outlier_positions import OutlierPositions
from interp.results import Estimate, Pairs, Result, Stored


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationResult(Result):
    """The metric before, and by how much each ablation changes it; in the metric's own unit."""

    kind: ClassVar[str] = "ablation"
    pairs: Pairs  # the clean prompts are ablated
    metric: str
    kinds: tuple[str, ...]  # of ablation
    reference: str  # corrupted | clean: the prompts that means, deviations and resampled activations are of
    path: str  # branching | plain
    sets: tuple[str, ...]  # what was ablated: the components of each set, joined by " + "
    before: Estimate  # of the whole model, one number
    change: Estimate  # [kind, set], after - before
    outliers: OutlierPositions | None = (
        None  # of the clean prompts; None: no kind that overwrites, or not kept
    )

    @property
    def after(self) -> Float[np.ndarray, "kind set"]:
        """The mean of the metric with each set ablated."""
        return self.before.mean + self.change.mean

    @property
    def after_each(self) -> Float[np.ndarray, "prompt kind set"]:
        """The metric on each prompt with each set ablated."""
        return self.before.each[:, None, None] + self.change.each

    def changes(self, kind: str) -> dict[str, float]:
        """The mean change of each set under one kind of ablation. `InputError` for one that is not there."""
        check_choice("kind of ablation", kind, self.kinds)
        return dict(zip(self.sets, self.change.mean[self.kinds.index(kind)].tolist(), strict=True))

    @property
    def components(self) -> tuple[tuple[Component, ...], ...]:
        """The components of each set."""
        return tuple(map(parse_set, self.sets))


@dataclass(frozen=True, kw_only=True)
class TextSizes(Stored):
    """How much text heads are ablated on, besides the prompt."""

    kind: ClassVar[str] = "text_sizes"
    n_reference: int  # sequences of text that means are over and donors are of
    n_donors: int  # sequences to resample from
    n_texts: int  # sequences of text, and as many of random tokens, that the losses are of
    text_length: int  # in tokens
    copy_length: int  # of the random tokens said twice


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadAblationResult(Result):
    """What is measured before, without the heads, and without as many random ones.

    The first of `measures` is ``logit_diff``, or ``prob`` where there is no foil; the others are losses in
    nats a token: of the prompt, of text, and of the second copy of random tokens.
    """

    kind: ClassVar[str] = "head_ablation"
    tokens: tuple[str, ...]  # of the prompt, BOS included
    heads: tuple[Head, ...]
    answer: str
    foil: str | None
    kinds: tuple[str, ...]  # of ablation
    measures: tuple[str, ...]
    before: Float[np.ndarray, " measure"]
    after: Float[np.ndarray, "kind measure"]
    random_heads: tuple[tuple[Head, ...], ...]  # of each draw
    random: Float[np.ndarray, "kind draw measure"]  # without the random heads
    text_sizes: TextSizes
    path: str  # branching | plain
    several_tokens: bool = False  # of answer or foil: log-probabilities stand for logits
    prompt: str | None = None  # as running text; None in runs of earlier versions
    outliers: OutlierPositions | None = None  # of all texts that were ablated, the prompt first
    clean_top: str = ""  # the model's own likeliest token after the prompt; empty: not kept

    @property
    def change(self) -> Float[np.ndarray, "kind measure"]:
        """After - before."""
        return self.after - self.before
