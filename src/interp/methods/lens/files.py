"""A tuned lens on disk: a folder with its translators and the model that they are for.

The layout is that of the tuned-lens library (https://github.com/AlignmentResearch/tuned-lens), so that lenses
published for it load here, and ours there:

- ``config.json``: ``base_model_name_or_path``, ``base_model_revision``, ``d_model``, ``num_hidden_layers``,
  ``bias``, ``lens_type`` ("linear_tuned_lens") and ``unembed_hash``.
- the translators, ``{layer}.weight`` [d_model, d_model] (out, in) and ``{layer}.bias`` [d_model], one for the
  input of
  each layer, so that layer 0 is the embedding: ``params.safetensors`` here, ``params.pt`` (a torch pickle of
  the same) there. Both are read, the pickle as weights only, which runs no code; the second is written on
  request.

``unembed_hash`` is the library's, which cannot tell a model from its fine-tuned copies, so ours also have
``unembed_sha256`` (see `interp.models.unembedding`).
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from interp.errors import InputError, first_line

CONFIG, PARAMS, PICKLED = "config.json", "params.safetensors", "params.pt"
LENS_TYPE = "linear_tuned_lens"


def write_lens(
    folder: str | Path, config: dict[str, Any], weight: Tensor, bias: Tensor, *, pickled: bool = False
) -> None:
    """Write translators [layer, d_model, d_model] and [layer, d_model] with their configuration.

    With `pickled`, ``params.pt`` is written too, which is what the tuned-lens library reads. Raises
    `InputError` where the folder holds a lens already, or cannot be written.
    """
    folder = Path(folder)
    if (folder / CONFIG).exists():
        raise InputError(f"{str(folder)!r} holds a lens already; choose another folder.")
    params = {f"{layer}.weight": w.contiguous() for layer, w in enumerate(weight)}
    params |= {f"{layer}.bias": b.contiguous() for layer, b in enumerate(bias)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(params, folder / PARAMS)
        if pickled:
            torch.save(params, folder / PICKLED)
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"The lens cannot be written to {str(folder)!r} ({first_line(error)}).") from None


def read_lens(folder: str | Path) -> tuple[dict[str, Any], Tensor, Tensor]:
    """The configuration and the translators of a folder; `InputError` where it holds no lens that can be
    read."""
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{str(folder)!r} is a file; give the folder that holds the lens.")
    if not (folder / CONFIG).is_file():
        raise InputError(f"There is no tuned lens in {str(folder)!r}: it holds no {CONFIG}.")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if (folder / PARAMS).is_file():
            params = load_file(folder / PARAMS)
        else:
            params = torch.load(folder / PICKLED, map_location="cpu", weights_only=True)
        layers = range(config["num_hidden_layers"])
        weight = torch.stack([params[f"{layer}.weight"] for layer in layers]).float()
        bias = (
            torch.stack([params[f"{layer}.bias"] for layer in layers]).float()
            if config.get("bias", True)
            else torch.zeros(weight.shape[:2])
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise InputError(
            f"The tuned lens in {str(folder)!r} cannot be read ({type(error).__name__}: {first_line(error)})."
        ) from None
    if config.get("lens_type", LENS_TYPE) != LENS_TYPE:
        raise InputError(
            f"The lens in {str(folder)!r} is a {config['lens_type']!r}; only {LENS_TYPE!r} is known."
        )
    return config, weight, bias
