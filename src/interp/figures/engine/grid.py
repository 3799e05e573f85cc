"""Grids of coloured cells, and attention patterns, which are grids of tokens by tokens."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

import numpy as np

from interp.figures.engine.axis import Axis
from interp.figures.engine.blocks import Block, TitledBlock, check_shown
from interp.figures.engine.colours import LIMIT, RGB, diverging, sequential
from interp.figures.engine.notation import compact, decimal, round_numbers, shorten

#: A grid of more columns is shown by the strongest of each row.
MOST_COLUMNS = 160
STRONGEST = 10

Arrays: TypeAlias = tuple[tuple[str, np.ndarray], ...]  # names and arrays


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid(TitledBlock):
    """Coloured cells [row, column], with a number in each where there is room."""

    values: np.ndarray  # [row, column]
    rows: Axis
    columns: Axis
    unit: str  # what the number is: "recovery", "logits", "probability"
    centre: float | None = 0.0  # the value of no effect, neutral in colour; None: from 0 upwards
    limit: float | None = None  # the distance from `centre` that has the strongest colour; None: the largest
    above: str = ""  # what it means to be above the centre; from 0 upwards: what a high value means
    below: str = ""
    marks: tuple[tuple[float, str], ...] = ()  # words beside values of the colour scale: (1, "as clean")
    hover: Arrays = ()  # more to tell of each cell, numbers or texts, each [row, column]
    framed: tuple[tuple[int, int], ...] = ()
    framed_means: str = "the strongest effect"
    texts: np.ndarray | None = None  # [row, column]: what stands in the cells instead of the number; it may
    # lose its middle where there is no room
    notes: np.ndarray | None = None  # [row, column]: a number behind each text, which is never shortened
    down: bool = False  # row 0 at the top; else at the bottom, as layers stand

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.rows), len(self.columns))
        check_shown(self.notes is None or self.texts is not None, "notes of cells without texts")
        given = [array for array in (self.texts, self.notes) if array is not None]
        arrays = [self.values, *(array for _, array in self.hover), *given]
        for array in arrays:
            check_shown(
                np.shape(array) == shape, f"an array {list(np.shape(array))} for a grid {list(shape)}"
            )
        check_shown(
            self.centre is not None or not (self.values < -1e-9).any(), "values below 0 from 0 upwards"
        )
        check_shown(not np.isinf(self.values).any(), "infinity")

    @property
    def is_empty(self) -> bool:
        return 0 in self.values.shape

    @property
    def drawable(self) -> Block:
        """Of a very wide grid, the strongest cells."""
        if len(self.columns) > MOST_COLUMNS and not self.columns.of_tokens and not self.is_empty:
            return self.strongest()
        return super().drawable

    @property
    def reach(self) -> float:
        """The distance from the centre (or from 0) at which the colour is strongest."""
        if self.limit is not None:
            return self.limit
        away = np.abs(self.values - (self.centre or 0))
        return float(np.nanmax(away, initial=0)) or 1.0

    @property
    def beyond(self) -> tuple[bool, bool]:
        """Whether values lie beyond the two ends of the colour scale: (low, high)."""
        centre = self.centre or 0.0
        low = self.centre is not None and bool((self.values < centre - self.reach * (1 + 1e-9)).any())
        return low, bool((self.values > centre + self.reach * (1 + 1e-9)).any())

    def shade(self, value: float) -> float:
        """Where a value stands on the colour scale: from -LIMIT to LIMIT, or from 0 to 1 where upwards."""
        if self.centre is None:
            return min(max(value / self.reach, 0.0), 1.0)
        return min(max((value - self.centre) / self.reach, -1.0), 1.0) * LIMIT

    def colour(self, value: float) -> RGB:
        """The colour of a value; white where there is none."""
        if math.isnan(value):
            return 255, 255, 255
        return (sequential if self.centre is None else diverging)(self.shade(value))

    @property
    def colours(self) -> list[list[RGB]]:
        return [[self.colour(value) for value in row] for row in self.values.tolist()]

    @property
    def cells(self) -> list[list[str]]:
        """What stands in each cell; nothing where there is no value."""
        return self.cells_within(None)

    def cells_within(self, max_chars: int | None) -> list[list[str]]:
        """What stands in each cell, its text (but not its number) shortened to `max_chars` characters."""
        if self.texts is not None:
            texts = [[shorten(str(text), max_chars) for text in row] for row in self.texts.tolist()]
            if self.notes is None:
                return texts
            notes = self.notes.tolist()
            return [
                [f"{text}: {note}" for text, note in zip(*line, strict=True)]
                for line in zip(texts, notes, strict=True)
            ]
        write = cell_number(self.values)
        return [["" if math.isnan(v) else write(v) for v in row] for row in self.values.tolist()]

    @property
    def scale_stops(self) -> list[tuple[float, str]]:
        """Values of the colour scale and how they are written; the ends say where values lie beyond them."""
        centre, reach = self.centre or 0.0, self.reach
        up = round_numbers(0, reach)
        away = up if self.centre is None else [*(-step for step in reversed(up[1:])), *up]
        stops = [(centre + step, f"{centre + step:.6g}") for step in away]
        beyond = [(centre - reach, "≤ ", self.beyond[0]), (centre + reach, "≥ ", self.beyond[1])]
        for end, sign, is_beyond in beyond:
            if is_beyond:
                stops = [(value, text) for value, text in stops if abs(value - end) > 0.08 * reach]
                stops.append((end, f"{sign}{end:.3g}"))
        return sorted(stops)

    @property
    def key(self) -> str:
        """What the colours and frames mean, in a sentence."""
        return self.key_with("framed")

    def key_with(self, framed: str) -> str:
        """The same where the framed cells stand out in another way, such as ``bold``."""
        parts = []
        if self.above:
            parts.append(f"{'strong' if self.centre is None else 'warm'}: {self.above}")
        if self.below:
            parts.append(f"blue: {self.below}")
        if self.centre:
            parts.append(f"pale: {self.unit} {self.centre:g}, no effect")
        if self.framed:
            parts.append(f"{framed}: {self.framed_means}")
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""

    @property
    def marks_in_words(self) -> str:
        """What stands beside the colour scale, in brackets; nothing where there is nothing."""
        text = "; ".join(f"{value:g} {words}" for value, words in self.marks)
        return f" ({text})" if text else ""

    def farthest(self, n: int = 5) -> str:
        """The cells farthest from the centre, in a sentence: for where there is no room for numbers."""
        away = np.nan_to_num(np.abs(self.values - (self.centre or 0)), nan=-1)
        order = np.argsort(-away, axis=None, kind="stable")[:n]
        cells, columns = self.cells, len(self.columns)
        places = [(int(i) // columns, int(i) % columns) for i in order]
        named = [f"{self.rows.full(r)}, {self.columns.full(c)}: {cells[r][c]}" for r, c in places]
        return f"Farthest from {self.centre or 0:g}: {'; '.join(named)}."

    def strongest(self, n: int = STRONGEST) -> Grid:
        """The `n` columns of each row farthest from the centre, in that order, named in their cells."""
        away = np.nan_to_num(np.abs(self.values - (self.centre or 0)), nan=-1)
        order = np.argsort(-away, axis=1, kind="stable")[:, :n]  # [row, rank]

        def take(array: np.ndarray) -> np.ndarray:
            return np.take_along_axis(array, order, axis=1)

        names = np.array(self.columns.short(12))[order]
        places = {(row, int(c)): i for row, line in enumerate(order) for i, c in enumerate(line)}
        what = self.columns.title
        return dataclasses.replace(
            self,
            values=take(self.values),
            columns=Axis.names("rank", range(1, order.shape[1] + 1)),
            title=f"{self.title or self.unit.capitalize()}: of {len(self.columns)} columns ({what}), "
            f"the {order.shape[1]} of each row farthest from {self.centre or 0:g}",
            hover=((what, names), *((name, take(array)) for name, array in self.hover)),
            framed=tuple(
                (row, places[row, column]) for row, column in self.framed if (row, column) in places
            ),
            texts=names,
            notes=take(np.array(self.cells)),
        )


@dataclass(frozen=True, eq=False)
class Attention(TitledBlock):
    """Attention patterns over one prompt, of one head or of several side by side."""

    tokens: tuple[str, ...]
    patterns: Arrays  # the name of a head, such as "5.1", and its pattern [query, key]
    _: KW_ONLY
    framed: tuple[tuple[int, int], ...] = ()
    framed_means: str = "where the head is said to look"

    @property
    def is_empty(self) -> bool:
        return not self.patterns or not self.tokens

    @property
    def grids(self) -> list[Grid]:
        """A grid for each head, on one scale; what a query cannot see (0 after it) is left empty."""
        n = len(self.tokens)
        later = np.triu(np.ones((n, n), dtype=bool), 1)
        return [
            Grid(
                values=np.where(later & (pattern == 0), np.nan, pattern),
                rows=Axis.tokens(self.tokens, title="query"),
                columns=Axis.tokens(self.tokens, title="key"),
                unit="attention",
                title=f"Head {name}",
                centre=None,
                limit=1.0,
                above="attends there (each row sums to 1)",
                framed=self.framed,
                framed_means=self.framed_means,
                down=True,
            )
            for name, pattern in self.patterns
        ]


def cell_number(values: np.ndarray) -> Callable[[float], str]:
    """How the numbers of a grid are written: two decimals, more where all are small."""
    largest = float(np.nanmax(np.abs(values), initial=0))
    if largest == 0 or largest >= 0.095:
        return compact
    places = 1 - math.floor(math.log10(largest))
    if places > 5:
        return lambda value: f"{value + 0.0:.0e}" if value else "0"
    return lambda value: decimal(value, places)
