"""OpenAI's dictionaries of GPT-2 small (https://github.com/openai/sparse_autoencoder): one ``.pt`` file each.

Gao et al. 2024, https://arxiv.org/abs/2406.04093. TopK ones normalise each activation (its mean off, divided
by its standard deviation), ReLU ones do not. Where a file is for is read off the path of the release
(``resid_post_mlp_v5_32k/autoencoders/6.pt``), or given. Read with `weights_only`: no code of it is run.
"""

from __future__ import annotations

import re
from pathlib import Path

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.published.modules import the_hook
from interp.saes.weight_files import Config, WeightsByName, read_pickled

SUFFIX = ".pt"
_RELEASE = re.compile(
    r"(?P<place>mlp_post_act|resid_\w+?_(mlp|attn))(_v\d\w*)?/autoencoders/(?P<layer>\d+)\.pt"
)
_HOOKS = {
    "mlp_post_act": "mlp.hook_post",
    "resid_delta_attn": "hook_attn_out",
    "resid_post_attn": "hook_resid_mid",
    "resid_delta_mlp": "hook_mlp_out",
    "resid_post_mlp": "hook_resid_post",
}


def read(file: Path, model: Model, hook_name: str | None) -> tuple[Config, WeightsByName]:
    """A dictionary. `model` is not asked: no module of it is named."""
    state = read_pickled(file)
    kind = state.get("activation", "ReLU")
    options = state.get("activation_state_dict") or {}
    if kind not in ("ReLU", "TopK") or options.get("postact_fn", "ReLU") != "ReLU":
        raise InputError(
            f"The activation {kind} {options.get('postact_fn', '')} of this file is not supported; ReLU and "
            "TopK with ReLU are."
        )
    weights = {
        "W_enc": state["encoder.weight"].T,
        "b_enc": state["latent_bias"],
        "W_dec": state["decoder.weight"].T,
        "b_dec": state["pre_bias"],
    }
    place = _RELEASE.search(file.resolve().as_posix())
    recorded = None
    if place is not None and place["place"] in _HOOKS:
        recorded = f"blocks.{place['layer']}.{_HOOKS[place['place']]}"
    config: Config = {
        "architecture": "standard" if kind == "ReLU" else "topk",
        "d_in": weights["W_enc"].shape[0],
        "d_sae": weights["W_enc"].shape[1],
        "hook_name": the_hook(recorded, hook_name, what=f"The dictionary in {str(file)!r}"),
        "model_name": None if recorded is None else "gpt2",
        "apply_b_dec_to_input": True,
        "normalize_activations": "layer_norm" if kind == "TopK" else "none",
    }
    if kind == "TopK":
        config["k"] = int(options["k"])
    return config, weights
