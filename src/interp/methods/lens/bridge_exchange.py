"""Exchanging the step in between of prompts that need two: does the model then say what a lens foretells?

1. *Exchanged*: after a layer, at all positions behind the first, the lens's coordinates of the prompt's
   bridge and of another one change places (`interp.methods.lens.exchange`). The lens foretells the other's
   answer. Beside it, changes as large in random directions.
2. *In bands*: the same over several layers in a row, with the coordinates held at those of the clean run,
   exchanged; beside it, with those that each layer finds, which undo each other; and as large random changes,
   held alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.common.intervals import mean_interval, probability_interval, share_interval
from interp.methods.lens.bridges import PairedBridge, Streams
from interp.methods.lens.comparison_results import LensBands, LensExchange
from interp.methods.lens.exchange import exchanged, held_edits, live_exchange_edits
from interp.methods.lens.lens import Lens, layer_names, stream_layers
from interp.methods.lens.token_directions import lens_directions
from interp.models.base import Model
from interp.readout import Readout


@dataclass(frozen=True, eq=False)
class Swap:
    """The exchange of one prompt's two bridges by a lens: states [row, pos, d_model] behind the first
    position, in the streams before the last one."""

    pair: PairedBridge
    layers: range
    clean: Float[Tensor, "row pos d_model"]
    directions: list[Float[Tensor, "2 d_model"]]

    @classmethod
    def of(cls, model: Model, lens: Lens, pair: PairedBridge, streams: Streams) -> Swap:
        """`InputError` of a lens that has no directions."""
        layers, two = stream_layers(model)[:-1], (pair.bridge, pair.other)
        directions = [lens_directions(model, lens, layer, two) for layer in layers]
        return cls(pair, layers, streams[:-1, 1:], directions)

    @property
    def positions(self) -> list[int]:
        return list(range(1, self.clean.shape[1] + 1))

    @property
    def new(self) -> Float[Tensor, "row pos d_model"]:
        """The clean states with both coordinates exchanged."""
        return torch.stack([exchanged(*one) for one in zip(self.clean, self.directions, strict=True)])

    def held(self) -> list[list[Edit]]:
        """For each row, edits that hold the exchanged coordinates of the clean run."""
        return self._held(self.new, self.directions)

    def random(self, generator: torch.Generator) -> list[list[Edit]]:
        """As large changes in a direction that is drawn for each row, held alike."""
        drawn = torch.randn(len(self.clean), 1, self.clean.shape[-1], generator=generator).to(self.clean)
        drawn = drawn / drawn.norm(dim=-1, keepdim=True)
        moved = self.clean + (self.new - self.clean).norm(dim=-1, keepdim=True) * drawn
        return self._held(moved, list(drawn))

    def live(self, model: Model, rows: range) -> list[list[Edit]]:
        """For each of these rows, the exchange of what it finds after those before."""
        return live_exchange_edits(
            model,
            list(self.pair.ids),
            self.directions[rows.start : rows.stop],
            layers=self.layers[rows.start : rows.stop],
            positions=self.positions,
        )

    def _held(self, states: Tensor, spans: Sequence[Tensor]) -> list[list[Edit]]:
        return [held_edits(*one, self.positions) for one in zip(states, spans, self.layers, strict=True)]

    def said(
        self, model: Model, bands: Sequence[Sequence[list[Edit]]]
    ) -> tuple[Bool[np.ndarray, " band"], Float[np.ndarray, " band"]]:
        """Of each band, edits of some rows: whether the model's first token is the foretold answer, and the
        change of logit(foretold) - logit(answer)."""
        branches: list[list[Edit]] = [[edit for of_row in band for edit in of_row] for band in bands]
        swept = model.sweep(list(self.pair.ids), [[], *branches], Readout.logits(-1)).values[:, 0].double()
        ahead = (swept[:, self.pair.foretold] - swept[:, self.pair.answer]).numpy()
        return (swept.argmax(-1) == self.pair.foretold).numpy()[1:], ahead[1:] - ahead[0]


def swaps(
    model: Model, lens: Lens, pairs: Sequence[PairedBridge], streams: Sequence[Streams]
) -> list[Swap] | None:
    """The exchange in each prompt; None of a lens that has no map of a stream, and so no directions."""
    try:
        return [Swap.of(model, lens, *one) for one in zip(pairs, streams, strict=True)]
    except InputError:
        return None


def lens_exchange(model: Model, swaps: Sequence[Swap], *, n_random: int, seed: int) -> LensExchange:
    """What the model says when a lens's coordinates of the two bridges are exchanged after each layer."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1 + n_random, len(swaps), len(swaps[0].layers))
    flipped, shift = np.zeros(shape, dtype=bool), np.zeros(shape)
    for number, swap in enumerate(swaps):
        ways = [swap.held()] + [swap.random(generator) for _ in range(n_random)]
        said, moved = swap.said(model, [[of_row] for way in ways for of_row in way])
        flipped[:, number], shift[:, number] = said.reshape(len(ways), -1), moved.reshape(len(ways), -1)
    random_flipped, random_shift = flipped[1:].mean(0), shift[1:].mean(0)
    return LensExchange(
        flipped=flipped[0],
        shift=shift[0],
        random_flipped=random_flipped,
        random_shift=random_shift,
        flips=share_interval(flipped[0].astype(float), seed),
        random_flips=probability_interval(random_flipped, seed),
        above_random=mean_interval((shift[0] - random_shift).mean(-1), seed),
    )


def lens_bands(
    model: Model, swaps: Sequence[Swap], *, widths: Sequence[int], every: int = 1, seed: int
) -> LensBands:
    """The exchange over bands of some widths, all beginning after the same layers: `every` so many of those
    from which the widest fits below the last."""
    widest = max(widths)
    starts = range(0, len(swaps[0].layers) - widest + 1, every)
    generator = torch.Generator().manual_seed(seed)
    shape = (3, len(starts), len(widths))
    flips, shifts = np.zeros((len(swaps), *shape)), np.zeros((len(swaps), *shape))
    for number, swap in enumerate(swaps):
        held, drawn = swap.held(), swap.random(generator)
        from_start = {start: range(start, start + widest) for start in starts}
        live = {start: swap.live(model, rows) for start, rows in from_start.items()}
        ways = (
            {start: held[start:] for start in starts},
            live,
            {start: drawn[start:] for start in starts},
        )
        bands = [way[start][:width] for way in ways for start in starts for width in widths]
        said, moved = swap.said(model, bands)
        flips[number], shifts[number] = said.reshape(shape), moved.reshape(shape)
    means = flips.mean(2), shifts.mean(2)  # [prompt, way, width]
    held_flips, live_flips, random_flips = (probability_interval(means[0][:, way], seed) for way in range(3))
    held_shift, live_shift, random_shift = (mean_interval(means[1][:, way], seed) for way in range(3))
    return LensBands(
        widths=tuple(widths),
        starts=layer_names([swaps[0].layers[start] for start in starts]),
        held_flips=held_flips,
        live_flips=live_flips,
        random_flips=random_flips,
        held_shift=held_shift,
        live_shift=live_shift,
        random_shift=random_shift,
    )
