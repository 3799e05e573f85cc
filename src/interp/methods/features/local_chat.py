"""A language model on this machine that answers questions: the likeliest answer, and nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass

from interp.errors import InputError
from interp.models.base import Model

_LONGEST = 64  # tokens of an answer
_PLAIN = "{question}\n\nAnswer:"  # of a model without a chat template


@dataclass(frozen=True, eq=False)
class LocalChat:
    """A model that `interp.load_model` loaded: of a folder, the local cache or a GGUF file. One that was
    tuned for conversations is asked by its own chat template, any other by a text that an answer follows."""

    asked: Model

    @property
    def model(self) -> str:
        """What it is called."""
        return self.asked.identity.name

    def ask(self, question: str) -> str:
        """What the model says to a question. `InputError` where the question is too long for it."""
        tokenizer = self.asked.tokenizer
        if tokenizer is None:
            raise InputError(f"{self.model} has no tokenizer, so it cannot be asked; load it with one.")
        has_template = getattr(tokenizer, "chat_template", None) is not None
        tokens = self.asked.to_tokens(
            [{"role": "user", "content": question}] if has_template else _PLAIN.format(question=question)
        )
        n_ctx = self.asked.arch.n_ctx
        room = _LONGEST if n_ctx is None else max(n_ctx - tokens.lengths[0], 1)
        ids = self.asked.generate(tokens, min(_LONGEST, room)).said[0]
        said = self.asked.to_text(ids, goes_on=True)
        return said if has_template else said.strip().partition("\n\n")[0]
