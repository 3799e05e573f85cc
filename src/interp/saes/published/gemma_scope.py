"""Gemma Scope: JumpReLU dictionaries of Gemma 2 (``params.npz``) and of Gemma 3 (``params.safetensors``).

Lieberum et al. 2024, https://arxiv.org/abs/2408.05147. The first say nowhere what they are for: model, site
and layer are read off the path, which is that of the release
(``gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71``), or given. The second have a ``config.json`` with
the module of Hugging Face's whose output they read.

b_dec is not taken off before. Transcoders of Gemma 2 read the residual stream behind the norm, without its
gain; those of Gemma 3 with it. Cross-layer transcoders of Gemma 3 have a file for each layer
(``params_layer_0.safetensors``), whose w_dec [feature, layer, d_out] is for all layers; what it has for those
below its own is not used. Dictionaries of the embedding were trained on activations before they are
multiplied by sqrt(d_model), and get that factor here, where `embed` has it.
"""

from __future__ import annotations

import re
from pathlib import Path

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.published.modules import hook_of, the_hook
from interp.saes.weight_files import Config, WeightsByName, read_json, read_npz, read_safetensors

ARRAYS, SAFE, CONFIG = "params.npz", "params.safetensors", "config.json"
CROSS_LAYER = "params_layer_{layer}.safetensors"
_ALL = "{all}"  # in the place of a layer's number
_RELEASE = re.compile(r"gemma-scope-(?P<size>\d+b)-(?P<tuning>pt|it)-(?P<site>res|mlp|att|transcoders)\b")
_HOOKS = {
    "res": "hook_resid_post",
    "mlp": "hook_mlp_out",
    "att": "attn.hook_z",
    "transcoders": "ln2.hook_normalized",
}


def read_first(folder: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """A dictionary of Gemma 2, or a transcoder, which has ``hook_name_out`` in its configuration. `model` is
    not asked: nothing in the file names a module."""
    weights = {_named(name): w for name, w in read_npz(folder / ARRAYS).items()}
    path = folder.resolve().as_posix()
    release = _RELEASE.search(path)
    layer = re.search(r"layer_(\d+)", path)
    recorded = None
    if release is not None and "embedding" in folder.parts:
        recorded = "hook_embed"
        root = weights["W_enc"].shape[0] ** 0.5
        weights |= {"W_enc": weights["W_enc"] / root, "W_dec": weights["W_dec"] * root}
        weights |= {"b_dec": weights["b_dec"] * root}
    elif release is not None and layer is not None:
        recorded = f"blocks.{layer[1]}.{_HOOKS[release['site']]}"
    name = f"gemma-2-{release['size']}" + ("-it" if release["tuning"] == "it" else "") if release else None
    hook = the_hook(recorded, hook_name, what=f"The dictionary of Gemma Scope in {str(folder)!r}")
    config = _config(weights, hook, name)
    if hook.endswith(_HOOKS["transcoders"]) and layer is not None:
        out = f"blocks.{layer[1]}.{_HOOKS['mlp']}"
        config |= {"architecture": "jumprelu_transcoder", "hook_name_out": out}
    return config, weights


def read_second(folder: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """A dictionary of Gemma 3, or a transcoder, which has ``hook_name_out`` in its configuration."""
    weights = {_named(name): w for name, w in read_safetensors(folder / SAFE).items()}
    recorded = read_json(folder / CONFIG)
    kind = recorded.get("architecture")
    if kind != "jump_relu":
        raise InputError(f"The architecture {kind!r} of Gemma Scope 2 is not supported; jump_relu is.")
    if weights["W_dec"].ndim != 2:
        raise InputError(
            "This is a cross-layer transcoder or a crosscoder of Gemma Scope 2, which is not supported; "
            "dictionaries and transcoders of one layer are."
        )
    what = f"The dictionary of Gemma Scope in {str(folder)!r}"
    hook = the_hook(hook_of(str(recorded["hf_hook_point_in"]), model), hook_name, what=what)
    config = _config(weights, hook, _gemma_3(str(recorded["model_name"])))
    if recorded.get("hf_hook_point_out"):
        out = hook_of(str(recorded["hf_hook_point_out"]), model)
        skip = weights.pop("affine_skip_connection", None)  # [d_in, d_out], which SAELens has the other way
        if skip is not None:
            weights["W_skip"] = skip.T
        config |= {
            "architecture": "jumprelu_transcoder" if skip is None else "jumprelu_skip_transcoder",
            "hook_name_out": out or recorded["hf_hook_point_out"],
        }
    return config, weights


def cross_layer_config(folder: Path, model: Model) -> Config:
    """What the configuration of a cross-layer transcoder says, as `circuit_tracer.cross_layer_config` has it.

    `InputError` for a crosscoder, which has such files, too.
    """
    recorded = read_json(folder / CONFIG)
    kind = recorded.get("type")
    if kind != "clt" or recorded.get("architecture") != "jump_relu":
        raise InputError(
            f"{str(folder)!r} says that it holds a {kind!r} of the architecture "
            f"{recorded.get('architecture')!r}, which is not supported; a 'clt' with 'jump_relu' is."
        )
    places = {}
    for key in ("hf_hook_point_in", "hf_hook_point_out"):
        module = str(recorded[key]).replace(_ALL, "0")
        places[key] = (hook_of(module, model) or module).removeprefix("blocks.0.")
    return {
        "model_name": _gemma_3(str(recorded["model_name"])),
        "topk": False,
        "hook": places["hf_hook_point_in"],
        "hook_out": places["hf_hook_point_out"],
    }


def cross_layer_weights(folder: Path, layer: int) -> WeightsByName:
    """The weights of one layer, in circuit-tracer's terms."""
    weights = {
        _named(name): w for name, w in read_safetensors(folder / CROSS_LAYER.format(layer=layer)).items()
    }
    if "affine_skip_connection" in weights:
        weights["W_skip"] = weights.pop("affine_skip_connection")  # [d_in, d_out]
    return {**weights, "W_dec": weights["W_dec"][:, layer:].contiguous()}


def _named(name: str) -> str:
    return f"W_{name[2:]}" if name.startswith("w_") else name


def _gemma_3(name: str) -> str:
    """The name of a model of Gemma 3 on the hub."""
    name = name.split("/")[-1].replace("-v3-", "-3-")
    return name.removesuffix("-pt") if "270m" in name else name


def _config(weights: WeightsByName, hook: str, name: str | None) -> Config:
    return {
        "architecture": "jumprelu",
        "d_in": weights["W_enc"].shape[0],
        "d_sae": weights["W_enc"].shape[1],
        "hook_name": hook,
        "model_name": name,
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
    }
