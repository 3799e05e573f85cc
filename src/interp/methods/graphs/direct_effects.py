"""The direct effect of every node that writes on everything that reads, in the local replacement model.

A direct effect is what a node adds to a pre-activation or a logit along all paths that go through no other
node: through the residual stream, through attention (patterns frozen) and through skip connections, with the
scales of all norms frozen. As all of that is linear, the effects and a constant sum exactly to what is read.

One pass for some targets at a time: their reading vectors go back through the layers, from the last stream to
the first, as gradients do; at each node that writes, the effect is the product with what it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import GraphNode, Read, written
from interp.progress import report

_AT_ONCE = 128  # targets that go back together


@dataclass(frozen=True, eq=False)
class DirectEffects:
    """`effects`, and for each target the `constant` that is added: what biases give, along all paths."""

    effects: Float[Tensor, "target source"]
    constant: Float[Tensor, " target"]


def direct_effects(local: LocalModel, sources: Sequence[GraphNode], reads: Sequence[Read]) -> DirectEffects:
    """The direct effects of `sources` on what is read, float64."""
    places = _Places.of(local, sources)
    parts = []
    for start in range(0, len(reads), _AT_ONCE):
        parts.append(_gone_back(local, places, reads[start : start + _AT_ONCE]))
        report("targets", min(start + _AT_ONCE, len(reads)), len(reads))
    if not parts:
        return DirectEffects(torch.zeros(0, len(sources)).double(), torch.zeros(0).double())
    return DirectEffects(
        torch.cat([part.effects for part in parts]), torch.cat([part.constant for part in parts])
    )


@dataclass(frozen=True, eq=False)
class _Places:
    """What the sources write, and where: -1 for the embeddings, else a layer's MLP."""

    n: int
    by_layer: dict[int, tuple[list[int], list[int], Tensor]]  # numbers, positions, [source, d_model]

    @classmethod
    def of(cls, local: LocalModel, sources: Sequence[GraphNode]) -> _Places:
        here: dict[int, list[tuple[int, int, Tensor]]] = {}
        for number, node in enumerate(sources):
            for layer, vector in written(local, node).items():
                here.setdefault(layer, []).append((number, node.position, vector))
        by_layer = {}
        for layer, writes in here.items():
            numbers, positions, vectors = zip(*writes, strict=True)
            by_layer[layer] = list(numbers), list(positions), torch.stack(vectors)
        return cls(len(sources), by_layer)

    def add(self, effects: Tensor, layer: int, g: Float[Tensor, "target pos d_model"]) -> None:
        """The effects of what is written at a layer, given the gradients of the targets there."""
        if layer in self.by_layer:
            numbers, positions, vectors = self.by_layer[layer]
            effects[:, numbers] += torch.einsum("tsd,sd->ts", g[:, positions], vectors)


def _gone_back(local: LocalModel, places: _Places, reads: Sequence[Read]) -> DirectEffects:
    """Some targets, from where they read to the embeddings."""
    n_pos, width = local.embedding.shape
    g = torch.zeros(len(reads), n_pos, width, dtype=torch.float64)
    effects = torch.zeros(len(reads), places.n, dtype=torch.float64)
    constant = torch.tensor([read.constant for read in reads], dtype=torch.float64)
    _join(g, reads, "last", 0)
    for layer in range(local.n_layers - 1, -1, -1):
        mlp, attention = local.mlps[layer], local.attention[layer]
        places.add(effects, layer, g)
        constant += torch.einsum("tpd,pd->t", g, mlp.constant)
        g = g + mlp.skip_transposed(g)
        _join(g, reads, "mid", layer)
        constant += torch.einsum("tpd,pd->t", g, attention.constant)
        g = g + attention.transposed(g)
        _join(g, reads, "pre", layer)
    places.add(effects, -1, g)
    return DirectEffects(effects, constant)


def _join(g: Tensor, reads: Sequence[Read], at: str, layer: int) -> None:
    """Add, in place, the vectors of the targets that read here."""
    for number, read in enumerate(reads):
        if read.at == at and (at == "last" or read.layer == layer):
            g[number, read.position] += read.vector
