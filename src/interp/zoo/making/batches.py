"""The batches of both stages of training: token ids, and how much each counts in the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from interp.zoo.corpus import first_sequences, sequences
from interp.zoo.making.recipes import Recipe

ANSWERS = ("answer", "city", "indirect_object")  # labels of the tokens that a model is asked for


def first_batch(recipe: Recipe, tokenizer: Any, *, step: int, pool: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of a step of the first stage, of as many tokens as one of the second; see `batches`."""
    return _batch(
        first_sequences(
            tokenizer=tokenizer,
            seed=f"{recipe.seed} {step}",
            pool=pool,
            count=recipe.batch * recipe.length // recipe.first_length,
            length=recipe.first_length,
            bos=recipe.bos,
        ),
        answer_weight=recipe.answer_weight,
    )


def batches(recipe: Recipe, tokenizer: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the second stage from the seed of the recipe, without end: token ids [batch, pos], and how
    much each counts in the loss [batch, pos]. A random token's first occurrence counts nothing: there is
    nothing to learn in it."""
    stream = sequences(tokenizer=tokenizer, seed=recipe.seed, length=recipe.length, bos=recipe.bos)
    while True:
        rows = [next(stream) for _ in range(recipe.batch)]
        yield _batch(rows, answer_weight=recipe.answer_weight)


def _batch(
    rows: list[tuple[list[int], list[str]]], *, answer_weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    weight = {"random": 0.0} | dict.fromkeys(ANSWERS, answer_weight)
    counts = [[weight.get(label, 1.0) for label in labels] for _, labels in rows]
    return torch.tensor([ids for ids, _ in rows]), torch.tensor(counts)
