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
from interp.models.editing import Taps
from interp.models.evaluation import evaluating
from interp.models.float32 import called_in_float32
from interp.models.hugging_face import in_place, twin
from interp.models.layouts import Layout, logits_divisor
from interp.models.linear_map import LinearMap
from interp.models.self_check import agreeing_sites
from interp.models.transformers_backend import TransformersModel
from interp.models.weights import WithWeights
from interp.sites import SITES, Address

_LEVEL = -1  # the bridge's own contexts count from 1
#: Without these there is nothing to look into.
NEEDED = frozenset({"resid_pre", "attn_out", "mlp_out", "resid_post"})


class TransformerLensModel(WithWeights):
    """A Hugging Face causal language model, in memory, read and edited through a TransformerBridge."""

    backend = "transformer_lens"

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        self.folded = self.identity.processing == "folded"
        self.bridge = _bridge(copy.deepcopy(hf_model).eval() if self.folded else twin(hf_model))
        self._points: dict[str, HookPoint] = self.bridge.hook_dict
        self.reach = frozenset(site for site in SITES if self._has_points(site))
        self.reach = agreeing_sites(self, TransformersModel(hf_model, layout=layout, **identity))
        if missing := NEEDED - self.reach:
            raise ModelLoadError(
                f"TransformerLens runs this {hf_model.config.model_type} model, but not with the same "
                f"{', '.join(sorted(missing))} as transformers; load it with backend='transformers'."
            )
        if self.folded:
            self.bridge.enable_compatibility_mode(disable_warnings=True)
            self._points = self.bridge.hook_dict

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        self.check_unchanged()
        with evaluating(self.bridge), ExitStack() as borrowed:
            for site, layer in taps.keys:
                point = self._points[self._hook_name(site, layer)]
                scale = (
                    self.embedding_scale if site == "embed" else 1.0
                )  # by which the bridge multiplies later
                point.add_hook(_hook(site, layer, taps, scale), level=_LEVEL)
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
        return self._as_logits(self.bridge.unembed(self.bridge.ln_final(resid)))

    def unembed_in_float32(self, resid: Tensor) -> Tensor:
        """Norm and unembedding with widened weights, whatever they are."""
        with self._lock:
            normed = called_in_float32(self.bridge.ln_final, resid)
            return self._as_logits(called_in_float32(self.bridge.unembed, normed))

    def _as_logits(self, logits: Tensor) -> Tensor:
        """Logits as the model divides and caps them."""
        logits = logits / logits_divisor(self.hf_model)
        cap = self.bridge.cfg.output_logits_soft_cap
        return cap * (logits / cap).tanh() if cap and cap > 0 else logits

    @property
    def W_U(self) -> Tensor:
        return self.bridge.W_U.detach() if self.folded else super().W_U

    @property
    def W_E(self) -> Tensor:
        return self.bridge.W_E.detach() if self.folded else super().W_E

    def _attention(self, layer: int) -> LinearMap:
        if not self.folded:
            return super()._attention(layer)
        attention = self.bridge.blocks[layer].attn
        weight = attention.W_O.detach()
        weight = weight.flatten(0, 1) if weight.ndim == 3 else weight
        return _folded(weight, attention.b_O, self.residual_scale)

    def _mlp(self, layer: int) -> LinearMap:
        if not self.folded:
            return super()._mlp(layer)
        self.check_site("mlp_act")
        mlp = self.bridge.blocks[layer].mlp
        return _folded(mlp.W_out.detach(), mlp.b_out, self.residual_scale)


def _folded(weight: Tensor, bias: Tensor | None, scale: float) -> LinearMap:
    """A projection of the bridge onto the residual stream, as what it adds is scaled."""
    return LinearMap(weight * scale, None if bias is None else bias.detach() * scale)


def _hook(site: str, layer: int | None, taps: Taps, scale: float) -> Callable[..., Tensor | None]:
    """The hook of a site in TransformerLens' form; it returns None where nothing was edited."""

    def hook(value: Tensor, *, hook: HookPoint) -> Tensor | None:
        usual = value if scale == 1.0 else value * scale
        edited = taps.visit(site, layer, usual)
        if edited is usual:
            return None
        edited = edited if scale == 1.0 else edited / scale
        return in_place(value, edited) if site == "resid_mid" else edited

    return hook


def _bridge(hf_model: PreTrainedModel) -> Any:
    """A bridge over `hf_model`, whose modules it takes over."""
    # Only eager attention computes the pattern and its mask as TransformerLens' hook points expect.
    hf_model.set_attn_implementation("eager")
    if hf_model.dtype == torch.float64 and type(hf_model)._can_set_experts_implementation():
        hf_model.set_experts_implementation("eager")  # torch's grouped product has no float64
    try:
        return build_bridge_from_module(hf_model, type(hf_model).__name__, hf_config=hf_model.config)
    except Exception as error:  # of many kinds, where it meets an architecture that it does not know
        raise ModelLoadError(
            f"TransformerLens cannot wrap a {hf_model.config.model_type} model ({first_line(error)}); "
            "load it with backend='transformers'."
        ) from error
