"""A pass in evaluation mode, through modules that are given back as their owner had them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from interp.models.rotary import from_the_start


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """For as long as the context lasts, no part of `module` is in training mode (no dropout, no checkpoints
    of gradients) or runs compiled (compiled code may not see hooks), and rotary positions are scaled by what
    is run here alone."""
    parts = list(module.modules())
    training = [part for part in parts if part.training]
    with ExitStack() as borrowed:
        if any("_orig_mod" in part._modules or part._compiled_call_impl is not None for part in parts):
            borrowed.enter_context(torch.compiler.set_stance("force_eager"))
        borrowed.enter_context(from_the_start(parts))
        if isinstance(module, PreTrainedModel):
            borrowed.enter_context(_products_of_experts(module))
        try:
            for part in training:  # train() may do more than this
                part.training = False
            yield
        finally:
            for part in training:
                part.training = True


@contextmanager
def _products_of_experts(model: PreTrainedModel) -> Iterator[None]:
    """In float64, the products of a mixture of experts one by one: torch's grouped product has none."""
    own = getattr(model.config, "_experts_implementation", None)
    if model.dtype != torch.float64 or own == "eager" or not type(model)._can_set_experts_implementation():
        yield
        return
    model.set_experts_implementation("eager")
    try:
        yield
    finally:
        model.set_experts_implementation(own)


def modules_and_hooks(module: nn.Module) -> tuple[tuple[int, ...], ...]:
    """What `module` is made of and the hooks on it: other once its owner adds one, or wraps a part."""
    return tuple((id(part), *part._forward_pre_hooks, *part._forward_hooks) for part in module.modules())
