"""A conversation as it is typed, by turns, and as the model's chat template writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.chat import chat_text, read_turns
from interp.errors import InputError

if TYPE_CHECKING:
    from interp.models.base import Model


@dataclass(frozen=True)
class HasChatTemplate:
    """Whether a model's tokenizer has a chat template."""

    def __call__(self, model: Model) -> bool:
        return getattr(model.tokenizer, "chat_template", None) is not None


@dataclass(frozen=True)
class WrittenByTemplate:
    """The prompt that a conversation is: a text with the same tokens as its messages have.

    `InputError` where it has no turns, or the template does not take them.
    """

    typed: str

    def __call__(self, model: Model) -> str:
        messages = read_turns(self.typed)
        if model.tokenizer is None:
            raise InputError("This model has no tokenizer, so it takes no conversation.")
        text = chat_text(model.tokenizer, messages)
        if model.to_tokens(text).row(0) != model.to_tokens(messages).row(0):
            raise InputError("This model's chat template writes what is not read back as it stands.")
        return text
