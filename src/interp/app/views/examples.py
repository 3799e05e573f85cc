"""Which examples fit a model: those of which it says the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interp.errors import InterpError

if TYPE_CHECKING:
    from interp.models.base import Model


@dataclass(frozen=True)
class Answered:
    """Of each prompt and the token that should follow it: whether that is the model's likeliest."""

    pairs: tuple[tuple[str, str], ...]

    def __call__(self, model: Model) -> tuple[bool, ...]:
        return tuple(self._says(model, prompt, answer) for prompt, answer in self.pairs)

    @staticmethod
    def _says(model: Model, prompt: str, answer: str) -> bool:
        last = "resid_post", model.arch.n_layers - 1
        try:
            expected = model.to_single_token(answer)
            stream = model.run_with_cache(prompt, [last], logits=False)[last][0, -1]
        except InterpError:  # a vocabulary that has no such token
            return False
        return int(model.unembed(stream).argmax()) == expected
