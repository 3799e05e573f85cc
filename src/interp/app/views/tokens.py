"""Tokens as a person types them: read, checked against a model's vocabulary, and completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.app.views.kept import kept_of
from interp.errors import InputError
from interp.figures.engine.notation import NEWLINE, SPACE, TAB, show_token

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


def completions(likeliest: Sequence[str], text: str, most: int = 6) -> list[str]:
    """Of the tokens that are likeliest somewhere, in this order, the first that go on from `text`.

    A space that was typed is one; where none was, tokens with and without one are offered. Where `text` is no
    token and none goes on from it: those that begin with as much of it as any does. Nothing typed: the first.
    """
    begun, is_token = text, text in likeliest
    while True:
        both = begun, f" {begun}"
        found = [token for token in likeliest if token.startswith(both) and token != text]
        if found or is_token or not begun.strip():
            return found[:most]
        begun = begun[:-1]


@dataclass(frozen=True)
class LikeliestTokens:
    """What the model finds likeliest after a prompt: the tokens' texts."""

    prompt: str
    most: int = 4096

    def __call__(self, model: Model) -> tuple[str, ...]:
        from interp.methods.lens.columns import read_columns
        from interp.methods.lens.lens import PlainLens

        ids, kept = model.to_tokens(self.prompt).row(0), kept_of(model)
        column = next(read_columns(model, ids, [len(ids) - 1], lens=PlainLens(), kept=kept))
        last = column.logits[-1]
        return tuple(model.labels(last.topk(min(self.most, len(last))).indices))


@dataclass(frozen=True)
class SingleToken:
    """A text that is one token, or names one by its id, as ``<148>`` does.

    `InputError`, which says how the text is divided, where it is neither.
    """

    text: str

    def __call__(self, model: Model) -> str:
        model.to_single_token(self.text)
        return self.text


@dataclass(frozen=True)
class ReadAnswer:
    """An answer as it was typed, and the tokens of its forms."""

    text: str
    forms: tuple[tuple[str, ...], ...]

    @property
    def in_words(self) -> str:
        """How it is divided, where it is more than one token."""
        forms = [" + ".join(map(show_token, form)) for form in self.forms]
        if len(forms) > 1:
            return f"any of {len(forms)}: {', '.join(forms)}"
        return f"{len(self.forms[0])} tokens: {forms[0]}" if len(self.forms[0]) > 1 else ""


@dataclass(frozen=True)
class TypedAnswer:
    """An answer as a person types it (`interp.answers`): text of one token or several, forms with bars
    between them, or an id in angle brackets. `InputError` for what is none."""

    text: str

    def __call__(self, model: Model) -> ReadAnswer:
        return ReadAnswer(self.text, tuple(tuple(model.labels(form)) for form in model.to_answer(self.text)))


@dataclass(frozen=True)
class TypedTokens:
    """What to type for each of some tokens: its text as shown, or its id where that is read as another."""

    ids: tuple[int, ...]

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(
            self._typed(model, i, show_token(text))
            for i, text in zip(self.ids, model.labels(self.ids), strict=True)
        )

    @staticmethod
    def _typed(model: Model, i: int, shown: str) -> str:
        try:
            return shown if model.to_single_token(read_token(shown)) == i else f"<{i}>"
        except InputError:
            return f"<{i}>"


@dataclass(frozen=True)
class PromptTokens:
    """The tokens of a prompt, BOS included."""

    prompt: str

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(model.to_tokens(self.prompt).row(0)))
