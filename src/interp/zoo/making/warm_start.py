"""The previous-token heads that a demo model starts with.

Copying from context (induction) needs two things at once: a head that tells each position which token came
before it, and a later one that looks for the current token in what the first has written. As long as neither
is there, neither is worth anything, and a small model on little text stays on that plateau for longer than a
recipe of minutes lasts. So the first heads of layer 0 attend to the previous position from the start. All
else is random, and all is trained freely from there.
"""

from __future__ import annotations

import math
from typing import Any

import torch

_PAIRS = 16  # pairs of dimensions in a head of width 32


@torch.no_grad()
def start_with_previous_token_heads(model: Any) -> None:
    """Set queries and keys of the first heads of layer 0 in place; `model` has fresh weights."""
    if model.config.model_type == "gpt2":
        _by_sinusoids(model)
    else:
        _by_rotation(model)


def _by_sinusoids(model: Any, *, heads: tuple[int, ...] = (0, 1), gain: float = 2.0) -> None:
    """GPT-2: position embeddings start as sines and cosines; a query is the position turned back by one.

    The first 32 dimensions are left to the positions, so that no token disturbs the match.
    """
    positions, tokens = model.transformer.wpe.weight, model.transformer.wte.weight
    rates = _rates(positions.shape[1] // 2)  # [pair], in radians a position
    angles = torch.arange(positions.shape[0])[:, None] * rates  # [pos, pair]
    positions.copy_(0.1 * torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1))
    tokens[:, : 2 * _PAIRS] = 0
    fused = model.transformer.h[0].attn.c_attn.weight  # [d_model, 3 * d_model]: queries, keys, values
    d_model, width = fused.shape[0], 2 * _PAIRS
    for head in heads:
        query = fused[:, head * width : (head + 1) * width].zero_()
        key = fused[:, d_model + head * width : d_model + (head + 1) * width].zero_()
        for pair in range(_PAIRS):
            sin, cos, rate = 2 * pair, 2 * pair + 1, rates[pair].item()
            key[sin, sin] = key[cos, cos] = gain
            query[sin, sin] = query[cos, cos] = gain * math.cos(rate)
            query[cos, sin], query[sin, cos] = -gain * math.sin(rate), gain * math.sin(rate)


def _rates(n: int) -> torch.Tensor:
    return 2.5 * torch.exp(-math.log(2500) * torch.arange(n) / n)


def _by_rotation(model: Any, *, gain: float = 2.0) -> None:
    """Qwen3: one dimension is the same for every token; a query made of it and a key made of it, turned on by
    one rotary step, agree best one position back. The query heads of the first key-value head share it."""
    constant = model.config.hidden_size - 1
    model.get_input_embeddings().weight[:, constant] = 0.3
    attention = model.model.layers[0].self_attn
    frequencies = model.model.rotary_emb.inv_freq[:2]
    query, key = torch.zeros(2 * _PAIRS), torch.zeros(2 * _PAIRS)
    for i, frequency in enumerate(frequencies.tolist()):  # dimensions i and i + 16 turn together
        query[i] = 1.0
        key[i], key[i + _PAIRS] = math.cos(frequency), math.sin(frequency)
    for projection, vector in ((attention.q_proj, query), (attention.k_proj, key)):
        groups = attention.num_key_value_groups if projection is attention.q_proj else 1
        rows = projection.weight[: groups * 2 * _PAIRS].zero_()
        rows[:, constant] = vector.repeat(groups)
    attention.q_norm.weight.fill_(gain)
    attention.k_norm.weight.fill_(gain)
