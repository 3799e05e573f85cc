"""What was found of attention heads: their patterns, their scores, and what they copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.errors import InputError, check_choice
from interp.methods.common.names import Head, head_name
from interp.methods.common.statistics import spearman
from interp.results import Dropped, Estimate, Pairs, Result


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionPatternsResult(Result):
    """The attention of some heads on one prompt: how much of each query's attention each key gets.

    A row sums to 1, or, with `sinks`, to less: a learned sink takes the rest.
    """

    kind: ClassVar[str] = "attention_patterns"
    tokens: tuple[str, ...]  # of the prompt, BOS included
    heads: tuple[Head, ...]
    sinks: bool
    patterns: Float[np.ndarray, "head query key"]  # 0 to 1
    prompt: str | None = None  # as running text; None in runs of earlier versions

    def pattern(self, head: Head) -> Float[np.ndarray, "query key"]:
        """That of one (layer, head). `InputError` where the result does not hold it."""
        if tuple(head) not in self.heads:
            raise InputError(f"The result does not hold head {head_name(head)}.")
        return self.patterns[self.heads.index(tuple(head))]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionByRoleResult(Result):
    """How much attention each head pays from one role to another, over a dataset."""

    kind: ClassVar[str] = "attention_by_role"
    pairs: Pairs
    side: str  # clean | corrupted: which prompts of the pairs
    between: tuple[tuple[str, str], ...]  # (from, to)
    attention: Estimate  # [between, layer, head], 0 to 1

    @property
    def prompts(self) -> tuple[str, ...]:
        """Those of the pairs that the model ran on."""
        return self.pairs.prompts if self.side == "clean" else self.pairs.corrupted

    def of(self, query: str, key: str) -> Estimate:
        """The attention [layer, head] from one role to another. `InputError` where the result does not hold
        it."""
        if (query, key) not in self.between:
            raise InputError(f"The result does not hold {query} to {key}.")
        return self.attention[self.between.index((query, key))]


@dataclass(frozen=True, eq=False, kw_only=True)
class CopyingScoresResult(Result):
    """The share of names that each head copies, and that it copies with the sign turned round.

    A run of the first format did not keep the shares of single prompts; `each` is empty there.
    """

    kind: ClassVar[str] = "copying_scores"
    pairs: Pairs  # the names are those of the clean prompts
    roles: tuple[str, ...]  # whose tokens are copied
    k: int  # among how many of the likeliest tokens
    copying: Estimate  # [layer, head], 0 to 1
    negative: Estimate  # [layer, head], 0 to 1


class _Scores(Result):
    """What results with scores of every head have in common."""

    scores: tuple[str, ...]
    attention: Estimate  # [score, layer, head], 0 to 1

    def estimate(self, score: str) -> Estimate:
        """One of the scores by name, [layer, head]. `InputError` for one that is not there."""
        check_choice("score", score, self.scores)
        return self.attention[self.scores.index(score)]

    def score(self, name: str) -> Float[np.ndarray, "layer head"]:
        """The mean of one of the scores."""
        return self.estimate(name).mean

    def heads(self, name: str, *, at_least: float = 0.5) -> list[Head]:
        """The heads with a score of `at_least`, highest first: ``heads("induction")`` are the induction
        heads."""
        score = self.score(name)
        found = [(int(layer), int(head)) for layer, head in np.argwhere(score >= at_least)]
        return sorted(found, key=lambda head: -score[head])


@dataclass(frozen=True, eq=False, kw_only=True)
class PromptHeadScoresResult(_Scores):
    """The scores of every head on sequences of one's own. Estimates are over sequences."""

    kind: ClassVar[str] = "prompt_head_scores"
    shown_by: ClassVar[str] = "interp.figures.views.head_scores"
    sequences: int
    lengths: tuple[int, ...]  # of each, in tokens
    scores: tuple[str, ...]  # of previous_token, duplicate_token and induction, those that are here
    attention: Estimate  # [score, layer, head], 0 to 1
    chance: Float[np.ndarray, " score"]  # attention of a head that looks evenly at every position
    left_out: tuple[Dropped, ...]  # scores that a sequence has no query for


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadScoresResult(_Scores):
    """The scores of every head on repeated random tokens, and the loss on each token of both copies.

    Estimates are over sequences. There is no prefix_matching where the model does not read four copies, and
    no loss where what it predicts are other tokens than those that it reads. A run of the first format
    did not keep the loss on single sequences; `loss.each` is empty there.
    """

    kind: ClassVar[str] = "head_scores"
    sequences: int
    copy_length: int  # in tokens
    bos: bool  # whether each sequence begins with one
    scores: tuple[str, ...]  # previous_token, duplicate_token, induction, prefix_matching
    attention: Estimate  # [score, layer, head], 0 to 1
    shifts: tuple[int, ...]  # places from the earlier occurrence of the query's token
    by_shift: Float[np.ndarray, "shift layer head"]  # attention, 0 to 1; means over sequences
    chance: Float[np.ndarray, " score"]  # attention of a head that looks evenly at every position
    loss: Estimate | None  # [token], nats, of each token but the first position's
    cost: Estimate | None = None  # [layer, head], nats a token of the second copy, without the head by itself

    def agreement(self, score: str) -> float | None:
        """The rank correlation of a score with what each head costs; None where that was not measured."""
        if self.cost is None:
            return None
        return spearman(self.score(score).ravel(), self.cost.mean.ravel())

    @property
    def first_copy_loss(self) -> float:
        """Nats a token of the first copy; without BOS, of all but the first token, which nothing predicts."""
        return float(self._loss.mean[: -self.copy_length].mean())

    @property
    def second_copy_loss(self) -> float:
        """Nats a token of the second copy but its first: that copying begins there is not said by the text,
        though a model may know it from the lengths that it was trained on."""
        return float(self._loss.mean[-self.copy_length :][1:].mean())

    @property
    def _loss(self) -> Estimate:
        if self.loss is None:
            raise InputError("This model predicts other tokens than it reads, so there is no loss.")
        return self.loss
