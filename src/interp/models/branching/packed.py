"""The packed batch: the rows of all branches side by side, and what becomes of them inside a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from interp.models.branching.base_run import BaseRun
from interp.models.branching.branch import BETWEEN, Branch, within
from interp.models.editing import Key, apply_edit
from interp.models.hooked import Pass, mix


@dataclass
class Group:
    """Branches that carry the same positions, one after the other in the packed batch."""

    rows: tuple[int, ...]
    branches: list[Branch] = field(default_factory=list)
    #: Those of the rows that are read out, where the last layer is called for them alone.
    asking: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Rows of the packed batch."""
        return len(self.rows) * len(self.branches)


class KeysAndValues(Exception):
    """Thrown out of a layer that was called for its keys and values alone."""

    def __init__(self, k: Tensor, v: Tensor) -> None:
        super().__init__()
        self.k, self.v = k, v  # [1, kv_head, rows, d_head] each


class Packed(Pass):
    """The pass of all branches together: visits and attention, group by group."""

    def __init__(self, base: BaseRun, branches: Sequence[Branch]) -> None:
        self.base = base
        self.groups: list[Group] = []
        self.edited = {key for branch in branches for key in branch.edits}
        #: Whether to throw the keys and values of the layer that comes.
        self.leave = False
        #: Those of the last layer, where only the positions that are read out ask.
        self.kept: KeysAndValues | None = None

    @property
    def keys_inside(self) -> set[Key]:
        """The (site, layer) of edits that act inside a layer."""
        return {key for key in self.edited if key[0] not in BETWEEN}

    @property
    def positions(self) -> list[int]:
        """The position in the prompt of each row of the packed batch."""
        return [row for group in self.groups for _ in group.branches for row in group.rows]

    def blocks(self) -> Iterator[tuple[Group, Branch, slice]]:
        """Each branch and its rows in the packed batch."""
        start = 0
        for group in self.groups:
            for branch in group.branches:
                yield group, branch, slice(start, start + len(group.rows))
                start += len(group.rows)

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        """Carry out each branch's edits at a site on its rows of ``value`` [1, rows, ...]."""
        if (site, layer) not in self.edited:
            return value
        edited = None
        for group, branch, where in self.blocks():
            for edit in branch.edits.get((site, layer), ()):
                edited = value.clone() if edited is None else edited
                edited[:, where] = apply_edit(edited[:, where], within(edit, group.rows), (len(group.rows),))
        return value if edited is None else edited

    def attend(
        self, module: Any, eager: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """q [1, head, rows, d_head], k and v [1, kv_head, rows, d_head]: packed, as the layer made them."""
        layer, record = module.layer_idx, self.base.recording
        if self.kept is None:
            q, k, v = self.visit_qkv(layer, q, k, v)
        else:
            k, v = self.kept.k, self.kept.v
        if self.leave:
            raise KeysAndValues(k, v)
        whole = record.masks[layer]
        outputs, start, asked = [], 0, 0
        for group in self.groups:
            n, stop = len(group.branches), start + group.size
            queries = group.rows if self.kept is None else group.asking
            own_q = q[0, :, asked : asked + n * len(queries)].unflatten(1, (n, -1)).transpose(0, 1)
            own_k, own_v = (  # [branch, kv_head, row, d_head]; own_q is [branch, head, query, d_head]
                x[0, :, start:stop].unflatten(1, (n, -1)).transpose(0, 1) for x in (k, v)
            )
            free = ("pattern", layer) in self.edited  # a pattern may be set to look anywhere
            last = self.base.n_pos if free else group.rows[-1] + 1  # else no row looks beyond itself
            all_k = put(record.keys[layer][:, :, :last], own_k, group.rows)  # [branch, kv_head, pos, d_head]
            all_v = put(record.values[layer][:, :, :last], own_v, group.rows)
            own_mask = None if whole is None else whole[:, :, _slice(queries), :last]  # [1, 1, row, pos]
            z, pattern = eager(module, own_q, all_k, all_v, own_mask, **kwargs)
            edited = self._patterns(group, layer, pattern)
            if edited is not pattern:
                z = mix(edited, all_v)
            outputs.append(z.reshape(1, -1, *z.shape[2:]))  # [1, branch * query, head, d_head]
            start, asked = stop, asked + n * len(queries)
        return torch.cat(outputs, dim=1), q  # no layer that calls this reads the pattern

    def _patterns(self, group: Group, layer: int, pattern: Tensor) -> Tensor:
        """The group's patterns [branch, head, row, key] after its edits."""
        if ("pattern", layer) not in self.edited:
            return pattern
        if self.shards is None:
            return self._edited_patterns(group, layer, pattern)
        return self.shards.around(
            "pattern", pattern, 1, lambda whole: self._edited_patterns(group, layer, whole)
        )

    def _edited_patterns(self, group: Group, layer: int, pattern: Tensor) -> Tensor:
        edited = None
        for index, branch in enumerate(group.branches):
            for edit in branch.edits.get(("pattern", layer), ()):
                edited = pattern.clone() if edited is None else edited
                one = edited[index : index + 1]
                edited[index : index + 1] = apply_edit(one, within(edit, group.rows), (len(group.rows),))
        return pattern if edited is None else edited


def put(base: Tensor, own: Tensor, places: Sequence[int]) -> Tensor:
    """`base` [1, ..., pos, width] once a branch, with its `own` [branch, ..., row, width] at these places."""
    whole = base.expand(own.shape[0], *base.shape[1:]).clone()
    whole[..., _slice(places), :] = own
    return whole


def _slice(places: Sequence[int]) -> slice | list[int]:
    """The same places, as a slice where they follow each other: torch copies these without an index."""
    first, last = places[0], places[-1]
    return slice(first, last + 1) if last - first + 1 == len(places) else list(places)
