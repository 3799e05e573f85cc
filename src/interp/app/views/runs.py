"""The page Runs without its widgets: the run folders that are there, one of them opened, and two compared."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.configs import read_config
from interp.errors import ConfigError, RunError, first_line, nearest
from interp.figures.engine.notation import count, measured, shorten, show_text
from interp.figures.engine.view import Table

if TYPE_CHECKING:
    from interp.results import Result
    from interp.runs import Run

#: The environment's word for the folder of runs.
OUTPUTS = "INTERP_OUTPUTS"
_CHARS, _ITEMS = 60, 8  # of a text and of a list in a table
_AS_CONFIGURED = ("model", "backend", "dtype", "processing", "seed")


@dataclass(frozen=True)
class Entry:
    """A run folder: what its place and its configuration say. `finished` is 0 where it has no result."""

    experiment: str
    tag: str
    model: str
    finished: float  # seconds since 1970, of its result

    @property
    def name(self) -> str:
        """``logit_lens/demo-gpt2-demo``, as `interp show` takes it."""
        return f"{self.experiment}/{self.tag}"

    @property
    def when(self) -> str:
        """The moment in local time; that it is unfinished where it has no result."""
        if not self.finished:
            return "no result"
        return f"{datetime.fromtimestamp(self.finished):%Y-%m-%d %H:%M}"


def outputs() -> Path:
    """The folder of runs that the server was given; else that of the command line, where the server runs."""
    return Path(os.environ.get(OUTPUTS, "outputs"))


def find_runs(out: Path) -> list[Entry]:
    """The runs under `out`, newest first; at the end the folders without a result.

    Hidden folders are runs at work or stopped, and links are not followed, so that nothing outside is listed.
    """
    folders = (tag for experiment in _folders(out) for tag in _folders(experiment))
    return sorted(map(_entry, folders), key=lambda entry: (-entry.finished, entry.name))


def _folders(path: Path) -> list[Path]:
    try:
        return [one for one in path.iterdir() if one.is_dir() and not one.is_symlink() and one.name[0] != "."]
    except OSError:  # not there, or not to be read
        return []


def _entry(folder: Path) -> Entry:
    config = folder / "config.yaml"
    model = _model(config, _changed(config))
    return Entry(folder.parent.name, folder.name, model, _changed(folder / "result.json"))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(maxsize=10_000)
def _model(config: Path, changed: float) -> str:
    """The model that a configuration names, read again where the file has `changed`; "" where it is none."""
    try:
        return str(read_config(config).get("model", ""))
    except ConfigError:
        return ""


def select(entries: list[Entry], *, experiment: str = "", model: str = "") -> list[Entry]:
    """The runs of an experiment and of a model; all where one is not given."""
    return [e for e in entries if experiment in ("", e.experiment) and model in ("", e.model)]


def open_run(out: Path, entries: list[Entry], name: str) -> Run:
    """The run of this name. `RunError` where it is none of `entries`, whatever path it may spell, and where
    it is unfinished or damaged."""
    from interp.runs import read_run

    names = [entry.name for entry in entries]
    if name not in names:
        raise RunError(f"There is no run {name!r} in {str(out)!r}; {nearest(name, names)}")
    return read_run(out / name)


def report(run: Run) -> str:
    """The run's report, drawn from its result, so that it shows nothing else, whatever stands in the folder.
    `RunError` where the result cannot be drawn."""
    from interp.runs import report_page

    try:
        return report_page(run.experiment, run.config, run.result)
    except Exception as error:  # a result that was changed by hand can be wrong in any way
        raise RunError(
            f"The result in {str(run.path)!r} is damaged and cannot be drawn ({first_line(error)}); run it "
            "again."
        ) from None


def files(run: Run) -> list[Path]:
    """The files of a run that may be taken along; links are left out."""
    return [path for path in run.files if path.is_file() and not path.is_symlink()]


def figure(run: Run) -> Path | None:
    """The run's picture; None where it is not there."""
    name = f"{run.experiment.name}.png"
    return next((path for path in files(run) if path.name == name), None)


def provenance_table(run: Run) -> Table:
    """Where the numbers came from."""
    flat = _flat(run.result.provenance.to_dict())
    rows = tuple((key, _written(value)) for key, value in flat.items())
    return Table(("", "value"), rows, title="Where these numbers come from")


def config_table(run: Run) -> Table:
    """What was asked for."""
    rows = tuple((key, _written(value)) for key, value in run.config.items())
    return Table(("key", "value"), rows, title="Configuration")


# ---- two runs ----


def config_differences(first: Run, second: Run) -> Table:
    """The keys of the configurations that differ, side by side, and what differs of the provenance."""
    sides = [{"experiment": run.experiment.name, **run.config, **_made_with(run)} for run in (first, second)]
    rows = tuple(
        (key, *(_written(side[key]) if key in side else "not there" for side in sides))
        for key in dict.fromkeys((*sides[0], *sides[1]))
        if key not in sides[0] or key not in sides[1] or sides[0][key] != sides[1][key]
    )
    return Table(("key", "first", "second"), rows, title="What differs in the configuration and provenance")


def _made_with(run: Run) -> dict[str, Any]:
    """The provenance, but for what is always as the configuration says."""
    flat = _flat(run.result.provenance.to_dict()).items()
    return {f"made with: {key}": value for key, value in flat if key not in _AS_CONFIGURED}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings with joined keys, as in ``versions: torch``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = _flat(value).items() if isinstance(value, Mapping) else ()
        flat |= {f"{key}: {inner}": one for inner, one in nested} if nested else {key: value}
    return flat


def result_differences(first: Result, second: Result) -> Table:
    """Field by field: numbers with their difference, arrays with the largest absolute difference of an entry
    and where it is, texts where they differ. `RunError` for results of different kinds."""
    if first.kind != second.kind:
        raise RunError(
            f"One is a result of {first.kind} and the other of {second.kind}, so that their numbers cannot "
            "be compared; choose two runs of one experiment."
        )
    rows = [row for name, a, b in _fields(first, second) if (row := _difference(name, a, b)) is not None]
    rows.sort(key=lambda row: row[-1] == _SAME)  # what differs comes first
    strong = tuple(i for i, row in enumerate(rows) if row[-1] != _SAME)
    return Table(("result", "first", "second", "difference"), tuple(rows), title="The results", strong=strong)


def verdict(table: Table) -> str:
    """How many of the compared results differ, in a sentence."""
    if not table.strong:
        return "The two results are the same, to the last digit."
    return f"{len(table.strong)} of {count(len(table.rows), 'result')} differ; those stand first."


_SAME = "the same"


def _fields(first: Result, second: Result) -> Iterator[tuple[str, Any, Any]]:
    for field in dataclasses.fields(first):
        if field.name != "provenance":
            yield field.name, getattr(first, field.name), getattr(second, field.name)


def _difference(name: str, a: Any, b: Any) -> tuple[str, str, str, str] | None:
    """A row of the table; None for what neither run has."""
    if a is None and b is None:
        return None
    left, right = _numbers(a), _numbers(b)
    if left is not None and right is not None:
        return name, _described(left), _described(right), _distance(left, right)
    return name, _written(a), _written(b), _SAME if a == b else "differs"


def _numbers(value: Any) -> np.ndarray | None:
    """A number or an array of numbers as an array; None for anything else."""
    if isinstance(value, bool | str | None):
        return None
    array = np.asarray(value) if isinstance(value, int | float | np.ndarray | np.number) else None
    return array if array is not None and array.dtype.kind in "iuf" else None


def _described(array: np.ndarray) -> str:
    if array.size == 1:
        return measured(float(array.item()))
    return (
        f"[{' x '.join(map(str, array.shape))}], mean {measured(float(array.mean()))}"
        if array.size
        else "[0]"
    )


def _distance(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape:
        return "of different shapes"
    away = np.abs(a.astype(float) - b.astype(float))
    if not away.any():
        return _SAME
    if away.size == 1:
        return measured(b.item() - a.item())
    at = np.unravel_index(int(away.argmax()), away.shape)
    return f"at most {measured(float(away[at]))}, at [{', '.join(map(str, at))}]"


def _written(value: Any) -> str:
    """A value of any kind on one short line."""
    if isinstance(value, str):
        return shorten(show_text(value) if value == value.strip() != "" else repr(value), _CHARS)
    if isinstance(value, tuple | list):
        if len(value) > _ITEMS or any(isinstance(item, tuple | list) for item in value):
            return f"a list of {len(value)}"
        return shorten(", ".join(repr(i) if isinstance(i, str) else _written(i) for i in value), _CHARS)
    return show_text(str(value), max_chars=_CHARS)
