"""Contrast: two prompts that differ in a part, read by the lens side by side.

At each layer a lens (`interp.methods.lens.lens`) says by how much the target is ahead of the competitor,

    ahead = logit(target) - logit(competitor),

and the layer is marked: the target is ahead (by `margin` or more), the competitor is, or neither. Where the
two prompts' marks differ from some layer on to the end, they part there; where one of the two tokens takes
the lead and keeps it to the end, it is handed over to it.

When it misleads: as the logit lens does, at early layers above all. And a token may be ahead of the other
while both are out of the question: look at the probabilities too.
"""

from __future__ import annotations

import numpy as np
import torch

from interp.errors import InputError
from interp.methods.lens.columns import LensReadings, read_columns
from interp.methods.lens.lens import layer_names, stream_layers
from interp.methods.lens.results import COMPETITOR, NEITHER, TARGET, ContrastResult
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.provenance import Provenance
from interp.tokens import Prompt


def contrast(
    model: Model,
    first: Prompt,
    second: Prompt,
    *,
    target: str | int,
    competitor: str | int,
    margin: float = 1.0,
    position: int = -1,
    lens: AnyLens = "logit",
    kept: LensReadings | None = None,
    seed: int = 0,
) -> ContrastResult:
    """Read two prompts with a lens, and say where target and competitor change places.

    Args:
        first, second: text or token ids; they may have different numbers of tokens.
        target: what `first` is expected to say; exactly one token.
        competitor: what it competes with, such as what `second` is expected to say; exactly one token.
        margin: in logits (1: e times as likely).
        position: where both prompts are read; negative from the end of each, as they may differ in length.
        lens: a name, a place, or a lens itself (`interp.load_lens`).
        kept: as in `interp.logit_lens`.
        seed: recorded only; nothing is drawn.

    Raises `InputError` for prompts or tokens that are the same, a token that is not exactly one, a margin
    that is not above 0, a position that one of the prompts does not have, a lens of another model.
    """
    if not 0 < margin < float("inf"):
        raise InputError(f"The margin must be a number above 0, in logits; got {margin}.")
    lens = load_lens(lens, model)
    rows = [model.to_tokens(prompt).repeat(1).row(0) for prompt in (first, second)]
    target_id, competitor_id = model.to_single_token(target), model.to_single_token(competitor)
    if target_id == competitor_id:
        raise InputError("The target and the competitor are the same token; give two that compete.")
    differing = _differing_parts(*rows)
    for row in rows:
        if not -len(row) <= position < len(row):
            raise InputError(
                f"One of the prompts has {len(row)} tokens, so that it has no position {position}."
            )

    read = [next(read_columns(model, row, [position % len(row)], lens=lens, kept=kept)) for row in rows]
    probs = torch.stack([column.probs([target_id, competitor_id]) for column in read])
    pair = torch.stack([column.logits[:, [target_id, competitor_id]].double() for column in read])
    ahead = (pair[..., 0] - pair[..., 1]).numpy()  # [prompt, layer]
    return ContrastResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(tuple(model.labels(row)) for row in rows),
        prompts=tuple(map(model.to_text, rows)),
        differing=differing,
        target=model.labels([target_id])[0],
        competitor=model.labels([competitor_id])[0],
        margin=margin,
        position=position,
        lens=lens.name,
        lens_description=lens.description,
        lens_card=lens.card,
        layers=layer_names(stream_layers(model)),
        target_prob=probs[..., 0].numpy(),
        competitor_prob=probs[..., 1].numpy(),
        target_rank=torch.stack([column.rank([target_id])[0] for column in read]).numpy(),
        competitor_rank=torch.stack([column.rank([competitor_id])[0] for column in read]).numpy(),
        ahead=ahead,
        marks=np.where(ahead >= margin, TARGET, np.where(ahead <= -margin, COMPETITOR, NEITHER)),
        top_tokens=tuple(tuple(model.labels(column.top_ids[:, 0])) for column in read),
        top_probs=torch.stack([column.top_probs[:, 0] for column in read]).numpy(),
    )


def _differing_parts(first: list[int], second: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The positions of both prompts that lie between what they begin and what they end with in common."""
    if first == second:
        raise InputError("The two prompts are the same; change the part whose effect you want to see.")
    shorter = min(len(first), len(second))
    start = 0
    while start < shorter and first[start] == second[start]:
        start += 1
    end = 0
    while end < shorter - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return (start, len(first) - end), (start, len(second) - end)
