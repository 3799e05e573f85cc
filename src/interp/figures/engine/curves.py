"""Small curves that grow in a terminal while the work goes on."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from interp.figures.engine.notation import measured

_POINTS = 24  # at least, and at most twice as many
_HEIGHTS = "▁▂▃▄▅▆▇█"


class Curves:
    """A line for each value: its name, its curve so far from its lowest to its highest, where it stands."""

    def __init__(self) -> None:
        self._rows: dict[str, list[float]] = {}
        self._each = 1  # steps in a point
        self._steps = 0

    def add(self, values: Mapping[str, float]) -> None:
        """What was measured at the next step, the same names at each."""
        if values.keys() != self._rows.keys():
            self._rows, self._each, self._steps = {name: [] for name in values}, 1, 0
        for name, value in values.items():
            row, within = self._rows[name], self._steps % self._each
            if within:
                row[-1] += (value - row[-1]) / (within + 1)  # the mean of the point so far
            else:
                row.append(value)
        self._steps += 1
        if self._steps == self._each * 2 * _POINTS:  # points of twice as many steps
            self._each *= 2
            for row in self._rows.values():
                row[:] = [(a + b) / 2 for a, b in zip(row[::2], row[1::2], strict=True)]

    def __rich__(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        for name, row in ((name, list(row)) for name, row in self._rows.items()):
            if any(row):  # not a part that this training does not have
                table.add_row(f"  {name}", sparkline(row), measured(row[-1]))
        return table


def sparkline(values: list[float]) -> str:
    """Values as a line of blocks, from the lowest to the highest of them."""
    low, high = min(values), max(values)
    if low == high:
        return _HEIGHTS[0] * len(values)
    return "".join(_HEIGHTS[round((v - low) / (high - low) * (len(_HEIGHTS) - 1))] for v in values)
