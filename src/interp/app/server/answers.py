"""Answers that are kept, as long as there is room for their bytes."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Set
from typing import Any


class Answers:
    """Answers by what was asked; the ones longest unused leave when all together exceed `limit` bytes.

    The last one stays, whatever its size: what is on a page is not computed again at each click.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Any:
        """An answer that is there; it is the one last used from now on."""
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Hashable, answer: object) -> None:
        size = n_bytes(answer)
        self.bytes -= self._kept.pop(key, (None, 0))[1]
        self._kept[key] = answer, size
        self.bytes += size
        while self.bytes > self.limit and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1][1]


def n_bytes(value: object) -> int:
    """About how many bytes a value takes, with all that it holds: arrays, tensors, texts, containers, fields
    of dataclasses."""
    total, seen, left = 0, set(), [value]
    while left:
        one: Any = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        # the numbers of an array or tensor need not be in the object itself
        total += int(one.nbytes) if hasattr(one, "nbytes") else sys.getsizeof(one)
        if dataclasses.is_dataclass(one):
            left.extend(getattr(one, field.name) for field in dataclasses.fields(one))
        elif isinstance(one, Mapping):
            left.extend((*one.keys(), *one.values()))
        elif isinstance(one, list | tuple | Set):
            left.extend(one)
    return total
