"""One pass of the next tokens of several groups of rows, whose texts are of several lengths.

Each group has read its prompts by itself. What was kept of the shorter texts then gets places on its left
that no token looks at, so that the last position of all rows is the same, and each group goes on with taps of
its own: it sees its rows without those places, as if it ran alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from interp.models.editing import Key, Taps
from interp.models.generating.taps import StepTaps

#: Axis of a site's activation that lies along what was kept, where one does: keys, of each row.
_KEPT = {"k": 1, "v": 1, "pattern": 3}


@dataclass(frozen=True, eq=False)
class Joined:
    """A group in a pass: how many rows it has, and how many places stand on the left of its texts."""

    n_rows: int
    pad: int
    taps: StepTaps


class JoinedTaps(Taps):
    """The taps of a pass of several groups, one below the other."""

    def __init__(self, parts: Sequence[Joined]) -> None:
        super().__init__((), (), ())
        self.parts = tuple(parts)

    @property
    def wanted(self) -> set[Key]:
        return {key for part in self.parts for key in part.taps.wanted}

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        first, whole = 0, value
        for part in self.parts:
            own = value.narrow(0, first, part.n_rows)
            if site in _KEPT:
                axis = _KEPT[site]
                own = own.narrow(axis, part.pad, own.shape[axis] - part.pad)
            seen = part.taps.visit(site, layer, own)
            if seen is not own:
                whole = whole.clone() if whole is value else whole
                into = whole.narrow(0, first, part.n_rows)
                if site in _KEPT:
                    into = into.narrow(axis, part.pad, into.shape[axis] - part.pad)
                into.copy_(seen)
            first += part.n_rows
        return whole


def bunches(lengths: Sequence[int], n_tokens: int) -> list[list[int]]:
    """Which of these rising lengths go on together, by their indices: those with which no text becomes twice
    as long as it will be.

    >>> bunches([4, 6, 9, 40, 41], 4)
    [[0, 1, 2], [3, 4]]
    """
    found: list[list[int]] = []
    for i, length in enumerate(lengths):
        if found and length + n_tokens <= 2 * (lengths[found[-1][0]] + n_tokens):
            found[-1].append(i)
        else:
            found.append([i])
    return found
