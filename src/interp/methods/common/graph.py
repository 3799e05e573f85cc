"""The computational graph of a transformer: who writes to the residual stream, who reads it, and the edges.

The graph of edge attribution patching (Syed et al. 2023, https://arxiv.org/abs/2310.10348; Hanna et al. 2024,
https://arxiv.org/abs/2403.17806) and of the MIB benchmark (Mueller et al. 2025,
https://arxiv.org/abs/2504.13151), with their names:

- *Senders* write: ``input`` (the embeddings, positions included: the first resid_pre), ``a3.h1`` (a head:
  its z @ W_O), ``m3`` (an MLP: mlp_out). The bias of an attention output is constant, and no sender's.
- *Receivers* read: ``a3.h1<q>``, ``a3.h1<k>``, ``a3.h1<v>``, ``m3``, ``logits``. Where queries are grouped, k
  and v are those of a key-value head, so that ``a3.h1<k>`` is read by several heads.
- An *edge* ``a0.h1->a3.h1<q>`` is there where what the sender writes is a part of what the receiver reads.

In the order in which they write, the senders that a receiver reads are always the first so many of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from interp.architecture import HasArchitecture
from interp.errors import InputError, nearest
from interp.results import Stored

Part = Literal["q", "k", "v"]
Level = Literal["node", "edge"]
_NODE = re.compile(r"(?:a(?P<attn>\d+)\.h(?P<head>\d+)(?:<(?P<part>[qkv])>)?|m(?P<mlp>\d+))")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A sender or a receiver: a head (as a receiver: its q, k or v), an MLP, the input or the logits."""

    kind: Literal["input", "head", "mlp", "logits"]
    layer: int | None = None
    head: int | None = None  # of the query heads; of the key-value heads for the parts k and v
    part: Part | None = None

    def __str__(self) -> str:
        if self.kind == "head":
            return f"a{self.layer}.h{self.head}" + (f"<{self.part}>" if self.part else "")
        return f"m{self.layer}" if self.kind == "mlp" else self.kind

    @property
    def written(self) -> tuple[str, int]:
        """The site and the layer at which a sender's output stands; of a head, its z."""
        if self.kind == "input":
            return "resid_pre", 0
        assert self.layer is not None
        return ("z" if self.kind == "head" else "mlp_out"), self.layer

    @classmethod
    def parse(cls, text: str) -> Node:
        """The node of this name; `InputError` where it is none."""
        if text in ("input", "logits"):
            return cls(kind=text)  # type: ignore[arg-type]
        match = _NODE.fullmatch(text)
        if match is None:
            raise InputError(
                f"{text!r} is no node; write 'input', 'a3.h1' (a head), 'a3.h1<q>' (what it reads), 'm3' (an "
                "MLP) or 'logits'."
            )
        if match["mlp"]:
            return cls(kind="mlp", layer=int(match["mlp"]))
        return cls(kind="head", layer=int(match["attn"]), head=int(match["head"]), part=match["part"])  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Graph(Stored):
    """The senders, receivers and edges of an architecture. Made by `Graph.of`."""

    kind: ClassVar[str] = "graph"
    n_layers: int
    n_heads: int
    n_kv_heads: int
    parallel_attention: bool

    @classmethod
    def of(cls, model: HasArchitecture, *, level: Level = "edge") -> Graph:
        """The graph of a model. For its nodes alone (`level` "node"), any model has one; with edges, raises
        `InputError` where heads have no outputs of their own."""
        arch = model.arch
        if arch.post_norms and level == "edge":
            raise InputError(
                f"{model.identity.name} normalises what attention writes before it is added, so its heads "
                "have no outputs of their own to send along edges; patch nodes instead "
                "(interp.activation_patching with site='z')."
            )
        return cls(
            n_layers=arch.n_layers,
            n_heads=arch.n_heads,
            n_kv_heads=arch.n_kv_heads,
            parallel_attention=arch.parallel_attention,
        )

    # ---- nodes ----

    @cached_property
    def sender_nodes(self) -> tuple[Node, ...]:
        """In the order in which they write."""
        nodes = [Node(kind="input")]
        for layer in range(self.n_layers):
            nodes += [Node(kind="head", layer=layer, head=head) for head in range(self.n_heads)]
            nodes.append(Node(kind="mlp", layer=layer))
        return tuple(nodes)

    @cached_property
    def receiver_nodes(self) -> tuple[Node, ...]:
        """In the order in which they read: by layer q, k, v by head, then the MLP; the logits last."""
        nodes = []
        for layer in range(self.n_layers):
            for part, n_heads in (("q", self.n_heads), ("k", self.n_kv_heads), ("v", self.n_kv_heads)):
                nodes += [Node(kind="head", layer=layer, head=head, part=part) for head in range(n_heads)]  # type: ignore[arg-type]
            nodes.append(Node(kind="mlp", layer=layer))
        return (*nodes, Node(kind="logits"))

    @cached_property
    def senders(self) -> tuple[str, ...]:
        return tuple(map(str, self.sender_nodes))

    @cached_property
    def receivers(self) -> tuple[str, ...]:
        return tuple(map(str, self.receiver_nodes))

    @cached_property
    def sender_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.senders)}

    @cached_property
    def receiver_index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.receivers)}

    def n_read(self, receiver: Node) -> int:
        """How many senders it reads: the first so many."""
        if receiver.kind == "logits":
            return len(self.sender_nodes)
        assert receiver.layer is not None
        before = 1 + receiver.layer * (self.n_heads + 1)
        own_heads = receiver.kind == "mlp" and not self.parallel_attention
        return before + self.n_heads * own_heads

    def sender_of(self, receiver: Node) -> tuple[Node, ...]:
        """The senders whose output is made from what `receiver` reads: a head, the heads of a key-value head,
        an MLP; none for the logits."""
        if receiver.kind == "head":
            group = self.n_heads // self.n_kv_heads if receiver.part in ("k", "v") else 1
            first = (receiver.head or 0) * group
            heads = range(first, first + group)
            return tuple(Node(kind="head", layer=receiver.layer, head=head) for head in heads)
        return (receiver,) if receiver.kind == "mlp" else ()

    def receivers_of(self, sender: Node) -> tuple[Node, ...]:
        """The receivers from which `sender` makes its output: q, k, v of a head, an MLP; the input: none."""
        if sender.kind == "head":
            assert sender.head is not None
            kv_head = sender.head * self.n_kv_heads // self.n_heads
            own = {"q": sender.head, "k": kv_head, "v": kv_head}
            return tuple(Node(kind="head", layer=sender.layer, head=h, part=p) for p, h in own.items())  # type: ignore[arg-type]
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
        sender, _, receiver = edge.partition("->")
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
