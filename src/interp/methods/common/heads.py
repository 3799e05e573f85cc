"""Attention heads by name: ``5.1``, or ``a5.h1``, is head 1 of layer 5, both counted from 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from interp.errors import InputError
from interp.models.architecture import Architecture

Head = tuple[int, int]  # layer, head
_HEAD = re.compile(r"(\d+)\.(\d+)|a(\d+)\.h(\d+)")


def find_heads(arch: Architecture, wanted: Sequence[str | Sequence[int]] | None) -> tuple[Head, ...]:
    """The heads that are named, as texts such as ``"5.1"`` or as (layer, head); None means all of them.

    Raises `InputError` for what names no head of the model, or one twice.
    """
    if wanted is None:
        return tuple((layer, head) for layer in range(arch.n_layers) for head in range(arch.n_heads))
    if isinstance(wanted, str):
        wanted = [wanted]
    heads = tuple(_find_head(arch, one) for one in wanted)
    if not heads or len(set(heads)) != len(heads):
        raise InputError("Name at least one head, and each once; or leave them out to mean all.")
    return heads


def _find_head(arch: Architecture, given: Any) -> Head:
    numbers: list[int] = []
    if isinstance(given, str) and (match := _HEAD.fullmatch(given.strip())):
        numbers = [int(number) for number in match.groups() if number is not None]
    elif isinstance(given, Sequence) and not isinstance(given, str):
        numbers = [one for one in given if isinstance(one, int) and not isinstance(one, bool)]
    if len(numbers) != 2 or (not isinstance(given, str) and len(given) != 2):
        raise InputError(f"{given!r} is no head; write it as '5.1' (layer 5, head 1) or as [5, 1].")
    layer, head = numbers
    if not (0 <= layer < arch.n_layers and 0 <= head < arch.n_heads):
        raise InputError(
            f"There is no head {layer}.{head}; this model has {arch.n_layers} layers of {arch.n_heads} "
            "heads, both counted from 0."
        )
    return layer, head


def head_name(head: Head) -> str:
    """``5.1`` for layer 5, head 1."""
    return f"{head[0]}.{head[1]}"
