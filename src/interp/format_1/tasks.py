"""What changed in the results of tasks since the first format."""

from __future__ import annotations

from collections.abc import Callable

from interp.format_1 import Fields, pairs


def _inspection(values: Fields) -> Fields:
    """The pairs stood in fields beside each other."""
    inspected = pairs(values, prompts="clean", corrupted="corrupted")
    return {**values, "pairs": inspected}


CHANGES: dict[str, Callable[[Fields], Fields]] = {"inspection": _inspection}
