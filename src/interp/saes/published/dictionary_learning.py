"""dictionary_learning (https://github.com/saprmarks/dictionary_learning): ``ae.pt`` with ``config.json``.

Its classes: AutoEncoder (features in units of decoder length, as the library has them when it loads one),
AutoEncoderNew and JumpReluAutoEncoder (b_dec is not taken off before), GatedAutoEncoder, AutoEncoderTopK,
BatchTopKSAE and MatryoshkaBatchTopKSAE (their threshold in use). Activations that were normalised in training
are folded into the biases when it is saved. ``ae.pt`` is read with `weights_only`: no code of it is run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.gated import without_gates
from interp.saes.published.modules import the_hook
from interp.saes.weight_files import Config, WeightsByName, read_json, read_pickled

WEIGHTS, CONFIG = "ae.pt", "config.json"
#: The name here of each of its weights, but the encoder's and decoder's matrices, which it keeps transposed.
_NAMES = {
    "bias": "b_dec",
    "decoder_bias": "b_dec",
    "decoder.bias": "b_dec",
    "encoder.bias": "b_enc",
    "gate_bias": "b_gate",
    "mag_bias": "b_mag",
}
_KINDS = {
    "AutoEncoder": "standard",
    "AutoEncoderNew": "standard",
    "GatedAutoEncoder": "jumprelu",
    "JumpReluAutoEncoder": "jumprelu",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "jumprelu",
    "MatryoshkaBatchTopKSAE": "jumprelu",
}
_B_DEC_STAYS = ("AutoEncoderNew", "JumpReluAutoEncoder")
#: What the names of submodules in its examples mean.
_SITES = {
    r"resid(_post|_out)?": "hook_resid_post",
    r"mlp(_out)?": "hook_mlp_out",
    r"att(ention|n)(_out)?": "hook_attn_out",
}


def read(folder: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """A dictionary. `model` is not asked: no module of it is named."""
    trained = read_json(folder / CONFIG)["trainer"]
    kind = trained["dict_class"]
    if kind not in _KINDS:
        raise InputError(
            f"The class {kind!r} of dictionary_learning is not supported; {', '.join(_KINDS)} are."
        )
    weights = _weights(kind, trained, read_pickled(folder / WEIGHTS))
    what = f"The dictionary of dictionary_learning in {str(folder)!r}"
    config: Config = {
        "architecture": _KINDS[kind],
        "d_in": trained["activation_dim"],
        "d_sae": trained["dict_size"],
        "hook_name": the_hook(_recorded_hook(trained), hook_name, what=what),
        "model_name": trained.get("lm_name"),
        "apply_b_dec_to_input": kind not in _B_DEC_STAYS,
        "normalize_activations": "none",
        "rescale_acts_by_decoder_norm": kind == "AutoEncoder",
    }
    if kind == "AutoEncoderTopK":
        config["k"] = trained["k"]
    return config, weights


def _weights(kind: str, trained: dict[str, Any], state: dict[str, Any]) -> WeightsByName:
    found = {_NAMES.get(name, name): w for name, w in state.items() if isinstance(w, torch.Tensor)}
    if "encoder.weight" in found:
        found |= {"W_enc": found["encoder.weight"].T, "W_dec": found["decoder.weight"].T}
    if "k" in found and "k" in trained and int(found["k"]) != trained["k"]:
        raise InputError(f"The configuration says k={trained['k']}, but the weights k={int(found['k'])}.")
    if kind == "GatedAutoEncoder":
        return without_gates(found)
    wanted = ["W_enc", "b_enc", "W_dec", "b_dec"] + ["threshold"] * (_KINDS[kind] == "jumprelu")
    weights = {name: found[name] for name in wanted}
    if kind in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
        threshold = float(weights["threshold"])
        if threshold < 0:
            raise InputError("This dictionary was saved before its threshold was found; train it for longer.")
        weights["threshold"] = torch.full_like(weights["b_enc"], threshold)
    return weights


def _recorded_hook(trained: dict[str, Any]) -> str | None:
    """The hook name by the name of the submodule and the layer; None where they do not say."""
    layer, module = trained.get("layer"), trained.get("submodule_name")
    if not isinstance(module, str) or not isinstance(layer, int):
        return None
    for pattern, hook in _SITES.items():
        if re.fullmatch(rf"{pattern}(_?layer_?{layer})?", module):
            return f"blocks.{layer}.{hook}"
    return None
