"""The cache of answers, bounded by their bytes."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Set
from typing import Any


class AnswerCache:
    """Answers by their keys. The least recently used are dropped while all together exceed `max_bytes`.

    The newest stays, whatever its size, so that what is on a page is not computed again at each click.
    """

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()  # the last used comes last

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any:
        """The answer to a key that is in the cache."""
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: Hashable, answer: object) -> None:
        size = size_in_bytes(answer)
        self.bytes -= self._entries.pop(key, (None, 0))[1]
        self._entries[key] = answer, size
        self.bytes += size
        while self.bytes > self.max_bytes and len(self._entries) > 1:
            self.bytes -= self._entries.popitem(last=False)[1][1]


def size_in_bytes(value: object) -> int:
    """About how many bytes a value takes with all that it holds: arrays, tensors, texts, containers, and the
    fields of dataclasses. What it holds twice counts once."""
    total, seen, remaining = 0, set(), [value]
    while remaining:
        part: Any = remaining.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        # the numbers of an array or tensor need not be in the object itself
        total += int(part.nbytes) if hasattr(part, "nbytes") else sys.getsizeof(part)
        if dataclasses.is_dataclass(part):
            remaining.extend(getattr(part, field.name) for field in dataclasses.fields(part))
        elif isinstance(part, Mapping):
            remaining.extend((*part.keys(), *part.values()))
        elif isinstance(part, list | tuple | Set):
            remaining.extend(part)
    return total
