"""What one pass of a text that grows reads and edits: the whole text so far, or its last token alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from interp.edits import Change, Edit, EditFrom
from interp.errors import EditError
from interp.models.editing import Key, Taps, apply_edit
from interp.sites import SITES, Address

#: Which axes of a site lie along the text, counted from the end.
_ALONG = {
    name: tuple(i - len(site.axes) for i, axis in enumerate(site.axes) if axis in ("pos", "query", "key"))
    for name, site in SITES.items()
}


@dataclass(frozen=True, eq=False)
class Placed:
    """An edit of some rows of a group: at positions of the prompt (`start` None), or at all from one on."""

    edit: Edit
    start: int | None

    @classmethod
    def of(cls, edit: Edit | EditFrom, rows: Sequence[int], *, n_rows: int, n_prompt: int) -> Placed | None:
        """An edit of a batch of `n_rows`, in a group of some of its rows whose prompts have `n_prompt`
        tokens; None where it concerns none of them."""
        own, start = inner(edit), None
        if isinstance(edit, EditFrom):
            start = n_prompt if edit.start == "generated" else edit.start % n_prompt
        elif edit.address.positions is None:
            start = 0
        local = _of_rows(own, rows, n_rows)
        return None if local is None else cls(local, start)

    @property
    def key(self) -> Key:
        return self.edit.address.site, self.edit.address.layer


def inner(edit: Edit | EditFrom) -> Edit:
    """The edit itself, wherever it starts."""
    return edit.edit if isinstance(edit, EditFrom) else edit


def check_goes_on(edit: Edit | EditFrom) -> None:
    """`EditError` where an edit of all that is said has no meaning there: a mean over positions that are yet
    to come, or a value for each of a number of positions."""
    own = inner(edit)
    if own.address.positions is not None:
        return
    if own.op == "mean":
        raise EditError(
            f"The mean at {own.address} would change with each token that is said; give positions of the "
            "prompt, or set a mean that was measured before."
        )
    if isinstance(own.value, Tensor):
        sizes = [own.value.shape[axis] for axis in _ALONG[own.address.site] if own.value.ndim >= -axis]
        if any(size > 1 for size in sizes):
            raise EditError(
                f"The value of the {own.op} edit at {own.address} has shape {list(own.value.shape)}, one for "
                "each position, but what is said has positions of its own; give positions of the prompt, or "
                "one value for all."
            )


class StepTaps(Taps):
    """The taps of a pass of a group of rows, of positions `offset` and on of their texts, whose prompts have
    `n_prompt` tokens. Of what it reads, the positions from `new` on are kept."""

    def __init__(
        self,
        reads: Sequence[Address],
        placed: Sequence[Placed],
        *,
        n_rows: int,
        n_prompt: int,
        offset: int,
        new: int,
    ) -> None:
        super().__init__(reads, (), (n_prompt,) * n_rows)
        self.n_prompt, self.offset, self.new = n_prompt, offset, new
        self.placed: dict[Key, list[Placed]] = {}
        for one in placed:
            # what was done in the prompt is in what was kept of it, but for keys and values
            if one.start is not None or offset == 0 or one.key[0] in ("k", "v"):
                self.placed.setdefault(one.key, []).append(one)

    @property
    def wanted(self) -> set[Key]:
        return self.reads | self.placed.keys()

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        key = (site, layer)
        self._visited.add(key)
        along = 2 if site == "pattern" else 1  # the axis of the positions that were run
        offset = 0 if site in ("k", "v") else self.offset
        for placed in self.placed.get(key, ()):
            value = self._edited(value, placed, along, offset)
        if key in self.reads:
            known = self.new - offset
            self._read(key, value.narrow(along, known, value.shape[along] - known))
        return value

    def _edited(self, value: Tensor, placed: Placed, along: int, offset: int) -> Tensor:
        """A copy of an activation, from position `offset` on, with an edit carried out where it acts."""
        if placed.start is None:
            part = value.narrow(along, 0, self.n_prompt)
            part = part.narrow(3, 0, self.n_prompt) if along == 2 else part
        else:
            before = min(max(placed.start - offset, 0), value.shape[along])
            if before == value.shape[along]:
                return value
            part = value.narrow(along, before, value.shape[along] - before)
        edited = apply_edit(part, placed.edit, self.lengths)
        if part.shape == value.shape:
            return edited
        whole = value.clone()
        where = [slice(None)] * value.ndim
        if placed.start is None:
            where[along] = slice(self.n_prompt)
            where[3 if along == 2 else along] = slice(self.n_prompt)
        else:
            where[along] = slice(before, None)
        whole[tuple(where)] = edited
        return whole


def _of_rows(edit: Edit, rows: Sequence[int], n_rows: int) -> Edit | None:
    """The edit where only these rows of a batch run, with what its value has for each of them."""
    where, value = edit.address, edit.value
    if where.rows is None and len(rows) == n_rows:
        return edit
    named = list(where.rows if where.rows is not None else range(n_rows))
    held = [i for i, row in enumerate(named) if row in rows]
    if not held:
        return None
    if isinstance(value, Change):
        value = value.of_rows(held)
    elif isinstance(value, Tensor) and value.ndim == len(SITES[where.site].axes) and len(value) > 1:
        value = value[held]
    local = [rows.index(named[i]) for i in held]
    return replace(
        edit, value=value, address=Address(where.site, where.layer, where.positions, where.heads, local)
    )
