"""Which runs a sweep is made of: every combination of the values of some keys of a configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from interp.errors import ConfigError
from interp.experiments.base import LOADING, Experiment, ExperimentConfig, overridden

MOST = 10_000  # runs of a sweep


@dataclass(frozen=True)
class Cell:
    """One run: the value of each swept key, and the whole configuration."""

    values: Mapping[str, Any]
    config: ExperimentConfig

    @property
    def tag(self) -> str:
        """What the run is called: its values, in the order of the keys."""
        return "-".join(_slug(value) for value in self.values.values())

    @property
    def label(self) -> str:
        return ", ".join(f"{key} {shown(value)}" for key, value in self.values.items())


def cells(experiment: Experiment, base: Mapping[str, Any], over: Mapping[str, Any]) -> list[Cell]:
    """Every combination, those on one model beside each other; all checked.

    A key of `over` may name a part of a mapping by a point, as ``options.order``. Raises `ConfigError` for
    keys without a list of values, values that are there twice, and what the experiment does not take.
    """
    if not over:
        raise ConfigError("A sweep needs lists of values: --over 'seed=[0, 1, 2]', or 'over:' in its file.")
    for key, values in over.items():
        if not isinstance(values, list | tuple) or not values:
            raise ConfigError(
                f"The values of {key!r} to sweep over are a list, such as [0, 1], not {values!r}."
            )
        if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
            raise ConfigError(f"A value of {key!r} is there twice; a sweep runs each once.")
    keys = sorted(over, key=lambda key: key not in LOADING)  # what is loaded changes least often
    found: list[Cell] = []
    for combination in product(*(over[key] for key in keys)):
        values = dict(zip(keys, combination, strict=True))
        if len(found) >= MOST:
            raise ConfigError(f"This sweep has more than {MOST} runs; take fewer values.")
        found.append(Cell({key: values[key] for key in over}, experiment.make_config(_set(base, values))))
    tags = [cell.tag for cell in found]
    if len(set(tags)) < len(tags):
        raise ConfigError("Two runs of this sweep would have one name; give values that differ in letters.")
    return found


def _set(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    whole = {key: value for key, value in values.items() if "." not in key}
    config = overridden(dict(base), whole)
    for key, value in values.items():
        if "." in key:
            outer, inner = key.split(".", 1)
            mapping = config.get(outer, {})
            if not isinstance(mapping, Mapping):
                raise ConfigError(f"{outer!r} is no mapping, so {key!r} cannot be swept over.")
            config[outer] = {**mapping, inner: value}
    return config


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _slug(value: Any) -> str:
    text = re.sub(r"[^A-Za-z0-9._+-]+", "_", shown(value).rstrip("/").rsplit("/", 1)[-1]).strip("_.-")
    return text[:40] or "none"


def measures_of(data: Mapping[str, Any], *, named: Sequence[str] = ()) -> dict[str, float]:
    """The numbers of a result, as it is written (`interp.results`), by their path: ``clean_value``,
    ``recovery.mean``. Of an array there is its ``peak``: the entry that is farthest from 0.

    Of an interval only the number itself counts; what counts things (whole numbers) and provenance are left
    out. `named`: these alone. Raises `ConfigError` for names that are not there.
    """
    found: dict[str, float] = {}
    _collect(data, "", found)
    for name in named:
        if name not in found:
            raise ConfigError(f"The result has no number {name!r}; it has {', '.join(sorted(found))}.")
    return {name: found[name] for name in named} if named else found


_LEFT_OUT = {"kind", "provenance", "low", "high", "error", "each", "clusters"}


def _collect(value: Any, path: str, found: dict[str, float]) -> None:
    if isinstance(value, bool | str | int) or value is None:
        return
    if isinstance(value, float):
        found[path] = value
    elif isinstance(value, Mapping) and {"dtype", "shape", "values"} <= value.keys():
        numbers = [x for x in _flat(value["values"]) if isinstance(x, float)]
        numbers = [x for x in numbers if x == x]
        if numbers:
            found[path if not value["shape"] else f"{path}.peak"] = max(numbers, key=abs)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if key not in _LEFT_OUT:
                name = path if key in ("mean", "value") and path else f"{path}.{key}".lstrip(".")
                _collect(part, name, found)


def _flat(values: Any) -> list[Any]:
    return [x for one in values for x in _flat(one)] if isinstance(values, list) else [values]
