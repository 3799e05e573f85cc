"""The two runs of a pair, as senders and receivers see them.

In the *base* run, something is patched from the *donor* run: noising patches corrupted outputs into the clean
run, denoising clean ones into the corrupted run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import check_choice
from interp.methods.common.pairs import DIRECTIONS, Direction, check_span
from interp.methods.common.senders import sender_outputs, sender_sites
from interp.metrics import METRICS, MetricKind
from interp.models.base import Cache, Model
from interp.readout import Readout, metric_readout
from interp.tasks.base import Pair
from interp.tokens import Tokens


@dataclass(frozen=True, eq=False)
class SenderRuns:
    """A pair's base and donor runs."""

    model: Model
    base: Tokens
    donor: Tokens
    cache: Cache  # the base run's residual streams, and what `sender_outputs` reads
    donor_cache: Cache
    readout: Readout
    clean_value: float  # the metric, unpatched
    corrupted_value: float

    def question(self, pair: Pair, metric: MetricKind) -> dict[str, Any]:
        """What anything computed from these runs depends on, by which it is kept (`interp.resume.kept`)."""
        return {
            "model": self.model.identity.to_dict(),
            "pair": [pair.clean, pair.corrupted, pair.answer, pair.foil],
            "unpatched": [metric, self.clean_value, self.corrupted_value],  # they stand for the weights
        }

    @property
    def n_pos(self) -> int:
        return self.base.lengths[0]

    @cached_property
    def delta(self) -> Float[Tensor, "sender pos d_model"]:
        """Donor's minus base run's output of each sender."""
        change = sender_outputs(self.model, self.donor_cache) - sender_outputs(self.model, self.cache)
        differ = (self.base.ids != self.donor.ids)[0].nonzero()[0]
        change[:, : int(differ)] = 0.0  # where both runs have seen the same tokens, bit for bit
        return change

    def resid(self, site: str, layer: int) -> Float[Tensor, "1 pos d_model"]:
        """The base run's residual stream."""
        return self.cache[site, layer]

    @property
    def last_resid(self) -> Float[Tensor, "1 pos d_model"]:
        """The base run's last residual stream, which the logits read."""
        return self.resid("resid_post", self.model.arch.n_layers - 1)

    # ---- what receivers are, if more arrives ----

    def heads_read(
        self, layer: int, arriving: Float[Tensor, "row pos d_model"]
    ) -> dict[str, Float[Tensor, "row pos head d_head"]]:
        """q, k and v of a layer, where this much arrives on top of the base run's residual stream."""
        return self.model.run_layer(
            self.base, layer, self.resid("resid_pre", layer) + arriving, ("q", "k", "v")
        )

    def mlp_writes(
        self, layer: int, arriving: Float[Tensor, "row pos d_model"]
    ) -> Float[Tensor, "row pos d_model"]:
        """mlp_out of a layer, where this much arrives on top of what its MLP reads in the base run."""
        before = self.resid("resid_pre", layer)
        if self.model.arch.parallel_attention:
            return self.model.run_layer(self.base, layer, before + arriving, ("mlp_out",))["mlp_out"]
        reads = Edit.set("resid_mid", layer, value=self.resid("resid_mid", layer) + arriving)
        before = before.expand(len(arriving), -1, -1)
        return self.model.run_layer(self.base, layer, before, ("mlp_out",), [reads])["mlp_out"]

    def logits_read(self, arriving: Float[Tensor, "row pos d_model"]) -> Tensor:
        """The readout [row, ...], where this much arrives on top of the base run's last residual stream."""
        places = list(self.readout.positions)
        logits = self.model.unembed(self.last_resid[:, places] + arriving[:, places])  # [row, pos, d_vocab]
        columns = self.readout.columns
        return self.readout.of(logits if columns is None else logits[..., list(columns)])


def sender_runs(model: Model, pair: Pair, *, direction: Direction, metric: MetricKind) -> SenderRuns:
    """Both runs of a pair."""
    last = model.arch.n_layers - 1
    streams = [("resid_pre", layer) for layer in range(last + 1)]
    if not model.arch.parallel_attention:
        streams += [("resid_mid", layer) for layer in range(last + 1)]
    sites = [*streams, ("resid_post", last), *sender_sites(last + 1)]
    clean, corrupted = (model.to_tokens(list(ids)) for ids in (pair.clean, pair.corrupted))
    caches = [model.run_with_cache(tokens, sites) for tokens in (clean, corrupted)]
    readout = metric_readout(metric, answer=pair.answer, foil=pair.foil, clean_logits=caches[0].logits)
    values = [float(readout(cache.logits)[0]) for cache in caches]
    order = (0, 1) if direction == "noising" else (1, 0)
    base, donor = (caches[i] for i in order)
    return SenderRuns(model, base.tokens, donor.tokens, base, donor, readout, values[0], values[1])


# ---- over a dataset ----


def check_question(direction: str, metric: str) -> None:
    """`InputError` for an unknown direction or metric."""
    check_choice("direction", direction, DIRECTIONS)
    check_choice("metric", metric, METRICS)


def check_spans(clean: Iterable[float], corrupted: Iterable[float], metric: str) -> None:
    """`DegeneratePairError` where, over all pairs, the corruption hardly changes the metric."""
    a, b = (torch.tensor(list(values)) for values in (clean, corrupted))
    check_span(float(a.mean()), float(b.mean()), metric, of=f" (the mean of {len(a)} pairs)")
