"""The way of a packed batch through the layers, from where its first branch joins to the readout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import gelu
from transformers.activations import NewGELUActivation

from interp.edits import Edit
from interp.models.branching.base_run import BaseRun
from interp.models.branching.branch import Branch, within
from interp.models.branching.packed import Group, KeysAndValues, Packed, put
from interp.models.editing import apply_edit
from interp.models.hooked import HookedModel
from interp.readout import Readout


def run_branches(base: BaseRun, branches: Sequence[Branch], readout: Readout) -> Tensor:
    """The last layer's output where each branch is read out, [branch, position, d_model]."""
    n_layers = base.model.arch.n_layers
    packed = Packed(base, branches)
    x = base.resid[0][:, :0]  # [1, 0 rows, d_model]
    read_alone = not any(branch.late for branch in branches)
    with base.model.borrowed(packed, packed.keys_inside, 1), _one_kernel_gelu(base.model):
        for layer in range(min(branch.joins for branch in branches), n_layers):
            x = _regroup(packed, x, layer, branches)
            if layer == n_layers - 1 and read_alone:
                x = _last_layer(packed, x, readout)
            else:
                x = base.call(layer, x, packed.positions)
        x = _regroup(packed, x, n_layers, branches)
    return _read_out(packed, x, branches, readout)


def _regroup(packed: Packed, x: Tensor, layer: int, branches: Sequence[Branch]) -> Tensor:
    """The packed batch for `layer`: every position that the branches so far carry from here on, and the rows
    of those that join; after the edits that act between the layers."""
    x = x.to(packed.base.resid[layer].device)  # of a model on several devices: once for each layer
    parts: dict[tuple[int, ...], list[Tensor]] = {}
    groups: dict[tuple[int, ...], Group] = {}
    for rows, members, own in (*_carried(packed, x, layer), *_joining(packed.base, layer, branches)):
        _edit_between(own, members, rows, layer)
        groups.setdefault(rows, Group(rows)).branches.extend(members)
        parts.setdefault(rows, []).append(own.reshape(1, -1, own.shape[-1]))
    packed.groups = list(groups.values())
    return torch.cat([block for rows in groups for block in parts[rows]], dim=1)


#: The positions that some branches carry, the branches, and their rows [branch, row, d_model].
_Block = tuple[tuple[int, ...], list[Branch], Tensor]


def _carried(packed: Packed, x: Tensor, layer: int) -> Iterator[_Block]:
    """What the groups so far bring to `layer`, given the output of the one before."""
    base, start = packed.base, 0
    for group in packed.groups:
        rows = group.rows if packed.kept else tuple(range(group.rows[0], base.n_pos))
        own = x[0, start : start + group.size].unflatten(0, (len(group.branches), -1))
        start += group.size
        if rows != group.rows:  # the others were the base run's until now
            own = put(base.resid[layer][:, rows[0] :], own, [row - rows[0] for row in group.rows])
        yield rows, group.branches, own


def _joining(base: BaseRun, layer: int, branches: Sequence[Branch]) -> Iterator[_Block]:
    """What the branches bring that join at `layer`."""
    for branch in branches:
        if branch.joins == layer:
            own = base.resid[layer][:, list(branch.rows)]  # a copy
            if layer == 0 and ("embed", None) in branch.edits:
                own = own + _shift_of_stream(branch.edits["embed", None], base)[:, list(branch.rows)]
            yield branch.rows, [branch], own


def _edit_between(own: Tensor, branches: Sequence[Branch], rows: tuple[int, ...], layer: int) -> None:
    """Carry out, in place, what the branches edit between `layer` and the one before it."""
    for index, branch in enumerate(branches):
        for key in (("resid_post", layer - 1), ("resid_pre", layer)):
            for edit in branch.edits.get(key, ()):
                edited = apply_edit(own[index : index + 1], within(edit, rows), (len(rows),))
                own[index : index + 1] = edited


def _shift_of_stream(edits: Sequence[Edit], base: BaseRun) -> Tensor:
    """What edits of the token embedding add to the first residual stream, [1, pos, d_model]."""
    before = after = base.taps.values["embed", None]
    for edit in edits:
        after = apply_edit(after, edit, (base.n_pos,))
    return after - before


def _last_layer(packed: Packed, x: Tensor, readout: Readout) -> Tensor:
    """The last layer at the positions of each branch that are read out; the others give keys and values."""
    base, rows, layer = packed.base, packed.positions, packed.base.model.arch.n_layers - 1
    packed.leave = True
    try:
        base.call(layer, x, rows)
    except KeysAndValues as thrown:
        packed.leave, packed.kept = False, thrown
    for group in packed.groups:
        group.asking = tuple(row for row in group.rows if row in readout.positions)
    places = [
        where.start + group.rows.index(row) for group, _, where in packed.blocks() for row in group.asking
    ]
    x = base.call(layer, x[:, places], [rows[place] for place in places])
    for group in packed.groups:
        group.rows = group.asking
    return x


def _read_out(packed: Packed, x: Tensor, branches: Sequence[Branch], readout: Readout) -> Tensor:
    """Where each branch is read out, [branch, position, d_model]: its own rows, or else the base run's."""
    found = packed.base.read(readout).expand(len(branches), -1, -1).clone()
    index = {branch.number: i for i, branch in enumerate(branches)}
    for group, branch, where in packed.blocks():
        for i, position in enumerate(readout.positions):
            if position in group.rows:
                found[index[branch.number], i] = x[0, where.start + group.rows.index(position)]
    return found


@contextmanager
def _one_kernel_gelu(model: HookedModel) -> Iterator[None]:
    """GPT-2's gelu_new by torch's kernel for the same function, for as long as the context lasts.

    transformers writes it out in eight steps, each of which goes through memory; with hundreds of rows they
    take a fifth of a sweep. The values are the same but for rounding.
    """
    gelus = (module for module in model.hf_model.modules() if type(module) is NewGELUActivation)
    written_out = [module for module in gelus if "forward" not in module.__dict__]  # else not that any more
    for module in written_out:
        module.forward = partial(gelu, approximate="tanh")
    try:
        yield
    finally:
        for module in written_out:
            del module.forward
