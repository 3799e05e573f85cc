"""circuit-tracer (https://github.com/decoderesearch/circuit-tracer): cross-layer transcoders, and so ours.

A folder with ``config.yaml`` (``model_name``, ``model_kind``, ``feature_input_hook``,
``feature_output_hook``) and for each layer i two files: ``W_enc_i.safetensors`` with W_enc_i [feature, d_in],
b_enc_i, b_dec_i and, of a JumpReLU, threshold_i; ``W_dec_i.safetensors`` with W_dec_i [feature, layer,
d_out], what is written to the MLPs from layer i on.

What circuit-tracer would read as something else has another ``model_kind``, which it refuses:
``topk_cross_layer_transcoder``, and ``skip_cross_layer_transcoder`` with W_skip_i [d_in, d_out] beside
W_enc_i (it computes skip connections, but has no place for them in a file).
"""

from __future__ import annotations

from pathlib import Path

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.weight_files import Config, WeightsByName, read_safetensors, read_yaml

CONFIG, ENCODER, DECODER = "config.yaml", "W_enc_{layer}.safetensors", "W_dec_{layer}.safetensors"
KIND = "cross_layer_transcoder"
_KINDS = (KIND, f"topk_{KIND}", f"skip_{KIND}", f"topk_skip_{KIND}")


def cross_layer_config(folder: Path, model: Model) -> Config:
    """What its configuration says. `model` is not asked: no
    module of it is named."""
    recorded = read_yaml(folder / CONFIG)
    if recorded.get("model_kind") not in _KINDS:
        raise InputError(
            f"{str(folder)!r} says that it holds a {recorded.get('model_kind')!r}, which is not supported; "
            f"{', '.join(_KINDS)} are."
        )
    own = recorded.get("interp") or {}
    return {
        **own,
        "model_name": recorded["model_name"],
        "topk": "topk" in recorded["model_kind"],
        "hook": recorded["feature_input_hook"],
        "hook_out": recorded["feature_output_hook"],
    }


def cross_layer_weights(folder: Path, layer: int) -> WeightsByName:
    """The weights of one layer by their names without its number."""
    found: WeightsByName = {}
    for file in (ENCODER, DECODER):
        found |= read_safetensors(folder / file.format(layer=layer))
    weights = {name.removesuffix(f"_{layer}"): w for name, w in found.items()}
    return {**weights, "W_enc": weights["W_enc"].T.contiguous()}
