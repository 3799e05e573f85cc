"""Which heads are previous-token, duplicate-token and induction heads? Scores on repeated random tokens.

Random tokens are said and said again (`interp.tasks.repeated_tokens`), so that all a model can know of the
second copy it must take from the first. Each score is the attention that a head pays to one place, the mean
over the queries of the second copy and over sequences, from 0 to 1; L is the length of a copy:

- ``previous_token``: to the token before.
- ``duplicate_token``: to the same token in the first copy, L back.
- ``induction``: to the token after that one, L - 1 back, which is the one to be said next.
- ``prefix_matching`` (Olsson et al. 2022, https://arxiv.org/abs/2209.11895): to the tokens after all earlier
  occurrences of the query's token, in a sequence said four times; the sum over the occurrences, the mean over
  the queries of the second to fourth copies. There, tokens are drawn evenly from the vocabulary; the paper
  leaves out the most and the least common ones.

`HeadScoresResult.by_shift` has the attention to the places around the earlier occurrence: shift 0 is
duplicate-token, 1 induction. Heads that copy by another way are seen there: one that reads, two places after
the earlier occurrence, what a previous-token head has put there, has an induction score of nearly nothing.

When it misleads: a score says where a head looks on random tokens. What it writes, and what it does on text,
are other questions. With a sequence of L tokens, a head that looks evenly at everything has the scores in
`HeadScoresResult.chance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, nearest
from interp.methods.common.statistics import bootstrap_interval
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Result
from interp.tasks.repeated_tokens import repeated_sequences

SCORES: tuple[str, ...] = ("previous_token", "duplicate_token", "induction", "prefix_matching")
PREFIX_COPIES = 4  # of the sequence, for prefix matching
SHIFTS = range(-2, 5)


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadScoresResult(Result):
    """The scores of every head, and the loss on each token of both copies."""

    kind: ClassVar[str] = "head_scores"
    sequences: int
    copy_length: int
    bos: bool  # whether each sequence begins with one
    scores: tuple[str, ...]
    mean: Float[np.ndarray, "score layer head"]
    low: Float[np.ndarray, "score layer head"]  # 95 % bootstrap interval over sequences
    high: Float[np.ndarray, "score layer head"]
    by_sequence: Float[np.ndarray, "sequence score layer head"]
    shifts: tuple[int, ...]  # places from the earlier occurrence of the query's token
    by_shift: Float[np.ndarray, "shift layer head"]
    chance: Float[np.ndarray, " score"]  # of a head that looks evenly at every position
    loss: Float[np.ndarray, " token"]  # nats, of each token but the first position's; mean over sequences
    loss_low: Float[np.ndarray, " token"]
    loss_high: Float[np.ndarray, " token"]

    def score(self, name: str) -> Float[np.ndarray, "layer head"]:
        """One of the scores, by name."""
        if name not in self.scores:
            raise InputError(f"Unknown score {name!r}; {nearest(name, self.scores)}")
        return self.mean[self.scores.index(name)]

    def heads(self, name: str, *, at_least: float = 0.5) -> list[tuple[int, int]]:
        """The (layer, head) with a score of `at_least`, highest first."""
        score = self.score(name)
        found = [(int(layer), int(head)) for layer, head in np.argwhere(score >= at_least)]
        return sorted(found, key=lambda head: -score[head])

    @property
    def first_copy_loss(self) -> float:
        """Nats a token of the first copy; without BOS, of all but the first token, which nothing predicts."""
        return float(self.loss[: -self.copy_length].mean())

    @property
    def second_copy_loss(self) -> float:
        """Nats a token of the second copy but its first: that copying begins there is not said by the text,
        though a model may know it from the lengths that it was trained on."""
        return float(self.loss[-self.copy_length :][1:].mean())


def head_scores(
    model: Model, *, n: int = 10, length: int = 25, batch_size: int = 8, seed: int = 0
) -> HeadScoresResult:
    """Score every head on `n` sequences of `length` random tokens, said twice (and four times).

    Special tokens are not drawn; a BOS stands in front where the model's policy has one. The loss is that of
    the sequences said twice.

    Raises `SiteError` where the backend does not reach the pattern, and `InputError` where the model does not
    read four copies.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    if length == 2:
        raise InputError("In copies of length=2, induction looks one token back; take at least 3.")
    drawn = repeated_sequences(model, n=n, length=length, seed=seed)
    start, offset = drawn.start, drawn.induction_offset
    longer = [(*ids, *ids[start:]) for ids in drawn.ids]
    _check_length(model, len(longer[0]), length)

    again = list(drawn.second_copy)
    shifts = [shift for shift in SHIFTS if shift < length - 1]  # length - 1 is the token before
    found, around, losses = [], [], []
    for first in range(0, n, batch_size):
        report("sequences", first, n)
        twice = model.run_with_cache(drawn.ids[first : first + batch_size], ["pattern"])
        pattern = twice.stack("pattern")  # [layer, sequence, head, query, key]
        scores = [
            _attention_back(pattern, again, 1),
            _attention_back(pattern, again, drawn.duplicate_offset),
            _attention_back(pattern, again, offset),
        ]
        around.append(torch.stack([_around(pattern, again, length, start, shift) for shift in shifts]))
        pattern = model.run_with_cache(longer[first : first + batch_size], ["pattern"]).stack("pattern")
        scores.append(_prefix_matching(pattern, start, length))
        found.append(torch.stack(scores).permute(2, 0, 1, 3))  # [sequence, score, layer, head]
        losses.append(_losses(twice))
    report("sequences", n, n)

    by_sequence = torch.cat(found).numpy()
    low, high = bootstrap_interval(by_sequence, seed)
    by_token = torch.cat(losses).numpy()  # [sequence, token]
    loss_low, loss_high = bootstrap_interval(by_token, seed)
    even = even_attention(len(longer[0]))
    return HeadScoresResult(
        provenance=Provenance.of(model, seed=seed),
        sequences=n,
        copy_length=length,
        bos=start > 0,
        scores=SCORES,
        mean=by_sequence.mean(0),
        low=low,
        high=high,
        by_sequence=by_sequence,
        shifts=tuple(shifts),
        by_shift=torch.cat(around, dim=2).mean(2).numpy(),
        chance=np.array(
            [float(_attention_back(even, again, back)[0, 0, 0]) for back in (1, length, offset)]
            + [float(_prefix_matching(even, start, length)[0, 0, 0])]
        ),
        loss=by_token.mean(0),
        loss_low=loss_low,
        loss_high=loss_high,
    )


def even_attention(n_pos: int) -> Float[Tensor, "1 1 1 query key"]:
    """The pattern of a head that looks at every position alike."""
    ones = torch.ones(n_pos, n_pos).tril()
    return (ones / ones.sum(-1, keepdim=True))[None, None, None]


def _attention_back(
    pattern: Float[Tensor, "layer sequence head query key"], queries: list[int], back: int
) -> Float[Tensor, "layer sequence head"]:
    """The mean attention of `queries` to the place that lies `back` positions before each."""
    keys = [query - back for query in queries]
    return pattern[..., queries, keys].cpu().double().mean(-1)


def _around(
    pattern: Float[Tensor, "layer sequence head query key"],
    queries: list[int],
    length: int,
    start: int,
    shift: int,
) -> Float[Tensor, "layer sequence head"]:
    """The mean attention to `shift` places after the earlier occurrence, of the queries that have one."""
    there = [query for query in queries if query - length + shift >= start]
    return _attention_back(pattern, there, length - shift)


def _prefix_matching(
    pattern: Float[Tensor, "layer sequence head query key"], start: int, length: int
) -> Float[Tensor, "layer sequence head"]:
    """To what came after each earlier occurrence of the query's token, summed over these."""
    total = torch.zeros(pattern.shape[:3], dtype=torch.float64)
    queries = range(start + length, start + PREFIX_COPIES * length)
    for copies in range(1, PREFIX_COPIES):  # how many copies back
        there = [query for query in queries if query - copies * length >= start]
        total += _attention_back(pattern, there, copies * length - 1) * len(there)
    return total / len(queries)


def _losses(cache: Cache) -> Float[Tensor, "sequence token"]:
    """Nats of each token given those before it."""
    log_probs = cache.logits[:, :-1].cpu().double().log_softmax(-1)
    return -log_probs.gather(-1, cache.tokens.ids[:, 1:, None])[..., 0]


def _check_length(model: Model, n_pos: int, length: int) -> None:
    if model.arch.n_ctx is not None and n_pos > model.arch.n_ctx:
        raise InputError(
            f"{PREFIX_COPIES} copies of length={length} are {n_pos} tokens, but this model reads at most "
            f"{model.arch.n_ctx}; take a smaller length."
        )
