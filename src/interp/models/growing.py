"""Runs of a text that grows: tokens that the last run has read are not read again.

A causal model's activations at a position depend on the tokens up to it alone. So where a text begins as the
last one did, what was read there stands, and the rest is run with the keys and values that were kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interp.models.base import Model, SiteSpec
from interp.models.editing import Key, Taps
from interp.models.rotary import scales
from interp.sites import parse_sites

LEAST = 64  # tokens from which on it is worth it


@dataclass(frozen=True, eq=False)
class GrowingRun:
    """What was read of one text, and the keys and values of its tokens."""

    ids: tuple[int, ...]
    values: dict[Key, Tensor]  # [1, pos, ...]
    past: Any

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.values.values())

    def shared(self, ids: Sequence[int]) -> int:
        """How many tokens from its beginning on are those of `ids`."""
        pairs = enumerate(zip(self.ids, ids, strict=False))
        return next((n for n, (a, b) in pairs if a != b), min(len(self.ids), len(ids)))


def can_grow(model: Model, ids: Sequence[int]) -> bool:
    """Whether a text is long enough, and the model keeps keys and values that hold for longer ones too."""
    return len(ids) >= LEAST and not scales(model.hf_model)(len(ids)) and not model.why_uncached()


def grown(
    model: Model, ids: Sequence[int], sites: Sequence[SiteSpec], last: GrowingRun | None = None
) -> GrowingRun:
    """Activations of one text at `sites`, which have an axis of positions behind that of rows.

    `last` is a run of the same model and sites; what it has read is not read again, where that is `LEAST`
    tokens or more.
    """
    known = 0 if last is None else min(last.shared(ids), len(ids) - 1)  # at least one token is run
    if last is None or known < LEAST:
        known, past, before = 0, model.new_past(), {}
    else:
        past, before = last.past.first(known), last.values
    taps = Taps(parse_sites(sites, model.arch.n_layers), (), (len(ids) - known,))
    with model._lock, torch.no_grad():
        model._run_to_last_site(torch.tensor([ids[known:]], device=model.device), taps, past)
    taps.check_all_visited()
    values = {
        key: torch.cat([before[key][:, :known], taps.values[key]], 1) if known else taps.values[key]
        for key in taps.keys
    }
    return GrowingRun(tuple(ids), values, past)
