"""`Model.sweep` in plain forward passes: what every backend can do, and what branching is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from interp.edits import Edit
from interp.progress import report
from interp.readout import Readout
from interp.sites import Address
from interp.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep read out, [branch, ...], and how: as branches of one run, or in plain forward passes."""

    values: Tensor
    path: Literal["branching", "plain"]


def plain_sweep(
    forward: Callable[[Tokens, Sequence[Edit]], Tensor],
    tokens: Tokens,
    branches: Sequence[Sequence[Edit]],
    readout: Readout,
    *,
    batch_size: int,
) -> Tensor:
    """What `readout` reads of each branch, [branch, ...] on the CPU; `batch_size` branches share a pass."""
    values = []
    for start in range(0, len(branches), batch_size):
        chunk = branches[start : start + batch_size]
        edits = [at_row(edit, row) for row, branch in enumerate(chunk) for edit in branch]
        values.append(readout(forward(tokens.repeat(len(chunk)), edits)).cpu())
        report("branches", min(start + batch_size, len(branches)), len(branches))
    return torch.cat(values) if values else torch.empty(0)


def at_row(edit: Edit, row: int) -> Edit:
    """The edit in this row of the batch alone."""
    where = edit.address
    return replace(edit, address=Address(where.site, where.layer, where.positions, where.heads, row))
