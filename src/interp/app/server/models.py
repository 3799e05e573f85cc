"""Models: which ones the app offers, and where they are and how large; any folder or hub id can be typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interp.app.server.settings import first_model
from interp.errors import ModelLoadError
from interp.files import read_text
from interp.models.gguf.packages import GEMMA, is_installed
from interp.zoo import NAMES

if TYPE_CHECKING:
    from interp.models.base import Identity, Model

ALWAYS_OFFERED = (*NAMES, "gpt2", "qwen3-0.6b")
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def offered_models() -> tuple[str, ...]:
    """The model that pages begin with, those that everybody is offered, and the real one where it is
    installed."""
    real = (GEMMA.name,) if is_installed(GEMMA) else ()
    return tuple(dict.fromkeys((first_model(), *ALWAYS_OFFERED, *real)))


def local_folder(name: str) -> Path | None:
    """The folder with a model's files: the one given, in the package, or in the local cache of the hub; None
    where they are not on this machine."""
    from interp.models.names import KNOWN

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
    """About how many bytes the weights take in float32, by their files and by what the configuration says;
    0 where they are not on this machine. `ModelLoadError` where the configuration says what cannot be."""
    from interp.models.sizes import LARGEST, least_parameters, read_sizes, stored_bytes

    folder = local_folder(name)
    if folder is None or not (folder / "config.json").exists():
        return _gguf_bytes(name)
    stored = stored_bytes(folder)
    sizes = read_sizes(folder)
    config = json.loads(read_text(folder / "config.json", largest=LARGEST, error=ModelLoadError))
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    return max(stored * 4.0 / _BYTES.get(str(dtype), 4), 4.0 * least_parameters(sizes))


def _gguf_bytes(name: str) -> float:
    """About how many bytes the weights of a GGUF file take in float32: those of its converted copy, or
    by what its header says; 0 where it is none."""
    from interp.models.gguf.copies import all_copies
    from interp.models.gguf.files import gguf_file, read_header

    if name == GEMMA.name:
        return 4.0 * GEMMA.n_parameters
    file = gguf_file(name)
    if file is None:
        return 0.0
    copied = next((copy for copy in all_copies() if Path(copy.source) == file.resolve()), None)
    return 4.0 * read_header(file).n_parameters if copied is None else float(copied.size)


def bytes_in_memory(model: Model) -> int:
    """How many bytes a loaded model's weights take; shared ones count once."""
    return sum(p.nbytes for p in {p.data_ptr(): p for p in model.hf_model.parameters()}.values())


@dataclass(frozen=True)
class ModelIdentity:
    """The question which model it is: asking it loads the model."""

    def __call__(self, model: Model) -> Identity:
        return model.identity
