"""What was generated, when it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interp.errors import SiteError
from interp.models.editing import Key
from interp.models.generating.steps import Read, Step
from interp.sites import Address
from interp.tokens import Tokens

Path = Literal["cached", "uncached"]


@dataclass(frozen=True, eq=False)
class Generated:
    """What a model goes on to say after each prompt, and the activations that were read on the way."""

    prompts: Tokens
    said: tuple[tuple[int, ...], ...]  # ids, [prompt][token]; the token that ended the text is the last
    log_probs: tuple[tuple[float, ...], ...]  # of each token, as the (edited) model predicted it
    ended: tuple[bool, ...]  # by a token that ends a text; False: n_tokens were reached
    path: Path  # whether keys and values were kept, or the whole text run for each token
    why: str  # it was run uncached; empty where it was not
    activations: tuple[dict[Key, Tensor], ...]  # [prompt], of each site read [pos, ...], of the whole text

    @property
    def tokens(self) -> Tokens:
        """The prompts with what was said behind them."""
        return Tokens.pad([[*self.prompts.row(row), *ids] for row, ids in enumerate(self.said)])

    def read(self, site: str, layer: int | None = None, *, row: int = 0) -> Tensor:
        """The activation at a site in all of a text, [pos, ...]; of a pattern [head, query, key]. `SiteError`
        where it was not read."""
        found = self.activations[row].get((site, layer))
        if found is None:
            raise SiteError(f"{Address(site, layer)} was not read; name it in sites.")
        return found

    @classmethod
    def of(cls, prompts: Tokens, steps: Iterable[Step], *, why: str) -> Generated:
        """What all steps come to."""
        n = len(prompts)
        said: list[list[int]] = [[] for _ in range(n)]
        log_probs: list[list[float]] = [[] for _ in range(n)]
        ended = [False] * n
        reads: list[list[dict[Key, Tensor]]] = [[] for _ in range(n)]
        for step in steps:
            of_chosen = step.logits.log_softmax(-1)
            for i, (row, token, end) in enumerate(zip(step.rows, step.ids, step.ended, strict=True)):
                said[row].append(token)
                log_probs[row].append(of_chosen[i, token].item())
                ended[row] = end
            if step.read is not None:
                _collect(reads, step.read)
        return cls(
            prompts=prompts,
            said=tuple(map(tuple, said)),
            log_probs=tuple(map(tuple, log_probs)),
            ended=tuple(ended),
            path="uncached" if why else "cached",
            why=why,
            activations=tuple(map(_joined, reads)),
        )


def _collect(reads: list[list[dict[Key, Tensor]]], read: Read) -> None:
    """Add what a pass has read to that of each row."""
    for i, row in enumerate(read.rows):
        reads[row].append({key: value[i] for key, value in read.values.items()})


def _joined(parts: list[dict[Key, Tensor]]) -> dict[Key, Tensor]:
    """The activations of a whole text, of those of its stretches."""
    if not parts:
        return {}
    return {key: _along(key, [part[key] for part in parts]) for key in parts[0]}


def _along(key: Key, parts: list[Tensor]) -> Tensor:
    if key[0] != "pattern":
        return torch.cat(parts)
    n_keys = parts[-1].shape[-1]  # of later queries; earlier ones do not look ahead
    wide = [torch.nn.functional.pad(part, (0, n_keys - part.shape[-1])) for part in parts]
    return torch.cat(wide, dim=1)
