"""One cell of a sweep, made ready: where its edits act, where it joins, and what it carries from there on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from interp.edits import Edit
from interp.models.editing import Key
from interp.sites import Address

#: Sites at which an edit of some rows leaves the other rows of the same layer as they were.
ROW_BY_ROW = frozenset({"q", "pattern", "z", "attn_out", "resid_mid", "mlp_act", "mlp_out"})
#: Sites whose edits act between two layers: on what the layer below wrote and this one reads.
BETWEEN = frozenset({"embed", "resid_post", "resid_pre"})


@dataclass(frozen=True)
class Branch:
    """One cell of a sweep: its edits, with positions counted from the start, and what it carries."""

    number: int  # its place in the sweep
    edits: dict[Key, tuple[Edit, ...]]
    joins: int  # the layer in which its first edit acts; n_layers: after the last one
    first: int  # its first edited position: every later one is carried
    rows: tuple[int, ...]  # what it carries in the layer in which it joins
    changes: frozenset[int]  # positions at which the last residual stream may differ from the base run's
    late: bool  # whether it edits what the last layer writes, so that its rows cannot be left out there


@dataclass(frozen=True)
class _Act:
    """Where an edit acts: the layer that first sees what it has done, and the positions that it touches."""

    layer: int
    site: str
    positions: tuple[int, ...]


def make_branch(number: int, edits: Sequence[Edit], *, n_pos: int, n_layers: int) -> Branch:
    """The branch of these edits, one at least, in the run of a prompt of `n_pos` tokens."""
    edits = [_from_the_start(edit, n_pos) for edit in edits]
    by_key: dict[Key, tuple[Edit, ...]] = {}
    for edit in edits:
        key = (edit.address.site, edit.address.layer)
        by_key[key] = (*by_key.get(key, ()), edit)
    acts = [_act(edit, n_pos) for edit in edits]
    joins = min(act.layer for act in acts)
    first = min(act.positions[0] for act in acts)
    outputs = {(site, n_layers - 1) for site in (*ROW_BY_ROW, "resid_post")}
    changes = set(range(first, n_pos))
    if by_key.keys() <= outputs:  # no position sees another any more
        changes = {position for act in acts for position in act.positions}
    return Branch(
        number=number,
        edits=by_key,
        joins=joins,
        first=first,
        rows=_rows_on_joining([act for act in acts if act.layer == joins], first, n_pos, n_layers),
        changes=frozenset(changes),
        late=not outputs.isdisjoint(by_key),
    )


def _from_the_start(edit: Edit, n_pos: int) -> Edit:
    """The edit with its positions counted from the start of the prompt."""
    if edit.address.positions is None:
        return edit
    return _at_positions(edit, tuple(p % n_pos for p in edit.address.positions))


def _act(edit: Edit, n_pos: int) -> _Act:
    address = edit.address
    layer = 0 if address.layer is None else address.layer + (address.site == "resid_post")
    if address.positions is None or edit.op == "mean":  # a mean is of what all positions hold
        return _Act(layer, address.site, tuple(range(n_pos)))
    return _Act(layer, address.site, tuple(sorted(address.positions)))


def _rows_on_joining(here: Sequence[_Act], first: int, n_pos: int, n_layers: int) -> tuple[int, ...]:
    """What a branch carries in the layer in which it joins, given what acts there."""
    if here[0].layer >= n_layers or not all(act.site in ROW_BY_ROW for act in here):
        return tuple(range(first, n_pos))
    rows = tuple(sorted({position for act in here for position in act.positions}))
    # a later edit may reach further back: rows are completed from the first one on
    return (first, *rows) if rows[0] > first else rows


def within(edit: Edit, rows: tuple[int, ...]) -> Edit:
    """The edit with its positions counted in `rows`, which hold all of them."""
    if edit.address.positions is None:
        return edit
    return _at_positions(edit, tuple(rows.index(position) for position in edit.address.positions))


def _at_positions(edit: Edit, positions: tuple[int, ...]) -> Edit:
    where = edit.address
    return replace(edit, address=Address(where.site, where.layer, positions, where.heads))
