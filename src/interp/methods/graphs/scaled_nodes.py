"""Intervening from a graph: nodes, or a supernode of several, scaled by a factor in the model itself.

What each node writes in the run of the prompt is multiplied by the factor wherever it is written: 0 takes it
away (as the truth beside a node does), 1 changes nothing, -1 turns it round. The edits are ordinary ones, for
`Model.forward`, `Model.generate` and wherever else edits go.

When it misleads: what is scaled is what the nodes write in the run as it is; features further up respond, and
are not scaled with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, nearest
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import GraphNode, source_nodes, written
from interp.models.base import Model
from interp.saes.transcoder import Transcoders
from interp.tokens import Prompt


def scaled_nodes(
    model: Model, transcoders: Transcoders, prompt: Prompt, nodes: Sequence[str], factor: float
) -> list[Edit]:
    """The edits that scale some nodes of the graph of `prompt`.

    `nodes` are named as in graph files: ``LAYER_FEATURE_POSITION``, ``LAYER_-1_POSITION`` for an error and
    ``E_TOKEN_POSITION`` for a token. Raises `InputError` for one that is not there, or none.
    """
    local = LocalModel.of(model, transcoders, prompt)
    known = {node_id(node): node for node in source_nodes(local)}
    missing = [name for name in nodes if name not in known]
    if missing or not nodes:
        what = f"{missing[0]!r} is no node of this prompt" if missing else "No node is named"
        raise InputError(f"{what}; {nearest(missing[0] if missing else '', known)}")
    changes: dict[int, dict[int, Tensor]] = {}  # by layer and position
    for name in dict.fromkeys(nodes):
        at = known[name].position
        for layer, vector in written(local, known[name]).items():
            here = changes.setdefault(layer, {})
            here[at] = here.get(at, 0.0) + (factor - 1) * vector
    edits = []
    for layer, here in sorted(changes.items()):
        site, number = ("resid_pre", 0) if layer < 0 else ("mlp_out", layer)
        positions = sorted(here)
        value = torch.stack([here[at] for at in positions]).float()
        edits.append(Edit.add(site, number, value=value, positions=positions))
    return edits


def node_id(node: GraphNode) -> str:
    """What a node that writes is called in a file."""
    return f"{'E' if node.kind == 'token' else node.layer}_{node.index}_{node.position}"
