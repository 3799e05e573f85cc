"""Every site of a run at once: how much memory that takes, asked before the run."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from interp.architecture import Architecture
from interp.errors import InputError
from interp.models.devices import free_bytes
from interp.sites import SITES
from interp.tokens import Tokens


def check_room(
    arch: Architecture,
    sites: Sequence[str],
    tokens: Tokens,
    *,
    on: tuple[torch.dtype, torch.device],
    allowed: int | None,
    logits: bool,
) -> None:
    """Raise `InputError` where the activations at all `sites` in all layers, and the logits, need more bytes
    than are `allowed`, or where that is None, than are free on the device."""
    dtype, device = on
    needed = bytes_at(arch, sites, tokens, dtype=dtype)
    needed += logits * tokens.ids.numel() * arch.d_vocab * dtype.itemsize
    room = free_bytes(device) if allowed is None else allowed
    if needed > room:
        are = "are free" if allowed is None else "are allowed (the model's memory)"
        raise InputError(
            f"Every site of this run takes {needed / 1e9:.2g} GB, and {room / 1e9:.2g} GB {are}; name the "
            'sites that you want, as in ["resid_post"], or give fewer or shorter prompts.'
        )


def bytes_at(arch: Architecture, sites: Sequence[str], tokens: Tokens, *, dtype: torch.dtype) -> int:
    """How many bytes the activations at these sites take, in all layers, padding included."""
    batch, n_pos = tokens.ids.shape
    sizes = {"batch": batch, "pos": n_pos, "query": n_pos, "key": n_pos}
    sizes |= {"head": arch.n_heads, "kv_head": arch.n_kv_heads, "d_head": arch.d_head}
    sizes |= {"d_model": arch.d_model, "d_mlp": arch.d_mlp or 0}

    def numbers(site: str) -> int:
        layers = arch.n_layers if SITES[site].per_layer else 1
        return layers * prod(sizes[axis] for axis in SITES[site].axes)

    return dtype.itemsize * sum(map(numbers, sites))
