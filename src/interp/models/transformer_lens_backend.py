"""TransformerLens, through its TransformerBridge: the same sites by its own hook points.

1. The bridge replaces modules inside the model that it wraps, so it gets a twin of the user's model;
   with processing="folded" it also rewrites weights, so the twin then has weights of its own.
2. The bridge gets no tokenizer: text becomes ids before it, by the library's own policy.
3. On rotary models TransformerLens has q and k twice; what the attention product sees is at
   `hook_rot_q` and `hook_rot_k`, and that is what `q` and `k` mean here.
4. TransformerLens' `hook_resid_mid` is an alias of the second norm's input. An edit returned there
   would reach the MLP and miss the residual sum, so resid_mid is edited in place, which reaches both.
5. A hook point may exist and never be passed (`hook_rot_q` on GPT-NeoX), or stand for something else
   in another family. So each site is compared with the transformers backend when the model is loaded,
   as a value and as an edit, and one that differs is not reached.
6. Hooks go to the hook points one by one, under a level of their own: by their names, the bridge in
   compatibility mode calls a hook once for each alias, and an "add" would be added twice.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import PreTrainedModel

from interp.errors import ModelLoadError, first_line
from interp.models.base import Model
from interp.models.editing import Taps
from interp.models.hugging_face import find_post_norm, in_place, twin
from interp.models.layouts import Layout, architecture, check_layout, logits_divisor, residual_scale
from interp.models.post_norm import PostNorm
from interp.models.self_check import agreeing_sites
from interp.models.transformers_backend import TransformersModel
from interp.sites import SITES, Address

_LEVEL = -1  # the bridge's own contexts count from 1
#: Without these there is nothing to look into.
NEEDED = frozenset({"resid_pre", "attn_out", "mlp_out", "resid_post"})


class TransformerLensModel(Model):
    """A Hugging Face causal language model, in memory, read and edited through a TransformerBridge."""

    backend = "transformer_lens"

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        check_layout(hf_model, layout)
        folded = identity.get("processing", "none") == "folded"
        self.hf_model, self.layout = hf_model, layout
        self.bridge = _bridge(copy.deepcopy(hf_model) if folded else twin(hf_model))
        super().__init__(architecture=architecture(hf_model, layout), **identity)
        self._points: dict[str, HookPoint] = self.bridge.hook_dict
        self.reach = frozenset(site for site in SITES if self._has_points(site))
        self.residual_scale = residual_scale(hf_model)
        self.reach = agreeing_sites(self, TransformersModel(hf_model, layout=layout, **identity))
        if missing := NEEDED - self.reach:
            raise ModelLoadError(
                f"TransformerLens runs this {hf_model.config.model_type} model, but not with the same "
                f"{', '.join(sorted(missing))} as transformers; load it with backend='transformers'."
            )
        if folded:
            self.bridge.enable_compatibility_mode(disable_warnings=True)
            self._points = self.bridge.hook_dict

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        with ExitStack() as borrowed:
            for site, layer in taps.keys:
                point = self._points[self._hook_name(site, layer)]
                point.add_hook(_hook(site, layer, taps), level=_LEVEL)
                borrowed.callback(point.remove_hooks, dir="fwd", level=_LEVEL)
            return self.bridge(ids, return_type="logits", use_cache=False)

    def _has_points(self, site: str) -> bool:
        layers = range(self.arch.n_layers) if SITES[site].per_layer else [None]
        return all(self._hook_name(site, layer) in self._points for layer in layers)

    def _hook_name(self, site: str, layer: int | None) -> str:
        name = Address(site, layer).hook
        if site in ("q", "k"):
            rotated = name.replace("hook_", "hook_rot_")
            return rotated if rotated in self._points else name
        return name

    def _unembed(self, resid: Tensor) -> Tensor:
        bridge = self.bridge
        logits = bridge.unembed(bridge.ln_final(resid)) / logits_divisor(self.hf_model)
        cap = bridge.cfg.output_logits_soft_cap
        return cap * (logits / cap).tanh() if cap and cap > 0 else logits

    @property
    def W_U(self) -> Tensor:
        return self.bridge.W_U.detach()

    @property
    def W_E(self) -> Tensor:
        return self.bridge.W_E.detach()

    def W_O(self, layer: int) -> Tensor:
        weight = self.bridge.blocks[layer].attn.W_O.detach()
        weight = weight if weight.ndim == 3 else weight.unflatten(0, (self.arch.n_heads, self.arch.d_head))
        return weight if self.residual_scale == 1.0 else weight * self.residual_scale

    def W_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        weight = self.bridge.blocks[layer].mlp.W_out.detach()
        return weight if self.residual_scale == 1.0 else weight * self.residual_scale

    def b_O(self, layer: int) -> Tensor:
        return self._bias(self.bridge.blocks[layer].attn.b_O)

    def b_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        return self._bias(self.bridge.blocks[layer].mlp.b_out)

    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        return find_post_norm(self, self.layout, site, layer)  # the bridge folds none of these

    def _bias(self, bias: Tensor | None) -> Tensor:
        if bias is None:
            return torch.zeros(self.arch.d_model, dtype=self.dtype, device=self.device)
        return bias.detach() * self.residual_scale


def _hook(site: str, layer: int | None, taps: Taps) -> Callable[..., Tensor | None]:
    """The hook of a site in TransformerLens' form; it returns None where nothing was edited."""

    def hook(value: Tensor, *, hook: HookPoint) -> Tensor | None:
        edited = taps.visit(site, layer, value)
        if edited is value:
            return None
        return in_place(value, edited) if site == "resid_mid" else edited

    return hook


def _bridge(hf_model: PreTrainedModel) -> Any:
    """A bridge over `hf_model`, whose modules it takes over."""
    # Only eager attention computes the pattern and its mask as TransformerLens' hook points expect.
    hf_model.set_attn_implementation("eager")
    try:
        return build_bridge_from_module(hf_model, type(hf_model).__name__, hf_config=hf_model.config)
    except Exception as error:  # of many kinds, where it meets an architecture that it does not know
        raise ModelLoadError(
            f"TransformerLens cannot wrap a {hf_model.config.model_type} model ({first_line(error)}); "
            "load it with backend='transformers'."
        ) from error
