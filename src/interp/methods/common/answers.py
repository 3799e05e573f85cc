"""Prompts one by one, with their answers and foils: one token each, given for each prompt or once for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from interp.errors import InputError
from interp.metrics import MetricKind
from interp.models.base import Model
from interp.tokens import Tokens

Answer = str | int  # text of exactly one token, or its id


def one_by_one(tokens: Tokens) -> list[Tokens]:
    """Each prompt of a batch by itself, without padding."""
    return [Tokens.pad([tokens.row(row)]) for row in range(len(tokens))]


@overload
def for_each(given: None, n: int, *, of: str = "prompts", what: str = "answers") -> list[None]: ...
@overload
def for_each(
    given: Answer | Sequence[Answer], n: int, *, of: str = "prompts", what: str = "answers"
) -> list[Answer]: ...
def for_each(
    given: Answer | Sequence[Answer] | None, n: int, *, of: str = "prompts", what: str = "answers"
) -> Sequence[Answer | None]:
    """An answer for each of `n` prompts: the one that was given for all, or as many as there are prompts.
    `InputError` where there are more or fewer."""
    several = [given] * n if given is None or isinstance(given, str | int) else list(given)
    if len(several) != n:
        raise InputError(f"There are {n} {of} and {len(several)} {what}; give one for each, or one for all.")
    return several


def answer_ids(
    model: Model, answer: Answer, foil: Answer | None, metric: MetricKind
) -> tuple[int, int | None]:
    """The ids of an answer and its foil. `InputError` where one is not exactly one token, where the metric
    needs a foil and there is none, and where both are the same."""
    answer_id = model.to_single_token(answer)
    foil_id = None if foil is None else model.to_single_token(foil)
    if metric == "logit_diff" and foil_id is None:
        raise InputError(
            "The metric logit_diff needs a foil, the answer to the corrupted prompt; or use 'prob'."
        )
    if answer_id == foil_id:
        raise InputError("The answer and the foil are the same token; take a foil that is wrong.")
    return answer_id, foil_id
