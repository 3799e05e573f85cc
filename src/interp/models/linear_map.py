"""What a module that maps vectors linearly does to them: read off its weight where that is all it does.

A projection or an unembedding may be more than its weight: wrapped (an adapter, a scale), or under a hook of
its owner's. Such a module is called: with unit vectors, which give its rows, and with others, which tell
whether it is linear at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from transformers.pytorch_utils import Conv1D

from interp.models.evaluation import evaluating
from interp.models.places import computes_on
from interp.models.quick_products import QuickConv1D, QuickLinear
from interp.models.slices import is_slice, whole_weight

#: Of modules that do with their weight nothing else than multiply by it, or look up its rows.
_FORWARDS = (
    *(kind.forward for kind in (nn.Linear, QuickLinear, Conv1D, QuickConv1D)),
    nn.Embedding.forward,
)
_ROUNDING = 16  # units of the last place by which a linear module may be off


@dataclass(frozen=True, eq=False)
class LinearMap:
    """``x -> x @ weight + bias``."""

    weight: Float[Tensor, "n_in n_out"]
    bias: Float[Tensor, " n_out"] | None


def matrix(module: nn.Module) -> Tensor | None:
    """The weight of a module, or of the first part of it that has a matrix; None where none has."""
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 2:
            return weight
    return None


def is_its_weight(module: nn.Module) -> bool:
    """Whether all that a module does is to multiply by its weight and to add its bias (a Linear, or GPT-2's
    Conv1D), or to look up its rows (an Embedding), with no hook on it."""
    hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
    return (
        type(module).forward in _FORWARDS
        and type(module.weight) in (Tensor, nn.Parameter)
        and "forward" not in module.__dict__  # not replaced
        and not hooks
        and not torch_module._has_any_global_hook()
    )


def _is_cut(module: nn.Module) -> bool:
    """Whether a module is a Linear that transformers has cut over processes, whose call takes slices."""
    return type(module) is nn.Linear and is_slice(module.weight)


def linear_map(module: nn.Module, n_in: int) -> LinearMap | None:
    """What `module` does to vectors of width `n_in`; None where that is no linear map."""
    if is_its_weight(module) or _is_cut(module):
        known: Any = module
        weight = whole_weight(known.weight.detach())
        if isinstance(module, nn.Linear):
            weight = weight.T  # Linear keeps [out, in]; GPT-2's Conv1D keeps [in, out]
        return LinearMap(weight, None if known.bias is None else whole_weight(known.bias.detach()))
    like = matrix(module)
    if like is None:
        return None
    dtype = like.dtype
    if not like.is_floating_point():  # packed in few bits (`interp.models.packed_weights`)
        dtype = getattr(module, "compute_dtype", None) or torch.float32
    where = computes_on(module)  # its weight may wait elsewhere, without numbers
    drawn = torch.randn(3, n_in, generator=torch.Generator().manual_seed(0)).to(where, dtype)
    unit = torch.eye(n_in).to(where, dtype)
    with torch.no_grad(), evaluating(module):
        rows, bias, checked = (module(x[None])[0] for x in (unit, torch.zeros_like(unit[:1]), drawn))
    found = LinearMap(rows - bias, bias[0] if bias.any() else None)
    off = (drawn @ found.weight + bias - checked).abs().max()
    allowed = _ROUNDING * torch.finfo(dtype).eps * n_in**0.5 * checked.abs().max()
    return found if off <= allowed else None
