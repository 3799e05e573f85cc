"""What repeated random tokens cost without each head: the effect that stands beside its score.

Each head by itself is replaced by its mean over the positions of the sequences (mean ablation, of what stands
at positions of ordinary norm), and the loss of the second copy is measured, without its first token. A score
says where a head looks; heads that look at the same place may cost anything, and one that looks elsewhere may
cost most, as what it writes is read by others.

When it misleads: other heads may take over, so that a head which does the work seems to cost nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from interp.edits import Edit
from interp.methods.common.outliers import find_outliers
from interp.models.base import Model
from interp.progress import report
from interp.readout import Readout
from interp.tasks.repeated_tokens import RepeatedSequences


def head_costs(model: Model, text: RepeatedSequences, n: int) -> Float[np.ndarray, "sequence layer head"]:
    """By how many nats a token the loss of the second copy rises without each head, on the first `n`
    sequences."""
    arch, sequences = model.arch, text.ids[:n]
    left = find_outliers(model, sequences).at
    cache = model.run_with_cache(sequences, ["z"], logits=False)
    kept = torch.tensor([[i not in own for i in range(len(sequences[0]))] for own in left])
    means = [cache["z", layer][kept.to(cache["z", layer].device)].mean(0) for layer in range(arch.n_layers)]
    costs = []
    for row, ids in enumerate(sequences):
        report("ablated sequences", row, len(sequences))
        places = tuple(i for i in range(len(ids)) if i not in left[row])
        edits = [
            [Edit.set("z", layer, value=means[layer][head], positions=places, heads=head)]
            for layer in range(arch.n_layers)
            for head in range(arch.n_heads)
        ]
        said = list(text.second_copy)[1:]
        readout = Readout.log_prob([ids[i] for i in said], [i - 1 for i in said])
        losses = -model.sweep(list(ids), [[], *edits], readout).values.double().numpy().mean(-1)
        costs.append((losses[1:] - losses[0]).reshape(arch.n_layers, arch.n_heads))
    report("ablated sequences", len(sequences), len(sequences))
    return np.stack(costs)
