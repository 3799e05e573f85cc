"""Tokens as a person types them: read, checked against a model's vocabulary, and completed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.figures.engine.notation import NEWLINE, SPACE, TAB

if TYPE_CHECKING:
    from interp.models.base import Model


def read_token(text: str) -> str:
    """A token as a person writes it: as it is, or with the marks by which spaces and line ends are shown.

    >>> read_token("␣Paris"), read_token(" Paris")
    (' Paris', ' Paris')
    """
    for mark, character in ((SPACE, " "), (NEWLINE, "\n"), (TAB, "\t")):
        text = text.replace(mark, character)
    return text


def completions(vocabulary: Sequence[str], text: str, most: int = 6) -> list[str]:
    """Tokens that go on from `text`, with a leading space or without one, the shortest first. Where `text` is
    no token and none goes on from it: those that begin with as much of it as any does."""
    begun, is_token = text.lstrip(" "), text in vocabulary
    while begun:
        found = [token for token in vocabulary if token.lstrip(" ").startswith(begun) and token != text]
        if found or is_token:
            return sorted(found, key=lambda token: (len(token), token))[:most]
        begun = begun[:-1]
    return []


@dataclass(frozen=True)
class Vocabulary:
    """The text of every token."""

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(range(model.arch.d_vocab)))


@dataclass(frozen=True)
class SingleToken:
    """A text that is one token; or the id of a token without a text, which is written as in ``<148>``.

    `InputError`, which says how the text is divided, where it is neither.
    """

    text: str

    def __call__(self, model: Model) -> str | int:
        found = re.fullmatch(r"<(\d{1,9})>", self.text)
        if found and (i := int(found[1])) < model.arch.d_vocab and model.labels([i]) == [self.text]:
            return i
        model.to_single_token(self.text)
        return self.text


@dataclass(frozen=True)
class PromptTokens:
    """The tokens of a prompt, BOS included."""

    prompt: str

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(model.to_tokens(self.prompt).row(0)))
