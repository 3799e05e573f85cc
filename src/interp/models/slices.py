"""A weight of which this process has a slice, as tensor parallelism cuts it (`interp.models.shards`)."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def is_slice(weight: Any) -> bool:
    """Whether a weight is cut over processes."""
    return hasattr(weight, "full_tensor")


def whole_weight(weight: Tensor) -> Tensor:
    """A weight, put together where it is cut; every process must ask for it."""
    return weight.full_tensor() if is_slice(weight) else weight  # type: ignore[attr-defined]


def own_slice(weight: Tensor) -> Tensor:
    """What this process has of a weight."""
    return weight.to_local() if is_slice(weight) else weight  # type: ignore[attr-defined]
