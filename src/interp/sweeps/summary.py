"""What a sweep shows at its end: a row for each run, and bars of each number over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from interp.figures.engine.view import Bars, Cell, Table, View, Words, block_name
from interp.sweeps.grid import shown

_SHOWN = 4  # numbers that are drawn, where none were chosen
_NOTE = "A bar is the mean over seeds, its line goes from the least to the most of them."


@dataclass(frozen=True)
class Row:
    """A run: its values, its numbers, and the sentence of its error where it failed."""

    values: Mapping[str, Any]
    measures: Mapping[str, float]
    error: str = ""


@dataclass(frozen=True)
class Summary:
    """All runs of a sweep."""

    experiment: str
    rows: tuple[Row, ...]
    chosen: tuple[str, ...] = ()  # the numbers to show; none: those that all runs have

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.rows[0].values)

    def values(self, key: str) -> list[Any]:
        return [row.values[key] for row in self.rows]

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The numbers that every run has that did not fail, in the order of the result; and that differ
        between some of them, where they were not chosen."""
        done = [row.measures for row in self.rows if not row.error]
        if self.chosen:
            return self.chosen
        common = [name for name in done[0] if all(name in one for one in done)]
        differing = [name for name in common if len({one[name] for one in done}) > 1]
        return tuple(differing or common)

    def table(self) -> list[list[Any]]:
        """All of it as rows of a table, the first the headings; numbers in full."""
        rows: list[list[Any]] = [[*self.keys, *self.measures, "error"]]
        for row in self.rows:
            numbers = [row.measures.get(name, "") for name in self.measures]
            rows.append([*(shown(row.values[key]) for key in self.keys), *numbers, row.error])
        return rows

    def view(self) -> View:
        """The table, and bars of the first numbers."""
        drawn = self.measures if self.chosen else self.measures[:_SHOWN]
        failed = [row for row in self.rows if row.error]
        left_out = len(self.measures) - len(drawn)
        notes = [f"{len(self.rows)} runs{f', {len(failed)} of them failed' if failed else ''}."]
        if left_out:
            notes.append(f"{left_out} more numbers are in table.csv; --show chooses which are drawn.")
        columns = (*self.keys, *drawn)
        rows: tuple[tuple[str | float | Cell, ...], ...] = tuple(
            (*(shown(row.values[key]) for key in self.keys), *(row.measures[name] for name in drawn))
            for row in self.rows
            if not row.error
        )
        errors = tuple((*(shown(row.values[key]) for key in self.keys), row.error) for row in failed)
        blocks = [Table(columns, rows, name="runs", title="Each run", media=("terminal", "page"))]
        if errors:
            blocks.append(Table((*self.keys, "why"), errors, name="failed", title="Runs that failed"))
        bars = [self._bars(name) for name in drawn]
        return View(
            title=f"{self.experiment} over {', '.join(self.keys)}",
            above=tuple(notes),
            blocks=(*blocks, *bars) if bars else (*blocks, Words("The runs have no number in common.")),
            below=("A peak is the entry of an array that is farthest from 0.",)
            if any(name.endswith(".peak") for name in drawn)
            else (),
        )

    def _bars(self, name: str) -> Bars:
        """A bar for each combination of all but the seed."""
        keys = [key for key in self.keys if key != "seed"] or list(self.keys)
        groups: dict[str, list[float]] = {}
        for row in self.rows:
            if not row.error:
                label = ", ".join(shown(row.values[key]) for key in keys)
                groups.setdefault(label, []).append(row.measures[name])
        over_seeds = any(len(values) > 1 for values in groups.values())
        return Bars(
            labels=tuple(groups),
            values=tuple(float(np.mean(values)) for values in groups.values()),
            low=_ends(groups.values(), min) if over_seeds else (),
            high=_ends(groups.values(), max) if over_seeds else (),
            unit=name,
            title=name,
            note=_NOTE if over_seeds else "",
            name=block_name(name),
        )


def _ends(groups: Any, of: Any) -> tuple[float, ...]:
    return tuple(float(of(values)) for values in groups)
