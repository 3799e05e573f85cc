"""Names of the parts of a model: one grammar for heads, MLPs, components, nodes of a circuit, and edges.

    5.1, a5.h1        head 1 of layer 5, both counted from 0
    a5                the attention layer 5
    m3                the MLP of layer 3
    m3.n7             its neuron 7
    l2                layer 2: its attention and its MLP
    input             what the first layer reads
    logits            what is predicted in the end
    a3.h1<q>          what head 1 of layer 3 reads for its queries; also <k>, <v>
    a0.h1->a3.h1<q>   an edge: from what the one writes to what the other reads
    a5.h1@END, m3@-1  a part at a role of the dataset, or at a position, only
    a5.h1 + m3        several parts together; ``nothing`` for none

`parse` reads the name of one part, `parse_edge` that of an edge, `parse_set` several; ``str`` prints a name.
Which kinds of part may be named at a place is a `Vocabulary`. Whether a model has the part is another
question, asked of its sizes: `check_exists`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, Protocol, runtime_checkable

from interp.errors import InputError

Kind = Literal["head", "attention", "mlp", "neuron", "layer", "input", "logits"]
Reads = Literal["q", "k", "v"]
Head = tuple[int, int]  # layer, head

_NUMBER = r"(\d{1,6})"
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("head", re.compile(rf"a{_NUMBER}\.h{_NUMBER}")),
    ("head", re.compile(rf"{_NUMBER}\.{_NUMBER}")),  # as papers write it
    ("attention", re.compile(rf"a{_NUMBER}")),
    ("mlp", re.compile(rf"m{_NUMBER}")),
    ("neuron", re.compile(rf"m{_NUMBER}\.n{_NUMBER}")),
    ("layer", re.compile(rf"l{_NUMBER}")),
    ("input", re.compile("input")),
    ("logits", re.compile("logits")),
)
_READS = re.compile(r"(.*)<([qkv])>")
_POSITION = re.compile(r"-?\d{1,9}")
_ARROW, _AT, _AND, _NOTHING = "->", "@", " + ", "nothing"


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of a model; perhaps only what it reads, perhaps only at some positions."""

    kind: Kind
    layer: int = 0
    index: int | None = None  # of a head or a neuron; of a key-value head where it reads k or v
    reads: Reads | None = None  # of a head: its queries, keys or values
    where: str | int | None = None  # a role or a position; None: everywhere

    def __str__(self) -> str:
        name = {
            "head": f"a{self.layer}.h{self.index}",
            "attention": f"a{self.layer}",
            "mlp": f"m{self.layer}",
            "neuron": f"m{self.layer}.n{self.index}",
            "layer": f"l{self.layer}",
        }.get(self.kind, self.kind)
        reads = "" if self.reads is None else f"<{self.reads}>"
        where = "" if self.where is None else f"{_AT}{self.where}"
        return name + reads + where

    @property
    def sites(self) -> tuple[tuple[str, int], ...]:
        """The activations, (site, layer), that it writes; the logits write none."""
        sites: dict[Kind, tuple[str, ...]] = {
            "head": ("z",),
            "attention": ("attn_out",),
            "mlp": ("mlp_out",),
            "neuron": ("mlp_act",),
            "layer": ("attn_out", "mlp_out"),
            "input": ("resid_pre",),
            "logits": (),
        }
        return tuple((site, self.layer) for site in sites[self.kind])


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From what one part writes to what another reads."""

    sender: Component
    receiver: Component

    def __str__(self) -> str:
        return f"{self.sender}{_ARROW}{self.receiver}"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Which parts may be named at a place, and what they are called there."""

    called: str
    kinds: tuple[Kind, ...]
    reads: bool = False  # whether a name may say what a head reads, as in a3.h1<q>
    where: bool = False  # whether a name may say a role or a position, as in m3@END

    @property
    def examples(self) -> str:
        """How its names are written, in words."""
        written = [f"'{_EXAMPLES[kind][0]}'{_EXAMPLES[kind][1]}" for kind in self.kinds]
        if self.reads:
            written.append("'a3.h1<q>' (what a head reads)")
        if self.where:
            written.append("'a5.h1@-1' or 'm3@END' (at a position or role)")
        return ", ".join(written[:-1]) + " or " + written[-1] if len(written) > 1 else written[0]


_EXAMPLES: dict[Kind, tuple[str, str]] = {
    "head": ("a5.h1", " (a head)"),
    "attention": ("a5", " (an attention layer)"),
    "mlp": ("m3", " (an MLP)"),
    "neuron": ("m3.n17", " (a neuron)"),
    "layer": ("l3", " (a layer)"),
    "input": ("input", ""),
    "logits": ("logits", ""),
}

#: What can be ablated.
COMPONENTS = Vocabulary(
    called="component", kinds=("head", "attention", "mlp", "neuron", "layer", "input"), where=True
)
#: What a circuit graph has: who writes to the residual stream, and who reads it.
NODES = Vocabulary(called="node", kinds=("head", "mlp", "input", "logits"), reads=True)
SENDERS = Vocabulary(called="sender", kinds=("head", "mlp", "input"))


def parse(text: str, vocabulary: Vocabulary) -> Component:
    """The part of this name. `InputError`, with the nearest name there is, where it is none of the
    vocabulary's."""
    found = _parse(text) if isinstance(text, str) else None
    if (
        found is None
        or found.kind not in vocabulary.kinds
        or (found.reads is not None and not vocabulary.reads)
        or (found.where is not None and not vocabulary.where)
    ):
        raise InputError(f"{text!r} is no {vocabulary.called}; {_advice(text, vocabulary)}")
    return found


def parse_edge(text: str) -> Edge:
    """The edge of this name, such as ``a0.h1->a3.h1<q>`` or ``m2->logits``. `InputError` where it is none; a
    graph may lack it all the same."""
    sender, arrow, receiver = text.partition(_ARROW) if isinstance(text, str) else ("", "", "")
    if not arrow:
        raise InputError(
            f"{text!r} is no edge; write one as in 'a0.h1->a3.h1<q>', 'input->m3' or 'm2->logits'."
        )
    edge = Edge(sender=parse(sender, SENDERS), receiver=parse(receiver, NODES))
    if edge.receiver.kind == "input" or (edge.receiver.kind == "head" and edge.receiver.reads is None):
        reads = "nothing" if edge.receiver.kind == "input" else f"{edge.receiver}<q>, <k> and <v> apart"
        raise InputError(f"{text!r} is no edge; {edge.receiver} reads {reads}.")
    return edge


def edge_ends(edge: str) -> tuple[str, str]:
    """The names of the sender and of the receiver in the name of an edge, unread; the second is empty where
    the text is no edge's."""
    sender, _, receiver = edge.partition(_ARROW)
    return sender, receiver


def parse_set(text: str, vocabulary: Vocabulary = COMPONENTS) -> tuple[Component, ...]:
    """Several parts, joined by `` + ``; none where the text is ``nothing``. `InputError` as `parse`."""
    return () if text == _NOTHING else tuple(parse(name, vocabulary) for name in text.split(_AND))


def set_name(components: tuple[Component, ...]) -> str:
    """``a5.h1 + m3``; ``nothing`` for an empty set."""
    return _AND.join(map(str, components)) or _NOTHING


def head_name(head: Head) -> str:
    """``5.1`` for layer 5, head 1."""
    return f"{head[0]}.{head[1]}"


def node_name(head: Head) -> str:
    """``a5.h1`` for layer 5, head 1."""
    return str(Component(kind="head", layer=head[0], index=head[1]))


def _parse(text: str) -> Component | None:
    """The part of this name, of whatever kind."""
    name, at, place = text.strip().partition(_AT)
    reads: Any = None
    if match := _READS.fullmatch(name):
        name, reads = match.groups()
    if bool(at) != bool(place):
        return None
    for kind, pattern in _PATTERNS:
        if (match := pattern.fullmatch(name)) and (reads is None or kind == "head"):
            layer, index = (*map(int, match.groups()), None, None)[:2]
            where = int(place) if _POSITION.fullmatch(place) else place or None
            return Component(kind=kind, layer=layer or 0, index=index, reads=reads, where=where)
    return None


def _advice(text: Any, vocabulary: Vocabulary) -> str:
    """The nearest name of the vocabulary, with the numbers that the text has; or how its names look."""
    if isinstance(text, str):
        layer, index = (*map(int, re.findall(_NUMBER, text)), 0, 0)[:2]
        candidates = [str(Component(kind=kind, layer=layer, index=index)) for kind in vocabulary.kinds]
        if close := get_close_matches(text, candidates, n=1, cutoff=0.6):
            return f"did you mean {close[0]!r}?"
    return f"write {vocabulary.examples}."


# ---- whether a model has it ----


@runtime_checkable
class Sizes(Protocol):
    """Which parts a model has, as its `interp.architecture.Architecture` says."""

    @property
    def n_layers(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def n_kv_heads(self) -> int: ...
    @property
    def d_mlp(self) -> int | None: ...


def check_exists(component: Component, sizes: Sizes, *, called: str | None = None) -> None:
    """`InputError`, with the nearest part that there is, where a model of these sizes has no such part.
    `called` is how the part is called in the message, if not by its name."""
    heads = sizes.n_kv_heads if component.reads in ("k", "v") else sizes.n_heads
    of_kind = {"head": heads, "neuron": sizes.d_mlp or 0}.get(component.kind)
    layer = min(max(component.layer, 0), sizes.n_layers - 1)
    index = component.index
    if of_kind is not None and index is not None:
        index = min(max(index, 0), of_kind - 1)
    nearest = replace(component, layer=layer, index=index)
    if nearest == component:
        return
    has = f"{sizes.n_layers} layers" + ("" if of_kind is None else f" of {of_kind} {component.kind}s")
    hint = "" if of_kind == 0 else f"; the nearest is {nearest}"
    raise InputError(f"There is no {called or component}; this model has {has}, counted from 0{hint}.")
