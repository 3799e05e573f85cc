"""What the model says with nodes of a graph scaled: a supernode turned off, turned round or made stronger.

1. The edits that scale the nodes are made for each factor (`interp.methods.graphs.scaled_nodes`).
2. The model runs with them, everything responding, and goes on from the prompt with the same edits.

When it misleads: nodes are scaled as they are in the run, where they write, and what comes after responds; a
factor far from those between 0 and 1 takes the model where no text takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.errors import InputError
from interp.methods.graphs.results import ScaledNodesResult
from interp.methods.graphs.scaled_nodes import scaled_nodes
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.saes.transcoder import Transcoders
from interp.tokens import Prompt


def scale_nodes(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    nodes: Sequence[str],
    factors: Sequence[float] = (0.0,),
    *,
    name: str = "",
    answer: str | int | None = None,
    top: int = 5,
    n_tokens: int = 8,
    seed: int = 0,
) -> ScaledNodesResult:
    """What `model` says after `prompt` with nodes of its attribution graph scaled by each of `factors`.

    Args:
        nodes: as they are named in graph files, of one supernode or several (`scaled_nodes`).
        name: what the supernode is called.
        answer: whose probability is told; None: the model's own choice, as it is.
        top: how many of the likeliest tokens are listed.
        n_tokens: how many the model goes on with; 0: none.

    Raises `InputError` for nodes that are not there, no factor, or an answer of several tokens.
    """
    if not factors or top < 1 or n_tokens < 0:
        raise InputError("Give one factor or more, top of 1 or more, and n_tokens that is not negative.")
    tokens = model.to_tokens(prompt).repeat(1)
    asked = None if answer is None else model.encoder.single_token(answer)
    every = (1.0, *(float(factor) for factor in dict.fromkeys(factors) if factor != 1))
    chosen: list[list[int]] = []
    probabilities, of_answer, texts = [], [], []
    for number, factor in enumerate(every):
        report("factors", number, len(every))
        edits = [] if factor == 1 else scaled_nodes(model, transcoders, prompt, nodes, factor)
        found = model.forward(tokens, edits)[0, -1].double().softmax(-1).cpu()
        asked = int(found.argmax()) if asked is None else asked
        best = found.topk(min(top, len(found)))
        chosen.append(best.indices.tolist())
        probabilities.append(best.values.numpy())
        of_answer.append(float(found[asked]))
        said = model.generate(tokens, n_tokens, edits=edits).said[0] if n_tokens else []
        texts.append(model.to_text(said, goes_on=True) if said else "")
    return ScaledNodesResult(
        provenance=Provenance.of(model, seed=seed),
        prompt=model.to_text(tokens.row(0)),
        tokens=tuple(model.labels(tokens.row(0))),
        name=name,
        nodes=tuple(dict.fromkeys(nodes)),
        factors=np.array(every),
        answer=model.labels([asked if asked is not None else 0])[0],
        answer_probability=np.array(of_answer),
        top_tokens=tuple(tuple(model.labels(row)) for row in chosen),
        top_probability=np.stack(probabilities),
        texts=tuple(texts),
    )
