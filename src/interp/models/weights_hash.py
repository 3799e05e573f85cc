"""What identifies the weights of a model that has no name and revision: a model in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of every parameter: its name, dtype, shape and bytes. Shared ones count once.

    It is of the weights as they are now: one step of training gives another.
    """
    digest = hashlib.sha256()
    for name, weight in module.named_parameters():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        for part in _stored(weight.detach()):
            digest.update(part.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _stored(weight: Tensor) -> Iterator[Tensor]:
    """The numbers that a weight is kept as: itself, or those that torchao packs it in."""
    if not hasattr(weight, "__tensor_flatten__"):
        yield weight
        return
    names, _ = weight.__tensor_flatten__()
    for name in names:
        yield from _stored(getattr(weight, name))
