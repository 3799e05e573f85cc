"""A TransformerLens HookedTransformer that is in memory, as it is: its sites are its own hook points.

1. Its hook points are modules that give back what they read, so plain forward hooks on them reach every
   site; those that its owner has put there stay, and are part of the model.
2. A model without MLPs (``attn_only``) has an `mlp_out` of zero: its MLPs add nothing. So
   ``resid_pre + attn_out + mlp_out = resid_post`` holds there too, and `resid_mid` is the stream between.
3. Positions that are not added to the stream (shortformer, rotary, ALiBi) are no part of `embed` or
   `resid_pre`, nor are they anywhere else.
4. Its weights may be another dtype, on another device, or folded; nothing is converted or moved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from interp.architecture import Architecture
from interp.errors import ModelLoadError, SiteError
from interp.models.base import Model
from interp.models.devices import find_device
from interp.models.editing import Taps
from interp.models.evaluation import evaluating
from interp.models.float32 import called_in_float32
from interp.models.post_norm import PostNorm
from interp.models.weights_hash import weights_hash
from interp.sites import SITES, Address
from interp.tokens import Bos, bos_id

#: Where the norms ln1 and ln2 stand behind attention and MLP, not in front.
_POST_NORM_ONLY = ("Olmo2ForCausalLM", "Olmo3ForCausalLM")
#: What an attn_only model has at the hook point of its resid_post.
_AT_THE_END = ("resid_mid", "mlp_out", "resid_post")
#: One for each HookedTransformer, however many `Model`s look into it.
_LOCKS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


def is_hooked_transformer(model: object) -> TypeGuard[nn.Module]:
    """Whether this is a HookedTransformer, without importing TransformerLens."""
    return any(
        base.__name__ == "HookedTransformer" and base.__module__.startswith("transformer_lens")
        for base in type(model).__mro__
    )


class HookedTransformerModel(Model):
    """A HookedTransformer, read and edited at its hook points."""

    backend = "transformer_lens"

    def __init__(self, hooked: nn.Module, **identity: Any) -> None:
        self.hf_model: Any = hooked
        self.cfg: Any = hooked.cfg
        super().__init__(architecture=_architecture(self.cfg), **identity)
        self._lock = _LOCKS.setdefault(hooked, self._lock)
        self._points: dict[str, nn.Module] = dict(hooked.named_modules())
        self.reach = frozenset(
            site for site in SITES if site not in self._absent and self._hook_name(site, 0) in self._points
        )

    def plain_logits(self, ids: Tensor) -> Tensor:
        with evaluating(self.hf_model):
            # with padding on the left, TransformerLens would look for padding among the ids
            return self.hf_model(ids, return_type="logits", padding_side="right")

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        with ExitStack() as borrowed:
            for site, layer in taps.keys:  # hooks on one module are called in this order
                point = self._points[self._hook_name(site, layer)]
                hook = _hook(site, layer, taps, added=self.cfg.attn_only and site == "mlp_out")
                borrowed.callback(point.register_forward_hook(hook).remove)
            return self.plain_logits(ids)

    def _hook_name(self, site: str, layer: int | None) -> str:
        name = Address(site, layer if SITES[site].per_layer else None).hook
        if site in ("q", "k") and self.cfg.positional_embedding_type == "rotary":
            return name.replace("hook_", "hook_rot_")
        if self.cfg.attn_only and site in _AT_THE_END:
            return Address("resid_post", layer).hook
        return name

    @property
    def _absent(self) -> dict[str, str]:
        absent = super()._absent
        if self.cfg.attn_only:
            absent["mlp_act"] = "has no MLP"
        return absent

    def _unembed(self, resid: Tensor) -> Tensor:
        hooked, cap = self.hf_model, self.arch.logit_soft_cap
        normed = resid if self.cfg.normalization_type is None else hooked.ln_final(resid)
        logits = hooked.unembed(normed)
        return logits if cap is None else cap * (logits / cap).tanh()

    def unembed_in_float32(self, resid: Tensor) -> Tensor:
        """Norm and unembedding with widened weights; the norm does not round to the model's precision."""
        hooked, cap = self.hf_model, self.arch.logit_soft_cap
        with self._lock:
            normed = resid.float()
            if self.cfg.normalization_type is not None:
                normed = called_in_float32(hooked.ln_final, normed)
            logits = called_in_float32(hooked.unembed, normed)
        return logits if cap is None else cap * (logits / cap).tanh()

    @property
    def W_U(self) -> Tensor:
        return self.hf_model.unembed.W_U.detach()

    @property
    def W_E(self) -> Tensor:
        return self.hf_model.embed.W_E.detach()

    def W_O(self, layer: int) -> Tensor:
        return self.hf_model.blocks[layer].attn.W_O.detach()

    def b_O(self, layer: int) -> Tensor:
        return self.hf_model.blocks[layer].attn.b_O.detach()

    def W_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        return self.hf_model.blocks[layer].mlp.W_out.detach()

    def b_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        return self.hf_model.blocks[layer].mlp.b_out.detach()

    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        if not self.arch.post_norms or (site == "mlp_out" and self.cfg.attn_only):
            return None
        name = "ln1" if site == "attn_out" else "ln2"
        behind = name if self.cfg.original_architecture in _POST_NORM_ONLY else f"{name}_post"
        norm = getattr(self.hf_model.blocks[layer], behind)
        found = PostNorm.of(norm, self.arch.d_model, self.device)
        if found is None:
            raise SiteError(
                f"The norm behind {site} of {self.identity.name} is no RMSNorm, so what it makes of a sum is "
                "no sum of parts; take the parts of whole layers, or patch z."
            )
        return found


def load_hooked_transformer(
    hooked: nn.Module,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    name: str | None,
    device: str,
    dtype: str,
    bos: Bos,
    given: dict[str, Any],
) -> HookedTransformerModel:
    """A HookedTransformer where it lies and as it is. `given` is what else was asked of it, and cannot be."""
    cfg: Any = hooked.cfg
    check_kind(cfg)
    if refused := [key for key, value in given.items() if value]:
        raise ModelLoadError(
            f"A HookedTransformer is read through its own hook points, as it is; leave {refused[0]} out."
        )
    weight = next(hooked.parameters())
    has = str(weight.dtype).removeprefix("torch.")
    if dtype not in ("auto", has):
        raise ModelLoadError(
            f"The HookedTransformer is torch.{has}, not {dtype}; pass dtype={has!r}, or convert it first."
        )
    if device != "auto" and find_device(device).type != weight.device.type:
        raise ModelLoadError(f"The HookedTransformer is on {weight.device}, not {device}; move it first.")
    tokenizer = tokenizer or hooked.tokenizer
    loaded = HookedTransformerModel(
        hooked,
        tokenizer=tokenizer,
        name=name or own_name(cfg),
        revision=None,
        device=weight.device,
        dtype=weight.dtype,
        bos_id=bos_id(tokenizer, own_bos(cfg, bos)),
        processing=own_processing(cfg),
    )
    loaded.identity = replace(loaded.identity, weights=weights_hash(hooked))
    return loaded


def check_kind(cfg: Any) -> None:
    """`ModelLoadError` for what is no causal language model on one device with weights as numbers."""
    if cfg.attention_dir != "causal":
        raise ModelLoadError("This HookedTransformer attends to what comes after; only causal ones are read.")
    if cfg.n_devices > 1:
        raise ModelLoadError(
            f"This HookedTransformer lies on {cfg.n_devices} devices; load it with n_devices=1."
        )
    if cfg.load_in_4bit:
        raise ModelLoadError("This HookedTransformer has 4-bit weights; load it in float32 or bfloat16.")


def own_bos(cfg: Any, bos: Bos) -> Bos:
    """Its own policy where "auto" leaves that to the model: what `cfg.default_prepend_bos` says."""
    return False if bos == "auto" and not cfg.default_prepend_bos else bos


def own_name(cfg: Any) -> str:
    """What it is called where nothing else was said."""
    named = cfg.model_name and cfg.model_name != "custom"
    return str(cfg.model_name) if named else "HookedTransformer in memory"


def own_processing(cfg: Any) -> str:
    """folded, where its norms have no weights of their own: they were folded into those behind them."""
    return "folded" if (cfg.normalization_type or "").endswith("Pre") else "none"


def _architecture(cfg: Any) -> Architecture:
    grouped = cfg.n_key_value_heads is not None and not cfg.ungroup_grouped_query_attention
    post_norms = cfg.use_normalization_before_and_after or cfg.original_architecture in _POST_NORM_ONLY
    return Architecture(
        family="hooked_transformer",
        n_layers=cfg.n_layers,
        n_heads=cfg.n_heads,
        n_kv_heads=cfg.n_key_value_heads if grouped else cfg.n_heads,
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        d_mlp=None if cfg.attn_only or cfg.num_experts else cfg.d_mlp,
        d_vocab=cfg.d_vocab_out,
        d_vocab_in=cfg.d_vocab,
        n_ctx=cfg.n_ctx,
        parallel_attention=cfg.parallel_attn_mlp and not cfg.attn_only,
        post_norms=post_norms and cfg.normalization_type is not None,
        attention_sinks=getattr(cfg, "use_attention_sinks", False),
        logit_soft_cap=cfg.output_logits_soft_cap if cfg.output_logits_soft_cap > 0 else None,
    )


def _hook(site: str, layer: int | None, taps: Taps, *, added: bool) -> Callable[..., Tensor | None]:
    """A forward hook that brings what passes a hook point to `taps`; where it is `added` there, zero."""

    def hook(_: nn.Module, __: Any, value: Tensor) -> Tensor | None:
        if added:
            return value + taps.visit(site, layer, torch.zeros_like(value))
        edited = taps.visit(site, layer, value)
        return None if edited is value else edited

    return hook
