"""The two runs of a pair, as senders and receivers see them.

In the *base* run, something is patched from the *donor* run: noising patches corrupted outputs into the clean
run, denoising clean ones into the corrupted run. Where an answer of several tokens is measured, there is a
base and a donor run for each way in which it goes on (`interp.readout`); what is measured of each is joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.methods.common.answers import Measure
from interp.methods.common.graph import Graph
from interp.methods.common.names import Component
from interp.methods.common.over_pairs import Parts, over_pairs
from interp.methods.common.pairs import Direction, check_span
from interp.methods.common.question import Question, check_metric_and_direction
from interp.methods.common.senders import check_heads, sender_outputs, sender_sites
from interp.metrics import MetricKind
from interp.models.base import Cache, Model
from interp.parts import Arrays
from interp.readout import Readout
from interp.tasks.base import Pair, PairDataset
from interp.tokens import Tokens, differing_positions


@dataclass(frozen=True, eq=False, kw_only=True)
class SenderRuns:
    """One of a pair's base runs, with the donor run that goes on in the same way."""

    pair: Pair
    question: Question
    readout: Readout  # what is read of this run, its positions counted from its end
    cache: Cache  # the base run's residual streams, attn_out, and what `sender_outputs` reads
    donor_cache: Cache

    @property
    def model(self) -> Model:
        return self.question.model

    @property
    def tokens(self) -> Tokens:
        """Those of the base run: the prompt, and what follows it."""
        return self.cache.tokens

    @cached_property
    def graph(self) -> Graph:
        return Graph.of(self.model)

    @property
    def n_pos(self) -> int:
        return self.tokens.lengths[0]

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
        return self.model.run_layer(self.tokens, layer, stream, ("q", "k", "v"))

    def mlp_writes(
        self, layer: int, arriving: Float[Tensor, "row pos d_model"]
    ) -> Float[Tensor, "row pos d_model"]:
        """mlp_out of a layer, where this much arrives on top of what its MLP reads in the base run."""
        base, before = self.tokens, self.resid("resid_pre", layer)
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


@dataclass(frozen=True, eq=False, kw_only=True)
class PairRuns:
    """All base and donor runs of a pair."""

    pair: Pair
    question: Question
    cache: Cache  # of the base runs, a row each
    donor_cache: Cache

    @property
    def model(self) -> Model:
        return self.question.model

    @cached_property
    def each(self) -> tuple[SenderRuns, ...]:
        """The base runs one by one."""
        return tuple(
            SenderRuns(
                pair=self.pair,
                question=self.question,
                readout=replace(part, continuation=()),
                cache=self.cache.row(run),
                donor_cache=self.donor_cache.row(run),
            )
            for run, part in enumerate(self.question.readout.parts)
        )

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """The metric [row] of what was read of each run, [row, ...]."""
        return self.question.readout.joined(values)


def sender_runs(model: Model, pair: Pair, *, direction: Direction, metric: MetricKind) -> PairRuns:
    """Both runs of a pair, or of each way in which its answers go on."""
    last = model.arch.n_layers - 1
    streams = [("resid_pre", layer) for layer in range(last + 1)]
    if not model.arch.parallel_attention:
        streams += [("resid_mid", layer) for layer in range(last + 1)]
    attention = [("attn_out", layer) for layer in range(last + 1)]
    sites = [*streams, ("resid_post", last), *attention, *sender_sites(last + 1)]
    measure = Measure.of_pair(pair, metric)
    prompts = model.to_tokens(list(pair.clean)), model.to_tokens(list(pair.corrupted))
    clean, corrupted = (model.run_with_cache(measure.runs(tokens), sites) for tokens in prompts)
    question = Question.of_runs(
        model,
        prompts=prompts,
        clean=clean,
        corrupted=corrupted,
        differing=differing_positions(pair.clean, pair.corrupted),
        measure=measure,
        direction=direction,
    )
    base, donor = (clean, corrupted) if direction == "noising" else (corrupted, clean)
    return PairRuns(pair=pair, question=question, cache=base, donor_cache=donor)


def over_sender_runs(
    model: Model,
    dataset: PairDataset,
    compute: Callable[[PairRuns], Arrays],
    *,
    direction: Direction,
    metric: MetricKind,
    options: Mapping[str, Any],
) -> Parts:
    """Compute something of both runs of each pair, and keep it where a method can be resumed.

    Beside what `compute` returns, the parts have the metric without patching, ``clean_value`` and
    ``corrupted_value``, and the likeliest token of the clean run, ``said``.
    `options` are all that `compute` depends on besides the runs, as JSON values.

    Raises:
        InputError: an unknown direction or metric.
        DegeneratePairError: clean and corrupted values that hardly differ on average.
    """
    check_metric_and_direction(metric, direction)
    model.post_norm("attn_out", 0)  # an error where heads have no parts of their own
    parts = over_pairs(
        len(dataset),
        lambda number: sender_runs(model, dataset[number], direction=direction, metric=metric),
        lambda runs: compute(runs) | _unpatched(runs),
        key=lambda runs: runs.question.key | {"positions": dict(runs.pair.positions), **options},
        describe=lambda number: repr(dataset[number].text),
    )
    clean, corrupted, spread = (
        float(parts.stacked(name).mean()) for name in ("clean_value", "corrupted_value", "spread")
    )
    of = f" (the mean of {len(dataset)} pairs)" if len(dataset) > 1 else ""
    check_span(clean, corrupted, metric, spread=spread, of=of, either_way=True)
    return parts


def _unpatched(runs: PairRuns) -> Arrays:
    question = runs.question
    values = {
        "clean_value": question.clean_value,
        "corrupted_value": question.corrupted_value,
        "spread": question.spread,
        "said": question.said,
    }
    return {name: np.array(value) for name, value in values.items()}
