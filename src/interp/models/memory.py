"""What a sweep by branching needs to hold at once, and what there is.

An estimate from the architecture, on the safe side: of the tensors that lie between the parts of one layer
(two layers never do at once), and of the logits that a readout looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

from interp.errors import InputError
from interp.models.devices import free_bytes
from interp.models.hugging_face import HuggingFaceModel
from interp.readout import Readout

SHARE_OF_FREE = 0.5  # of the free memory, where the user sets no budget


@dataclass(frozen=True)
class Need:
    """Bytes that a packed batch takes: for each of its rows, and for each of its branches."""

    per_row: float
    per_branch: float

    @classmethod
    def of(cls, model: HuggingFaceModel, n_pos: int, readout: Readout) -> Need:
        """For branches of one prompt of `n_pos` tokens."""
        arch, width = model.arch, model.dtype.itemsize
        heads, kv_heads = arch.n_heads * arch.d_head, arch.n_kv_heads * arch.d_head
        attention = 3 * heads + 2 * kv_heads  # what is read, asked and written
        scores = 3 * arch.n_heads * n_pos * max(width, 4)  # scores, softmax and its float32 form
        mlp = 3 * (arch.d_mlp or 4 * arch.d_model)
        per_row = width * (6 * arch.d_model + attention + mlp) + scores
        # keys and values of the whole prompt, and once more for each query head
        per_branch = 2 * width * n_pos * (kv_heads + heads)
        chosen = readout.columns if model.reads_columns else None
        columns = arch.d_vocab if chosen is None else len(chosen)
        per_branch += len(readout.positions) * (width * arch.d_model + columns * (2 * width + 3 * 8))
        return cls(per_row, per_branch)

    def bytes(self, *, rows: int, branches: int) -> float:
        """Of a packed batch of so many rows and branches."""
        return rows * self.per_row + branches * self.per_branch

    def budget(self, model: HuggingFaceModel, *, largest: int) -> float:
        """How many bytes a packed batch may take: what the user allows, or half of what is free. Raises
        `InputError` where the largest branch, of so many rows, does not fit."""
        free = free_bytes(model.device)
        budget = SHARE_OF_FREE * free if model.memory is None else float(model.memory)
        one = self.bytes(rows=largest, branches=1)
        if one > (free if model.memory is None else budget):
            room = "are free" if model.memory is None else "are allowed (the model's memory)"
            raise InputError(
                f"One run of this sweep needs about {one / 1e9:.2g} GB, and {budget / 1e9:.2g} GB {room}; "
                "shorten the prompt or allow more."
            )
        return budget
