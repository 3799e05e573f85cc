"""The step in between of prompts that need two: does a lens read it?

1. A prompt's bridge is paired with that of another prompt of the same relation, with another answer.
2. *Read*: the rank of the bridge at each layer, the best over positions, beside that of the other bridge,
   which the prompt has nothing to do with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.methods.common.intervals import mean_interval, share_interval, within
from interp.methods.lens.comparison_results import LensOnBridges
from interp.methods.lens.lens import STREAMS, Lens, residual_streams, stream_layers
from interp.models.base import Model
from interp.results import Dropped
from interp.tasks.two_hops import TwoHop

_AT_ONCE = 2**26  # logits that are held together

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
    return [
        residual_streams(model.run_with_cache(list(pair.ids), STREAMS, logits=False))[:, 0].float()
        for pair in pairs
    ]


def lens_on_bridges(
    model: Model, lens: Lens, pairs: Sequence[PairedBridge], streams: Sequence[Streams], *, k: int, seed: int
) -> LensOnBridges:
    """The ranks of each prompt's bridge, and of the other one."""
    layers = stream_layers(model)
    ranks = np.zeros((2, len(pairs), len(layers)), dtype=int)
    for number, (pair, own) in enumerate(zip(pairs, streams, strict=True)):
        # of several layers together, as the weights are then read once for all
        step = max(1, _AT_ONCE // (model.arch.d_vocab * own.shape[1]))
        for start in range(0, len(layers), step):
            part = slice(start, start + step)
            read = lens.logits_of_layers(model, own[part, 1:], layers[part])  # [layer, pos, d_vocab]
            for which, token in enumerate((pair.bridge, pair.other)):
                rank = (read >= read[..., token, None]).sum(-1)  # ties count against it
                ranks[which, number, part] = rank.amin(-1).cpu().numpy()
    inside, log_ranks = (ranks <= k).astype(float), np.log(ranks)
    return LensOnBridges(
        rank=ranks[0],
        other_rank=ranks[1],
        in_top=share_interval(inside[0], seed),
        other_in_top=share_interval(inside[1], seed),
        above_chance=mean_interval((inside[0] - inside[1])[:, :-1].mean(-1), seed),
        log_rank=within(mean_interval(log_ranks[0], seed), 0),
        other_log_rank=within(mean_interval(log_ranks[1], seed), 0),
        nearer=mean_interval((log_ranks[1] - log_ranks[0])[:, :-1].mean(-1), seed),
    )
