"""What the backends that run Hugging Face modules have in common: weights, unembedding, plumbing.

Backends that leave something behind on the modules that they run (wrappers, hooks of their own) run a
twin of the user's model: modules and configuration of its own over the same weights. The model that
the user gave stays as it was, and no weight is held twice.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.errors import SiteError
from interp.models.base import Model
from interp.models.layouts import (
    Layout,
    architecture,
    check_layout,
    logits_divisor,
    norm_behind,
    part,
    residual_scale,
)
from interp.models.post_norm import PostNorm

#: Where the activation of a site passes in a layer: the part of the layout ("" is the layer itself), and
#: whether that part reads or writes it.
_PLACES: dict[str, tuple[str, Literal["input", "output"]]] = {
    "resid_pre": ("", "input"),
    "z": ("attn_proj", "input"),
    "attn_out": ("attn", "output"),
    "resid_mid": ("mlp_norm", "input"),
    "mlp_act": ("mlp_proj", "input"),
    "mlp_out": ("mlp", "output"),
    "resid_post": ("", "output"),
}

#: One for each Hugging Face model, however many `Model`s look into it: they hook the same modules.
_LOCKS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()

#: What is the input or output of no module.
INSIDE_ATTENTION = frozenset({"q", "k", "v", "pattern"})


@runtime_checkable
class Visitor(Protocol):
    """What a site is brought to: `Taps`, or a pass of its own kind."""

    def visit(self, site: str, layer: int | None, value: Tensor, /) -> Tensor:
        """The value that goes on: `value` itself where nothing was edited."""


class HuggingFaceModel(Model):
    """A backend whose weights are those of a Hugging Face model with a known layout."""

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        check_layout(hf_model, layout)
        self.hf_model = hf_model
        self.layout = layout
        self.layers: list[nn.Module] = list(part(hf_model, layout.layers))
        self.residual_scale = residual_scale(hf_model)
        super().__init__(architecture=architecture(hf_model, layout), **identity)
        self._lock = _LOCKS.setdefault(hf_model, self._lock)

    def place(self, site: str) -> tuple[str, Literal["input", "output"]]:
        """The path of the module in a layer whose input or output is `site`. KeyError inside attention."""
        name, side = _PLACES[site]
        return (getattr(self.layout, name) if name else ""), side

    def through(self, taps: Visitor, site: str, layer: int | None, own: Tensor, n_rows: int) -> Tensor:
        """Bring what a module reads or writes to `taps` in the usual shape of `site`, and give back what the
        module shall read or write instead: `own` itself where nothing was edited."""
        usual = own
        if usual.ndim == 2:  # OPT runs its MLP on all tokens at once: [batch * pos, d_model]
            usual = usual.unflatten(0, (n_rows, -1))
        if site == "z":
            usual = usual.unflatten(-1, (self.arch.n_heads, -1))  # [batch, pos, head, d_head]
        scale = self.residual_scale if site in ("attn_out", "mlp_out") else 1.0
        if scale != 1.0:
            usual = usual * scale
        edited = taps.visit(site, layer, usual)
        if edited is usual:
            return own
        edited = (edited if scale == 1.0 else edited / scale).reshape(own.shape)
        return in_place(own, edited) if site == "resid_mid" else edited

    def _unembed(self, resid: Tensor, columns: Sequence[int] | None = None) -> Tensor:
        """Logits, of these tokens alone where `columns` names them."""
        normed = part(self.hf_model, self.layout.final_norm)(resid)
        head = self.hf_model.get_output_embeddings()
        if columns is None:
            logits = head(normed)
        else:
            bias = None if head.bias is None else head.bias[list(columns)]
            logits = nn.functional.linear(normed, head.weight[list(columns)], bias)
        logits = logits / logits_divisor(self.hf_model)
        cap = self.arch.logit_soft_cap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    @property
    def W_U(self) -> Tensor:
        return self.hf_model.get_output_embeddings().weight.detach().T

    @property
    def W_E(self) -> Tensor:
        return self.hf_model.get_input_embeddings().weight.detach()

    def W_O(self, layer: int) -> Tensor:
        weight = self._projection(layer, self.layout.attn_proj)
        return weight.unflatten(0, (self.arch.n_heads, self.arch.d_head))

    def W_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        return self._projection(layer, self.layout.mlp_proj)

    def b_O(self, layer: int) -> Tensor:
        return self._bias(layer, self.layout.attn_proj)

    def b_out(self, layer: int) -> Tensor:
        self.check_site("mlp_act")
        return self._bias(layer, self.layout.mlp_proj)

    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        return find_post_norm(self, self.layout, site, layer)

    def _bias(self, layer: int, path: str) -> Tensor:
        """The bias of a projection onto the residual stream, as what it adds is scaled."""
        bias = getattr(part(self.layers[layer], path), "bias", None)
        if bias is None:
            return torch.zeros(self.arch.d_model, dtype=self.dtype, device=self.device)
        return bias.detach() * self.residual_scale

    def _projection(self, layer: int, path: str) -> Tensor:
        """The weights [in, out] of a projection onto the residual stream, as what it adds is scaled."""
        projection = part(self.layers[layer], path)
        weight = projection.weight.detach()
        if isinstance(projection, nn.Linear):
            weight = weight.T  # Linear keeps [out, in]; GPT-2's Conv1D keeps [in, out]
        return weight if self.residual_scale == 1.0 else weight * self.residual_scale


def find_post_norm(model: Model, layout: Layout, site: str, layer: int) -> PostNorm | None:
    """`Model.post_norm` of a model over a Hugging Face model of this layout."""
    path = norm_behind(layout, site)
    if path is None:
        return None
    module = part(part(model.hf_model, layout.layers)[layer], path)
    found = PostNorm.of(module, model.arch.d_model, model.device)
    if found is None:
        what = "attention" if site == "attn_out" else "MLP"
        raise SiteError(
            f"The norm behind the {what} of {model.identity.name}, {type(module).__name__}, is no RMSNorm, "
            "so what it makes of a sum is no sum of parts; take the parts of whole layers, or patch z."
        )
    return found


def twin(hf_model: PreTrainedModel) -> PreTrainedModel:
    """A copy with modules and configuration of its own, over the very same weights."""
    tensors = chain(hf_model.parameters(), hf_model.buffers())
    return copy.deepcopy(hf_model, {id(tensor): tensor for tensor in tensors})


def in_place(old: Tensor, new: Tensor) -> Tensor:
    """Write `new` into `old`: resid_mid is read by the norm and by the residual sum, the same tensor."""
    return old if new is old else old.copy_(new)
