"""What an edit costs on neutral text: how far predictions move, and how much worse they are.

Of each sequence, edited at all positions but the first: KL(as it is || edited) a token, the mean over these
positions; and by how much the log-loss of the sequence's own next tokens rises there, in nats a token. The
perplexity is the exponential of the log-loss: a rise of 0.1 multiplies it by 1.11. An edit may move
predictions far without making them worse, on text that the model finds hard; so both are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.base import Model
from interp.readout import kl_divergence, widened

#: The edits of a prompt at some positions.
Edits = Callable[[Sequence[int]], list[Edit]]


@dataclass(frozen=True, eq=False)
class TextCosts:
    """Of each sequence, in nats a token."""

    kl: Float[np.ndarray, "edit sequence"]
    rise: Float[np.ndarray, "edit sequence"]  # of the log-loss
    plain: Float[np.ndarray, " sequence"]  # the log-loss as it is


def text_costs(model: Model, text: Sequence[Sequence[int]], edits: Sequence[Edits]) -> TextCosts:
    """The costs of each edit. `InputError` for a sequence of fewer than three tokens, which has no position
    to edit with a next token."""
    if any(len(ids) < 3 for ids in text):
        raise InputError("A sequence of neutral text needs three tokens: a first, one to edit, and a next.")
    size = len(edits), len(text)
    found = TextCosts(kl=np.zeros(size), rise=np.zeros(size), plain=np.zeros(len(text)))
    for row, ids in enumerate(text):
        where = list(range(1, len(ids)))
        plain = widened(model.forward([list(ids)])[0, 1:])
        found.plain[row] = _loss(plain, ids)
        for i, edit in enumerate(edits):
            edited = widened(model.forward([list(ids)], edit(where))[0, 1:])
            found.kl[i, row] = float(kl_divergence(plain, edited).mean())
            found.rise[i, row] = _loss(edited, ids) - found.plain[row]
    return found


def _loss(logits: Float[Tensor, "pos d_vocab"], ids: Sequence[int]) -> float:
    """The log-loss of the tokens from 2 on, given the logits at the positions from 1 on."""
    wanted = torch.tensor(list(ids[2:]), device=logits.device)
    return float(torch.nn.functional.cross_entropy(logits[:-1], wanted))
