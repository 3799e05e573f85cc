"""How much attention goes from one role of a dataset to another, such as from END to IO, for every head.

When it misleads: as attention patterns do (`interp.methods.heads.attention_patterns`); and a mean over
prompts may hide that a head looks there in some of them only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, check_choice
from interp.methods.common.statistics import probability_estimate
from interp.methods.heads.results import AttentionByRoleResult
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, pairs_in_words
from interp.tokens import Prompt

Side = Literal["clean", "corrupted"]


def attention_by_role(
    model: Model,
    dataset: PairDataset,
    *,
    between: Sequence[Sequence[str]] = (("END", "IO"), ("END", "S2"), ("S2", "S1")),
    side: Side = "clean",
    batch_size: int = 16,
    seed: int = 0,
) -> AttentionByRoleResult:
    """How much attention goes from one role to another, for every head, over a dataset.

    Args:
        between: (from, to), roles of the dataset. Of a role of several tokens: the mean over the queries, of
            the sum over the keys.
        side: the clean or the corrupted prompts; a role stands at the same positions in both.
        seed: of the bootstrap.

    Raises `SiteError` where the backend does not reach the pattern; `InputError` for roles that the dataset
    does not have, and where in some prompt every key is behind every query, so that none can be seen.
    """
    check_choice("side", side, ("clean", "corrupted"))
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    roles = _pairs_of_roles(between)
    places = [_Places.of(dataset, query, key) for query, key in roles]
    prompts = dataset.clean if side == "clean" else dataset.corrupted
    each = [
        torch.stack([one.attention(pattern, row) for one in places])
        for row, pattern in enumerate(_patterns(model, prompts, batch_size))
    ]  # [between, layer, head] for each prompt
    return AttentionByRoleResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        side=side,
        between=roles,
        attention=probability_estimate(torch.stack(each).numpy(), seed, dataset.clusters),
    )


@dataclass(frozen=True)
class _Places:
    """Where the queries and the keys of a pair of roles stand, in each prompt."""

    queries: list[tuple[int, ...]]
    keys: list[tuple[int, ...]]

    @classmethod
    def of(cls, dataset: PairDataset, query: str, key: str) -> _Places:
        queries, keys = dataset.positions(query), dataset.positions(key)
        if any(min(k) > max(q) for q, k in zip(queries, keys, strict=True)):
            raise InputError(f"{query} stands before {key}, so it cannot attend there; exchange the two.")
        return cls(queries, keys)

    def attention(
        self, pattern: Float[Tensor, "layer head query key"], row: int
    ) -> Float[Tensor, "layer head"]:
        """The mean over the queries of the sum over the keys, in one prompt."""
        return pattern[:, :, list(self.queries[row])][..., list(self.keys[row])].sum(-1).mean(-1)


def _pairs_of_roles(between: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    for pair in between:
        if isinstance(pair, str) or len(pair) != 2:
            raise InputError(f"Roles come in twos, from and to, such as ['END', 'IO']; got {pair!r}.")
    if not between:
        raise InputError("Give at least one pair of roles, such as ['END', 'IO'].")
    return tuple((query, key) for query, key in between)


def _patterns(
    model: Model, prompts: Sequence[Prompt], batch_size: int
) -> Iterator[Float[Tensor, "layer head query key"]]:
    """The patterns of each prompt in turn, in float64 on the CPU, without padding."""
    for start in range(0, len(prompts), batch_size):
        report("prompts", start, len(prompts))
        tokens = model.to_tokens(prompts[start : start + batch_size])
        cache = model.run_with_cache(tokens, ["pattern"], logits=False)
        patterns = cache.stack("pattern").cpu()  # [layer, row, head, query, key]
        for row, length in enumerate(cache.tokens.lengths):
            yield patterns[:, row, :, :length, :length].double()
    report("prompts", len(prompts), len(prompts))
