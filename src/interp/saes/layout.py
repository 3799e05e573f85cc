"""What the folders of sparse autoencoders and of transcoders have in common, in SAELens's layout.

``cfg.json``, ``sae_weights.safetensors`` and, in some, ``sparsity.safetensors``: log10 of each feature's
density (see `read_density`). A BatchTopK dictionary is kept as a JumpReLU with the same threshold everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from interp.errors import InputError, first_line
from interp.saes.activations import Activation, BatchTopK, JumpReLU, Standard, TopK
from interp.saes.weight_files import read_json, read_safetensors

CONFIG, WEIGHTS, SPARSITY = "cfg.json", "sae_weights.safetensors", "sparsity.safetensors"
_LEAST = 1e-10  # added to a density before its logarithm is taken, as in SAELens
#: Names under which SAELens and TransformerLens know models whose own name is another.
_ALIASES = {"gpt2-small": "gpt2"}


def write_parts(
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    density: Float[np.ndarray, " feature"] | None,
) -> None:
    """Write a dictionary's files into a folder. `OSError` where they cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: w.detach().cpu().contiguous() for name, w in weights.items()}, folder / WEIGHTS)
    if density is not None:
        save_file({"sparsity": log_density(density)}, folder / SPARSITY)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_parts(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The configuration in a folder, in one layout, and the weights. Raises what reading them raises."""
    return flat_config(read_json(folder / CONFIG)), read_safetensors(folder / WEIGHTS)


def kept_activation(
    activation: Activation, b_enc: Float[torch.Tensor, " feature"]
) -> tuple[str, dict[str, torch.Tensor]]:
    """The kind by which an activation is kept, and the thresholds beside the weights, where it has some."""
    match activation:
        case BatchTopK(_, threshold):
            return JumpReLU.kind, {"threshold": torch.full_like(b_enc, max(threshold, 0.0))}
        case JumpReLU(threshold):
            return JumpReLU.kind, {"threshold": threshold}
        case _:
            return activation.kind, {}


def read_activation(kind: str, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> Activation:
    """The activation of a kind that is kept, from the configuration and weights beside it."""
    if kind == "standard":
        return Standard()
    return TopK(config["k"]) if kind == "topk" else JumpReLU(weights["threshold"])


def log_density(density: Float[np.ndarray, "*any feature"]) -> Float[torch.Tensor, "*any feature"]:
    """What is kept of densities: their logarithm to base 10."""
    return torch.tensor(np.log10(density + _LEAST), dtype=torch.float32)


def read_density(folder: str | Path) -> Float[np.ndarray, " feature"] | None:
    """The share of tokens at which each feature is active, as it was measured where the SAE was trained; None
    where the folder does not say. `InputError` where it cannot be read."""
    file = Path(folder) / SPARSITY
    if not file.is_file():
        return None
    try:
        logarithm = load_file(file)["sparsity"].double()
    except (OSError, KeyError, SafetensorError) as error:
        raise InputError(f"{str(file)!r} cannot be read ({first_line(error)}).") from None
    return (10**logarithm - _LEAST).clamp(min=0).numpy()


def flat_config(config: dict[str, Any]) -> dict[str, Any]:
    """Both layouts as one: the metadata beside the rest, and old names as today's."""
    config = {**config, **(config.get("metadata") or {})}
    old = {"hook_point": "hook_name", "activation_fn_str": "activation_fn"}
    for before, now in old.items():
        if before in config:
            config.setdefault(now, config[before])
    arguments = config.get("activation_fn_kwargs") or {}
    if config.get("activation_fn") == "topk" and arguments.get("k") is not None:
        config |= {"architecture": "topk", "k": arguments["k"]}
    normalise = config.get("normalize_activations") or "none"
    config["normalize_activations"] = "expected_average_only_in" if normalise is True else normalise
    return config


def same_model(recorded: str, own: str) -> bool:
    """Whether two names are of one model: without the organisation, and known aliases as one."""
    a, b = (name.split("/")[-1].lower() for name in (recorded, own))
    return _ALIASES.get(a, a) == _ALIASES.get(b, b)
