"""Activations of some sites on text, in batches of tokens shuffled over many sequences.

The text is gone through in a random order, again and again where the training needs it. The activations of
some sequences at a time fill a buffer, which is shuffled and served in batches. What is left over, of a
buffer less than a batch and of the text less than a buffer, is not used in that round. The first position
of each sequence and padding are left out (`metrics.counted`). Where the buffer holds the whole text, the
model runs over it once, and later rounds only shuffle; several workers share in that (`interp.workers`), with
the same numbers whatever their number.

The batch of a step is a function of the seed and the step alone, so that a training can go on from any step.

With a folder for `shards` the model runs over the text once, in its order, and what it gives is kept on disk
(`interp.saes.shards`); batches are read from there. They are those of a run without, to the last bit where
the buffer holds the whole text; else sequences share their passes with others, and the model's rounding is
another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.models.base import Model
from interp.parts import Arrays, Work, parts_in_turn
from interp.saes.dictionary import check_address, flat, model_facts, width
from interp.saes.metrics import counted
from interp.saes.shards import Shards
from interp.sites import Address
from interp.tokens import Tokens

_AT_ONCE = 16  # sequences in one forward pass


class ActivationStreams:
    """Batches of the activations at some addresses, all of the same tokens: ``streams(step)`` has a
    [batch, width] for each address, float32 on the CPU. One run of the model gives them all.

    `text` are sequences of token ids of one length; `buffered` of them fill the buffer, which takes twice the
    memory of their activations (`bytes`). `shards` is a folder in which the activations of all the text are
    kept. Raises `InputError` where sequences are of different lengths, too short, or too few for one batch,
    and where the shards cannot be used.
    """

    def __init__(
        self,
        model: Model,
        addresses: Sequence[Address],
        text: Sequence[Sequence[int]],
        *,
        batch_size: int,
        buffered: int = 256,
        seed: int = 0,
        shards: str | Path | None = None,
    ) -> None:
        for address in addresses:
            check_address(model, address)
        if len({len(ids) for ids in text}) != 1 or len(text[0]) < 2:
            raise InputError("The text must be sequences of one length, of two tokens or more.")
        self.model, self.addresses, self.text, self.seed = model, tuple(addresses), text, seed
        self.batch_size = batch_size
        self.buffered = min(buffered, len(text))
        self.batches = self.buffered * (len(text[0]) - 1) // batch_size  # in one buffer
        if not self.batches:
            raise InputError(
                f"The buffer of {self.buffered} sequences has fewer tokens than a batch of {batch_size}; "
                "give more text, or a smaller batch."
            )
        self._held: tuple[int, list[Tensor]] | None = None
        self._shards = None if shards is None else self._shards_in(Path(shards))

    @property
    def widths(self) -> tuple[int, ...]:
        """How wide the activations of each address are."""
        return tuple(width(self.model, address.site) for address in self.addresses)

    @property
    def bytes(self) -> int:
        """What the buffer takes, filled and shuffled."""
        return 2 * self.buffered * (len(self.text[0]) - 1) * sum(self.widths) * 4

    def __call__(self, step: int) -> list[Float[Tensor, "batch width"]]:
        fill, batch = divmod(step, self.batches)
        if self._held is None or self._held[0] != fill:
            self._held = None  # its memory is free for the next
            self._held = fill, self._fill(fill)
        start = batch * self.batch_size
        # copied, or who holds a batch holds the buffer that it is from, while the next is filled
        return [x[start : start + self.batch_size].clone() for x in self._held[1]]

    def _fill(self, fill: int) -> list[Float[Tensor, "token width"]]:
        """The buffer after it has been filled `fill` times before, shuffled."""
        if self.buffered == len(self.text):
            found = self._whole
        else:
            epoch, part = divmod(fill, len(self.text) // self.buffered)
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.text))
            found = self._activations(order[part * self.buffered : (part + 1) * self.buffered].tolist())
        shuffled = np.random.default_rng([self.seed, 1, fill]).permutation(len(found[0]))
        return [x[torch.from_numpy(shuffled)] for x in found]

    @cached_property
    def _whole(self) -> list[Float[Tensor, "token width"]]:
        return self._activations(range(len(self.text)))

    def _activations(self, chosen: Sequence[int]) -> list[Float[Tensor, "token width"]]:
        """The activations of some sequences, one after the other."""
        if self._shards is not None:
            return self._written.read(chosen)
        tokens_each = len(self.text[0]) - 1
        out = [torch.empty(len(chosen) * tokens_each, own) for own in self.widths]
        start = 0
        for found in self._passes(chosen):
            for x, some in zip(out, found, strict=True):
                x[start : start + len(some)] = some
            start += len(found[0])
        return out

    def _passes(self, chosen: Sequence[int]) -> Iterator[list[Float[Tensor, "token width"]]]:
        """The activations of some sequences, a pass at a time; workers share in them (`interp.parts`)."""
        starts = range(0, len(chosen), _AT_ONCE)

        def compute(index: int) -> Arrays:
            some = [self.text[i] for i in chosen[starts[index] : starts[index] + _AT_ONCE]]
            return {str(number): x.float().numpy() for number, x in enumerate(self._run(some))}

        def describe(index: int) -> str:
            return f"sequences {starts[index]} and on, {_AT_ONCE} at once"

        # here they are part of a step, whose progress is told, and theirs is not
        work = Work(task="passes", total=len(starts), compute=compute, describe=describe)
        for one in parts_in_turn(work):
            yield [torch.from_numpy(one[str(number)]) for number in range(len(self.addresses))]

    def _run(self, sequences: Sequence[Sequence[int]]) -> list[Float[Tensor, "token width"]]:
        """The activations of some sequences by one pass, in the model's precision."""
        tokens = Tokens.pad(sequences)
        cache = self.model.run_with_cache(tokens, self.addresses, logits=False)
        keep = counted(tokens)
        return [flat(address.site, cache[address]).cpu()[keep] for address in self.addresses]

    def _shards_in(self, folder: Path) -> Shards:
        """The shards of all the text in a folder, which are written when they are first read."""
        shards = Shards(
            folder,
            tuple(str(address) for address in self.addresses),
            self.widths,
            len(self.text),
            len(self.text[0]) - 1,
            self.model.dtype if self.model.dtype.itemsize < 4 else torch.float32,  # what is served
            {
                **model_facts(self.model),
                "identity": self.model.identity.to_dict(),
                "text": hashlib.sha256(np.asarray(self.text).tobytes()).hexdigest(),
            },
        )
        shards.check()
        return shards

    @cached_property
    def _written(self) -> Shards:
        """The shards, all of which are there."""
        assert self._shards is not None
        self._shards.write(self._for_shards)
        return self._shards

    def _for_shards(self, chosen: Sequence[int]) -> list[Float[Tensor, "sequence pos width"]]:
        assert self._shards is not None
        passes = list(self._passes(chosen))
        whole = (torch.cat([one[number] for one in passes]) for number in range(len(self.addresses)))
        return [x.unflatten(0, (len(chosen), -1)).to(self._shards.dtype) for x in whole]


class ActivationStream:
    """The same of one address: ``stream(step)`` is [batch, d_in]."""

    def __init__(self, model: Model, address: Address, text: Sequence[Sequence[int]], **options: Any) -> None:
        self.streams = ActivationStreams(model, [address], text, **options)
        self.batches = self.streams.batches

    def __call__(self, step: int) -> Float[Tensor, "batch d_in"]:
        return self.streams(step)[0]
