"""What a Hugging Face model keeps of the tokens that it has read: all keys and values, of every layer.

A cache that is made for a configuration drops what lies outside a sliding window; this one keeps it, and the
masks hide it, as in a run of the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from interp.edits import Edit, EditFrom
from interp.errors import first_line
from interp.models.base import Model
from interp.models.generating.taps import Placed, StepTaps
from interp.models.self_check import ROUNDING, probe
from interp.sites import SITES

#: What a model of another make raises where it takes no keys and values, or takes them otherwise.
_REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError)


TOKENS = 4  # that are compared


class KeptKeys:
    """Keys and values of some rows."""

    def __init__(self) -> None:
        self.cache = DynamicCache()

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        self.cache.batch_select_indices(torch.tensor(rows, device=self.cache.layers[0].keys.device))

    def of_rows(self, rows: Sequence[int]) -> KeptKeys:
        """Those of some rows, each as often as it is named; what is kept here stays as it is."""
        chosen = KeptKeys()
        for n, layer in enumerate(self.cache.layers):
            at = torch.tensor(rows, device=layer.keys.device)
            chosen.cache.update(layer.keys[at], layer.values[at], n)
        return chosen


def why_not_kept(model: Model) -> str:
    """Why a token that is run with the keys and values of those before it is not what it is in a run of them
    all, as the end of a sentence; nothing where it is. Asked of a few tokens, with an edit at every site."""
    ids = probe(model)[:, :TOKENS]
    n_prompt = ids.shape[1] - 1
    if not n_prompt:
        return ""
    middle, start = model.arch.n_layers // 2, min(1, n_prompt - 1)
    layers = {site: middle if SITES[site].per_layer else None for site in model.sites}
    edits = [EditFrom(Edit.scale(site, layer, value=0.5), start) for site, layer in layers.items()]
    placed = [Placed.of(edit, (0,), n_rows=1, n_prompt=n_prompt) for edit in edits]
    acting = [one for one in placed if one is not None]

    def last(n: int, past: KeptKeys | None, known: int) -> Tensor:
        """The logits after `n` tokens, of which the first are known."""
        taps = StepTaps((), acting, n_rows=1, n_prompt=n_prompt, offset=known, new=known)
        return model.run_last(ids[:, known:n], taps, past)

    past = KeptKeys()
    try:
        last(n_prompt, past, 0)
        kept = last(n_prompt + 1, past, n_prompt)
    except _REFUSALS as error:
        return f"the model does not go on from keys and values that were kept ({first_line(error)})"
    whole = last(n_prompt + 1, None, 0)
    off = ((kept - whole).double().abs().max() / whole.double().abs().max().clamp(min=1e-6)).item()
    if off <= ROUNDING[model.dtype]:
        return ""
    return f"going on from keys and values that were kept is off by {off:.1g} of the largest logit"
