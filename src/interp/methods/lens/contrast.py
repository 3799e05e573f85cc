"""Contrast: two prompts that differ in a part, read by the lens side by side.

At each layer the lens (`interp.methods.lens.logit_lens`) says by how much the target is ahead of the
competitor,

    ahead = logit(target) - logit(competitor),

and the layer is marked: the target is ahead (by `margin` or more), the competitor is, or neither. Where the
two prompts' marks differ from some layer on to the end, they part there; where one of the two tokens takes
the lead and keeps it to the end, it is handed over to it.

When it misleads: as the logit lens does, at early layers above all. And a token may be ahead of the other
while both are out of the question: look at the probabilities too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.methods.lens.logit_lens import lens_logits
from interp.methods.lens.tuned_lens import TunedLens
from interp.models.base import Model
from interp.provenance import Provenance
from interp.results import Result
from interp.tokens import Prompt

TARGET, NEITHER, COMPETITOR = 1, 0, -1


@dataclass(frozen=True, eq=False, kw_only=True)
class ContrastResult(Result):
    """Two prompts' lens traces. Arrays are [prompt, layer], at one position of each."""

    kind: ClassVar[str] = "contrast"
    tokens: tuple[tuple[str, ...], ...]  # of both prompts, BOS included
    differing: tuple[tuple[int, int], ...]  # of both, the positions [start, stop) in which they differ
    target: str
    competitor: str
    margin: float  # in logits, by which a token must be ahead to be marked so
    position: int = -1  # where both are read; negative: from the end of each
    lens: str  # plain | tuned
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    target_prob: Float[np.ndarray, "prompt layer"]
    competitor_prob: Float[np.ndarray, "prompt layer"]
    ahead: Float[np.ndarray, "prompt layer"]  # logit(target) - logit(competitor)
    marks: Int[np.ndarray, "prompt layer"]  # 1: target ahead, 0: neither, -1: competitor ahead
    top_tokens: tuple[tuple[str, ...], ...]  # what the lens would say
    top_probs: Float[np.ndarray, "prompt layer"]

    @property
    def parting(self) -> int | None:
        """The column from which the marks differ up to the last; None where they agree at the end."""
        return _last_run(self.marks[0] != self.marks[1])

    @property
    def hand_offs(self) -> tuple[int | None, int | None]:
        """Of each prompt the column at which the token that leads at the end takes the lead for good.

        None where neither leads at the end, or where that token leads from the embedding on.
        """
        first, second = (_hand_off(marks) for marks in self.marks)
        return first, second


def contrast(
    model: Model,
    first: Prompt,
    second: Prompt,
    *,
    target: str | int,
    competitor: str | int,
    margin: float = 1.0,
    position: int = -1,
    lens: TunedLens | None = None,
    seed: int = 0,
) -> ContrastResult:
    """Read two prompts with the lens, and say where target and competitor change places.

    Args:
        first, second: text or token ids; they may have different numbers of tokens.
        target: what `first` is expected to say; exactly one token.
        competitor: what it competes with, such as what `second` is expected to say; exactly one token.
        margin: in logits (1: e times as likely).
        position: where both prompts are read; negative from the end of each, as they may differ in length.
        lens: a tuned lens; without one, the plain lens.
        seed: recorded only; nothing is drawn.

    Raises `InputError` for prompts or tokens that are the same, a token that is not exactly one, a margin
    that is not above 0, a position that one of the prompts does not have.
    """
    if not 0 < margin < float("inf"):
        raise InputError(f"The margin must be a number above 0, in logits; got {margin}.")
    ids = [model.to_tokens(prompt).repeat(1).row(0) for prompt in (first, second)]
    target_id, competitor_id = model.to_single_token(target), model.to_single_token(competitor)
    if target_id == competitor_id:
        raise InputError("The target and the competitor are the same token; give two that compete.")
    differing = _differing(*ids)
    for row in ids:
        if not -len(row) <= position < len(row):
            raise InputError(
                f"One of the prompts has {len(row)} tokens, so that it has no position {position}."
            )

    read = [
        lens_logits(model, row, [position % len(row)], lens=lens)[0][:, 0] for row in ids
    ]  # [layer, d_vocab] each
    probs = [logits.softmax(-1) for logits in read]
    ahead = np.stack([(logits[:, target_id] - logits[:, competitor_id]).numpy() for logits in read])
    marks = np.where(ahead >= margin, TARGET, np.where(ahead <= -margin, COMPETITOR, NEITHER))
    return ContrastResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(tuple(model.labels(row)) for row in ids),
        differing=differing,
        target=model.labels([target_id])[0],
        competitor=model.labels([competitor_id])[0],
        margin=margin,
        position=position,
        lens="plain" if lens is None else "tuned",
        layers=("embed", *map(str, range(model.arch.n_layers))),
        target_prob=np.stack([p[:, target_id].numpy() for p in probs]),
        competitor_prob=np.stack([p[:, competitor_id].numpy() for p in probs]),
        ahead=ahead,
        marks=marks,
        top_tokens=tuple(tuple(model.labels(p.argmax(-1))) for p in probs),
        top_probs=np.stack([p.amax(-1).numpy() for p in probs]),
    )


def _differing(first: list[int], second: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
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


def _last_run(true: np.ndarray) -> int | None:
    """Where the unbroken run of true values that reaches the end begins; None where the last is false."""
    if not true[-1]:
        return None
    false = np.flatnonzero(~true)
    return int(false[-1]) + 1 if len(false) else 0


def _hand_off(marks: np.ndarray) -> int | None:
    if marks[-1] == NEITHER:
        return None
    begins = _last_run(marks == marks[-1])
    return None if begins == 0 else begins
