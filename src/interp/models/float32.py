"""Calling the modules of a model below float32 in float32."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


def called_in_float32(module: nn.Module, given: Tensor) -> Tensor:
    """What a module makes of something in float32, its weights widened for this call.

    The norms of TransformerLens round to the precision that their configuration names: where a module has
    one (``cfg``), the call sees it with float32.
    """
    kept = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    widened = {name: value.float() if value.is_floating_point() else value for name, value in kept.items()}
    return functional_call(_without_rounding(module), widened, (given.float(),))


def _without_rounding(module: nn.Module) -> nn.Module:
    """The module itself, or one over the same parts whose configuration names float32."""
    cfg = getattr(module, "cfg", None)
    if getattr(cfg, "dtype", torch.float32) == torch.float32:
        return module
    other: Any = copy.copy(module)
    other.cfg = copy.copy(cfg)
    other.cfg.dtype = torch.float32
    return other
