"""What the backends that run Hugging Face modules have in common: places, unembedding, plumbing.

Backends that leave something behind on the modules that they run (wrappers, hooks of their own) run a
twin of the user's model: modules and configuration of its own over the same weights. The model that
the user gave stays as it was, and no weight is held twice.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.models.evaluation import evaluating
from interp.models.float32 import called_in_float32
from interp.models.layouts import Layout, logits_divisor, part
from interp.models.linear_map import is_its_weight
from interp.models.weights import WithWeights

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

#: What is the input or output of no module.
INSIDE_ATTENTION = frozenset({"q", "k", "v", "pattern"})


@runtime_checkable
class Visitor(Protocol):
    """What a site is brought to: `Taps`, or a pass of its own kind."""

    def visit(self, site: str, layer: int | None, value: Tensor, /) -> Tensor:
        """The value that goes on: `value` itself where nothing was edited."""


class HuggingFaceModel(WithWeights):
    """A backend that runs the modules of a Hugging Face model with a known layout."""

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        #: What the model multiplies by on the way from a module to the residual stream.
        self._scales = {
            "embed": self.embedding_scale,
            "attn_out": self.residual_scale,
            "mlp_out": self.residual_scale,
        }
        #: Whose modules run: the model itself, or its twin.
        self.runs = hf_model

    def place(self, site: str) -> tuple[str, Literal["input", "output"]]:
        """The path of the module in a layer whose input or output is `site`. KeyError inside attention."""
        name, side = _PLACES[site]
        return (getattr(self.layout, name) if name else ""), side

    def scale_of(self, site: str) -> float:
        """What a module's own numbers at `site` are multiplied by to be those of the residual stream."""
        return self._scales.get(site, 1.0)

    def through(self, taps: Visitor, site: str, layer: int | None, own: Tensor, n_rows: int) -> Tensor:
        """Bring what a module reads or writes to `taps` in the usual shape of `site`, and give back what the
        module shall read or write instead: `own` itself where nothing was edited."""
        usual = own
        if usual.ndim == 2:  # OPT runs its MLP on all tokens at once: [batch * pos, d_model]
            usual = usual.unflatten(0, (n_rows, -1))
        if site == "z":
            usual = usual.unflatten(-1, (self.arch.n_heads, -1))  # [batch, pos, head, d_head]
        scale = self.scale_of(site)
        if scale != 1.0:
            usual = usual * scale
        edited = taps.visit(site, layer, usual)
        if edited is usual:
            return own
        edited = (edited if scale == 1.0 else edited / scale).reshape(own.shape)
        return in_place(own, edited) if site == "resid_mid" else edited

    @property
    def reads_columns(self) -> bool:
        """Whether some tokens' logits can be had without the others: where the unembedding is its weight, and
        nothing more (an adapter, a scale, a hook)."""
        return is_its_weight(self.runs.get_output_embeddings())

    def unembed_in_float32(self, resid: Tensor) -> Tensor:
        """The norm and the unembedding are called with widened weights, whatever they are."""
        head = self.runs.get_output_embeddings()
        with evaluating(head):
            normed = called_in_float32(part(self.runs, self.layout.final_norm), resid.float())
            logits = called_in_float32(head, normed)
        logits = logits / logits_divisor(self.hf_model)
        cap = self.arch.logit_soft_cap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def _unembed(self, resid: Tensor, columns: Sequence[int] | None = None) -> Tensor:
        """Logits, of these tokens alone where `columns` names them."""
        head = self.runs.get_output_embeddings()
        with evaluating(head):
            normed = part(self.runs, self.layout.final_norm)(resid)
            if columns is not None and self.reads_columns:
                bias = None if head.bias is None else head.bias[list(columns)]
                logits = nn.functional.linear(normed, head.weight[list(columns)], bias)
            else:
                logits = head(normed)
                logits = logits if columns is None else logits[..., list(columns)]
        logits = logits / logits_divisor(self.hf_model)
        cap = self.arch.logit_soft_cap
        return logits if cap is None else cap * torch.tanh(logits / cap)


def twin(hf_model: PreTrainedModel) -> PreTrainedModel:
    """A copy in evaluation mode, with modules and configuration of its own over the very same weights."""
    tensors = chain(hf_model.parameters(), hf_model.buffers())
    return copy.deepcopy(hf_model, {id(tensor): tensor for tensor in tensors}).eval()


def in_place(old: Tensor, new: Tensor) -> Tensor:
    """Write `new` into `old`: resid_mid is read by the norm and by the residual sum, the same tensor."""
    return old if new is old else old.copy_(new)
