"""Edits carried out on tensors, and the taps through which every backend reads and edits.

A backend's own code is plumbing: it brings the activation of a site, in the site's usual shape, to
`Taps.visit` and puts back what that returns. What an edit means is written here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from interp.edits import Change, Edit
from interp.errors import EditError
from interp.sites import SITES, Address

Key = tuple[str, int | None]


class Taps:
    """What one forward pass shall read and edit, and what it has read so far."""

    def __init__(self, reads: Sequence[Address], edits: Sequence[Edit], lengths: tuple[int, ...]) -> None:
        self.lengths = lengths
        self.reads = {(address.site, address.layer) for address in reads}
        self.edits: dict[Key, list[Edit]] = {}
        for edit in edits:
            self.edits.setdefault((edit.address.site, edit.address.layer), []).append(edit)
        self.values: dict[Key, Tensor] = {}
        self._visited: set[Key] = set()

    @property
    def wanted(self) -> set[Key]:
        """Every (site, layer) that must be visited."""
        return self.reads | self.edits.keys()

    @property
    def keys(self) -> list[Key]:
        """All that are wanted, in the order in which a forward pass reaches them."""
        order = list(SITES)
        return sorted(self.wanted, key=lambda key: (key[1] or 0, order.index(key[0])))

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        """Edit and record the activation `value`, in the usual shape of `site`.

        Returns `value` itself where nothing was edited, so that a backend knows to leave it alone.
        """
        key = (site, layer)
        self._visited.add(key)
        for edit in self.edits.get(key, ()):
            value = apply_edit(value, edit, self.lengths)
        return self._read(key, value) if key in self.reads else value

    def take(self, values: Mapping[Key, Tensor]) -> None:
        """Take in what a pass elsewhere has read, every edit carried out there."""
        self.values.update(values)
        self._visited |= self.wanted

    def _read(self, key: Key, value: Tensor) -> Tensor:
        """Keep the activation of a site that was asked for; the value that goes on."""
        self.values[key] = value.detach().clone()  # Falcon adds to its MLP's output in place
        return value

    @property
    def all_visited(self) -> bool:
        """Whether every site that it reads or edits has been reached."""
        return self._visited >= self.wanted

    def check_all_visited(self) -> None:
        """No silent miss: raise `EditError` where the pass never reached a site that it should have."""
        missed = [str(Address(*key)) for key in self.keys if key not in self._visited]
        if missed:
            raise EditError(
                f"The forward pass never reached {', '.join(missed)}; nothing was read or edited there."
            )


class GradientTaps(Taps):
    """Taps whose values stay part of the computation, so that gradients can be taken with respect to them."""

    def _read(self, key: Key, value: Tensor) -> Tensor:
        """What is kept is the very tensor that goes on."""
        self.values[key] = value.clone() if value.requires_grad else value.detach().clone().requires_grad_()
        return self.values[key]


def check_value(edit: Edit, dtype: torch.dtype) -> None:
    """Refuse what no activation can take, before anything runs: NaN, infinity, a direction of length 0."""
    if edit.value is None or isinstance(edit.value, Change):
        return
    operand = torch.as_tensor(edit.value, dtype=dtype)
    if not torch.isfinite(operand).all():
        raise EditError(f"The value of the {edit.op} edit at {edit.address} holds NaN or infinity.")
    if edit.op == "project_out" and operand.ndim and (operand.norm(dim=-1) == 0).any():
        raise EditError(f"The direction to project out at {edit.address} is zero; give one of any length.")


def apply_edit(value: Tensor, edit: Edit, lengths: Sequence[int]) -> Tensor:
    """A copy of `value` with `edit` carried out at the rows, positions and heads that it names.

    `value` has the site's usual shape, [batch, pos, (head,) width] or [batch, head, query, key];
    `lengths` [batch] are those of the prompts, from which negative positions count.
    """
    if edit.address.site == "pattern":
        swapped = value.transpose(1, 2)  # [batch, query, head, key]
        return _apply(swapped, edit, lengths).transpose(1, 2)
    return _apply(value, edit, lengths)


def chosen_block(edit: Edit, shape: Sequence[int], lengths: Sequence[int]) -> tuple[slice | Tensor, ...]:
    """The indices of what `edit` changes in an activation of a shape, in a site's own order. `EditError`
    where it names a place twice, or its value does not broadcast to the block."""
    like = torch.empty(()).expand(*shape)  # a shape without numbers
    where = edit.address
    rows = list(where.rows if where.rows is not None else range(shape[0]))
    index = _even(where, lengths) or _uneven(where, like, rows, lengths, edit)
    if edit.value is not None and not isinstance(edit.value, Change):
        _check_broadcasts(torch.as_tensor(edit.value), like[index], edit)
    return index


def _apply(value: Tensor, edit: Edit, lengths: Sequence[int]) -> Tensor:
    where = edit.address
    rows = list(where.rows if where.rows is not None else range(value.shape[0]))
    # block: [row, pos, (head,) width], of the tensor's own memory where it lies evenly in it
    index = _even(where, lengths) or _uneven(where, value, rows, lengths, edit)
    block, edited = value[index], value.clone()
    if where.site == "pattern":  # values are in the site's own order: [row, head, query, key]
        edited[index] = _new_block(block.transpose(1, 2), value, edit, rows, lengths).transpose(1, 2)
    else:
        edited[index] = _new_block(block, value, edit, rows, lengths)
    return edited


def _even(where: Address, lengths: Sequence[int]) -> tuple[slice, ...] | None:
    """Rows, positions and heads as slices, where each is all or one of them; None elsewhere. They are quicker
    than lists of indices."""
    chosen = []
    for given in (where.rows, where.positions, where.heads):
        if given is None:
            chosen.append(slice(None))
        elif len(given) == 1 and given[0] >= 0:
            chosen.append(slice(given[0], given[0] + 1))
        else:
            return None
    return tuple(chosen) if where.heads is not None else tuple(chosen[:2])


def _uneven(
    where: Address, value: Tensor, rows: Sequence[int], lengths: Sequence[int], edit: Edit
) -> tuple[Tensor, ...]:
    """Indices [row, pos] or [row, pos, head] of any selection."""
    device = value.device
    row = torch.tensor(rows, device=device)
    if where.positions is None:
        positions = torch.arange(value.shape[1], device=device).expand(len(rows), -1)
    else:
        places = [[p if p >= 0 else lengths[r] + p for p in where.positions] for r in rows]
        _check_once(places, "position", edit)
        positions = torch.tensor(places, device=device)
    if value.ndim != 4:
        return row[:, None], positions
    heads = list(range(value.shape[2]))
    if where.heads is not None:
        heads = [heads[head] for head in where.heads]
        _check_once([heads], "head", edit)
    return row[:, None, None], positions[:, :, None], torch.tensor(heads, device=device)[None, None, :]


def _new_block(block: Tensor, whole: Tensor, edit: Edit, rows: list[int], lengths: Sequence[int]) -> Tensor:
    """What replaces `block`, the selected part of the activation `whole`."""
    if edit.op == "zero":
        return torch.zeros_like(block)
    if edit.op == "mean":
        means = torch.stack([whole[row, : lengths[row]].mean(0) for row in rows])[:, None]  # [row, 1, ...]
        if edit.address.heads is not None:
            means = means[:, :, list(edit.address.heads)]
        return means.expand_as(block)
    if isinstance(edit.value, Change):
        return edit.value(block)
    operand = torch.as_tensor(edit.value, dtype=block.dtype, device=block.device)
    _check_broadcasts(operand, block, edit)
    if edit.op == "set":
        return operand.expand_as(block)
    if edit.op == "add":
        return block + operand
    if edit.op == "scale":
        return block * operand
    unit = operand / operand.norm(dim=-1, keepdim=True)  # project_out
    return block - (block * unit).sum(-1, keepdim=True) * unit


def _check_once(indices: Sequence[Sequence[int]], kind: str, edit: Edit) -> None:
    """Refuse a negative and a positive index that name the same place, in a prompt of this length."""
    for row in indices:
        if len(set(row)) != len(row):
            raise EditError(
                f"The {kind}s of {edit.address} name the same one twice ({list(row)}); give each once."
            )


def _check_broadcasts(operand: Tensor, block: Tensor, edit: Edit) -> None:
    try:
        fits = torch.broadcast_shapes(operand.shape, block.shape) == block.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise EditError(
            f"The value of the {edit.op} edit at {edit.address} has shape {list(operand.shape)}, "
            f"which does not broadcast to the selected block {list(block.shape)}."
        )
    if edit.op == "project_out" and (operand.ndim == 0 or operand.shape[-1] != block.shape[-1]):
        raise EditError(
            f"The direction to project out at {edit.address} must be a vector of width "
            f"{block.shape[-1]}, not of shape {list(operand.shape)}."
        )
