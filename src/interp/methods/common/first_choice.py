"""What a model says by itself where a prompt ends: beside it stands whether an answer is its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interp.models.base import Model
from interp.results import Pairs
from interp.tasks.base import PairDataset, pairs_in_words
from interp.tokens import Tokens

_AT_ONCE = 16  # prompts in a pass


def first_choices(model: Model, prompts: Sequence[Sequence[int]]) -> list[int]:
    """The likeliest token behind each prompt, of token ids, in passes of a few prompts at a time."""
    last = "resid_post", model.arch.n_layers - 1
    found: list[int] = []
    for start in range(0, len(prompts), _AT_ONCE):
        tokens = Tokens.pad([list(ids) for ids in prompts[start : start + _AT_ONCE]])
        streams = model.run_with_cache(tokens, [last], logits=False)[last]
        ends = torch.stack([streams[row, length - 1] for row, length in enumerate(tokens.lengths)])
        found += model.unembed(ends).argmax(-1).tolist()
    return found


def pairs_with_choices(model: Model, dataset: PairDataset) -> Pairs:
    """The pairs of a dataset as text, with what the model says first behind each clean prompt."""
    return pairs_in_words(model, dataset, first_choices(model, dataset.clean))
