"""A model in several places: layers on several devices, or waiting in memory or on the disk.

accelerate puts them there (``device_map``): each module then fetches its weights, and what it reads, to where
it computes. What is known of a module's weights is known by calling it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from interp.errors import ModelLoadError, how_to_install

#: Where parts of a model are to be: "auto", or a device for each of them.
DeviceMap = str | Mapping[str, str | int]

_CHOICES = ("auto", "balanced", "balanced_low_0", "sequential")


def loading_options(
    device_map: DeviceMap, *, offload_folder: str | Path | None, max_memory: Mapping[Any, Any] | None
) -> dict[str, Any]:
    """What transformers is told. `ModelLoadError` for what is no map, and where accelerate is missing."""
    if isinstance(device_map, str) and device_map not in _CHOICES:
        raise ModelLoadError(
            f"device_map={device_map!r} is no choice; use one of {', '.join(_CHOICES)}, or a mapping from "
            "parts to devices; a single device is given as device=."
        )
    try:
        import accelerate  # noqa: F401
    except ModuleNotFoundError:
        raise ModelLoadError(
            f"A device_map needs accelerate, which is not installed; run: {how_to_install('devices')}."
        ) from None
    to_disk = not isinstance(device_map, str) and "disk" in device_map.values()
    if to_disk and offload_folder is None:
        raise ModelLoadError("Parts that go to the disk need an offload_folder= to lie in.")
    options: dict[str, Any] = {"device_map": device_map}
    if offload_folder is not None:
        options["offload_folder"] = str(offload_folder)
    if max_memory is not None:
        options["max_memory"] = dict(max_memory)
    return options


def is_spread(model: nn.Module) -> bool:
    """Whether accelerate has put parts of a model in several places."""
    return getattr(model, "hf_device_map", None) is not None


def computes_on(module: nn.Module) -> torch.device:
    """Where a module computes: where its weights are, or are fetched to."""
    for part in module.modules():
        where = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if where is not None:
            return torch.device(where)
    weight = next(module.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def first_device(model: PreTrainedModel) -> torch.device:
    """Where the tokens of a prompt are looked up."""
    return computes_on(model.get_input_embeddings())


def check_in_places(model: PreTrainedModel, device_map: DeviceMap) -> None:
    """`ModelLoadError` where parts have no numbers and nothing fetches them."""
    for name, module in model.named_modules():
        for weight in module.parameters(recurse=False):
            if weight.device.type == "meta" and getattr(module, "_hf_hook", None) is None:
                raise ModelLoadError(
                    f"{name} is nowhere under device_map={device_map!r}; name a device for every part."
                )
