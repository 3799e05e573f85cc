"""Prompts one by one, with their answers and foils, given for each prompt or once for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer, AnswerLike, check_apart
from interp.errors import InputError
from interp.metrics import MetricKind
from interp.models.base import Model
from interp.readout import AnyReadout, metric_readout
from interp.tasks.base import Pair
from interp.tokens import Tokens


def one_by_one(tokens: Tokens) -> list[Tokens]:
    """Each prompt of a batch by itself, without padding."""
    return [Tokens.pad([tokens.row(row)]) for row in range(len(tokens))]


@overload
def for_each(given: None, n: int, *, of: str = "prompts", what: str = "answers") -> list[None]: ...
@overload
def for_each(
    given: AnswerLike | Sequence[AnswerLike], n: int, *, of: str = "prompts", what: str = "answers"
) -> list[AnswerLike]: ...
def for_each(
    given: AnswerLike | Sequence[AnswerLike] | None, n: int, *, of: str = "prompts", what: str = "answers"
) -> Sequence[AnswerLike | None]:
    """An answer for each of `n` prompts: the one that was given for all, or as many as there are prompts.
    `InputError` where there are more or fewer."""
    if given is None or isinstance(given, str | int | Mapping | Answer):
        return [given] * n
    several = list(given)
    if len(several) != n:
        raise InputError(f"There are {n} {of} and {len(several)} {what}; give one for each, or one for all.")
    return several


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is measured of a model's prediction: a metric of an answer and a foil."""

    metric: MetricKind
    answer: Answer
    foil: Answer | None

    @classmethod
    def of(
        cls, model: Model, answer: AnswerLike, foil: AnswerLike | None, metric: MetricKind | None = None
    ) -> Measure:
        """`InputError` for what is no answer, where the metric needs a foil and there is none, and where
        answer and foil are the same, or one is the beginning of the other. Without a metric: the logit
        difference, or where there is no foil the answer's probability, of several tokens its logarithm."""
        found = model.to_answer(answer)
        other = None if foil is None else model.to_answer(foil)
        if metric == "logit_diff" and other is None:
            raise InputError(
                "The metric logit_diff needs a foil, the answer to the corrupted prompt; or use 'prob'."
            )
        if other is not None:
            check_apart(found, other)
        return cls(metric=metric or default_metric(found, other), answer=found, foil=other)

    @classmethod
    def of_pair(cls, pair: Pair, metric: MetricKind) -> Measure:
        """A metric of the answer and the foil of a pair of a dataset."""
        return cls(metric=metric, answer=Answer.of(pair.answer), foil=Answer.of(pair.foil))

    @property
    def at_once(self) -> bool:
        """Whether answer and foil are read where the prompt ends, without anything behind it."""
        return self.answer.at_once and (self.foil is None or self.foil.at_once)

    def runs(self, tokens: Tokens) -> Tokens:
        """The runs of a prompt in which it is read; see `AnyReadout.runs`."""
        return tokens if self.metric == "kl" else self.readout().runs(tokens)

    def readout(self, clean_logits: Float[Tensor, "row pos d_vocab"] | None = None) -> AnyReadout:
        """The metric of any run, [row]; a divergence is from the prediction of the clean run."""
        return metric_readout(self.metric, answer=self.answer, foil=self.foil, clean_logits=clean_logits)


def default_metric(answer: Answer, foil: Answer | None) -> MetricKind:
    """The metric where none is named."""
    if foil is not None:
        return "logit_diff"
    return "prob" if answer.at_once else "log_prob"
