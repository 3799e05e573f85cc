"""A model that its owner has loaded: taken as it is, out of what is wrapped around it; or one sentence."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from interp.errors import ModelLoadError
from interp.models.packed_weights import check_unpacks, packed_by
from interp.models.slices import is_slice


def owners_model(model: Any, *, dtype: str) -> PreTrainedModel:
    """The causal language model that `model` is, or that PEFT or ``torch.compile`` wraps; `ModelLoadError`
    where there is none, or none that can be looked into."""
    found = _unwrapped(model)
    if not hasattr(found, "get_output_embeddings") or not hasattr(found, "config"):
        raise ModelLoadError(
            f"A model is a name, a folder or a causal language model of transformers, not a "
            f"{type(found).__name__}."
        )
    if type(found).__name__ == "TransformerBridge":
        raise ModelLoadError(
            "A TransformerBridge has changed the model that it wraps; load that anew with "
            "backend='transformer_lens', which makes a bridge of its own."
        )
    check_whole(found)
    has = str(found.dtype).removeprefix("torch.")
    if dtype not in ("auto", has):
        raise ModelLoadError(
            f"The model in memory is torch.{has}, not {dtype}; pass dtype={has!r}, or convert it first."
        )
    return found


def _unwrapped(model: Any) -> Any:
    if "_orig_mod" in getattr(model, "_modules", {}):  # of torch.compile
        return _unwrapped(model._orig_mod)
    if not hasattr(model, "get_base_model"):
        return model
    if any(getattr(config, "is_prompt_learning", False) for config in model.peft_config.values()):
        raise ModelLoadError(
            "This PEFT model puts learned vectors before the prompt, so its positions are not those of the "
            "prompt; only adapters inside the model (such as LoRA) can be looked into."
        )
    return _unwrapped(model.get_base_model())  # with the adapters in it


def check_whole(model: PreTrainedModel, *, in_places: bool = False) -> None:
    """`ModelLoadError` for a model whose logits or weights are not there as numbers, or not in one place
    (unless it was asked for `in_places`)."""
    if model.get_output_embeddings() is None:
        raise ModelLoadError(
            f"A {type(model).__name__} has no unembedding (its head, if any, classifies), so it predicts no "
            "tokens; give a causal language model, such as AutoModelForCausalLM loads."
        )
    packed = packed_by(model)
    if packed is not None:
        check_unpacks(model, packed)
    if in_places:
        return
    if any(is_slice(p) for p in model.parameters()):
        raise ModelLoadError(
            "This model is cut over several processes; give its name and tp_plan='auto' to load_model."
        )
    devices = {str(p.device) for p in model.parameters()}
    if "meta" in devices or len(devices) > 1:
        where = ", ".join(sorted("elsewhere (offloaded)" if one == "meta" else one for one in devices))
        raise ModelLoadError(
            f"The parts of this model are in several places ({where}), as a device_map leaves them; give its "
            "name and the device_map to load_model, or load it on one device."
        )


def owners_device(model: PreTrainedModel, asked: torch.device | None) -> torch.device:
    """The device that a model in memory is on; `ModelLoadError` where another one is `asked` for: nothing is
    moved behind its owner's back."""
    own = model.device
    if asked is not None and (asked.type != own.type or asked.index not in (None, own.index)):
        raise ModelLoadError(
            f"The model in memory is on {own}, not on {asked}; move it there first, or leave the device out."
        )
    return own
