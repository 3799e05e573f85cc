"""What identifies the weights of a model that has no name and revision: a model in memory."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of every parameter: its name, dtype, shape and bytes. Shared ones count once.

    It is of the weights as they are now: one step of training gives another.
    """
    digest = hashlib.sha256()
    for name, weight in module.named_parameters():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
