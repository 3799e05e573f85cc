"""Edits of a prompt in the runs in which an answer follows it (`interp.readout`).

Positions of an edit are those of the prompt, whatever follows. An edit at all positions acts on what follows,
too: a head that is ablated is ablated there. Its value is then one for every position, or has all positions
of the runs, in a row for each: as `Model.run_with_cache` gives them for `AnyReadout.runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.models.plain_sweep import Sweep
from interp.readout import AnyReadout, Readout
from interp.sites import SITES, Address
from interp.tokens import Tokens


def runs_of(tokens: Tokens, readout: AnyReadout, n_ctx: int | None) -> Tokens:
    """The runs of a prompt that a readout reads. `InputError` where the model does not read as many
    tokens."""
    runs = readout.runs(tokens)
    if n_ctx is not None and max(runs.lengths) > n_ctx:
        raise InputError(
            f"With the answer behind it the prompt has {max(runs.lengths)} tokens, but this model reads at "
            f"most {n_ctx}; shorten it."
        )
    return runs


def placed(edits: Sequence[Edit], tokens: Tokens, runs: Tokens) -> list[Edit]:
    """Edits of a prompt as edits of all its runs at once: with positions counted from the start."""
    return list(edits) if runs is tokens else [_from_the_start(edit, tokens.lengths[0]) for edit in edits]


def sweep_runs(
    sweep_run: Callable[[Tokens, Sequence[Sequence[Edit]], Readout], Sweep],
    tokens: Tokens,
    branches: Sequence[Sequence[Edit]],
    readout: AnyReadout,
    n_ctx: int | None,
) -> Sweep:
    """`Model.sweep` of a prompt, given that of one run with one part of the readout."""
    runs, swept = runs_of(tokens, readout, n_ctx), []
    for run, part in enumerate(readout.parts):
        own = tokens if runs is tokens else Tokens.pad([runs.row(run)])
        swept.append(sweep_run(own, [in_run(branch, tokens, runs, run) for branch in branches], part))
    values = readout.joined([one.values for one in swept]) if branches else swept[0].values
    return Sweep(values, "plain" if any(one.path == "plain" for one in swept) else "branching")


def in_run(edits: Sequence[Edit], tokens: Tokens, runs: Tokens, run: int) -> list[Edit]:
    """Edits of a prompt as edits of one of its runs, with what their values have for this one."""
    if runs is tokens:
        return list(edits)
    return [
        replace(edit, value=_of_run(edit, edit.value, runs, run)) if isinstance(edit.value, Tensor) else edit
        for edit in placed(edits, tokens, runs)
    ]


def _from_the_start(edit: Edit, n_pos: int) -> Edit:
    where = edit.address
    if where.positions is None:
        return edit
    positions = tuple(p % n_pos for p in where.positions)
    return replace(edit, address=Address(where.site, where.layer, positions, where.heads, where.rows))


def _of_run(edit: Edit, value: Tensor, runs: Tokens, run: int) -> Tensor:
    """What a value [row, pos, ...] has for a run; one that broadcasts over rows or positions does so
    still."""
    axes = SITES[edit.address.site].axes
    if value.ndim < len(axes):
        return value
    own = value[run : run + 1] if len(value) == len(runs) else value
    longest = runs.ids.shape[1]
    for axis, name in enumerate(axes):
        everywhere = name == "key" or (name in ("pos", "query") and edit.address.positions is None)
        if everywhere and own.shape[axis] == longest:
            own = own.narrow(axis, 0, runs.lengths[run])
    return own
