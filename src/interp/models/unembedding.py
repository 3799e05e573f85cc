"""What identifies a model's unembedding, so that a lens or a dictionary is recognised as made for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Editable
from interp.errors import InputError

#: Of each model, the mark of its unembedding when it was last hashed, and the digests.
_HASHED: WeakKeyDictionary[Editable, tuple[tuple[Any, ...], dict[str, str]]] = WeakKeyDictionary()


def unembed_hashes(model: Editable) -> dict[str, str]:
    """Two digests of a model's unembedding.

    ``unembed_hash`` is that of the tuned-lens library: SHA-256 of the unembedding as numpy prints it to one
    decimal, corners only, which cannot tell a model from its fine-tuned copies. ``unembed_sha256`` is of all
    its bytes in bfloat16, so that copies in float64, float32 and bfloat16 count as the same.

    A model's is hashed once, and again where it has changed (`_mark`).
    """
    weight = model.W_U.T.detach()  # [d_vocab, d_model], as Hugging Face keeps it
    mark = _mark(weight)
    known = _HASHED.get(model)
    if known is None or mark is None or known[0] != mark:
        known = (mark or (), _hashes(weight.cpu().contiguous()))
        _HASHED[model] = known
    return dict(known[1])


def _hashes(weight: Float[Tensor, "d_vocab d_model"]) -> dict[str, str]:
    # numpy prints by global options; these are its defaults
    with np.printoptions(
        threshold=1000, edgeitems=3, linewidth=75, suppress=False, sign="-", floatmode="maxprec"
    ):
        printed = np.array_str(weight.float().numpy(), precision=1)
    exact = weight.to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    return {
        "unembed_hash": hashlib.sha256(printed.encode()).hexdigest(),
        "unembed_sha256": hashlib.sha256(exact).hexdigest(),
    }


def _mark(weight: Float[Tensor, "d_vocab d_model"]) -> tuple[Any, ...] | None:
    """What tells whether a weight is as it was: where it lies, PyTorch's count of changes in place, and some
    thousands of its numbers, for changes that are not counted (through ``.data``; of a few numbers alone,
    such a change is not seen). None of a tensor of inference mode, whose changes are not counted."""
    if weight.is_inference():
        return None
    step = [max(1, n // most) for n, most in zip(weight.shape, (1024, 64), strict=True)]
    some = weight[:: step[0], :: step[1]].float().cpu().contiguous()
    digest = hashlib.sha256(some.numpy().tobytes()).hexdigest()
    return weight.data_ptr(), weight._version, tuple(weight.shape), str(weight.dtype), digest


def check_unembedding(
    model: Editable, recorded: Mapping[str, str | None], *, what: str, made_for: str
) -> None:
    """Raise `InputError` where one of the digests that `what` ("lens") recorded of the model that it was made
    for is not that of `model`. Those that are None were not recorded."""
    known = {name: digest for name, digest in recorded.items() if digest is not None}
    if not known:
        return
    own = unembed_hashes(model)
    if any(digest != own[name] for name, digest in known.items()):
        raise InputError(
            f"This {what} is for another unembedding (that of {made_for}) than {model.identity.name} has "
            "here; train one for it. (float16 and folded weights count as another.)"
        )
