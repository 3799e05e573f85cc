"""The files of dictionaries, read in safety: a configuration, and weights by name."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file

from interp.errors import InputError, first_line
from interp.files import check_file, read_text

Config = dict[str, Any]
WeightsByName = dict[str, torch.Tensor]
#: What reading a damaged file raises.
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError),
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile),
)
_LARGEST_CONFIG = 1e7  # bytes
_LARGEST_WEIGHTS = 2e11
_PACKED = 4  # weights hardly compress: what unpacks to more than so many times its size is a trap
_SMALL = 1e6


def read_json(path: Path) -> Config:
    """A mapping in JSON. `ValueError` for anything else."""
    found = json.loads(read_text(path, largest=_LARGEST_CONFIG, error=InputError))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no mapping")
    return found


def read_yaml(path: Path) -> Config:
    """A mapping in YAML, of plain values without aliases, with which a short file can stand for an endless
    one. `ValueError` for anything else."""
    try:
        found = yaml.load(read_text(path, largest=_LARGEST_CONFIG, error=InputError), Loader=_PlainYAML)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path.name} is no YAML ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no mapping")
    return found


class _PlainYAML(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("aliases (*name) are not read")
        return super().compose_node(parent, index)


def read_safetensors(path: Path) -> WeightsByName:
    """Weights in float32."""
    check_file(path, os.stat(path), largest=_LARGEST_WEIGHTS, error=InputError)
    return {name: w.float() for name, w in load_file(path).items()}


def read_npz(path: Path) -> WeightsByName:
    """Arrays of NumPy in float32, none of them pickled. `InputError` for a file that unpacks to far more."""
    _check_packed(path)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(np.asarray(arrays[name], dtype=np.float32)) for name in arrays.files}


def read_pickled(path: Path) -> dict[str, Any]:
    """The state of a torch module, read with `weights_only`, so that no code of the file is run; in float32.
    `InputError` for a file that unpacks to far more, or asks for more than weights."""
    _check_packed(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{str(path)!r} holds more than weights, and is not read, as that could run code of its own."
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{str(path)!r} holds no weights by name.")
    return {
        str(name): w.float() if isinstance(w, torch.Tensor) and w.is_floating_point() else w
        for name, w in found.items()
    }


def _check_packed(path: Path) -> None:
    status = os.stat(path)
    check_file(path, status, largest=_LARGEST_WEIGHTS, error=InputError)
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        unpacked = sum(part.file_size for part in packed.infolist())
    if unpacked > _PACKED * status.st_size + _SMALL:
        raise InputError(
            f"{str(path)!r} has {status.st_size / 1e6:,.1f} MB, but unpacks to {unpacked / 1e6:,.1f} MB, "
            "which weights do not; it is not read."
        )
