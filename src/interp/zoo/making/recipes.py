"""How each demo model is trained: sizes of steps and batches, in two stages."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one demo model is trained, in two stages: copying short random patterns, then all of the text.

    ``bos``: whether sequences start with ``<|endoftext|>``. The first stage draws from a pool of
    ``first_pool`` ids, which grows by 3 % at each step at which the loss, averaged over some twenty steps, is
    under ``first_grows_under`` nats. The stage ends when the pool holds all ids, and after ``first_at_most``
    steps at the latest; as long as the pool is not full then, a step of copying goes before every second step
    of text. Two models train side by side, with a thread each.

    ``answer_weight``: how much an answer (of a fact, a city, an indirect object) counts in the loss, where
    any other token counts 1. Answers are three tokens in a hundred, and most others cannot be foreseen.
    ``bfloat16``: whether products of matrices are made in bfloat16 (weights, residual stream, norms and
    attention stay in float32); 1.7 times as fast on a CPU that has it, and slow on one that has not.
    """

    name: str
    bos: bool
    steps: int  # of the second stage
    seed: int = 0
    batch: int = 24
    length: int = 128
    first_pool: int = 256
    first_grows_under: float = 2.5
    first_at_most: int = 550
    first_length: int = 64
    lr: float = 1e-2  # of Muon, for matrices
    lr_adam: float = 3e-3  # of AdamW, for embeddings and vectors
    text_share: float = 0.5  # of the learning rates, at the start of the second stage
    lr_end: float = 0.02
    warmup: int = 30
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.1
    clip: float = 1.0
    answer_weight: float = 5.0
    bfloat16: bool = True
    threads: int = 1

    def scale_at(self, step: int) -> float:
        """Share of the learning rates at a step of the second stage: a cosine down to ``lr_end`` of it."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.text_share * (self.lr_end + (1 - self.lr_end) * cosine)


RECIPES: dict[str, Recipe] = {
    "demo-gpt2": Recipe(name="demo-gpt2", bos=True, steps=3200),
    "demo-qwen3": Recipe(name="demo-qwen3", bos=False, steps=3200),
}
