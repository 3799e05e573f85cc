"""What a Hugging Face model keeps of the tokens that it has read: all keys and values, of every layer.

A cache that is made for a configuration drops what lies outside a sliding window; this one keeps it, and the
masks hide it, as in a run of the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from interp.edits import Edit, EditFrom
from interp.errors import first_line
from interp.models.base import Model
from interp.models.generating.joined import Joined, JoinedTaps
from interp.models.generating.taps import Placed, StepTaps
from interp.models.self_check import allowed_rounding, probe
from interp.sites import SITES

#: What a model of another make raises where it takes no keys and values, or takes them otherwise.
_REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError)


TOKENS = 4  # that are compared


class KeptKeys:
    """Keys and values of some rows."""

    def __init__(self) -> None:
        self.cache = DynamicCache()
        #: How many places on the left of each row hold no token; None where all do.
        self.pads: Tensor | None = None  # [row]

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        at = torch.tensor(rows, device=self.cache.layers[0].keys.device)
        self.cache.batch_select_indices(at)
        if self.pads is not None:
            self.pads = self.pads[at]

    def of_rows(self, rows: Sequence[int]) -> KeptKeys:
        """Those of some rows, each as often as it is named; what is kept here stays as it is."""
        chosen = KeptKeys()
        for n, layer in enumerate(self.cache.layers):
            at = torch.tensor(rows, device=layer.keys.device)
            chosen.cache.update(layer.keys[at], layer.values[at], n)
        return chosen

    def first(self, n: int) -> KeptKeys:
        """Those of the first `n` tokens; what is kept here stays as it is."""
        chosen = KeptKeys()
        for number, layer in enumerate(self.cache.layers):
            chosen.cache.update(layer.keys[..., :n, :], layer.values[..., :n, :], number)
        return chosen

    @classmethod
    def joined(cls, pasts: Sequence[KeptKeys]) -> KeptKeys:
        """Those of several, one below the other, with places on the left of the shorter ones."""
        both = cls()
        lengths = [past.cache.get_seq_length() for past in pasts]
        pads = [max(lengths) - length for length in lengths]
        for n, layers in enumerate(zip(*(past.cache.layers for past in pasts), strict=True)):
            keys, values = (
                torch.cat(
                    [pad(getattr(one, of), (0, 0, width, 0)) for one, width in zip(layers, pads, strict=True)]
                )  # [row, kv_head, pos, d_head]
                for of in ("keys", "values")
            )
            both.cache.update(keys, values, n)
        first = pasts[0].cache.layers[0].keys
        sizes = torch.tensor([len(past.cache.layers[0].keys) for past in pasts], device=first.device)
        both.pads = torch.tensor(pads, device=first.device).repeat_interleave(sizes)
        return both

    def places(self, n_new: int) -> tuple[Tensor, Tensor]:
        """Which places hold a token, those of `n_new` that come included, as a mask [row, pos]; and the
        positions [row, new] of the new ones in their texts."""
        assert self.pads is not None
        n = self.cache.get_seq_length() + n_new
        positions = torch.arange(n, device=self.pads.device) - self.pads[:, None]
        return (positions >= 0).long(), positions[:, -n_new:]


def why_not_kept(model: Model) -> str:
    """Why a token that is run with the keys and values of those before it is not what it is in a run of them
    all, as the end of a sentence; nothing where it is. Asked of a few tokens, with an edit at every site."""
    ids = probe(model)[:, :TOKENS]
    if ids.shape[1] < 2:
        return ""
    try:
        kept = _GoneOn(model, ids).last()
    except _REFUSALS as error:
        return f"the model does not go on from keys and values that were kept ({first_line(error)})"
    whole = _run(model, ids, None, 0)
    off = _off(kept, whole)
    if off <= allowed_rounding(model):
        return ""
    return f"going on from keys and values that were kept is off by {off:.1g} of the largest logit"


def goes_on_joined(model: Model) -> bool:
    """Whether tokens behind texts of several lengths are, in one pass, what each is behind its own text
    alone. Asked of a few tokens, with an edit at every site."""
    ids = probe(model)[:, :TOKENS]
    if ids.shape[1] < TOKENS:
        return False
    texts = [ids[:, :TOKENS], ids[:, 2:TOKENS]]
    try:
        alone = torch.cat([_GoneOn(model, text).last() for text in texts])
        both = [_GoneOn(model, text) for text in texts]
        past = KeptKeys.joined([one.past for one in both])
        widths = [TOKENS - text.shape[1] for text in texts]
        parts = [Joined(1, width, one.taps()) for width, one in zip(widths, both, strict=True)]
        together = model.run_last(torch.cat([text[:, -1:] for text in texts]), JoinedTaps(parts), past)
    except _REFUSALS:
        return False
    return _off(together, alone) <= allowed_rounding(model)


class _GoneOn:
    """A text of which all tokens but the last were read and kept, with an edit at every site from its second
    token on."""

    def __init__(self, model: Model, ids: Tensor) -> None:
        self.model, self.ids, self.past = model, ids, KeptKeys()
        _run(model, ids, self.past, 0)

    def last(self) -> Tensor:
        """The logits behind all of it."""
        return _run(self.model, self.ids, self.past, self.ids.shape[1] - 1)

    def taps(self) -> StepTaps:
        """Those of the last token."""
        return _taps(self.model, self.ids.shape[1] - 1, self.ids.shape[1] - 1)


def _run(model: Model, ids: Tensor, past: KeptKeys | None, known: int) -> Tensor:
    """The logits behind a text of which so many tokens are known; where none are and they are to be kept,
    behind all of it but the last."""
    n = ids.shape[1] - (1 if past is not None and not known else 0)
    return model.run_last(ids[:, known:n], _taps(model, ids.shape[1] - 1, known), past)


def _taps(model: Model, n_prompt: int, known: int) -> StepTaps:
    middle, start = model.arch.n_layers // 2, min(1, n_prompt - 1)
    layers = {site: middle if SITES[site].per_layer else None for site in model.sites}
    edits = [EditFrom(Edit.scale(site, layer, value=0.5), start) for site, layer in layers.items()]
    placed = [Placed.of(edit, (0,), n_rows=1, n_prompt=n_prompt) for edit in edits]
    acting = [one for one in placed if one is not None]
    return StepTaps((), acting, n_rows=1, n_prompt=n_prompt, offset=known, new=known)


def _off(found: Tensor, right: Tensor) -> float:
    """The largest difference, in units of the largest logit."""
    return ((found - right).double().abs().max() / right.double().abs().max().clamp(min=1e-6)).item()
