"""A circuit as a value: the heads and MLPs, or the edges, that are said to carry a behaviour.

At the level of *nodes*, a circuit is a set of heads and MLPs, ``a9.h6`` and ``m0``; the input always belongs
to it. At the level of *edges*, it is a set of edges of `interp.methods.common.graph.Graph`,
``a0.h1->a3.h1<q>``. A circuit may hold a score for each node or edge, in it or not: what a discovery method
thinks of it.

What a circuit claims is measured by `interp.methods.circuits.faithfulness`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from interp.architecture import HasArchitecture
from interp.errors import InputError, nearest
from interp.methods.common.graph import Graph, Level
from interp.methods.common.names import Head, Vocabulary, edge_ends, node_name, parse

LEVELS: tuple[str, ...] = ("node", "edge")
_MEMBERS = Vocabulary(called="node", kinds=("head", "attention", "mlp"))


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """Some of a graph's nodes or edges, by name.

    Raises `InputError` for a name that the graph does not have, and for a score that is no finite number.
    Edges have a score each or none at all; nodes may have one or not.
    """

    graph: Graph
    level: Level
    members: frozenset[str]
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InputError(f"Unknown level {self.level!r}; {nearest(str(self.level), LEVELS)}")
        known = set(self.candidates)
        for name in (*sorted(self.members), *self.scores):
            if name not in known:
                raise InputError(f"This model has no {self.level} {name!r}; {nearest(name, self.candidates)}")
        if not all(map(math.isfinite, self.scores.values())):
            raise InputError("A score of the circuit is NaN or infinite; leave out the nodes that have none.")
        if self.level == "edge" and self.scores and len(self.scores) < len(known):
            raise InputError(
                f"{len(self.scores)} of {len(known)} edges have a score; give one to each, or to none."
            )

    # ---- making one ----

    @classmethod
    def of(
        cls,
        model: HasArchitecture,
        members: Iterable[str | Head],
        *,
        level: Level = "node",
        scores: Mapping[str, float] | None = None,
    ) -> Circuit:
        """A circuit of `model`. A head may also be written ``9.6`` or ``(9, 6)``, and all heads of a layer
        ``a9``.

        Raises `InputError` for unknown names.
        """
        graph = Graph.of(model)
        names = frozenset(name for member in members for name in member_names(graph, member))
        return cls(graph=graph, level=level, members=names, scores=scores or {})

    @property
    def full(self) -> Circuit:
        """Everything."""
        return replace(self, members=frozenset(self.candidates))

    @property
    def empty(self) -> Circuit:
        """Nothing; at the level of nodes, the input alone."""
        return replace(self, members=frozenset())

    def union(self, names: Iterable[str]) -> Circuit:
        return replace(self, members=self.members | frozenset(names))

    def without(self, names: Iterable[str]) -> Circuit:
        return replace(self, members=self.members - frozenset(names))

    def random(self, seed: int, *, among: Iterable[str] | None = None) -> Circuit:
        """A circuit of the same size, drawn evenly from all edges, or with as many heads and as many MLPs.

        What this circuit has outside of `among` stays in it, and nothing else from there is drawn.
        """
        pool = frozenset(self.candidates if among is None else among)
        kinds = [pool] if self.level == "edge" else [{n for n in pool if n[0] == kind} for kind in "am"]
        rng = random.Random(f"random circuit {seed}")
        drawn = [name for kind in kinds for name in rng.sample(sorted(kind), len(self.members & kind))]
        return replace(self, members=(self.members - pool) | frozenset(drawn))

    def top(self, n: int, *, absolute: bool = True) -> Circuit:
        """The `n` nodes or edges of the highest scores (or, with `absolute`, of the largest), and all that
        have no score, as in EAP-IG. Equal scores keep the order of the graph.

        Raises `InputError` where there are no scores, or fewer than `n`.
        """
        if not 0 <= n <= len(self.scores):
            raise InputError(f"There are {len(self.scores)} scores, so not the top {n}.")
        scored = [name for name in self.candidates if name in self.scores]
        key = {name: abs(score) if absolute else score for name, score in self.scores.items()}
        best = sorted(scored, key=lambda name: -key[name])[:n]
        unscored = set(self.candidates) - set(scored)
        return replace(self, members=frozenset(best) | unscored)

    def pruned(self) -> Circuit:
        """At the level of edges: without those that no path from the input to the logits takes, as in EAP-IG,
        where a head's q, k and v count as one. Where edges outside carry corrupted outputs, this changes no
        run of it."""
        if self.level == "node":
            return self
        graph, mask = self.graph, self.mask
        while True:
            sends = mask.any(1)  # [sender]
            receives = np.array([n.kind == "input" for n in graph.sender_nodes])
            for index, receiver in enumerate(graph.receiver_nodes):
                if mask[:, index].any():
                    for sender in graph.sender_of(receiver):
                        receives[graph.sender_index[str(sender)]] = True
            alive = sends & receives
            wanted = np.array(
                [
                    node.kind == "logits"
                    or any(alive[graph.sender_index[str(s)]] for s in graph.sender_of(node))
                    for node in graph.receiver_nodes
                ]
            )
            kept = mask & alive[:, None] & wanted[None, :]
            if (kept == mask).all():
                return replace(self, members=frozenset(graph.names(mask)))
            mask = kept

    # ---- what is in it ----

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """All that could be in a circuit of this level, in the graph's order."""
        return self.graph.senders[1:] if self.level == "node" else self.graph.edges

    @property
    def names(self) -> tuple[str, ...]:
        """The members, in the graph's order."""
        return tuple(name for name in self.candidates if name in self.members)

    @property
    def mask(self) -> Bool[np.ndarray, "sender receiver"]:
        """Where its edges are; of a circuit of nodes, those of `as_edges`."""
        if self.level == "edge":
            return self.graph.edge_mask(self.members)
        sends = np.array([name in self.members or name == "input" for name in self.graph.senders])
        return self.graph.mask & sends[:, None]

    def as_edges(self) -> Circuit:
        """The circuit of edges, without scores, that does the same as this one of nodes: all edges that leave
        its nodes and the input. What leaves other nodes is ablated, whoever reads it."""
        return Circuit(graph=self.graph, level="edge", members=frozenset(self.graph.names(self.mask)))

    def __len__(self) -> int:
        return len(self.members)


def member_names(graph: Graph, member: str | Head) -> tuple[str, ...]:
    """The names that the graph has for what may be written otherwise, too: a head as ``9.6`` or ``(9, 6)``,
    all heads of a layer as ``a9``. What is neither node nor layer, such as an edge, is left as it is."""
    if not isinstance(member, str):
        return (node_name(member),)
    if edge_ends(member)[1]:
        return (member,)
    try:
        component = parse(member, _MEMBERS)
    except InputError:
        return (member,)
    if component.kind == "attention":
        return tuple(map(str, graph.heads(component.layer)))
    return (str(component),)
