"""Two models on the prompts of a task: the metric, the lens, and stitched runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from interp.answers import Answer
from interp.methods.common.answers import Measure
from interp.methods.common.intervals import Clusters, mean_interval, ratio_interval, share_interval, within
from interp.methods.common.over_pairs import Parts, over_pairs
from interp.methods.comparison.results import SAME, OnTask, Stitched
from interp.methods.comparison.stitching import stitch
from interp.methods.lens.answer_reading import read_answer
from interp.methods.lens.lens import STREAMS, PlainLens, residual_streams, stream_layers
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.parts import Arrays
from interp.readout import Readout, kl_divergence, widened
from interp.tasks.base import Pair, PairDataset, pairs_in_words
from interp.tokens import Tokens


@dataclass(frozen=True)
class TwoOnTask:
    """What is asked of two models about the pairs of a task."""

    models: tuple[Model, Model]
    metric: MetricKind
    sites: tuple[str, ...]
    exact: Exact

    def of(self, pair: Pair) -> Arrays:
        """All numbers of one pair's clean prompt."""
        tokens = Tokens.pad([list(pair.clean)])
        measure = Measure.of_pair(pair, self.metric)
        last = [widened(model.forward(tokens)[0, -1:]).cpu() for model in self.models]  # [1, d_vocab]
        found: Arrays = {
            "first_choice": np.array([float(int(x.argmax()) in _first_tokens(pair.answer)) for x in last]),
            "kl": np.array([float(kl_divergence(last[1 - i], last[i]).sum()) for i in (0, 1)]),
            "lens": np.stack([_lens(model, pair) for model in self.models]),
            "values": np.array([_value(model, measure, tokens) for model in self.models]),
        }
        if self.sites:
            for into in (0, 1):
                found |= self._stitched(tokens, measure, last[1 - into], into)
        return found

    def _stitched(self, tokens: Tokens, measure: Measure, donors: Tensor, into: int) -> Arrays:
        """Of the runs of one model with each part of the other: the divergence from the other's prediction,
        and the change of the metric."""
        base, donor = self.models[into], self.models[1 - into]
        found: Arrays = {}
        for name, readout in (("kl", Readout.kl(donors)), ("effect", measure.readout())):
            plain, values = stitch(base, donor, tokens, readout, self.sites, exact=self.exact)
            less = plain if name == "effect" else 0.0
            found[f"base {name} {into}"] = np.array(plain)
            for (carries, site), cells in values.items():
                found[f"{name} {into} {carries} {site}"] = cells.numpy() - less
        return found

    def key(self, pair: Pair) -> dict[str, Any]:
        """All that the numbers of a pair depend on. What the models say of it stands for their weights."""
        tokens = Tokens.pad([list(pair.clean)])
        said = [float(widened(model.forward(tokens)[0, -1]).square().sum()) for model in self.models]
        answers = [Answer.of(pair.answer).key, Answer.of(pair.foil).key]
        how = [self.metric, *self.sites, str(self.exact)]
        models = [model.identity.to_dict() for model in self.models]
        return {"two_on_task": how, "models": models, "pair": [list(pair.clean), *answers], "said": said}


def two_on_task(
    models: tuple[Model, Model],
    dataset: PairDataset,
    *,
    metric: MetricKind,
    sites: Sequence[str],
    exact: Exact,
    seed: int,
) -> OnTask:
    """All that is measured on the clean prompts of a task; what the numbers are, says `OnTask`."""
    asked = TwoOnTask(models, metric, tuple(sites), exact)
    parts = over_pairs(
        len(dataset),
        dataset.pairs.__getitem__,
        asked.of,
        key=asked.key,
        describe=lambda number: repr(dataset[number].text),
    )
    clusters = dataset.clusters

    def mean(name: str) -> Any:
        return mean_interval(parts.stacked(name), seed, clusters)

    values = parts.stacked("values")  # [pair, model]
    return OnTask(
        pairs=pairs_in_words(models[0], dataset),
        metric=metric,
        values=mean("values"),
        change=mean_interval(values[:, 1] - values[:, 0], seed, clusters),
        first_choice=share_interval(parts.stacked("first_choice"), seed, clusters),
        lens=within(mean("lens"), most=0),
        kl=within(mean("kl"), 0),
        stitched=_stitches(parts, seed, clusters),
    )


def _stitches(parts: Parts, seed: int, clusters: Clusters | None) -> tuple[Stitched, ...]:
    found = []
    for name in parts.each[0]:
        what, *rest = name.split(" ")
        if what != "kl" or not rest:
            continue
        into, carries, site = int(rest[0]), rest[1], rest[2]
        kl, own = parts.stacked(name), parts.stacked(f"base kl {into}")  # computed as the cells were
        same = float(own.mean()) < SAME
        found.append(
            Stitched(
                carries=carries,
                site=site,
                into=into,
                kl=within(mean_interval(kl, seed, clusters), 0),
                closed=None
                if same
                else within(ratio_interval(own[:, None, None] - kl, own, seed, clusters), most=1),
                effect=mean_interval(parts.stacked(f"effect {into} {carries} {site}"), seed, clusters),
            )
        )
    return tuple(found)


def _value(model: Model, measure: Measure, tokens: Tokens) -> float:
    readout = measure.readout()
    return float(readout(model.forward(readout.runs(tokens)))[0])


def _lens(model: Model, pair: Pair) -> np.ndarray:
    """The log-probability of the answer that the logit lens reads where the prompt ends, [layer], in nats."""
    lens, layers = PlainLens(), stream_layers(model)

    def read(ids: Sequence[int], places: Sequence[int]) -> Tensor:
        cache = model.run_with_cache([list(ids)], STREAMS, logits=False)
        streams = residual_streams(cache)[:, 0, list(places)]  # [layer, place, d_model]
        return widened(lens.logits_of_layers(model, streams, layers)).cpu()

    return read_answer(read, list(pair.clean), Answer.of(pair.answer)).log_prob.numpy()


def _first_tokens(answer: int | Answer) -> set[int]:
    return {form[0] for form in Answer.of(answer)}
