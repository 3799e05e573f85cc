"""What was done to the weights of the model that a dictionary was trained on, as its folder records it.

SAELens keeps the keywords with which it loaded the model in TransformerLens, `model_from_pretrained_kwargs`.
`center_writing_weights` takes the mean over d_model off all that is written to the residual stream. In a
model of LayerNorms that is the same as taking the mean off each activation there, which the dictionary then
does (`SAE.centred`); in any other TransformerLens leaves it out. Other processing changes no activation at
the dictionary's site, or the dictionary is refused.
"""

from __future__ import annotations

from typing import Any

import torch

from interp.errors import InputError
from interp.models.base import Model

#: Keywords that change no activation at any site: where and how the model is held, and what is folded on.
_HARMLESS = frozenset(
    {
        "fold_ln",
        "center_unembed",
        "device",
        "n_devices",
        "dtype",
        "torch_dtype",
        "device_map",
        "move_to_device",
    }
    | {"default_prepend_bos", "default_padding_side", "trust_remote_code", "local_files_only", "cache_dir"}
    | {"token", "low_cpu_mem_usage", "attn_implementation"}
)
#: Keywords that change the activations within attention alone, and the sites where they do.
_WITHIN_ATTENTION = {"fold_value_biases": ("v", "z"), "refactor_factored_attn_matrices": ("q", "k", "v", "z")}
#: The keyword that takes the mean off whatever is written to the residual stream.
_CENTRED = "center_writing_weights"
_WRITTEN = ("embed", "pos_embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


def is_centred(model: Model, config: dict[str, Any], site: str) -> bool:
    """Whether the dictionary of a configuration reads activations of `site` less their mean.

    Raises `InputError` where the weights were processed in another way that changes them.
    """
    done = {key: value for key, value in (config.get("model_from_pretrained_kwargs") or {}).items() if value}
    for key, value in done.items():
        if key not in _HARMLESS | {_CENTRED} and site in _WITHIN_ATTENTION.get(key, (site,)):
            raise InputError(
                f"This SAE was trained on a model that was loaded with {key}={value!r}, so that its {site!r} "
                "is another than here; take an SAE of the weights as they are."
            )
    return bool(done.get(_CENTRED)) and site in _WRITTEN and _ignores_the_mean(model)


def _ignores_the_mean(model: Model) -> bool:
    """Whether the model's norms take the mean off what they read: LayerNorm does, RMSNorm does not."""
    x = torch.randn(model.arch.d_model, generator=torch.Generator().manual_seed(0))
    logits, moved = model.unembed(x).double(), model.unembed(x + 1.0).double()
    return bool((logits - moved).abs().max() < 1e-2 * logits.abs().max())
