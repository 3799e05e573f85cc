"""What the backends that run Hugging Face modules have in common: weights, unembedding, plumbing.

Backends that leave something behind on the modules that they run (wrappers, hooks of their own) run a
twin of the user's model: modules and configuration of its own over the same weights. The model that
the user gave stays as it was, and no weight is held twice.
"""

from __future__ import annotations

import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from interp.models.base import Model
from interp.models.layouts import Layout, architecture, check_layout, part

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class HuggingFaceModel(Model):
    """A backend whose weights are those of a Hugging Face model with a known layout."""

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        check_layout(hf_model, layout)
        self.hf_model = hf_model
        self.layout = layout
        self.layers: list[nn.Module] = list(part(hf_model, layout.layers))
        super().__init__(architecture=architecture(hf_model, layout), **identity)

    def _unembed(self, resid: Tensor) -> Tensor:
        logits = self.hf_model.get_output_embeddings()(part(self.hf_model, self.layout.final_norm)(resid))
        cap = getattr(self.hf_model.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    @property
    def W_U(self) -> Tensor:
        return self.hf_model.get_output_embeddings().weight.detach().T

    @property
    def W_E(self) -> Tensor:
        return self.hf_model.get_input_embeddings().weight.detach()

    def W_O(self, layer: int) -> Tensor:
        projection = part(self.layers[layer], self.layout.attn_proj)
        weight = projection.weight.detach()
        if isinstance(projection, nn.Linear):
            weight = weight.T  # Linear keeps [out, in]; GPT-2's Conv1D keeps [in, out]
        return weight.unflatten(0, (self.arch.n_heads, self.arch.d_head))


def twin(hf_model: PreTrainedModel) -> PreTrainedModel:
    """A copy with modules and configuration of its own, over the very same weights."""
    tensors = chain(hf_model.parameters(), hf_model.buffers())
    return copy.deepcopy(hf_model, {id(tensor): tensor for tensor in tensors})


def in_place(old: Tensor, new: Tensor) -> Tensor:
    """Write `new` into `old`: resid_mid is read by the norm and by the residual sum, the same tensor."""
    return old if new is old else old.copy_(new)


def split(x: Tensor, n_heads: int) -> Tensor:
    return x.unflatten(-1, (n_heads, -1))  # [batch, pos, head, d_head]


def merged(x: Tensor) -> Tensor:
    return x.flatten(-2)  # [batch, pos, head * d_head]
