"""A Jacobian lens on disk: a folder of ours, or one file of the reference implementation's.

- A folder: ``config.json`` (``lens_type`` "jacobian_lens", the model that it is for and the SHA-256 of its
  unembedding, the target layer, the settings of the fit and its standard errors) and ``params.safetensors``,
  a matrix ``{layer}`` [d_model, d_model] for each layer, "embed" for the embedding.
- ``lens.pt``, as Neuronpedia publishes them: ``torch.save`` of ``{"J": {layer: [d_model, d_model]},
  "n_prompts", "source_layers", "d_model"}``, float16. It is read as weights only, which runs no code. Such a
  file has no embedding, and records neither model nor unembedding; TransformerLens adds ``metadata``, of
  which the model's name and the target layer are read.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from interp.errors import InputError, first_line
from interp.files import check_file, read_text
from interp.methods.lens.files import CONFIG, PARAMS

LENS_TYPE = "jacobian_lens"
_LARGEST_CONFIG = 1e6  # bytes
#: What reading a damaged or foreign file raises.
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError),
    *(SafetensorError, pickle.UnpicklingError),
)

#: The matrix of each layer.
Jacobians = dict[int, Float[Tensor, "d_model d_model"]]


def write_folder(folder: str | Path, config: dict[str, Any], params: dict[str, Tensor]) -> None:
    """Write a lens to a new folder. `InputError` where it holds one already, or cannot be written."""
    folder = Path(folder)
    check_new(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: matrix.contiguous() for name, matrix in params.items()}, folder / PARAMS)
        text = json.dumps({"lens_type": LENS_TYPE, **config}, indent=2)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from None


def check_new(folder: str | Path) -> None:
    """`InputError` where a folder holds a lens already, or a file is there."""
    if (Path(folder) / CONFIG).exists() or Path(folder).is_file():
        raise InputError(f"{str(folder)!r} holds a lens already; choose another place.")


def write_file(path: str | Path, jacobians: Jacobians, n_prompts: int) -> None:
    """Write a file of the reference's format. `InputError` where there is one, or it cannot be written."""
    path = Path(path)
    check_new(path)
    d_model = next(iter(jacobians.values())).shape[-1]
    payload = {
        "J": {layer: matrix.contiguous() for layer, matrix in jacobians.items()},
        "n_prompts": n_prompts,
        "source_layers": sorted(jacobians),
        "d_model": d_model,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(payload, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def read_folder(folder: str | Path, *, largest: float) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration and the matrices of a folder, in float32. `InputError` where there is no lens, or one
    of more than `largest` bytes."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"There is no lens in {str(folder)!r}: it holds no {CONFIG}.")
    try:
        config = json.loads(read_text(folder / CONFIG, largest=_LARGEST_CONFIG, error=InputError))
        if config.get("lens_type") != LENS_TYPE:
            raise InputError(
                f"The lens in {str(folder)!r} is a {config.get('lens_type')!r}, not a {LENS_TYPE!r}."
            )
        check_file(folder / PARAMS, (folder / PARAMS).stat(), largest=largest, error=InputError)
        return config, {name: matrix.float() for name, matrix in load_file(folder / PARAMS).items()}
    except _UNREADABLE as error:
        raise _unreadable(folder, error) from None


def read_file(path: Path, *, largest: float) -> tuple[Jacobians, dict[str, Any]]:
    """The matrices of a file of the reference's format in float32, and what else it says: ``n_prompts``, and
    ``metadata``. `InputError` where it cannot be read, or has more than `largest` bytes."""
    try:
        check_file(path, path.stat(), largest=largest, error=InputError)
        payload = torch.load(path, map_location="cpu", weights_only=True)
        jacobians = {int(layer): matrix.float() for layer, matrix in payload["J"].items()}
        d_model = int(payload["d_model"])
        about = {"n_prompts": int(payload["n_prompts"]), "metadata": dict(payload.get("metadata") or {})}
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    if not jacobians or any(matrix.shape != (d_model, d_model) for matrix in jacobians.values()):
        raise InputError(f"The lens {str(path)!r} has no matrices of its width {d_model}; it is damaged.")
    return jacobians, about


def _unreadable(place: str | Path, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"The Jacobian lens in {str(place)!r} cannot be read ({type(error).__name__}: {first_line(error)})."
    )


def _unwritable(place: Path, error: OSError) -> InputError:
    return InputError(f"The lens cannot be written to {str(place)!r} ({first_line(error)}).")
