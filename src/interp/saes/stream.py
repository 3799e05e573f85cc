"""Activations of one site on text, in batches of tokens shuffled over many sequences.

The text is gone through in a random order, again and again where the training needs it. The activations of
some sequences at a time fill a buffer, which is shuffled and served in batches. What is left over, of a
buffer less than a batch and of the text less than a buffer, is not used in that round. The first position
of each sequence and padding are left out (`metrics.counted`). Where the buffer holds the whole text, the
model runs over it once, and later rounds only shuffle.

The batch of a step is a function of the seed and the step alone, so that a training can go on from any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.dictionary import check_address, flat
from interp.saes.metrics import counted
from interp.sites import Address
from interp.tokens import Tokens

_AT_ONCE = 16  # sequences in one forward pass


class ActivationStream:
    """Batches [batch, d_in] of the activations at `address`, float32 on the CPU: ``stream(step)``.

    `text` are sequences of token ids of one length; `buffered` of them fill the buffer, which takes twice the
    memory of their activations. Raises `InputError` where they are of different lengths, too short, or too
    few for one batch.
    """

    def __init__(
        self,
        model: Model,
        address: Address,
        text: Sequence[Sequence[int]],
        *,
        batch_size: int,
        buffered: int = 256,
        seed: int = 0,
    ) -> None:
        check_address(model, address)
        if len({len(ids) for ids in text}) != 1 or len(text[0]) < 2:
            raise InputError("The text must be sequences of one length, of two tokens or more.")
        self.model, self.address, self.text, self.seed = model, address, text, seed
        self.batch_size = batch_size
        self.buffered = min(buffered, len(text))
        self.batches = self.buffered * (len(text[0]) - 1) // batch_size  # in one buffer
        if not self.batches:
            raise InputError(
                f"The buffer of {self.buffered} sequences has fewer tokens than a batch of {batch_size}; "
                "give more text, or a smaller batch."
            )
        self._held: tuple[int, Tensor] | None = None

    def __call__(self, step: int) -> Float[Tensor, "batch d_in"]:
        fill, batch = divmod(step, self.batches)
        if self._held is None or self._held[0] != fill:
            self._held = fill, self._fill(fill)
        return self._held[1][batch * self.batch_size : (batch + 1) * self.batch_size]

    def _fill(self, fill: int) -> Float[Tensor, "token d_in"]:
        """The buffer after it has been filled `fill` times before, shuffled."""
        if self.buffered == len(self.text):
            x = self._whole
        else:
            epoch, part = divmod(fill, len(self.text) // self.buffered)
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.text))
            x = self._activations(order[part * self.buffered : (part + 1) * self.buffered].tolist())
        return x[torch.from_numpy(np.random.default_rng([self.seed, 1, fill]).permutation(len(x)))]

    @cached_property
    def _whole(self) -> Float[Tensor, "token d_in"]:
        return self._activations(range(len(self.text)))

    def _activations(self, chosen: Sequence[int]) -> Float[Tensor, "token d_in"]:
        """The activations of some sequences, one after the other."""
        rows = []
        for start in range(0, len(chosen), _AT_ONCE):
            tokens = Tokens.pad([self.text[i] for i in chosen[start : start + _AT_ONCE]])
            raw = self.model.run_with_cache(tokens, [self.address], logits=False)[self.address]
            rows.append(flat(self.address.site, raw).cpu()[counted(tokens)].float())
        return torch.cat(rows)
