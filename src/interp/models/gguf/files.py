"""GGUF files: which path or name is one, and what its header says."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.errors import ModelLoadError, first_line, how_to_install

if TYPE_CHECKING:
    from gguf import GGUFReader

MAGIC = b"GGUF"
OLLAMA = "ollama:"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a GGUF file says about itself."""

    architecture: str  # gemma3, llama, ...
    name: str
    quantisation: str  # the kind that most weights are in, such as Q4_K_M; F16 or F32 where there is none
    n_parameters: int
    tokens: tuple[str, ...]  # the vocabulary's pieces, by id; empty where the file has none


def gguf_file(source: str) -> Path | None:
    """The GGUF file that `source` names: a path to one, whatever it is called, or ``ollama:NAME`` for a model
    that Ollama keeps on this disk. None where it names something else; `ModelLoadError` where Ollama has no
    such model."""
    if source.startswith(OLLAMA):
        return _ollama_blob(source.removeprefix(OLLAMA))
    path = Path(source)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return path if file.read(len(MAGIC)) == MAGIC else None


def _ollama_blob(name: str) -> Path:
    """The weights of an Ollama model, by the manifest that Ollama keeps of it."""
    folder = Path(os.environ.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models")
    model, _, tag = name.partition(":")
    place = model if "/" in model else f"library/{model}"
    manifests = sorted(folder.glob(f"manifests/*/{place}/{tag or 'latest'}"))
    if not manifests:
        there = sorted({path.parent.name + ":" + path.name for path in folder.glob("manifests/*/*/*/*")})
        raise ModelLoadError(
            f"Ollama has no model {name!r} in {str(folder)!r}; there are: {', '.join(there) or 'none'}."
        )
    try:
        layers = json.loads(manifests[0].read_text(encoding="utf-8"))["layers"]
        digest = next(layer["digest"] for layer in layers if layer["mediaType"].endswith(".image.model"))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        raise ModelLoadError(
            f"Ollama's manifest of {name!r} names no weights; pull the model again."
        ) from None
    blob = folder / "blobs" / str(digest).replace(":", "-")
    if not blob.is_file():
        raise ModelLoadError(f"The weights of {name!r} are not in {str(folder / 'blobs')!r}; pull it again.")
    return blob


def read_header(path: Path) -> Header:
    """What a GGUF file says about itself; `ModelLoadError` where it cannot be read, or holds no model."""
    reader = _reader(path)
    fields = reader.fields

    def value(key: str, default: Any) -> Any:
        return fields[key].contents() if key in fields else default

    sizes = Counter[str]()
    for tensor in reader.tensors:
        sizes[tensor.tensor_type.name] += int(tensor.n_elements)
    if not sizes:
        raise ModelLoadError(
            f"{str(path)!r} holds no weights; it is a vocabulary or an adapter, not a model."
        )
    return Header(
        architecture=str(value("general.architecture", "unknown")),
        name=str(value("general.name", path.stem)),
        quantisation=_quantisation(value("general.file_type", None), sizes),
        n_parameters=sum(sizes.values()),
        tokens=tuple(value("tokenizer.ggml.tokens", ())),
    )


def _reader(path: Path) -> GGUFReader:
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError:
        raise ModelLoadError(
            f"Reading GGUF files needs the gguf library; run: {how_to_install('gguf')}."
        ) from None
    try:
        return GGUFReader(path)
    except Exception as error:  # of many kinds: a damaged file can fail anywhere
        raise ModelLoadError(
            f"{str(path)!r} is no GGUF file that can be read ({first_line(error)})."
        ) from None


def _quantisation(file_type: Any, sizes: Counter[str]) -> str:
    """As llama.cpp calls it (Q4_K_M); else the type that most weights are of."""
    from gguf import LlamaFileType

    try:
        return LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return sizes.most_common(1)[0][0]


def sha256(path: Path) -> str:
    """The hash of a file, by which its converted copy is found."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
