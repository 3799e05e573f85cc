"""`Model.sweep` by branching: which branches there are to run, in which chunks, and what is read of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.branching.base_run import BaseRun
from interp.models.branching.branch import Branch, make_branch
from interp.models.branching.journey import run_branches
from interp.models.hooked import HookedModel
from interp.models.memory import Need
from interp.progress import report
from interp.readout import Readout
from interp.tokens import Tokens

#: Of the packed batch, at most. Linear layers are at full speed with some hundred rows already, and with
#: several times these, moving through memory what lies between them made sweeps slower.
ROWS_AT_ONCE = 4096


def sweep(
    model: HookedModel,
    tokens: Tokens,
    branches: Sequence[Sequence[Edit]],
    readout: Readout,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Tensor:
    """`Model.sweep` by branching.

    ``rows_at_once`` bounds the packed batch, beside `Model.memory`. Raises `InputError` where not even one
    branch fits.
    """
    n_pos = tokens.lengths[0]
    readout = Readout(readout.of, tuple(p % n_pos for p in readout.positions), readout.columns)
    keys = {(edit.address.site, edit.address.layer) for branch in branches for edit in branch}
    base = BaseRun(model, tokens, keys)
    waiting = _to_run(base, branches, readout)
    need = Need.of(model, n_pos, readout)
    budget = need.budget(model, largest=max((n_pos - branch.first for branch in waiting), default=0))
    found = _read(model, readout, base.read(readout))  # [1, ...]
    values = found.expand(len(branches), *found.shape[1:]).clone()
    while waiting:
        report("branches", len(branches) - len(waiting), len(branches))
        chunk = _first_chunk(waiting, n_pos, rows_at_once, need, budget)
        try:
            found = _read(model, readout, run_branches(base, chunk, readout))
        except (RuntimeError, MemoryError) as error:
            rows_at_once = _fewer_rows(chunk, n_pos, error)
            continue
        values[[branch.number for branch in chunk]] = found
        waiting = waiting[len(chunk) :]
    report("branches", len(branches), len(branches))
    return values


def _to_run(base: BaseRun, branches: Sequence[Sequence[Edit]], readout: Readout) -> list[Branch]:
    """The branches that may differ from the base run where they are read out, in the order in which they are
    run: those that carry the same positions share their attention."""
    ready = [
        make_branch(number, edits, n_pos=base.n_pos, n_layers=base.model.arch.n_layers)
        for number, edits in enumerate(branches)
        if not base.changes_nothing(edits)
    ]
    return sorted(
        (branch for branch in ready if not branch.changes.isdisjoint(readout.positions)),
        key=lambda branch: (branch.late, branch.first, branch.joins),
    )


def _read(model: HookedModel, readout: Readout, resid: Tensor) -> Tensor:
    """The readout of last residual streams [branch, position, d_model]."""
    return readout.of(model._unembed(resid, readout.columns))


def _first_chunk(
    waiting: list[Branch], n_pos: int, rows_at_once: int, need: Need, budget: float
) -> list[Branch]:
    """The first of the branches that wait, as many as fill a packed batch of so many rows or bytes; at least
    one. Those that edit the last layer's outputs (they come last) are not mixed with others."""
    rows = 0
    for count, branch in enumerate(waiting):
        rows += n_pos - branch.first
        full = rows > rows_at_once or need.bytes(rows=rows, branches=count + 1) > budget
        if count and (full or branch.late != waiting[0].late):
            return waiting[:count]
    return waiting


def _fewer_rows(chunk: Sequence[Branch], n_pos: int, error: RuntimeError | MemoryError) -> int:
    """How many rows to try at once where these branches ran out of memory. Raises `error` where it is another
    one, and `InputError` where there is nothing left to divide."""
    if not _is_out_of_memory(error):
        raise error
    if len(chunk) == 1:
        raise InputError(
            f"There is no memory for one branch of {n_pos} positions; shorten the prompt."
        ) from error
    return sum(n_pos - branch.first for branch in chunk) // 2


def _is_out_of_memory(error: Exception) -> bool:
    # torch has a class of its own for devices; on the CPU it is a RuntimeError that says so
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)
