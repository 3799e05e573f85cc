"""Transcoders on disk, as SAELens (https://github.com/decoderesearch/SAELens) keeps one; of a whole model, a
folder for each layer, ``layer_0``, ``layer_1``, ...

A layer's folder has ``cfg.json`` and ``sae_weights.safetensors``: W_enc, b_enc, W_dec, b_dec, threshold of a
JumpReLU, and W_skip [d_out, d_in] (the transpose of ours) of one with a skip connection. The architecture is
``transcoder``, ``jumprelu_transcoder``, ``skip_transcoder`` or ``jumprelu_skip_transcoder``. A BatchTopK is
written as a JumpReLU with one threshold, as SAEs are. SAELens has no TopK transcoder: ours is
``topk_transcoder`` or ``topk_skip_transcoder``, which it refuses.

What a transcoder reads is named as in TransformerLens (`interp.saes.transcoder_hooks`). Ours are written for
``ln2.hook_normalized``, with the norm in the metadata, ``input_norm``.

Transcoders of Gemma Scope and of sparsify are read, too (`interp.saes.published`), and cross-layer ones
(`interp.saes.cross_layer_files`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from interp.errors import InputError, first_line
from interp.models.base import Model
from interp.saes.activations import Standard, TopK
from interp.saes.cross_layer import CrossLayerTranscoder
from interp.saes.cross_layer_files import is_cross_layer, read_cross_layer, write_cross_layer
from interp.saes.descriptions import read_names
from interp.saes.files import check_new
from interp.saes.layout import kept_activation, read_activation, same_model, write_parts
from interp.saes.published.finding import read_any
from interp.saes.transcoder import InputNorm, Transcoder, Transcoders
from interp.saes.transcoder_hooks import check_hooks, with_norm
from interp.saes.weight_files import UNREADABLE

_KINDS = {"transcoder": "standard", "jumprelu_transcoder": "jumprelu", "topk_transcoder": "topk"}
_HOOK = re.compile(r"blocks\.(?P<layer>\d+)\.(?P<name>[\w.]+)")
_LAYER = "{layer}"  # of a pattern


def write_transcoders(
    folder: str | Path,
    transcoders: Transcoders,
    *,
    density: Float[np.ndarray, "layer feature"] | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write transcoders to a new folder, each in SAELens's layout and in the dtype that it has; a cross-layer
    transcoder in circuit-tracer's (`interp.saes.cross_layer_files`).

    `density` is the share of tokens at which each feature is active. `training` says how they were made, in
    JSON values. Raises `InputError` where the folder holds some already, or cannot be written.
    """
    check_new_transcoders(folder)
    folder = Path(folder)
    try:
        if isinstance(transcoders, CrossLayerTranscoder):
            write_cross_layer(folder, transcoders, density=density, training=training)
        else:
            for layer, transcoder in enumerate(transcoders):
                own = None if density is None else density[layer]
                _write(folder / f"layer_{layer}", transcoder, own, training)
    except OSError as error:
        raise InputError(
            f"The transcoders cannot be written to {str(folder)!r} ({first_line(error)})."
        ) from None


def check_new_transcoders(folder: str | Path) -> None:
    """`InputError` where a folder holds transcoders already."""
    if layer_folders(Path(folder)) or is_cross_layer(Path(folder)):
        raise InputError(f"{str(folder)!r} holds transcoders already; choose another folder.")
    check_new(folder)


def _write(
    folder: Path,
    transcoder: Transcoder,
    density: Float[np.ndarray, " feature"] | None,
    training: Mapping[str, Any] | None,
) -> None:
    check_new(folder)
    kind, thresholds = kept_activation(transcoder.activation, transcoder.b_enc)
    weights = {name: getattr(transcoder, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")} | thresholds
    if transcoder.W_skip is not None:
        weights["W_skip"] = transcoder.W_skip.T
    read = "hook_resid_mid" if transcoder.norm.kind == "none" else "ln2.hook_normalized"
    config = {
        "d_in": transcoder.d_in,
        "d_sae": transcoder.n_features,
        "d_out": transcoder.b_dec.shape[0],
        "dtype": str(transcoder.W_dec.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "architecture": _architecture(kind, skip=transcoder.W_skip is not None),
        **({"k": transcoder.activation.k} if isinstance(transcoder.activation, TopK) else {}),
        "metadata": {
            "sae_lens_version": "6.0.0",  # the layout
            "model_name": transcoder.model,
            "hook_name": f"blocks.{transcoder.layer}.{read}",
            "hook_name_out": str(transcoder.target),
            "hook_head_index": None,
            "revision": transcoder.revision,
            "processing": transcoder.processing,
            "input_norm": {"kind": transcoder.norm.kind, "eps": transcoder.norm.eps},
            "unembed_sha256": transcoder.unembed_sha256,
            "training": None if training is None else dict(training),
        },
    }
    write_parts(folder, config, weights, density)


def read_transcoders(folder: str | Path, model: Model, *, check_name: bool = True) -> Transcoders:
    """The transcoders of all layers in a folder, for use with `model`, or the cross-layer transcoder there;
    `folder` may be a pattern with ``{layer}`` for the number of the layer.

    With `check_name` False the model's name is not compared, where none of its weights are recorded. Raises
    `InputError` for a folder that has none, one of a kind that is not known, or of another model.
    """
    folder = Path(folder)
    if is_cross_layer(folder):
        return read_cross_layer(folder, model, check_name=check_name)
    folders = layer_folders(folder)
    if not folders:
        raise InputError(
            f"There are no transcoders in {str(folder)!r}: it holds no folder 'layer_0'. Where they "
            "are named otherwise, give a pattern with {layer} in the number's place."
        )
    found = Transcoders(tuple(_read(one, model, check_name) for one in folders))
    found.check_fits(model)
    return found


def layer_folders(folder: Path) -> Sequence[Path]:
    """The folders of the layers, in their order, without a gap."""
    pattern = str(folder if _LAYER in str(folder) else folder / f"layer_{_LAYER}")
    found: list[Path] = []
    while (one := Path(pattern.replace(_LAYER, str(len(found))))).is_dir() and any(one.iterdir()):
        found.append(one)
    return found


def _read(folder: Path, model: Model, check_name: bool) -> Transcoder:
    try:
        found = _transcoder(*read_any(folder, model, None), model, check_name)
    except UNREADABLE as error:
        raise InputError(
            f"The transcoder in {str(folder)!r} cannot be read ({type(error).__name__}: {first_line(error)})."
        ) from None
    return replace(found, names=read_names(folder))


def _transcoder(
    config: dict[str, Any], weights: dict[str, torch.Tensor], model: Model, check_name: bool
) -> Transcoder:
    kind = config["architecture"]
    if kind.replace("skip_", "") not in _KINDS:
        raise InputError(
            f"The architecture {kind!r} is no transcoder that is known: {', '.join(_KINDS)}, and these with "
            "a skip connection."
        )
    if (config.get("normalize_activations") or "none") != "none":
        raise InputError(
            f"This transcoder normalises what it reads ({config['normalize_activations']!r}), which is not "
            "supported; take one that reads the output of the norm."
        )
    name = config.get("model_name") or "a model that is not named"
    if check_name and config.get("unembed_sha256") is None and not same_model(name, model.identity.name):
        raise InputError(
            f"This transcoder is for {name!r}, but the model is {model.identity.name!r}; if they are the same"
            " weights, load it with check_name=False."
        )
    hook = _HOOK.fullmatch(config["hook_name"])
    out = _HOOK.fullmatch(
        config.get("hook_name_out") or f"blocks.{hook['layer'] if hook else ''}.hook_mlp_out"
    )
    if hook is None or out is None or hook["layer"] != out["layer"]:
        raise InputError(
            f"This transcoder is from {config['hook_name']!r} to {config.get('hook_name_out')!r}; only those "
            "from what an MLP reads to what the same MLP writes are supported."
        )
    check_hooks(hook["name"], out["name"], model, int(hook["layer"]))
    found = Transcoder(
        W_enc=weights["W_enc"],
        b_enc=weights["b_enc"],
        W_dec=weights["W_dec"],
        b_dec=weights["b_dec"],
        W_skip=weights["W_skip"].T.contiguous() if "W_skip" in weights else None,
        activation=read_activation(_KINDS[kind.replace("skip_", "")], config, weights),
        norm=InputNorm(),
        layer=int(hook["layer"]),
        model=name,
        revision=config.get("revision"),
        processing=config.get("processing") or "none",
        unembed_sha256=config.get("unembed_sha256"),
    )
    return with_norm(found, hook["name"], model, config.get("input_norm"))


def _architecture(kind: str, *, skip: bool) -> str:
    """SAELens's name for a transcoder of a kind."""
    return ("" if kind == Standard.kind else f"{kind}_") + ("skip_transcoder" if skip else "transcoder")
