"""The step in between of prompts that need two: does a lens read it, and does exchanging it do what it says?

1. A prompt's bridge is paired with that of another prompt of the same relation, with another answer.
2. *Read*: the rank of the bridge at each layer, the best over positions, beside that of the other bridge,
   which the prompt has nothing to do with.
3. *Exchanged*: after a layer, at all positions behind the first, the lens's coordinates of the two bridges
   change places (`interp.methods.lens.exchange`); the states are those of the clean run, held over a band of
   layers, as live ones would be exchanged back at every second layer. The lens foretells the other's answer.
   Beside it, changes as large in random directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.common.intervals import mean_interval
from interp.methods.lens.comparison_results import LensExchange, LensOnBridges
from interp.methods.lens.exchange import exchanged, lens_directions
from interp.methods.lens.lens import EMBEDDING, STREAMS, Lens, residual_streams, stream_layers
from interp.models.base import Model
from interp.readout import Readout
from interp.results import Dropped
from interp.tasks.two_hops import TwoHop

Streams = Float[Tensor, "layer pos d_model"]


@dataclass(frozen=True, eq=False, kw_only=True)
class PairedBridge:
    """A prompt, its bridge and answer, and those of the prompt that it is paired with, as token ids."""

    case: TwoHop
    ids: tuple[int, ...]
    bridge: int
    answer: int
    other: int
    foretold: int


def paired(model: Model, cases: Sequence[TwoHop]) -> tuple[tuple[PairedBridge, ...], tuple[Dropped, ...]]:
    """Each case with the next one of its relation that has another bridge and another answer."""
    found, dropped = [], []
    tokens = [(model.to_single_token(one.bridge), model.to_single_token(one.answer)) for one in cases]
    for i, (case, (bridge, answer)) in enumerate(zip(cases, tokens, strict=True)):
        ids = tuple(model.to_tokens(case.prompt).repeat(1).row(0))
        others = [
            tokens[j % len(cases)]
            for j in range(i + 1, i + len(cases))
            if cases[j % len(cases)].relation == case.relation
            and not {*tokens[j % len(cases)]} & {bridge, answer}
        ]
        if not others:
            dropped.append(Dropped(model.to_text(ids), "no other prompt of its relation has another answer"))
            continue
        other, foretold = others[0]
        found.append(
            PairedBridge(case=case, ids=ids, bridge=bridge, answer=answer, other=other, foretold=foretold)
        )
    return tuple(found), tuple(dropped)


def clean_streams(model: Model, pairs: Sequence[PairedBridge]) -> list[Streams]:
    """The stream after each layer of every prompt."""
    return [residual_streams(model.run_with_cache(list(pair.ids), STREAMS))[:, 0].float() for pair in pairs]


def lens_on_bridges(
    model: Model, lens: Lens, pairs: Sequence[PairedBridge], streams: Sequence[Streams], *, k: int, seed: int
) -> LensOnBridges:
    """The ranks of each prompt's bridge, and of the other one."""
    layers = stream_layers(model)
    ranks = np.zeros((2, len(pairs), len(layers)), dtype=int)
    for number, (pair, own) in enumerate(zip(pairs, streams, strict=True)):
        for row, layer in enumerate(layers):
            read = lens.logits(model, own[row, 1:], layer)  # [pos, d_vocab]
            for which, token in enumerate((pair.bridge, pair.other)):
                rank = (read >= read[:, token, None]).sum(-1)  # ties count against it
                ranks[which, number, row] = int(rank.min())
    within = (ranks <= k).astype(float)
    return LensOnBridges(
        rank=ranks[0],
        other_rank=ranks[1],
        in_top=mean_interval(within[0], seed),
        other_in_top=mean_interval(within[1], seed),
        above_chance=mean_interval((within[0] - within[1])[:, :-1].mean(-1), seed),
    )


def lens_exchange(
    model: Model,
    lens: Lens,
    pairs: Sequence[PairedBridge],
    streams: Sequence[Streams],
    *,
    band: int,
    n_random: int,
    seed: int,
) -> LensExchange | None:
    """What the model says when the lens's coordinates of the two bridges are exchanged from each layer on.
    None of a lens that has no map of a stream, and so no directions."""
    before_last = stream_layers(model)[:-1]
    pairs_of_tokens = [(pair.bridge, pair.other) for pair in pairs]
    try:
        directions = [
            [lens_directions(model, lens, layer, two) for layer in before_last] for two in pairs_of_tokens
        ]
    except InputError:
        return None
    generator = torch.Generator().manual_seed(seed)
    shape = (len(pairs), len(before_last))
    flipped, shift = np.zeros((1 + n_random, *shape), dtype=bool), np.zeros((1 + n_random, *shape))
    for number, (pair, own) in enumerate(zip(pairs, streams, strict=True)):
        clean = own[:-1, 1:]  # [layer, pos, d_model]
        new = torch.stack([exchanged(*one) for one in zip(clean, directions[number], strict=True)])
        ways = [new] + [_as_far(clean, new, generator) for _ in range(n_random)]
        branches = [_held(way, before_last, row, band) for way in ways for row in range(len(before_last))]
        swept = model.sweep(list(pair.ids), [[], *branches], Readout.logits(-1)).values[:, 0].double()
        ahead = swept[:, pair.foretold] - swept[:, pair.answer]
        said = swept.argmax(-1) == pair.foretold
        flipped[:, number] = said[1:].reshape(len(ways), -1).numpy()
        shift[:, number] = (ahead[1:] - ahead[0]).reshape(len(ways), -1).numpy()
    random_flipped, random_shift = flipped[1:].mean(0), shift[1:].mean(0)
    return LensExchange(
        flipped=flipped[0],
        shift=shift[0],
        random_flipped=random_flipped,
        random_shift=random_shift,
        flips=mean_interval(flipped[0].astype(float), seed),
        random_flips=mean_interval(random_flipped, seed),
        above_random=mean_interval((shift[0] - random_shift).mean(-1), seed),
    )


def _as_far(
    clean: Float[Tensor, "layer pos d_model"],
    new: Float[Tensor, "layer pos d_model"],
    generator: torch.Generator,
) -> Float[Tensor, "layer pos d_model"]:
    """The clean states, moved as far as the new ones are in a direction that is drawn, the same for all
    positions of a layer."""
    drawn = torch.randn(len(clean), 1, clean.shape[-1], generator=generator).to(clean)
    return clean + (new - clean).norm(dim=-1, keepdim=True) * drawn / drawn.norm(dim=-1, keepdim=True)


def _held(states: Float[Tensor, "layer pos d_model"], layers: range, row: int, band: int) -> list[Edit]:
    """Edits that set the states behind the first position after some layers in a row."""
    positions = list(range(1, states.shape[1] + 1))
    return [
        Edit.set("resid_pre", 0, value=states[at], positions=positions)
        if layers[at] == EMBEDDING
        else Edit.set("resid_post", layers[at], value=states[at], positions=positions)
        for at in range(row, min(row + band, len(layers)))
    ]
