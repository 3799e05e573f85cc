"""The question that a method asks of a model about a pair: how much does a run say the clean answer?

    question = Question.of(model, clean="The capital of France is", corrupted="The capital of Japan is",
                           answer=" Paris", foil=" Tokyo")
    patched = model.sweep(question.base, branches, question.readout)
    question.recovery(patched.values)

A question is made once and then only read: its prompts are encoded and align, its answers are read
(`interp.answers`), and both prompts have been run unpatched.

An answer of several tokens is measured in runs in which it follows the prompt, `base_runs` and `donor_runs`;
activations of these, one row each, are what `Model.sweep` and `Model.gradients` take and give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer, AnswerLike
from interp.errors import InputError, NonFiniteError, check_choice
from interp.methods.common.answers import Measure
from interp.methods.common.pairs import DIRECTIONS, Direction, check_span, differences, metric_spread
from interp.metrics import METRICS, MetricKind
from interp.models.base import Cache, Model
from interp.models.overflow import why_not_finite
from interp.readout import AnyReadout
from interp.results import Pairs
from interp.tokens import Prompt, Tokens
from interp.traps import check_space

Values = TypeVar("Values", float, Tensor, np.ndarray)


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """A pair of prompts, what is measured on them, and both values without any patch.

    Something is carried from the *donor* run into the *base* run: denoising carries clean activations into
    the corrupted run, noising corrupted ones into the clean run.
    """

    model: Model
    clean: Tokens  # one prompt
    corrupted: Tokens
    differing: tuple[int, ...]  # the positions at which the two runs differ at the input
    measure: Measure
    direction: Direction
    readout: AnyReadout  # the metric of any run, [row]
    clean_value: float  # the metric, unpatched
    corrupted_value: float
    said: int  # the likeliest token of the clean run
    spread: float  # of the metric in this model, see `interp.methods.common.pairs.metric_spread`

    @classmethod
    def of(
        cls,
        model: Model,
        *,
        clean: Prompt | Tokens,
        corrupted: Prompt | Tokens,
        answer: AnswerLike,
        foil: AnswerLike | None = None,
        metric: MetricKind | None = None,
        direction: Direction = "denoising",
    ) -> Question:
        """Check a pair, and run both prompts. The parts of an `interp.tasks.base.Pair` are given by name.

        Raises:
            InputError: prompts that do not align or are the same, what is no answer, an unknown metric or
                direction.
        """
        check_metric_and_direction(metric, direction)
        prompts = model.to_tokens(clean).repeat(1), model.to_tokens(corrupted).repeat(1)
        differing = differences(model, *prompts)
        measure = Measure.of(model, answer, foil, metric)
        runs = [model.run_with_cache(measure.runs(tokens), ()) for tokens in prompts]
        return cls.of_runs(
            model,
            prompts=prompts,
            clean=runs[0],
            corrupted=runs[1],
            differing=differing,
            measure=measure,
            direction=direction,
        )

    @classmethod
    def of_runs(
        cls,
        model: Model,
        *,
        prompts: tuple[Tokens, Tokens],
        clean: Cache,
        corrupted: Cache,
        differing: Sequence[int],
        measure: Measure,
        direction: Direction,
    ) -> Question:
        """The question of two prompts, clean and corrupted, of which the `Measure.runs` were made and checked
        already. Of several corrupted runs, such as samples of noise, the value is their mean."""
        readout = measure.readout(clean.logits)
        values = float(readout(clean.logits).mean()), float(readout(corrupted.logits).mean())
        last = clean.logits[0, prompts[0].lengths[0] - 1]  # where the prompt ends
        _check_leading_space(model, measure.answer, last)
        return cls(
            model=model,
            clean=prompts[0],
            corrupted=prompts[1],
            differing=tuple(differing),
            measure=measure,
            direction=direction,
            readout=readout,
            clean_value=values[0],
            corrupted_value=values[1],
            said=int(last.argmax()),
            spread=metric_spread(measure.metric, last, values=values, at_once=measure.at_once),
        )

    @property
    def answer(self) -> Answer:
        return self.measure.answer

    @property
    def foil(self) -> Answer | None:
        return self.measure.foil

    @property
    def metric(self) -> MetricKind:
        return self.measure.metric

    # ---- the two runs ----

    @property
    def base(self) -> Tokens:
        """The prompt of the run that is patched."""
        return self.corrupted if self.direction == "denoising" else self.clean

    @property
    def donor(self) -> Tokens:
        """The prompt of the run that activations are taken from."""
        return self.clean if self.direction == "denoising" else self.corrupted

    @property
    def base_runs(self) -> Tokens:
        """The runs in which the base prompt is measured: with what each part of the answer wants behind
        it."""
        return self.readout.runs(self.base)

    @property
    def donor_runs(self) -> Tokens:
        """The same of the donor."""
        return self.readout.runs(self.donor)

    @property
    def base_value(self) -> float:
        """The metric of the base run, unpatched."""
        return self.corrupted_value if self.direction == "denoising" else self.clean_value

    # ---- the scale ----

    @property
    def span(self) -> float:
        """How far the clean value lies above the corrupted one, in the metric's unit."""
        return self.clean_value - self.corrupted_value

    def recovery(self, value: Values) -> Values:
        """(value - corrupted) / (clean - corrupted) of the metric: 1 is as clean, 0 as corrupted, and beyond.

        Misleads where the span is small: see `check_span`.
        """
        return (value - self.corrupted_value) / self.span

    def check_span(self, *, of: str = "") -> None:
        """Raise `DegeneratePairError` where recovery would divide by nearly nothing or the clean run is not
        the one that favours the answer, `NonFiniteError` for NaN or infinity. `of` says which pair it is."""
        if not math.isfinite(self.clean_value + self.corrupted_value):
            raise NonFiniteError(why_not_finite(self.model, self.clean, self.corrupted))
        check_span(self.clean_value, self.corrupted_value, self.metric, spread=self.spread, of=of)

    # ---- in words and as a key ----

    @property
    def texts(self) -> tuple[str, str]:
        """The clean and the corrupted prompt, as text of their tokens."""
        clean, corrupted = (self.model.to_text(one.row(0)) for one in (self.clean, self.corrupted))
        return clean, corrupted

    @property
    def key(self) -> dict[str, Any]:
        """What all that is computed of this pair depends on, as JSON values; it is kept by this
        (`interp.resume.kept`). The unpatched values stand for the model's weights."""
        return {
            "model": self.model.identity.to_dict(),
            "pair": [
                self.clean.row(0),
                self.corrupted.row(0),
                self.answer.key,
                None if self.foil is None else self.foil.key,
            ],
            "metric": self.metric,
            "direction": self.direction,
            "unpatched": [self.clean_value, self.corrupted_value],
        }


def _check_leading_space(model: Model, answer: Answer, logits: Float[Tensor, " d_vocab"]) -> None:
    """Warn where an answer of one token with a leading space is a token, too, and likelier."""
    text = model.answer_label(answer) if model.tokenizer is not None and answer.at_once else ""
    if not text[:1].isalnum() or len(answer.forms) > 1:
        return
    try:
        spaced = model.to_single_token(f" {text}")
    except InputError:
        return
    check_space(text, f" {text}", likelier=bool(logits[spaced] > logits[answer.first]))


def check_first_order(metric: str | None, *, base_is_clean: bool, instead: str) -> None:
    """`InputError` where a gradient at the base run says nothing: the divergence from the clean prediction is
    least at the clean run itself, so that its gradient is 0 there, whatever matters. `instead` names what
    works besides another metric."""
    if metric == "kl" and base_is_clean:
        raise InputError(
            "The divergence from the clean run has no gradient at the clean run, so that every first-order "
            f"estimate would be 0; take metric 'logit_diff' or 'prob', or {instead}."
        )


def check_metric_and_direction(metric: str | None, direction: str) -> None:
    """`InputError` for an unknown metric (None: that which fits the answer) or direction."""
    if metric is not None:
        check_choice("metric", metric, METRICS)
    check_choice("direction", direction, DIRECTIONS)


def prompt_readout(model: Model, prompt: Prompt | Tokens, measure: Measure) -> AnyReadout:
    """The readout of a metric for edits of one prompt, where no second prompt is compared. The prompt is run
    for the divergence alone, which needs its prediction."""
    return measure.readout(model.forward(prompt) if measure.metric == "kl" else None)


def pairs_of(questions: Sequence[Question]) -> Pairs:
    """The pairs that questions are about as text, for a result; they belong to no task."""
    model = questions[0].model
    texts = [question.texts for question in questions]
    foils = [question.foil for question in questions]
    return Pairs(
        task=None,
        several_tokens=not all(question.measure.at_once for question in questions),
        prompts=tuple(clean for clean, _ in texts),
        corrupted=tuple(corrupted for _, corrupted in texts),
        answers=tuple(model.answer_label(question.answer) for question in questions),
        foils=None
        if None in foils
        else tuple(model.answer_label(foil) for foil in foils if foil is not None),
        said=tuple(model.labels([question.said for question in questions])),
    )
