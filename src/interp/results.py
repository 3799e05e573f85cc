"""Typed results: frozen, full of numbers and labels, exact on the way to JSON and back.

A result holds no figure and no path, but may hold other results. A figure is drawn from it, also much later
and without a model.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from interp.errors import NonFiniteError, RunError, nearest
from interp.provenance import Provenance

_KINDS: dict[str, type[Result]] = {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Base of all results. A subclass sets `kind`, by which it is found again when read from disk."""

    kind: ClassVar[str]
    provenance: Provenance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                raise NonFiniteError(
                    f"The result's {f.name} holds NaN or infinity; check the model's weights."
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts; floats survive JSON exactly."""
        fields = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"kind": self.kind, **fields}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The result that `to_dict` wrote."""
        values = {k: v for k, v in data.items() if k != "kind"}
        for f in dataclasses.fields(cls):
            if f.name == "provenance":
                values[f.name] = Provenance(**values[f.name])
            elif isinstance(values[f.name], dict) and "kind" in values[f.name]:
                values[f.name] = read_result(values[f.name])
            elif "ndarray" in str(f.type):
                values[f.name] = None if values[f.name] is None else np.asarray(values[f.name])
            elif str(f.type).startswith("tuple"):
                values[f.name] = _tuples(values[f.name])
        return cls(**values)


def read_result(data: dict[str, Any]) -> Result:
    """The typed result of a dictionary that `Result.to_dict` wrote; `RunError` where it is none."""
    kind = data.get("kind", "")
    if kind not in _KINDS:
        raise RunError(f"Unknown kind of result {kind!r}; {nearest(kind, _KINDS)}")
    try:
        return _KINDS[kind].from_dict(data)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"This {kind} result is damaged or of another version ({error}); run it again."
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Provenance | Result):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
