"""Which models the app offers, where they are, and how large; any folder or hub id can be typed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.models.base import Identity, Model

OFFERED = ("demo-gpt2", "demo-qwen3", "gpt2", "qwen3-0.6b")
#: The environment variable that names the model that pages begin with.
BEGIN_WITH = "INTERP_APP_MODEL"
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def first_model() -> str:
    """The model that a page begins with, which is loaded when the server starts."""
    return os.environ.get(BEGIN_WITH) or OFFERED[0]


def offered() -> tuple[str, ...]:
    """The first model, and the ones that everybody is offered."""
    return tuple(dict.fromkeys((first_model(), *OFFERED)))


def folder(name: str) -> Path | None:
    """The folder that a model's files are in: given, in the package, or in the local cache of the hub."""
    from interp.models.registry import KNOWN

    source = KNOWN[name].source if name in KNOWN else name
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(source, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def weight_bytes(name: str) -> float:
    """About how many bytes the weights take in float32; 0 where they are not on this machine."""
    where = folder(name)
    if where is None:
        return 0.0
    stored = sum(file.stat().st_size for file in where.glob("*.safetensors"))
    try:
        config = json.loads((where / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return float(stored)
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    return stored * 4.0 / _BYTES.get(dtype, 4)


@dataclass(frozen=True)
class Loaded:
    """Asked of a model so that it is loaded: which one it is."""

    def __call__(self, model: Model) -> Identity:
        return model.identity
