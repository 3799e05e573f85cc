"""Where heads look: their attention patterns on a prompt, and between roles over a dataset.

When it misleads: a head may look at a place and read nothing there that matters, and what it reads may have
been brought there from elsewhere. Attention to the first position is often a resting place. What a head does
with what it sees is told by its values and by patching or ablating it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, check_choice
from interp.methods.common.heads import Head, find_heads, head_name
from interp.methods.common.statistics import bootstrap_interval
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Result
from interp.tasks.base import PairDataset
from interp.tokens import Prompt

Side = Literal["clean", "corrupted"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionPatternsResult(Result):
    """The attention of some heads on one prompt: how much of each query's attention each key gets.

    A row sums to 1, or, with `sinks`, to less: a learned sink takes the rest.
    """

    kind: ClassVar[str] = "attention_patterns"
    tokens: tuple[str, ...]
    heads: tuple[tuple[int, int], ...]  # (layer, head)
    sinks: bool
    patterns: Float[np.ndarray, "head query key"]

    def pattern(self, head: Head) -> Float[np.ndarray, "query key"]:
        """That of one (layer, head). `InputError` where the result does not hold it."""
        if tuple(head) not in self.heads:
            raise InputError(f"The result does not hold head {head_name(head)}.")
        return self.patterns[self.heads.index(tuple(head))]


def attention_patterns(
    model: Model, prompt: Prompt, *, heads: Sequence[str | Sequence[int]] | None = None, seed: int = 0
) -> AttentionPatternsResult:
    """The attention patterns of `heads`, such as ``["5.1"]`` or ``[(5, 1)]``, or of all of them.

    Raises `SiteError` where the backend does not reach the pattern, `InputError` for heads that are not
    there.
    """
    chosen = find_heads(model.arch, heads)
    tokens = model.to_tokens(prompt).repeat(1)
    cache = model.run_with_cache(tokens, [("pattern", layer) for layer in sorted({n for n, _ in chosen})])
    patterns = [cache["pattern", layer][0, head] for layer, head in chosen]
    return AttentionPatternsResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(tokens.row(0))),
        heads=chosen,
        sinks=model.arch.attention_sinks,
        patterns=torch.stack(patterns).float().cpu().numpy(),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionByRoleResult(Result):
    """How much attention each head pays from one role to another: the mean over a dataset's prompts."""

    kind: ClassVar[str] = "attention_by_role"
    task: str
    side: str  # clean | corrupted: which prompts
    prompts: tuple[str, ...]
    between: tuple[tuple[str, str], ...]  # (from, to)
    attention: Float[np.ndarray, "between layer head"]
    low: Float[np.ndarray, "between layer head"]  # 95 % bootstrap interval over prompts
    high: Float[np.ndarray, "between layer head"]
    by_prompt: Float[np.ndarray, "prompt between layer head"]

    def of(self, query: str, key: str) -> Float[np.ndarray, "layer head"]:
        """The map of one pair of roles. `InputError` where the result does not hold it."""
        if (query, key) not in self.between:
            raise InputError(f"The result does not hold {query} to {key}.")
        return self.attention[self.between.index((query, key))]


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
    for pair in between:
        if isinstance(pair, str) or len(pair) != 2:
            raise InputError(f"Roles come in twos, from and to, such as ['END', 'IO']; got {pair!r}.")
    if not between:
        raise InputError("Give at least one pair of roles, such as ['END', 'IO'].")
    places = [(dataset.positions(query), dataset.positions(key)) for query, key in between]
    for (query, key), (queries, keys) in zip(between, places, strict=True):
        if any(min(k) > max(q) for q, k in zip(queries, keys, strict=True)):
            raise InputError(f"{query} stands before {key}, so it cannot attend there; exchange the two.")
    prompts = dataset.clean if side == "clean" else dataset.corrupted
    found = []  # [between, layer, head] for each prompt
    for row, pattern in enumerate(_patterns(model, prompts, batch_size)):
        looked = [_looked(pattern, queries[row], keys[row]) for queries, keys in places]
        found.append(torch.stack(looked).numpy())
    by_prompt = np.stack(found)
    low, high = bootstrap_interval(by_prompt, seed)
    return AttentionByRoleResult(
        provenance=Provenance.of(model, seed=seed),
        task=dataset.name,
        side=side,
        prompts=tuple("".join(model.labels(ids)) for ids in prompts),
        between=tuple((query, key) for query, key in between),
        attention=by_prompt.mean(0),
        low=low,
        high=high,
        by_prompt=by_prompt,
    )


def _patterns(
    model: Model, prompts: Sequence[Prompt], batch_size: int
) -> Iterator[Float[Tensor, "layer head query key"]]:
    """The patterns of each prompt in turn, in float64 on the CPU, without padding."""
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    for start in range(0, len(prompts), batch_size):
        report("prompts", start, len(prompts))
        cache = model.run_with_cache(model.to_tokens(prompts[start : start + batch_size]), ["pattern"])
        patterns = cache.stack("pattern").cpu()  # [layer, row, head, query, key]
        for row, length in enumerate(cache.tokens.lengths):
            yield patterns[:, row, :, :length, :length].double()
    report("prompts", len(prompts), len(prompts))


def _looked(
    pattern: Float[Tensor, "layer head query key"], queries: Sequence[int], keys: Sequence[int]
) -> Float[Tensor, "layer head"]:
    return pattern[:, :, list(queries)][..., list(keys)].sum(-1).mean(-1)
