"""The parts of an answer of any kind (`interp.answers`), as sums of the parts of logits.

Of one token it is the logit, or its difference to the foil's. Otherwise it is the metric of the other
methods,

    log p(answer), or log p(answer) - log p(foil),

which is a sum of logits once its weights are frozen, as the final norm's scale is:

1. The log-sum-exp over forms is ``w . log p(form) + entropy(w)`` with the share w that each form has in the
answer
   in this run.
2. The log-probability of a form is the sum over its tokens, each read behind those before it. 3. That of a
token is its logit less the log-sum-exp of all logits, ``p . logits + entropy(p)`` with the prediction p
   of this run. Where answer and foil are predicted at the same place, these cancel.

So each place behind the prompt has a weighted sum of logits, and their parts add up. When it misleads: with
frozen shares, what a part does to which form is said, or to what else might be, is not seen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer
from interp.methods.attribution.frozen_readout import before_cap
from interp.methods.attribution.logit_parts import LogitQuestion, logit_parts
from interp.methods.common.answers import Measure
from interp.models.base import Model
from interp.parts import Arrays
from interp.tokens import Tokens

Prefix = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class AnswerQuestion:
    """An answer, or answer and foil, at a position of one prompt; several tokens behind the prompt's
    beginning up to there."""

    tokens: Tokens
    measure: Measure
    position: int  # counted from the end where negative

    @property
    def begun(self) -> list[int]:
        """The prompt up to the position."""
        return self.tokens.row(0)[: self.position % self.tokens.lengths[0] + 1]

    @property
    def signed(self) -> tuple[tuple[float, Answer], ...]:
        foil = self.measure.foil
        return ((1.0, self.measure.answer), *(() if foil is None else ((-1.0, foil),)))

    @property
    def at_once(self) -> bool:
        return self.measure.at_once


def answer_parts(model: Model, question: AnswerQuestion, views: tuple[str, ...]) -> Arrays:
    """The parts of one prompt, as `logit_parts` gives them; those by source have one more position than the
    prompt where the answer has several tokens: all of the answer's own."""
    places = _places(model, question)
    parts = [logit_parts(model, place, views) for place in places]
    if question.at_once:
        return parts[0]
    summed = parts[0].keys() - {"names", "sources", "said"}
    total = {name: np.asarray(np.sum([of[name] for of in parts], axis=0)) for name in summed}
    if "sources" in parts[0]:
        total["sources"] = sum(
            (
                _of_prompt(of["sources"], question, behind=place.tokens is not question.tokens)
                for place, of in zip(places, parts, strict=True)
            ),
            np.zeros(()),
        )
    of_prompt = next(i for i, place in enumerate(places) if place.tokens is question.tokens)
    return total | {"names": parts[0]["names"], "said": parts[of_prompt]["said"]}


def _of_prompt(
    sources: Float[np.ndarray, "layer head source"], question: AnswerQuestion, *, behind: bool
) -> Float[np.ndarray, "layer head position"]:
    """The parts at the positions of the prompt, and last the sum of those behind its beginning, where a token
    of the answer is read there."""
    n, begun = question.tokens.lengths[0], len(question.begun)
    whole = np.zeros((*sources.shape[:2], n + 1))
    whole[..., :begun] = sources[..., :begun]
    whole[..., n] = sources[..., begun:].sum(-1) if behind else 0.0
    return whole


def _places(model: Model, question: AnswerQuestion) -> list[LogitQuestion]:
    """The weighted sum of logits at each place where a token of answer or foil is predicted."""
    forms = question.signed
    if all(answer.token is not None for _, answer in forms):
        weights = {answer.first: sign for sign, answer in forms}
        return [LogitQuestion(tokens=question.tokens, weights=weights, position=question.position)]
    log_probs = _Predictions(model, question)
    weights_at: dict[Prefix, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    normalised: dict[Prefix, float] = defaultdict(float)
    offset = 0.0
    for sign, answer in forms:
        of_forms = torch.tensor([log_probs.of_form(form) for form in answer], dtype=torch.float64)
        shares = of_forms.softmax(-1)
        offset -= sign * float((shares * of_forms.log_softmax(-1)).sum())
        for share, form in zip(shares.tolist(), answer, strict=True):
            for i, token in enumerate(form):
                weights_at[form[:i]][token] += sign * share
                normalised[form[:i]] += 0.0 if question.at_once else sign * share
    return [
        LogitQuestion(
            tokens=Tokens.pad([[*question.begun, *prefix]]) if prefix else question.tokens,
            weights=dict(weights),
            position=-1 if prefix else question.position,
            normalised=0.0 if abs(normalised[prefix]) < 1e-12 else normalised[prefix],
            offset=0.0 if prefix else offset,
        )
        for prefix, weights in weights_at.items()
    ]


@dataclass(frozen=True, eq=False)
class _Predictions:
    """What the model predicts behind a prompt and the beginnings of its answers, before a soft cap."""

    model: Model
    question: AnswerQuestion

    def of_form(self, form: Prefix) -> float:
        """The log-probability of a form."""
        return sum(float(self._after(form[:i])[token]) for i, token in enumerate(form))

    def _after(self, prefix: Prefix) -> Float[Tensor, " d_vocab"]:
        logits = self.model.forward([*self.question.begun, *prefix])[0]
        return before_cap(logits[-1].double().cpu(), self.model.arch.logit_soft_cap).log_softmax(-1)
