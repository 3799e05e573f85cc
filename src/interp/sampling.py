"""How the next token is chosen: the likeliest one, or one drawn from what the model predicts.

Each row draws from a random stream of its own, made of the seed and its prompt: what it draws depends neither
on which other prompts run beside it nor on its place among them, and an edited run draws the same numbers as
an unedited one. The same prompt given again in one batch draws others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError


@dataclass(frozen=True)
class Sample:
    """Draw each token from the softmax of the logits divided by `temperature`, of the likeliest tokens that
    together have the probability `top_p` (nucleus sampling, Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751).

    Raises `InputError` for a temperature that is not above 0 or a `top_p` that is not above 0 and at most 1:
    without a `Sample`, the likeliest token is taken.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"A temperature is above 0, not {self.temperature}; to take the likeliest token each time, "
                "leave sample out."
            )
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is a probability above 0 and at most 1, not {self.top_p}.")

    def streams(self, prompts: Iterable[Sequence[int]]) -> list[np.random.Generator]:
        """A random stream for each prompt of a batch."""
        seen: Counter[tuple[int, ...]] = Counter()
        made = []
        for prompt in map(tuple, prompts):
            digest = hashlib.sha256(repr((self.seed, seen[prompt], prompt)).encode()).digest()
            made.append(np.random.default_rng(int.from_bytes(digest[:16], "big")))
            seen[prompt] += 1
        return made

    def draw(self, logits: Float[Tensor, " d_vocab"], stream: np.random.Generator) -> int:
        """One token, by one number of the stream, so that the next draw does not depend on this one."""
        p, ids = (logits.double() / self.temperature).softmax(-1).sort(descending=True, stable=True)
        below = p.cumsum(-1)  # the probability of a token and all likelier ones
        n = int((below - p < self.top_p).sum())
        total = float(below[n - 1])
        place = torch.searchsorted(below[:n], torch.tensor(stream.random() * total), right=True)
        return int(ids[min(int(place), n - 1)])


def choose(
    logits: Float[Tensor, "row d_vocab"], sample: Sample | None, streams: Sequence[np.random.Generator]
) -> list[int]:
    """The next token of each row: without a `Sample`, the likeliest."""
    if sample is None:
        return logits.argmax(-1).tolist()
    return [sample.draw(row, stream) for row, stream in zip(logits, streams, strict=True)]
