"""The computational graph of a transformer: who writes to the residual stream, who reads it, and the edges.

The graph of edge attribution patching (Syed et al. 2023, https://arxiv.org/abs/2310.10348; Hanna et al. 2024,
https://arxiv.org/abs/2403.17806) and of the MIB benchmark (Mueller et al. 2025,
https://arxiv.org/abs/2504.13151), with their names:

- *Senders* write: ``input`` (the embeddings, positions included: the first resid_pre), ``a3.h1`` (a head:
  its z @ W_O), ``m3`` (an MLP: mlp_out). The bias of an attention output is constant, and no sender's. What
  a head writes where a norm stands behind attention is said in `interp.methods.common.senders`.
- *Receivers* read: ``a3.h1<q>``, ``a3.h1<k>``, ``a3.h1<v>``, ``m3``, ``logits``. Where queries are grouped, k
  and v are those of a key-value head, so that ``a3.h1<k>`` is read by several heads.
- An *edge* ``a0.h1->a3.h1<q>`` is there where what the sender writes is a part of what the receiver reads.

In the order in which they write, the senders that a receiver reads are always the first so many of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from interp.architecture import HasArchitecture
from interp.errors import InputError, nearest
from interp.methods.common.names import Component, Reads, edge_ends
from interp.results import Stored

Level = Literal["node", "edge"]


@dataclass(frozen=True, kw_only=True)
class Graph(Stored):
    """The senders, receivers and edges of an architecture. Made by `Graph.of`."""

    kind: ClassVar[str] = "graph"
    n_layers: int
    n_heads: int
    n_kv_heads: int
    parallel_attention: bool

    @classmethod
    def of(cls, model: HasArchitecture) -> Graph:
        """The graph of a model."""
        arch = model.arch
        return cls(
            n_layers=arch.n_layers,
            n_heads=arch.n_heads,
            n_kv_heads=arch.n_kv_heads,
            parallel_attention=arch.parallel_attention,
        )

    # ---- nodes ----

    @cached_property
    def sender_nodes(self) -> tuple[Component, ...]:
        """In the order in which they write."""
        nodes = [Component(kind="input")]
        for layer in range(self.n_layers):
            nodes += [Component(kind="head", layer=layer, index=head) for head in range(self.n_heads)]
            nodes.append(Component(kind="mlp", layer=layer))
        return tuple(nodes)

    @cached_property
    def receiver_nodes(self) -> tuple[Component, ...]:
        """In the order in which they read: by layer q, k, v by head, then the MLP; the logits last."""
        n_heads: dict[Reads, int] = {"q": self.n_heads, "k": self.n_kv_heads, "v": self.n_kv_heads}
        nodes = []
        for layer in range(self.n_layers):
            for reads, n in n_heads.items():
                nodes += [Component(kind="head", layer=layer, index=h, reads=reads) for h in range(n)]
            nodes.append(Component(kind="mlp", layer=layer))
        return (*nodes, Component(kind="logits"))

    def heads(self, layer: int) -> tuple[Component, ...]:
        """The heads of a layer, as senders."""
        first = self._n_before(layer)
        return self.sender_nodes[first : first + self.n_heads]

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """The names of `sender_nodes`."""
        return tuple(map(str, self.sender_nodes))

    @cached_property
    def receivers(self) -> tuple[str, ...]:
        """The names of `receiver_nodes`."""
        return tuple(map(str, self.receiver_nodes))

    @cached_property
    def sender_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.senders)}

    @cached_property
    def receiver_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.receivers)}

    def n_read(self, receiver: Component) -> int:
        """How many senders it reads: the first so many."""
        if receiver.kind == "logits":
            return len(self.sender_nodes)
        own_heads = receiver.kind == "mlp" and not self.parallel_attention
        return self._n_before(receiver.layer) + self.n_heads * own_heads

    def _n_before(self, layer: int) -> int:
        """How many senders have written before a layer: the input, and the heads and the MLP of each."""
        return 1 + layer * (self.n_heads + 1)

    def sender_of(self, receiver: Component) -> tuple[Component, ...]:
        """The senders whose output is made from what `receiver` reads: a head, the heads of a key-value head,
        an MLP; none for the logits."""
        if receiver.kind == "head":
            group = self.n_heads // self.n_kv_heads if receiver.reads in ("k", "v") else 1
            first = (receiver.index or 0) * group
            return self.heads(receiver.layer)[first : first + group]
        return (receiver,) if receiver.kind == "mlp" else ()

    def receivers_of(self, sender: Component) -> tuple[Component, ...]:
        """The receivers from which `sender` makes its output: q, k, v of a head, an MLP; the input: none."""
        if sender.kind == "head":
            head = sender.index or 0
            kv_head = head * self.n_kv_heads // self.n_heads
            own: dict[Reads, int] = {"q": head, "k": kv_head, "v": kv_head}
            return tuple(
                Component(kind="head", layer=sender.layer, index=one, reads=reads)
                for reads, one in own.items()
            )
        return (sender,) if sender.kind == "mlp" else ()

    # ---- edges ----

    @cached_property
    def mask(self) -> Bool[np.ndarray, "sender receiver"]:
        """Where there is an edge."""
        n_read = np.array([self.n_read(receiver) for receiver in self.receiver_nodes])
        return np.arange(len(self.sender_nodes))[:, None] < n_read[None, :]

    @cached_property
    def edges(self) -> tuple[str, ...]:
        """All of them, by receiver and in the order of senders."""
        return tuple(f"{self.senders[s]}->{self.receivers[r]}" for r, s in np.argwhere(self.mask.T))

    @property
    def n_edges(self) -> int:
        return int(self.mask.sum())

    def edge_index(self, edge: str) -> tuple[int, int]:
        """(sender, receiver) of an edge by its name. Raises `InputError` where the graph has no such edge."""
        sender, receiver = edge_ends(edge)
        for name, names in ((sender, self.sender_index), (receiver, self.receiver_index)):
            if name not in names:
                raise InputError(
                    f"There is no edge {edge!r}, as there is no {name!r}; {nearest(name, names)}"
                )
        index = self.sender_index[sender], self.receiver_index[receiver]
        if not self.mask[index]:
            raise InputError(f"There is no edge {edge!r}: {receiver} does not read what {sender} writes.")
        return index

    def edge_mask(self, edges: Iterable[str]) -> Bool[np.ndarray, "sender receiver"]:
        """Where these edges are. Raises `InputError` for one that is not in the graph."""
        mask = np.zeros_like(self.mask)
        for edge in edges:
            mask[self.edge_index(edge)] = True
        return mask

    def names(self, mask: Bool[np.ndarray, "sender receiver"]) -> Iterator[str]:
        """The edges where `mask` is true, by receiver and in the order of senders."""
        return (f"{self.senders[s]}->{self.receivers[r]}" for r, s in np.argwhere(mask.T))
