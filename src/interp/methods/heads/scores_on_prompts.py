"""Where heads look in sequences of one's own: at the token before, at earlier occurrences of the same token,
and at what came after these.

Each score is the attention that a head pays to such places, the mean over the queries of a sequence that have
one, then the mean over sequences, from 0 to 1:

- ``previous_token``: to the token before, of queries from the third position on (before that, the token
  before is the first one, on which heads rest).
- ``duplicate_token``: to all earlier occurrences of the query's token together.
- ``induction``: to what came after all earlier occurrences of the query's token, together. On random tokens
  that are repeated this is `interp.head_scores`' induction, and in more than two copies its prefix matching.

What tokens are is a matter of equality alone, so patterns that were computed elsewhere are scored by their
arrays (`head_scores_of_patterns`), without a model.

When it misleads: in text, a token that occurred before is often a frequent one, at which heads look for other
reasons; in short sequences a head that looks at everything alike scores high, as `chance` says.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from interp.errors import InputError, check_choice
from interp.methods.common.statistics import probability_estimate
from interp.methods.heads.results import PromptHeadScoresResult
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped
from interp.tokens import Prompt

SCORES: tuple[str, ...] = ("previous_token", "duplicate_token", "induction")
_ROUNDING = 1e-2  # by how much a row of a pattern in half precision may exceed 1

Pattern = Float[np.ndarray, "layer head query key"]


def head_scores_on_prompts(
    model: Model, prompts: Sequence[Prompt], *, scores: Sequence[str] | None = None, seed: int = 0
) -> PromptHeadScoresResult:
    """The scores of every head on these prompts; see `head_scores_of_patterns`."""
    if isinstance(prompts, str) or not len(prompts):
        raise InputError("Give a list of prompts; each may be text or token ids.")
    rows = [model.to_tokens(prompt).repeat(1).row(0) for prompt in prompts]
    chosen = _checked_scores(rows, scores)  # before a prompt is run
    return _result(
        _patterns(model, rows), rows, chosen, provenance=Provenance.of(model, seed=seed), seed=seed
    )


def head_scores_of_patterns(
    patterns: Any,
    tokens: Sequence[Sequence[Hashable]],
    *,
    scores: Sequence[str] | None = None,
    name: str = "patterns",
    seed: int = 0,
) -> PromptHeadScoresResult:
    """The scores of heads whose attention patterns are given, on the sequences that they are of.

    Args:
        patterns: for each sequence an array or tensor [layer, head, query, key], of any length.
        tokens: for each sequence its tokens, ids or texts.
        scores: some of ``previous_token``, ``duplicate_token`` and ``induction``; by default those that every
            sequence has a query for, and `PromptHeadScoresResult.left_out` says which are not.
        name: what the result calls the model.
        seed: of the bootstrap.

    Raises `InputError` for what is no causal attention pattern of these sequences, and for a score that was
    asked for and that a sequence has no query for.
    """
    rows = [list(one) for one in tokens]
    chosen = _checked_scores(rows, scores)
    if len(patterns) != len(rows):
        raise InputError(f"There are {len(patterns)} patterns and {len(rows)} sequences; give one for each.")
    checked = [_checked(one, len(row), i) for i, (one, row) in enumerate(zip(patterns, rows, strict=True))]
    if len({one.shape[:2] for one in checked}) > 1:
        raise InputError("The patterns have different numbers of layers or heads; give those of one model.")
    return _result(checked, rows, chosen, provenance=Provenance.without_model(name, seed=seed), seed=seed)


def _patterns(model: Model, rows: Sequence[Sequence[int]]) -> Iterator[Pattern]:
    for i, row in enumerate(rows):
        report("prompts", i, len(rows))
        cache = model.run_with_cache(row, ["pattern"], logits=False)
        yield cache.stack("pattern")[:, 0].double().cpu().numpy()
    report("prompts", len(rows), len(rows))


def _result(
    patterns: Iterable[Pattern],
    rows: Sequence[Sequence[Hashable]],
    scores: Sequence[str],
    *,
    provenance: Provenance,
    seed: int,
) -> PromptHeadScoresResult:
    each, chance = [], []
    for pattern, row in zip(patterns, rows, strict=True):
        places = [_places(row, score) for score in scores]
        each.append(np.stack([_mean_attention(pattern, place) for place in places]))
        even = np.tril(np.ones((len(row), len(row))))
        even /= even.sum(-1, keepdims=True)
        chance.append([float(_mean_attention(even[None, None], place)[0, 0]) for place in places])
    left_out = [Dropped(what=score, why=why) for score in SCORES if (why := _lacks(rows, score))]
    return PromptHeadScoresResult(
        provenance=provenance,
        sequences=len(rows),
        lengths=tuple(len(row) for row in rows),
        scores=tuple(scores),
        attention=probability_estimate(np.stack(each), seed),
        chance=np.array(chance).mean(0),
        left_out=tuple(one for one in left_out if one.what not in scores),
    )


def _places(row: Sequence[Hashable], score: str) -> Bool[np.ndarray, "query key"]:
    """The places that a score is of: for each query its keys."""
    n = len(row)
    kinds = {token: kind for kind, token in enumerate(dict.fromkeys(row))}
    ids = np.array([kinds[token] for token in row])
    before = np.tril(np.ones((n, n), dtype=bool), -1)
    same = (ids[:, None] == ids[None, :]) & before
    if score == "duplicate_token":
        return same
    after = np.zeros((n, n), dtype=bool)
    if score == "induction":
        after[:, 1:] = same[:, :-1]
        return after & before
    after[range(2, n), range(1, n - 1)] = True
    return after


def _mean_attention(
    pattern: Pattern, places: Bool[np.ndarray, "query key"]
) -> Float[np.ndarray, "layer head"]:
    """The attention to the places of a query together, the mean over the queries that have some."""
    queries = places.any(-1)
    return (pattern * places).sum(-1)[..., queries].mean(-1)


def _lacks(rows: Sequence[Sequence[Hashable]], score: str) -> str:
    """Why a score is not had of all sequences; empty where it is."""
    without = next((i for i, row in enumerate(rows) if not _places(row, score).any()), None)
    if without is None:
        return ""
    lacks = "has fewer than 3 tokens" if score == "previous_token" else "repeats no token in such a way"
    return f"sequence {without} {lacks}"


def _checked_scores(rows: Sequence[Sequence[Hashable]], scores: Sequence[str] | None) -> tuple[str, ...]:
    """The scores that were asked for, or those that all sequences give."""
    if not rows or not all(rows):
        raise InputError("There is no sequence, or an empty one; give at least one, of two tokens or more.")
    if scores is not None:
        for score in scores:
            check_choice("score", score, SCORES)
            if why := _lacks(rows, score):
                raise InputError(f"There is no {score} score: {why}; leave that one out.")
    chosen = tuple(score for score in SCORES if not _lacks(rows, score)) if scores is None else tuple(scores)
    if not chosen:
        reasons = "; ".join(f"{score}: {_lacks(rows, score)}" for score in SCORES)
        raise InputError(f"The sequences give no score ({reasons}); give longer ones, or others.")
    return chosen


def _checked(pattern: Any, length: int, index: int) -> Pattern:
    """One sequence's patterns as float64; `InputError` for what are none."""
    array = torch.as_tensor(pattern).detach().cpu().double().numpy()
    if array.ndim != 4 or array.shape[2:] != (length, length):
        raise InputError(
            f"The pattern of sequence {index} is {list(array.shape)}; it must be [layer, head, query, key] "
            f"with {length} queries and keys, one for each token."
        )
    sums = array.sum(-1)
    if not np.isfinite(array).all() or array.min() < 0 or sums.max() > 1 + _ROUNDING:
        raise InputError(
            f"The pattern of sequence {index} is no attention: after the softmax each row lies between 0 and "
            "1 and sums to at most 1."
        )
    if np.triu(array, 1).any():
        raise InputError(f"The pattern of sequence {index} looks ahead; only causal attention is scored.")
    return array
