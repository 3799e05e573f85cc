"""Attention heads by name: ``5.1``, or ``a5.h1``, is head 1 of layer 5, both counted from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interp.errors import InputError
from interp.methods.common.names import Component, Head, Sizes, Vocabulary, check_exists, head_name, parse

HEADS = Vocabulary(called="head", kinds=("head",))


def find_heads(sizes: Sizes, wanted: Sequence[str | Sequence[int]] | None) -> tuple[Head, ...]:
    """The heads that are named, as texts such as ``"5.1"`` or as (layer, head); None means all of them.

    Raises `InputError` for what names no head of a model of these sizes, or one twice.
    """
    if wanted is None:
        return tuple((layer, head) for layer in range(sizes.n_layers) for head in range(sizes.n_heads))
    if isinstance(wanted, str):
        wanted = [wanted]
    heads = tuple(_find_head(sizes, one) for one in wanted)
    if not heads or len(set(heads)) != len(heads):
        raise InputError("Name at least one head, and each once; or leave them out to mean all.")
    return heads


def _find_head(sizes: Sizes, given: Any) -> Head:
    if isinstance(given, str):
        component = parse(given, HEADS)
        head = component.layer, component.index or 0
    else:
        head = _two_numbers(given)
    layer, index = head
    check_exists(
        Component(kind="head", layer=layer, index=index), sizes, called=f"head {head_name((layer, index))}"
    )
    return head


def _two_numbers(given: Any) -> Head:
    numbers = given if isinstance(given, Sequence) else ()
    if len(numbers) != 2 or not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
        raise InputError(f"{given!r} is no head; write it as '5.1' (layer 5, head 1) or as [5, 1].")
    layer, head = numbers
    return layer, head
