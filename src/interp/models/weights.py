"""The weights of a Hugging Face model, as what its modules do to vectors says them.

A module that is more than its weight (an adapter, a scale, a hook) is called (`interp.models.linear_map`), so
that what is read off weights is what the model computes.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.errors import InputError, SiteError
from interp.models.base import Model
from interp.models.evaluation import evaluating, modules_and_hooks
from interp.models.layouts import (
    Layout,
    architecture,
    check_layout,
    embedding_module,
    embedding_scale,
    norm_behind,
    part,
    residual_scale,
)
from interp.models.linear_map import LinearMap, is_its_weight, linear_map
from interp.models.packed_weights import check_gradients, packed_by
from interp.models.post_norm import PostNorm

#: One for each Hugging Face model, however many `Model`s look into it: they hook the same modules.
_LOCKS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
_ROWS_AT_ONCE = 1 << 14  # of the embedding


class WithWeights(Model):
    """A model over a Hugging Face model with a known layout."""

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        check_layout(hf_model, layout)
        self.hf_model = hf_model
        self.layout = layout
        self.layers: list[nn.Module] = list(part(hf_model, layout.layers))
        self.residual_scale = residual_scale(hf_model)
        self.embedding_scale = embedding_scale(hf_model)
        super().__init__(architecture=architecture(hf_model, layout), **identity)
        self._lock = _LOCKS.setdefault(hf_model, self._lock)
        self._made_of = modules_and_hooks(hf_model)
        #: What has packed its weights in few bits; None: they are plain numbers.
        self.packed = packed_by(hf_model)
        self._gradients_checked = False

    def check_gradients(self) -> None:
        if self.packed is not None and not self._gradients_checked:
            with self._lock, evaluating(self.hf_model):
                check_gradients(self.hf_model, self.identity.name, self.packed)
            self._gradients_checked = True

    def check_unchanged(self) -> None:
        """`InputError` where the owner has added hooks or other parts to the model since: a backend that runs
        a twin would not see them."""
        if modules_and_hooks(self.hf_model) != self._made_of:
            raise InputError(
                f"The modules of {self.identity.name} or the hooks on them have changed since it was loaded, "
                f"which the {self.backend} backend does not follow; load it again, or use "
                "backend='transformers'."
            )

    @property
    def W_U(self) -> Tensor:
        return self._read(self.hf_model.get_output_embeddings(), self.arch.d_model, "unembedding").weight

    @property
    def W_E(self) -> Tensor:
        embedding: Any = self.hf_model.get_input_embeddings()
        after: Any = embedding_module(self.hf_model, self.layout)
        if embedding is after and is_its_weight(embedding):
            rows = embedding.weight.detach()
            return rows if self.embedding_scale == 1.0 else rows * self.embedding_scale
        ids = torch.arange(self.arch.d_vocab_in, device=self.device)
        with self._lock, torch.no_grad(), evaluating(self.hf_model):
            rows = [embedding(some) for some in ids.split(_ROWS_AT_ONCE)]
            rows = rows if after is embedding else [after(some) for some in rows]
        return torch.cat(rows) * self.embedding_scale

    def W_O(self, layer: int) -> Tensor:
        weight = self._attention(layer).weight
        return weight.unflatten(0, (self.arch.n_heads, self.arch.d_head))

    def W_out(self, layer: int) -> Tensor:
        return self._mlp(layer).weight

    def b_O(self, layer: int) -> Tensor:
        return self._bias(self._attention(layer))

    def b_out(self, layer: int) -> Tensor:
        return self._bias(self._mlp(layer))

    def post_norm(self, site: str, layer: int) -> PostNorm | None:
        path = norm_behind(self.layout, site)
        if path is None:
            return None
        module = part(self.layers[layer], path)
        found = PostNorm.of(module, self.arch.d_model, self.device)
        if found is None:
            what = "attention" if site == "attn_out" else "MLP"
            raise SiteError(
                f"The norm behind the {what} of {self.identity.name}, {type(module).__name__}, is no "
                "RMSNorm, so what it makes of a sum is no sum of parts; take the parts of whole layers, or "
                "patch z."
            )
        return found

    def _attention(self, layer: int) -> LinearMap:
        projection = part(self.layers[layer], self.layout.attn_proj)
        n_in = self.arch.n_heads * self.arch.d_head
        return self._scaled(self._read(projection, n_in, f"output projection of attention in layer {layer}"))

    def _mlp(self, layer: int) -> LinearMap:
        self.check_site("mlp_act")
        assert self.arch.d_mlp is not None
        projection = part(self.layers[layer], self.layout.mlp_proj)
        return self._scaled(
            self._read(projection, self.arch.d_mlp, f"output projection of the MLP in layer {layer}")
        )

    def _read(self, module: nn.Module, n_in: int, what: str) -> LinearMap:
        """What a module does to vectors of a width; `SiteError` where that is no linear map."""
        with self._lock:
            found = linear_map(module, n_in)
        if found is None:
            raise SiteError(
                f"The {what} of {self.identity.name}, {type(module).__name__}, is no linear map, so no "
                "weights say what it does to parts of what it reads; use a method that runs the model, such "
                "as patching."
            )
        return found

    def _scaled(self, read: LinearMap) -> LinearMap:
        """A projection onto the residual stream, as what it adds is scaled."""
        scale = self.residual_scale
        if scale == 1.0:
            return read
        return LinearMap(read.weight * scale, None if read.bias is None else read.bias * scale)

    def _bias(self, read: LinearMap) -> Tensor:
        if read.bias is None:
            return torch.zeros(self.arch.d_model, dtype=self.dtype, device=self.device)
        return read.bias
