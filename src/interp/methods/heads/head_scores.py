"""Which heads are previous-token heads, duplicate-token heads and induction heads? Scores on repeated random
tokens.

Random tokens are said and said again (`interp.tasks.repeated_tokens`), so that all a model can know of the
second copy it must take from the first. Each score is the attention that a head pays to one place, the mean
over the queries of the second copy and over sequences, from 0 to 1; L is the length of a copy. In brackets,
what TransformerLens calls a head that looks there:

- ``previous_token`` (previous_token_head): to the token before.
- ``duplicate_token`` (duplicate_token_head): to the same token in the first copy, L back.
- ``induction`` (induction_head): to the token after that one, L - 1 back, which is the one to be said next.
- ``prefix_matching`` (Olsson et al. 2022, https://arxiv.org/abs/2209.11895): to the tokens after all earlier
  occurrences of the query's token, in a sequence said four times; the sum over the occurrences, the mean over
  the queries of the second to fourth copies. There, tokens are drawn evenly from the vocabulary; the paper
  leaves out the most and the least common ones.

`HeadScoresResult.by_shift` has the attention to the places around the earlier occurrence: shift 0 is
duplicate-token, 1 induction. Heads that copy by another way are seen there: one that reads, two places after
the earlier occurrence, what a previous-token head has put there, has an induction score of nearly nothing.

When it misleads: a score is not an effect. It says where a head looks on random tokens; what it writes there,
and what it does on text, are other questions. So what the loss costs without each head stands beside it.
With a sequence of L tokens, a head that looks evenly at everything has the scores in
`HeadScoresResult.chance`.

Scores on prompts of one's own, and of patterns that were computed elsewhere, are in
`interp.methods.heads.scores_on_prompts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.common.statistics import estimate, probability_estimate
from interp.methods.heads.head_costs import head_costs
from interp.methods.heads.results import HeadScoresResult
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.base import check_count
from interp.tasks.repeated_tokens import RepeatedSequences, n_usable, repeated_sequences

SCORES: tuple[str, ...] = ("previous_token", "duplicate_token", "induction", "prefix_matching")
PREFIX_COPIES = 4  # of the sequence, for prefix matching
LENGTH = 25  # of a copy, where the model has room for it
SHORTEST = 3
SHIFTS = range(-2, 5)

Pattern = Float[Tensor, "layer sequence head query key"]
ByHead = Float[Tensor, "layer sequence head"]


def head_scores(
    model: Model,
    *,
    n: int = 10,
    length: int | None = None,
    batch_size: int = 8,
    n_ablated: int = 2,
    seed: int = 0,
) -> HeadScoresResult:
    """Score every head on `n` sequences of `length` random tokens, said twice (and four times).

    Special tokens are not drawn; a BOS stands in front where the model's policy has one. The loss is that of
    the sequences said twice.

    Args:
        length: of a copy, in tokens. By default 25, or what the model has room and different tokens for; with
            room for less than four copies of 3, prefix matching is left out.
        n_ablated: on how many of the sequences each head is ablated by itself, so that what it costs stands
            beside its score (`interp.methods.heads.head_costs`); 0: none.

    Raises `SiteError` where the backend does not reach the pattern, and `InputError` where the model does not
    read so many tokens, or does not have them.
    """
    check_count(n_ablated, of="n_ablated", least=0)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    if length == 2:
        raise InputError("In copies of length=2, induction looks one token back; take at least 3.")
    fitting, copies = _fitting(model) if length is None else (length, PREFIX_COPIES)
    text = repeated_sequences(model, n=n, length=fitting, seed=seed)
    if copies == PREFIX_COPIES:
        _check_length(model, text.start + PREFIX_COPIES * fitting, fitting)
    scores = SCORES if copies == PREFIX_COPIES else SCORES[:-1]
    batches = []
    for first in range(0, n, batch_size):
        report("sequences", first, n)
        batches.append(_measure(model, text, slice(first, first + batch_size), scores))
    report("sequences", n, n)
    losses = [one.losses for one in batches if one.losses is not None]
    even = _even_attention(text.start + PREFIX_COPIES * fitting)
    return HeadScoresResult(
        provenance=Provenance.of(model, seed=seed),
        sequences=n,
        copy_length=fitting,
        bos=text.start > 0,
        scores=scores,
        attention=probability_estimate(torch.cat([one.scores for one in batches]).numpy(), seed),
        shifts=tuple(_shifts(fitting)),
        by_shift=torch.cat([one.by_shift for one in batches]).mean(0).numpy(),
        chance=_scores(even, even, text, scores)[0, :, 0, 0].numpy(),
        loss=estimate(torch.cat(losses).numpy(), seed) if losses else None,
        cost=estimate(head_costs(model, text, n_ablated), seed) if losses and n_ablated else None,
    )


def _fitting(model: Model) -> tuple[int, int]:
    """The length of a copy, and how many copies of it the model reads: four where that leaves 3 tokens."""
    most = min(LENGTH, n_usable(model))
    room = model.arch.n_ctx
    if room is None:
        return most, PREFIX_COPIES
    room -= model.bos_id is not None
    four, two = min(most, room // PREFIX_COPIES), min(most, room // 2)
    length, copies = (four, PREFIX_COPIES) if four >= SHORTEST else (two, 2)
    if length < SHORTEST:
        raise InputError(
            f"{model.identity.name} reads at most {model.arch.n_ctx} tokens, and {n_usable(model)} can be "
            f"drawn, too few for {SHORTEST} said twice; take prompts of your own (head_scores_on_prompts)."
        )
    return length, copies


@dataclass(frozen=True, eq=False)
class _Batch:
    """What is measured of some sequences."""

    scores: Float[Tensor, "sequence score layer head"]
    by_shift: Float[Tensor, "sequence shift layer head"]
    losses: Float[Tensor, "sequence token"] | None


def _measure(model: Model, text: RepeatedSequences, rows: slice, scores: Sequence[str]) -> _Batch:
    said_twice = text.ids[rows]
    said_four_times = [(*ids, *ids[text.start :]) for ids in said_twice]
    run = model.run_with_cache(said_twice, ["pattern"])
    twice = run.stack("pattern")
    four_times = twice
    if "prefix_matching" in scores:
        four_times = model.run_with_cache(said_four_times, ["pattern"], logits=False).stack("pattern")
    around = [_around_earlier(twice, text, shift) for shift in _shifts(text.copy_length)]
    return _Batch(
        scores=_scores(twice, four_times, text, scores),
        by_shift=torch.stack(around).permute(2, 0, 1, 3),
        losses=_losses(run) if model.arch.d_vocab == model.arch.d_vocab_in else None,
    )


def _scores(
    twice: Pattern,
    four_times: Float[Tensor, "layer sequence head longer longer"],
    text: RepeatedSequences,
    scores: Sequence[str],
) -> Float[Tensor, "sequence score layer head"]:
    """These of the `SCORES`, of patterns on sequences said twice and four times."""
    queries = list(text.second_copy)
    found = [
        _attention_back(twice, queries, 1),
        _attention_back(twice, queries, text.duplicate_offset),
        _attention_back(twice, queries, text.induction_offset),
    ]
    if "prefix_matching" in scores:
        found.append(_prefix_matching(four_times, text))
    return torch.stack(found).permute(2, 0, 1, 3)


def _attention_back(pattern: Pattern, queries: list[int], back: int) -> ByHead:
    """The mean attention of `queries` to the place that lies `back` positions before each."""
    keys = [query - back for query in queries]
    return pattern[..., queries, keys].cpu().double().mean(-1)


def _around_earlier(pattern: Pattern, text: RepeatedSequences, shift: int) -> ByHead:
    """The mean attention to `shift` places after the earlier occurrence, of the queries that have one."""
    back = text.copy_length - shift
    return _attention_back(pattern, [query for query in text.second_copy if query - back >= text.start], back)


def _shifts(length: int) -> list[int]:
    """Those of `SHIFTS` that lie before the token before the query, which is `length` - 1 places on."""
    return [shift for shift in SHIFTS if shift < length - 1]


def _prefix_matching(pattern: Pattern, text: RepeatedSequences) -> ByHead:
    """To what came after each earlier occurrence of the query's token, summed over these."""
    total = torch.zeros(pattern.shape[:3], dtype=torch.float64)
    start, length = text.start, text.copy_length
    queries = range(start + length, start + PREFIX_COPIES * length)
    for copies in range(1, PREFIX_COPIES):  # how many copies back
        there = [query for query in queries if query - copies * length >= start]
        total += _attention_back(pattern, there, copies * length - 1) * len(there)
    return total / len(queries)


def _even_attention(n_pos: int) -> Pattern:
    """The pattern of a head that looks at every position alike."""
    ones = torch.ones(n_pos, n_pos).tril()
    return (ones / ones.sum(-1, keepdim=True))[None, None, None]


def _losses(run: Cache) -> Float[Tensor, "sequence token"]:
    """Nats of each token given those before it."""
    log_probs = run.logits[:, :-1].cpu().double().log_softmax(-1)
    return -log_probs.gather(-1, run.tokens.ids[:, 1:, None])[..., 0]


def _check_length(model: Model, n_pos: int, length: int) -> None:
    if model.arch.n_ctx is not None and n_pos > model.arch.n_ctx:
        raise InputError(
            f"{PREFIX_COPIES} copies of length={length} are {n_pos} tokens, but this model reads at most "
            f"{model.arch.n_ctx}; take a smaller length."
        )
