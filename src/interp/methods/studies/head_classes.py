"""Classes of heads in indirect objects, by the tests of Wang et al. 2022: which heads act on what, and how.

The maps of heads that the tests need, and the classes, from the logits backwards; see
`interp.methods.studies.ioi` for what the classes mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
from interp.methods.common.heads import Head
from interp.methods.common.names import node_name
from interp.methods.heads.attention_by_role import attention_by_role
from interp.methods.heads.copying_scores import copying_scores
from interp.methods.patching.path_patching import path_patching
from interp.methods.patching.results import PathPatchingResult
from interp.models.base import Exact, Model
from interp.results import Estimate, Interval
from interp.tasks.base import PairDataset

CLASSES: tuple[str, ...] = (
    "name mover",
    "negative name mover",
    "other direct",
    "S-inhibition",
    "induction",
    "duplicate token",
    "previous token",
    "other total",
)
LOOKS: tuple[tuple[str, str], ...] = (
    ("END", "IO"),
    ("END", "S1"),
    ("END", "S2"),
    ("S2", "S1"),
    ("S2", "S1+1"),
    ("S1+1", "S1"),
)
COPIES = 0.5  # a copying score from which on a head copies

Map = Float[np.ndarray, "layer head"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What all steps have in common."""

    model: Model
    dataset: PairDataset
    exact: Exact
    batch_size: int
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """How runs are computed, as the methods take it."""
        return {"exact": self.exact, "batch_size": self.batch_size, "seed": self.seed}

    def paths(
        self, receivers: Sequence[str], role: str | None = None, *, totals: bool = False
    ) -> PathPatchingResult:
        """Every head's effect through these receivers; as in the paper, MLPs between are recomputed."""
        return path_patching(
            self.model,
            self.dataset,
            receivers=receivers,
            role=role,
            mlps="recomputed",
            totals=totals,
            **self.options,
        )


# ---- the maps ----


def effects_on_logits(study: Study, to_logits: PathPatchingResult) -> dict[str, Interval]:
    """The total and the direct effect of every head, and its direct logit attribution."""
    dataset = study.dataset
    parts = direct_logit_attribution(
        study.model,
        dataset.clean,
        dataset.answers,
        dataset.foils,
        views=["head"],
        clusters=dataset.clusters,
        seed=study.seed,
    ).by_head
    assert parts is not None
    assert to_logits.total is not None
    return {
        "total": _by_head(to_logits, to_logits.total),
        "direct": _by_head(to_logits, to_logits.direct),
        "attribution": parts.interval,
    }


def looks_and_copies(study: Study) -> dict[str, Interval]:
    """Where every head looks, as shares of its attention, and how far it copies what it sees."""
    looks = attention_by_role(study.model, study.dataset, between=LOOKS, seed=study.seed)
    copies = copying_scores(study.model, study.dataset, seed=study.seed)
    return {
        **{f"{query} to {key}": looks.of(query, key).interval for query, key in LOOKS},
        "copying": copies.copying.interval,
        "negative copying": copies.negative.interval,
    }


def _by_head(paths: PathPatchingResult, effect: Estimate) -> Interval:
    """An effect of senders, all heads, as a map."""
    value, low, high = (paths.by_head(part) for part in (effect.mean, effect.low, effect.high))
    error = None if effect.error is None else paths.by_head(effect.error)
    return Interval(value=value, low=low, high=high, error=error, clusters=effect.clusters)


# ---- the classes ----


@dataclass(eq=False)
class _Search:
    """The classes found so far, and the maps that they rest on; a head is in one class only."""

    study: Study
    least: float  # the effect, in logits, from which on a head acts
    attends: float
    maps: dict[str, Interval]
    classes: dict[str, list[Head]] = field(default_factory=lambda: {name: [] for name in CLASSES})

    def map(self, name: str) -> Map:
        return self.maps[name].value

    def looks(self, query: str, key: str) -> Bool[np.ndarray, "layer head"]:
        """Which heads look from one role to another."""
        return self.map(f"{query} to {key}") >= self.attends

    def acting_on(self, name: str, receivers: Sequence[str], role: str) -> Map:
        """How much each head lowers the difference through receivers at a role; a map of that name."""
        paths = self.study.paths(receivers, role)
        self.maps[name] = _by_head(paths, paths.direct)
        return self.map(name)

    def choose(self, name: str, effect: Map, *tests: Bool[np.ndarray, "layer head"]) -> None:
        """Put the heads of an effect that pass all tests, and are in no class yet, into a class; the
        strongest first."""
        taken = {head for heads in self.classes.values() for head in heads}
        passed = np.logical_and.reduce((np.abs(effect) >= self.least, *tests))
        heads = [(int(layer), int(head)) for layer, head in np.argwhere(passed)]
        self.classes[name] = sorted(
            (head for head in heads if head not in taken), key=lambda head: -abs(effect[head])
        )


def find_classes(
    study: Study, maps: Mapping[str, Interval], *, least: float, attends: float
) -> tuple[dict[str, list[Head]], dict[str, Interval]]:
    """The heads of each class, the strongest first, and the maps with those that the search added.

    `least` is in logits: the effect from which on a head acts.
    """
    search = _Search(study, least, attends, dict(maps))
    _acting_on_logits(search)
    _acting_on_movers(search)
    _acting_on_inhibitors(search)
    _acting_on_inducers(search)
    search.choose("other total", search.map("total"))
    return search.classes, search.maps


def _acting_on_logits(search: _Search) -> None:
    """Name movers and negative name movers, and others that act on the logits directly."""
    direct, looks = search.map("direct"), search.looks("END", "IO")
    search.choose("name mover", direct, direct < 0, looks, search.map("copying") >= COPIES)
    search.choose("negative name mover", direct, direct > 0, looks, search.map("negative copying") >= COPIES)
    search.choose("other direct", direct)


def _acting_on_movers(search: _Search) -> None:
    """S-inhibition heads: on the queries of those that raise the difference."""
    direct, classes = search.map("direct"), search.classes
    movers = classes["name mover"] + [head for head in classes["other direct"] if direct[head] < 0]
    if movers:
        queries = [f"{node_name(head)}<q>" for head in movers]
        effect = search.acting_on("on movers' queries", queries, "END")
        search.choose("S-inhibition", effect, effect < 0, search.looks("END", "S2"))


def _acting_on_inhibitors(search: _Search) -> None:
    """Induction and duplicate-token heads: on what S-inhibition heads read at S2."""
    if inhibitors := search.classes["S-inhibition"]:
        effect = search.acting_on("on S-inhibition values", _of_kv_heads(search, inhibitors, "v"), "S2")
        search.choose("induction", effect, effect < 0, search.looks("S2", "S1+1"))
        search.choose("duplicate token", effect, effect < 0, search.looks("S2", "S1"))


def _acting_on_inducers(search: _Search) -> None:
    """Previous-token heads: on the induction heads' keys."""
    if inducers := search.classes["induction"]:
        effect = search.acting_on("on induction keys", _of_kv_heads(search, inducers, "k"), "S1+1")
        search.choose("previous token", effect, effect < 0, search.looks("S1+1", "S1"))


def _of_kv_heads(search: _Search, heads: Sequence[Head], part: str) -> list[str]:
    """What these heads read as keys or values; several may share one."""
    arch = search.study.model.arch
    group = arch.n_heads // arch.n_kv_heads
    return list(dict.fromkeys(f"{node_name((layer, head // group))}<{part}>" for layer, head in heads))
