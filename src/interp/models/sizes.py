"""How large a model its configuration describes, known before anything is built or read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.errors import ModelLoadError, first_line
from interp.files import read_text

_HARMLESS = 1e8  # parameters, for which there is memory anywhere
LARGEST = 50e6  # bytes of a config.json, which may list the names of classes
#: The most of each that a model has, under all the names that configurations have for it; far beyond any yet.
_MOST = {
    "layers": (("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2_000),
    "tokens in the vocabulary": (("vocab_size",), 10_000_000),
    "numbers in the residual stream": (("hidden_size", "n_embd", "d_model", "dim"), 200_000),
    "neurons in an MLP": (("intermediate_size", "n_inner", "ffn_dim", "d_ff"), 5_000_000),
    "heads": (("num_attention_heads", "n_head", "n_heads", "num_key_value_heads"), 20_000),
    "numbers in a head": (("head_dim",), 100_000),
    "experts": (("num_experts", "num_local_experts", "n_routed_experts"), 20_000),
    "positions": (("max_position_embeddings", "n_positions", "n_ctx"), 200_000_000),
}


def read_sizes(folder: Path) -> dict[str, int]:
    """The sizes that the ``config.json`` of a folder gives, by what they count. `ModelLoadError` where it is
    no configuration, or gives a size that no model has."""
    file = folder / "config.json"
    try:
        config = json.loads(read_text(file, largest=LARGEST, error=ModelLoadError))
    except (FileNotFoundError, RecursionError, ValueError) as error:
        raise ModelLoadError(
            f"{str(file)!r} could not be loaded as a configuration ({first_line(error)})."
        ) from None
    if not isinstance(config, dict):
        raise ModelLoadError(f"{str(file)!r} holds no mapping, so it is no configuration of a model.")
    nested = config.get("text_config")
    sizes = _sizes(config | nested if isinstance(nested, dict) else config)
    for what, size in sizes.items():
        if not 0 <= size <= _MOST[what][1]:
            raise ModelLoadError(
                f"{str(file)!r} describes a model of {size:.3g} {what}; no model has more than "
                f"{_MOST[what][1]:,}, so it is damaged: get it again."
            )
    return sizes


def _sizes(config: Mapping[str, Any]) -> dict[str, int]:
    found = {
        what: max((config[name] for name in names if isinstance(config.get(name), int)), default=None)
        for what, (names, _) in _MOST.items()
    }
    return {what: size for what, size in found.items() if size is not None}


def check_sizes(folder: Path) -> None:
    """`ModelLoadError` where the configuration of a folder describes a model that is far larger than the
    weights beside it: transformers would make up the rest, whatever memory that takes."""
    sizes, stored = read_sizes(folder), stored_bytes(folder)
    least = least_parameters(sizes)
    if stored and least > max(_HARMLESS, 16 * stored):  # a byte holds a few parameters at most
        raise ModelLoadError(
            f"The configuration in {str(folder)!r} describes a model of {least:.2g} parameters or more, but "
            f"its weights are {stored / 1e6:,.1f} MB; get the folder again."
        )


def stored_bytes(folder: Path) -> int:
    """How many bytes the weights of a folder take on disk."""
    files = (file for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind))
    return sum(file.stat().st_size for file in files if file.is_file())


def least_parameters(sizes: Mapping[str, int]) -> float:
    """How many parameters a model of such sizes has at least: an embedding, and a part of each layer."""
    width = sizes.get("numbers in the residual stream", 1)
    rows = sizes.get("tokens in the vocabulary", 0)
    layer = max(width, sizes.get("neurons in an MLP", 0))
    return float(width) * (rows + sizes.get("layers", 0) * layer)
