"""Typed results: frozen, full of numbers and labels, equal after the way to JSON and back.

A result holds no figure and no path, but may hold other results and smaller values: an `Estimate` is a mean
with its interval and the values of which it is the mean, an `Interval` any other number with its interval,
`Pairs` are the prompts that something was measured on. A figure is drawn from a result, also much later and
without a model.

What a stored value may hold, in fields and tuples: arrays, stored values, text, numbers, booleans, None,
tuples of such, and mappings from text to such.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float

from interp.errors import NonFiniteError, RunError, first_line, nearest
from interp.provenance import Provenance
from interp.showing import drawing

_KINDS: dict[str, type[Stored]] = {}
_ARRAY = {"dtype", "shape", "values"}  # the keys of an array, as written


class Stored:
    """Base of what is written to JSON and read back equal: frozen dataclasses, each of its own `kind`."""

    kind: ClassVar[str]
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset()  # fields in which NaN means that there is no number

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            _KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.name not in self.MAY_BE_NAN and not _is_finite(getattr(self, field.name)):
                raise NonFiniteError(
                    f"The result's {field.name} holds NaN or infinity; check the model's weights."
                )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; numbers, dtypes and shapes survive exactly."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {"kind": self.kind, **{field.name: encoded(getattr(self, field.name)) for field in fields}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The value that `to_dict` wrote."""
        return cls(**{name: decoded(value) for name, value in data.items() if name != "kind"})

    def equals(self, other: object) -> bool:
        """Whether `other` is of the same kind and holds the same, to the last bit, dtypes and shapes too."""
        return isinstance(other, Stored) and json.dumps(self.to_dict()) == json.dumps(other.to_dict())


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate(Stored):
    """A mean over prompts, with its interval, and what it is the mean of.

    Made by `interp.methods.common.statistics.estimate`. Of a single prompt, or prompts of one cluster, there
    is no interval: both ends are NaN. (In runs stored before, both are the value itself.)
    """

    kind: ClassVar[str] = "estimate"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"low", "high", "error"})
    mean: Float[np.ndarray, "*cell"]
    low: Float[np.ndarray, "*cell"]  # the 95 % interval over prompts
    high: Float[np.ndarray, "*cell"]
    each: Float[np.ndarray, " prompt *cell"]
    error: Float[np.ndarray, "*cell"] | None = None  # the standard error; None: stored before it was kept
    clusters: int = 0  # of prompts, as many as there are prompts where each is its own; 0: not kept

    def __getitem__(self, cell: Any) -> Estimate:
        """The estimate of one cell, or of a part of them."""
        cells = cell if isinstance(cell, tuple) else (cell,)
        part = self.interval[cells]
        return Estimate(
            mean=part.value,
            low=part.low,
            high=part.high,
            each=self.each[(slice(None), *cells)],
            error=part.error,
            clusters=part.clusters,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the cells, as of `mean`."""
        return self.mean.shape

    @property
    def interval(self) -> Interval:
        """The mean and its interval, without what it is the mean of."""
        return Interval(
            value=self.mean, low=self.low, high=self.high, error=self.error, clusters=self.clusters
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Interval(Stored):
    """A number with its 95 % interval over prompts, where the values of single prompts do not make it (a
    ratio of means) or were not kept; else it is an `Estimate`."""

    kind: ClassVar[str] = "interval"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"low", "high", "error"})
    value: Float[np.ndarray, "*cell"]
    low: Float[np.ndarray, "*cell"]
    high: Float[np.ndarray, "*cell"]
    error: Float[np.ndarray, "*cell"] | None = None  # as of an `Estimate`
    clusters: int = 0

    def __getitem__(self, cell: Any) -> Interval:
        """The interval of one cell, or of a part of them."""
        parts = {name: getattr(self, name) for name in ("value", "low", "high", "error")}
        chosen = {name: None if part is None else np.asarray(part[cell]) for name, part in parts.items()}
        return Interval(**chosen, clusters=self.clusters)  # type: ignore[arg-type]

    def times(self, factor: float) -> Interval:
        """All of it times a number; a negative one exchanges the ends."""
        ends = (self.low, self.high) if factor >= 0 else (self.high, self.low)
        error = None if self.error is None else np.asarray(self.error * abs(factor))
        low, high = (np.asarray(end * factor) for end in ends)
        value = np.asarray(self.value * factor)
        return Interval(value=value, low=low, high=high, error=error, clusters=self.clusters)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the cells, as of `value`."""
        return self.value.shape


@dataclass(frozen=True)
class Dropped(Stored):
    """Something that did not get into a dataset, and why."""

    kind: ClassVar[str] = "dropped"
    what: str
    why: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs(Stored):
    """The pairs that a result was measured on, as text of their tokens."""

    kind: ClassVar[str] = "pairs"
    task: str | None  # None: the pairs were given one by one
    prompts: tuple[str, ...]  # the clean ones
    corrupted: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...] | None
    dropped: tuple[Dropped, ...] = ()  # of the dataset
    #: Whether an answer or foil has several tokens, so that their log-probabilities stand for their logits.
    several_tokens: bool = False
    said: tuple[str, ...] = ()  # the model's own likeliest token after each clean prompt; empty: not kept
    clustered_by: str = ""  # what pairs that are drawn together share: template | answer; empty: nothing

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True, eq=False, kw_only=True)
class Result(Stored):
    """Base of all results. A subclass sets `kind`, by which it is found again when read from disk.

    Printed, it is three lines; a notebook shows it as its report does. `shown_by` names the module that
    presents it, where that is not the one in `interp.figures.views` that is named as its kind.
    """

    shown_by: ClassVar[str] = ""
    provenance: Provenance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__repr__" not in vars(cls):  # else a dataclass would make its own, with all its numbers
            cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return drawing().text(self)

    def _repr_html_(self) -> str:
        return drawing().html(self)

    def figure(self) -> Any:
        """Its figure, a `matplotlib.figure.Figure`: ``result.figure().savefig("figure.png")``."""
        return drawing().figure(self)

    def table(self) -> Any:
        """Its table, as a terminal shows it; ``str(result.table())`` is plain text."""
        return drawing().table(self)

    def to_frame(self, block: str = "") -> Any:
        """The numbers of one block of its view as a `pandas.DataFrame`: by default of its first grid, of
        which each cell is a row, else of its first chart or table. `InputError` where it has no block of that
        name, and where pandas is not installed."""
        return drawing().frame(self, block)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Keep it as a run (``result.json``, figure, report), which `interp show` and the app show, without a
        configuration, as a result knows of none. Returns the folder. `RunError` where that is taken, unless
        `force` replaces a run, and where no experiment gives results of this kind."""
        return import_module("interp.runs").save(self, Path(folder), force=force)


def kind_of(name: str) -> type[Stored]:
    """The class of a kind of stored value; `KeyError` where there is none."""
    return _KINDS[name]


def read_result(data: Mapping[str, Any]) -> Result:
    """The typed result of a dictionary that `Result.to_dict` wrote; `RunError` where it is none."""
    kind = str(data.get("kind", ""))
    found = _KINDS.get(kind)
    if found is None or not issubclass(found, Result):
        results = [name for name, cls in _KINDS.items() if issubclass(cls, Result)]
        raise RunError(f"Unknown kind of result {kind!r}; {nearest(kind, results)}")
    try:
        return found.from_dict(data)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise RunError(
            f"This {kind} result is damaged or of another version ({first_line(error)}); run it again."
        ) from None


def _is_finite(value: Any) -> bool:
    """False where an array, a number or a tuple of them holds NaN or infinity."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


# ---- JSON values ----


def encoded(value: Any) -> Any:
    """A value as JSON. `TypeError` for what a stored value does not hold."""
    if isinstance(value, np.ndarray):
        hollow = value.dtype.kind == "f" and np.isnan(value).any()
        values = np.where(np.isnan(value), np.array(None), value) if hollow else value  # JSON has no NaN
        return {"dtype": str(value.dtype), "shape": list(value.shape), "values": values.tolist()}
    if isinstance(value, Stored):
        return value.to_dict()
    if isinstance(value, Provenance):
        return {"kind": "provenance", **value.to_dict()}
    if isinstance(value, tuple):
        return [encoded(item) for item in value]
    if isinstance(value, Mapping):
        if "kind" in value or value.keys() == _ARRAY or not all(isinstance(key, str) for key in value):
            raise TypeError(f"This mapping could not be told from a stored value: {dict(value)}.")
        return {key: encoded(item) for key, item in value.items()}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"A result does not hold a {type(value).__name__}; make it a tuple, an array or a value.")


def decoded(value: Any) -> Any:
    """The value that `encoded` wrote."""
    if isinstance(value, list):
        return tuple(decoded(item) for item in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == _ARRAY:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "biuf":  # a text of a given width can ask for any amount of memory
            raise ValueError(f"an array of {dtype} holds no numbers")
        return np.array(value["values"], dtype=dtype).reshape(value["shape"])
    if "kind" not in value:
        return {key: decoded(item) for key, item in value.items()}
    if value["kind"] == "provenance":
        return Provenance(**{name: item for name, item in value.items() if name != "kind"})
    if value["kind"] not in _KINDS:
        raise ValueError(f"unknown kind {value['kind']!r}")
    return _KINDS[value["kind"]].from_dict(value)
