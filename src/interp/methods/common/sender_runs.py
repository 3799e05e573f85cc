"""The two runs of a pair, as senders and receivers see them.

In the *base* run, something is patched from the *donor* run: noising patches corrupted outputs into the clean
run, denoising clean ones into the corrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.methods.common.graph import Graph
from interp.methods.common.names import Component
from interp.methods.common.over_pairs import Arrays, Parts, over_pairs
from interp.methods.common.pairs import Direction, check_span
from interp.methods.common.question import Question, check_metric_and_direction
from interp.methods.common.senders import check_heads, sender_outputs, sender_sites
from interp.metrics import MetricKind
from interp.models.base import Cache, Model
from interp.readout import Readout
from interp.tasks.base import Pair, PairDataset
from interp.tokens import differing_positions


@dataclass(frozen=True, eq=False, kw_only=True)
class SenderRuns:
    """A pair's base and donor runs."""

    pair: Pair
    question: Question
    cache: Cache  # the base run's residual streams, attn_out, and what `sender_outputs` reads
    donor_cache: Cache

    @property
    def model(self) -> Model:
        return self.question.model

    @property
    def readout(self) -> Readout:
        """The metric."""
        return self.question.readout

    @cached_property
    def graph(self) -> Graph:
        return Graph.of(self.model)

    @property
    def n_pos(self) -> int:
        return self.question.base.lengths[0]

    @cached_property
    def delta(self) -> Float[Tensor, "sender pos d_model"]:
        """Donor's minus base run's output of each sender."""
        change = self.outputs(self.donor_cache) - self.outputs(self.cache)
        change[:, : self.question.differing[0]] = 0.0  # where both have seen the same tokens, bit for bit
        return change

    def outputs(self, cache: Cache) -> Float[Tensor, "sender pos d_model"]:
        """What each sender wrote in one of the runs; checked."""
        outputs = sender_outputs(self.model, cache)
        for layer in range(self.graph.n_layers):
            heads = [self.graph.sender_index[str(head)] for head in self.graph.heads(layer)]
            check_heads(self.model, layer, outputs[heads], cache["attn_out", layer][0])
        return outputs

    def resid(self, site: str, layer: int) -> Float[Tensor, "1 pos d_model"]:
        """The base run's residual stream."""
        return self.cache[site, layer]

    @property
    def last_resid(self) -> Float[Tensor, "1 pos d_model"]:
        """The base run's last residual stream, which the logits read."""
        return self.resid("resid_post", self.model.arch.n_layers - 1)

    def donor_edit(self, sender: Component) -> Edit:
        """The edit that replaces what a sender writes in the base run by what it writes in the donor run. A
        head behind a norm takes its own scale along, and leaves that of the other heads as it is."""
        site, layer = sender.sites[0]
        if sender.kind == "head" and self.model.arch.post_norms:
            change = self.delta[[self.graph.sender_index[str(sender)]]]
            return Edit.add("attn_out", layer, value=change)
        value = self.donor_cache[site, layer]
        if sender.kind == "head":
            value = value[:, :, [sender.index]]
        return Edit.set(site, layer, value=value, heads=sender.index)

    # ---- what receivers are, if more arrives ----

    def heads_read(
        self, layer: int, arriving: Float[Tensor, "row pos d_model"]
    ) -> dict[str, Float[Tensor, "row pos head d_head"]]:
        """q, k and v of a layer, where this much arrives on top of the base run's residual stream."""
        stream = self.resid("resid_pre", layer) + arriving
        return self.model.run_layer(self.question.base, layer, stream, ("q", "k", "v"))

    def mlp_writes(
        self, layer: int, arriving: Float[Tensor, "row pos d_model"]
    ) -> Float[Tensor, "row pos d_model"]:
        """mlp_out of a layer, where this much arrives on top of what its MLP reads in the base run."""
        base, before = self.question.base, self.resid("resid_pre", layer)
        if self.model.arch.parallel_attention:
            return self.model.run_layer(base, layer, before + arriving, ("mlp_out",))["mlp_out"]
        reads = Edit.set("resid_mid", layer, value=self.resid("resid_mid", layer) + arriving)
        before = before.expand(len(arriving), -1, -1)
        return self.model.run_layer(base, layer, before, ("mlp_out",), [reads])["mlp_out"]

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
    attention = [("attn_out", layer) for layer in range(last + 1)]
    sites = [*streams, ("resid_post", last), *attention, *sender_sites(last + 1)]
    clean, corrupted = (
        model.run_with_cache(model.to_tokens(list(ids)), sites) for ids in (pair.clean, pair.corrupted)
    )
    question = Question.of_runs(
        model,
        clean=clean,
        corrupted=corrupted,
        differing=differing_positions(pair.clean, pair.corrupted),
        answer=pair.answer,
        foil=pair.foil,
        metric=metric,
        direction=direction,
    )
    base, donor = (clean, corrupted) if direction == "noising" else (corrupted, clean)
    return SenderRuns(pair=pair, question=question, cache=base, donor_cache=donor)


def over_sender_runs(
    model: Model,
    dataset: PairDataset,
    compute: Callable[[SenderRuns], Arrays],
    *,
    direction: Direction,
    metric: MetricKind,
    options: Mapping[str, Any],
) -> Parts:
    """Compute something of both runs of each pair, and keep it where a method can be resumed.

    Beside what `compute` returns, the parts have the metric without patching, ``clean_value`` and
    ``corrupted_value``. `options` are all that `compute` depends on besides the runs, as JSON values.

    Raises:
        InputError: an unknown direction or metric.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    check_metric_and_direction(metric, direction)
    model.post_norm("attn_out", 0)  # an error where heads have no parts of their own
    parts = over_pairs(
        (sender_runs(model, pair, direction=direction, metric=metric) for pair in dataset),
        lambda runs: compute(runs) | _unpatched(runs),
        total=len(dataset),
        key=lambda runs: runs.question.key | {"positions": dict(runs.pair.positions), **options},
    )
    clean, corrupted = (float(parts.stacked(name).mean()) for name in ("clean_value", "corrupted_value"))
    check_span(clean, corrupted, metric, of=f" (the mean of {len(dataset)} pairs)")
    return parts


def _unpatched(runs: SenderRuns) -> Arrays:
    values = {"clean_value": runs.question.clean_value, "corrupted_value": runs.question.corrupted_value}
    return {name: np.array(value) for name, value in values.items()}
