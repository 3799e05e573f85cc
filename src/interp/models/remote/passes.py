"""What the program on the other machine is told, as plain values: tensors, numbers, slices and names.

Everything that can be refused is refused here, before anything is sent: an edit that does not fit, a change
that needs a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interp.edits import Change, Edit
from interp.errors import EditError
from interp.models.editing import Key, Taps, chosen_block
from interp.models.hugging_face import HuggingFaceModel
from interp.sites import SITES

#: Positions and columns of the logits that come back, None for all of them.
Wanted = tuple[list[int] | None, list[int] | None]


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass there: the token ids [row, pos] of its prompts, and what the program is told."""

    ids: Tensor
    asked: dict[str, Any]
    keys: tuple[Key, ...]  # of what comes back, in its order


def pass_of(
    model: HuggingFaceModel, embedding: str, ids: Tensor, taps: Taps, *, logits: Wanted | None
) -> Pass:
    """The pass that reads and edits what `taps` say; `embedding` is the path of the module whose output is
    ``embed``. `EditError` for an edit that cannot be sent or does not fit."""
    stops = []
    for site, layer in taps.keys:
        path, side = (embedding, "output") if layer is None else model.place(site)
        if layer is not None:
            path = ".".join(name for name in (model.layout.layers, str(layer), path) if name)
        shape = _shape(model, site, ids)
        stops.append(
            {
                "path": path,
                "side": side,
                "heads": model.arch.n_heads if site == "z" else 0,
                "scale": model.scale_of(site),
                "in_place": site == "resid_mid",
                "read": (site, layer) in taps.reads,
                "edits": [_sent(edit, shape, taps.lengths) for edit in taps.edits.get((site, layer), ())],
            }
        )
    asked = {"stops": stops, "n_rows": len(ids), "logits": logits, "unembed": None}
    return Pass(ids, asked, tuple(key for key in taps.keys if key in taps.reads))


def unembedding_pass(vectors: Tensor, *, norm: str, head: str) -> Pass:
    """The pass, of one token, in which vectors [row, d_model] go through final norm and unembedding."""
    unembed = {"vectors": vectors.detach().cpu(), "norm": norm, "head": head}
    asked = {"stops": [], "n_rows": 1, "logits": None, "unembed": unembed}
    return Pass(torch.zeros(1, 1, dtype=torch.long), asked, ())


def _shape(model: HuggingFaceModel, site: str, ids: Tensor) -> tuple[int, ...]:
    sizes = {
        "batch": ids.shape[0],
        "pos": ids.shape[1],
        "head": model.arch.n_heads,
        "d_head": model.arch.d_head,
        "d_model": model.arch.d_model,
        "d_mlp": model.arch.d_mlp or 0,
    }
    return tuple(sizes[axis] for axis in SITES[site].axes)


def _sent(edit: Edit, shape: tuple[int, ...], lengths: Sequence[int]) -> dict[str, Any]:
    """An edit, with the indices of what it changes in an activation of a shape."""
    if isinstance(edit.value, Change):
        raise EditError(
            f"A change of features cannot be made at {edit.address} of a remote model: its dictionary is "
            "here and the activation there; set or add a vector instead."
        )
    rows, heads = edit.address.rows, edit.address.heads
    value = edit.value
    return {
        "op": edit.op,
        "index": chosen_block(edit, shape, lengths),
        "value": value.detach().cpu() if isinstance(value, Tensor) else value,
        "rows": [(row, lengths[row]) for row in (range(shape[0]) if rows is None else rows)],
        "heads": None if heads is None else list(heads),
    }
