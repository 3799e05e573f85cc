"""An edit that changes nothing: because the weights say so, or because it was never carried out?

A head whose keys are zero attends alike whatever its queries are; an MLP without output weights writes
nothing whatever its neurons do. Such a model is right, and so is a backend that finds no effect there. So a
layer's attention and MLP are written out here, from the weights and from activations of a run, and the edit
is carried out on them. Attention is a softmax of q k over earlier positions: without the scales, soft caps
and windows of families, which make an effect larger or smaller, but not out of nothing.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from interp.edits import Edit
from interp.errors import SiteError
from interp.models.base import Cache, Model
from interp.models.editing import apply_edit

#: What each site inside a layer needs for what it does to be written out.
_NEEDS = {
    "q": ("q", "k", "v"),
    "k": ("q", "k", "v"),
    "v": ("v", "pattern"),
    "pattern": ("v", "pattern"),
    "z": ("z",),
    "mlp_act": ("mlp_act",),
}


def weights_explain(model: Model, cache: Cache, edit: Edit) -> bool:
    """Whether what an edit of one site in one row changes in its layer is nothing by the weights, too: what
    attention or the MLP writes is the same to the last digit but two."""
    site, layer = edit.address.site, edit.address.layer
    if layer is None or not set(_NEEDS.get(site, ("",))) <= set(model.sites):
        return False
    own = {name: cache[name, layer].double() for name in _NEEDS[site]}
    where = replace(edit.address, rows=None)
    edited = apply_edit(own[site], replace(edit, address=where), cache.tokens.lengths)
    try:
        before, after = (_written(model, layer, values) for values in (own, own | {site: edited}))
    except SiteError:  # what writes it is no linear map
        return False
    return torch.allclose(before, after, rtol=0, atol=1e-12 * max(1.0, float(before.abs().max())))


def _written(model: Model, layer: int, values: dict[str, Tensor]) -> Tensor:
    """What attention or the MLP writes, [batch, pos, d_model], without a bias or a norm."""
    if "mlp_act" in values:
        return values["mlp_act"] @ model.W_out(layer).double()
    if "z" not in values:
        pattern = values["pattern"] if "pattern" in values else _pattern(values["q"], values["k"])
        v = values["v"].repeat_interleave(pattern.shape[1] // values["v"].shape[2], dim=2)
        values = {"z": torch.einsum("bhqk,bkhd->bqhd", pattern, v)}
    return torch.einsum("bphd,hdm->bpm", values["z"], model.W_O(layer).double())


def _pattern(q: Tensor, k: Tensor) -> Tensor:
    """Attention [batch, head, query, key] by the products of queries and keys."""
    k = k.repeat_interleave(q.shape[2] // k.shape[2], dim=2)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    future = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1)
