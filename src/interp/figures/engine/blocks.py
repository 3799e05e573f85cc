"""The blocks of a `View`: what all have in common, words and tables.

Grids are in `grid`, bars, lines and points in `chart_blocks`, circuits in `graph_block`.
"""

# Annotations are values here and not texts: the fields of `Block` are those of classes in other modules.

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

import numpy as np

from interp.errors import InputError

#: A number within a text, with what stands against it: a bracket, a sign, a unit.
_NUMBER = re.compile(r"[^\w\s]*\d[\d.,:e+-]*[^\w\s]*$")

#: Where a view is shown: as a picture, in a terminal, on a page.
Medium: TypeAlias = Literal["figure", "terminal", "page"]
MEDIA: tuple[Medium, ...] = ("figure", "terminal", "page")


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a view, with a name by which `View.block` finds it: snake_case, unique within its view."""

    _: KW_ONLY
    name: str = ""
    media: tuple[Medium, ...] = MEDIA  # where it is shown; by default, everywhere
    beside: bool = False  # in a figure, to the right of the block before it, where there is room

    def __post_init__(self) -> None:
        check_shown(re.fullmatch("[a-z0-9_]*", self.name) is not None, f"a block of the name {self.name!r}")

    @property
    def drawable(self) -> "Block":
        """The block as it is drawn: words in place of an empty one."""
        return self


@dataclass(frozen=True, eq=False)
class TitledBlock(Block):
    """A block with a title above it."""

    _: KW_ONLY
    title: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that could be drawn."""
        return False

    @property
    def drawable(self) -> "Block":
        if not self.is_empty:
            return self
        text = f"{self.title}: nothing to show." if self.title else "Nothing to show."
        return Words(text, name=self.name, media=self.media)


def block_name(*parts: str) -> str:
    """A block's name out of free texts: ``block_name("END to S1+1")`` is ``end_to_s1_1``."""
    return re.sub("[^a-z0-9]+", "_", " ".join(parts).lower()).strip("_")


@dataclass(frozen=True)
class Words(Block):
    """A paragraph."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Cell:
    """A text in a table with more to it: a bar beside it, a colour behind it."""

    text: str
    _: KW_ONLY
    bar: float | None = None  # a share from 0 to 1, drawn as a bar
    shade: float | None = None  # a probability, drawn as the colour of the background
    strong: bool = False

    def __post_init__(self) -> None:
        shares = [share for share in (self.bar, self.shade) if share is not None]
        check_shown(all(0 <= share <= 1 + 1e-6 for share in shares), "a share that is not from 0 to 1")


@dataclass(frozen=True)
class Table(TitledBlock):
    """Rows of texts, numbers and cells; the first column labels them. Rows in `strong` stand out, and those
    in `marked` have a ``▸`` before their label."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | Cell, ...], ...]
    _: KW_ONLY
    strong: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for row in self.rows:
            check_shown(
                len(row) == len(self.columns), f"a row of {len(row)} under {len(self.columns)} columns"
            )

    @property
    def is_empty(self) -> bool:
        return not self.rows

    @property
    def texts(self) -> list[list[str]]:
        """The cells as they are written: numbers to four digits."""
        texts = [[cell.text if isinstance(cell, Cell) else number(cell) for cell in row] for row in self.rows]
        for i in self.marked:
            texts[i][0] = f"▸ {texts[i][0]}"
        return texts

    @property
    def right(self) -> list[bool]:
        """For each column, whether it holds numbers alone, which stand right; beside the first, written
        ones too. The first also stands right where rows are marked."""
        return [
            (i == 0 and bool(self.marked))
            or (bool(column) and all(_is_number(cell, written=i > 0) for cell in column))
            for i, column in enumerate(self._by_column)
        ]

    @property
    def has_bars(self) -> list[bool]:
        """For each column, whether there is a bar in it."""
        return [any(isinstance(c, Cell) and c.bar is not None for c in column) for column in self._by_column]

    @property
    def has_shades(self) -> list[bool]:
        """For each column, whether there is a colour in it."""
        return [
            any(isinstance(c, Cell) and c.shade is not None for c in column) for column in self._by_column
        ]

    @property
    def longest_numbers(self) -> list[str]:
        """For each column the longest number in it, which is never broken or shortened; empty for none."""
        columns = [[row[i] for row in self.texts] for i in range(len(self.columns))]
        return [
            max(
                (word for text in column for word in text.split() if _NUMBER.match(word)), key=len, default=""
            )
            for column in columns
        ]

    @property
    def _by_column(self) -> list[list[str | float | Cell]]:
        return [[row[i] for row in self.rows] for i in range(len(self.columns))]

    def is_strong(self, row: int, column: int) -> bool:
        """Whether a cell stands out, by itself or with its row."""
        cell = self.rows[row][column]
        return row in self.strong or (isinstance(cell, Cell) and cell.strong)


@dataclass(frozen=True)
class Chart(TitledBlock):
    """A block that is drawn as a picture: bars, lines, points or a graph."""

    @property
    def key(self) -> str:
        """What the marks of the picture mean."""
        raise NotImplementedError

    @property
    def table(self) -> Table:
        """All its numbers."""
        raise NotImplementedError


def number(value: str | float) -> str:
    """A text as it is; a number to four digits, never ``-0``."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | np.integer) else f"{value + 0.0:.4g}"


def in_sentences(*parts: str) -> str:
    """The sentences that are there, one after the other."""
    return " ".join(part for part in parts if part)


def check_shown(holds: bool, otherwise: str) -> None:
    """`InputError` where what is to be shown does not fit together."""
    if not holds:
        raise InputError(f"This cannot be shown: {otherwise}.")


def check_finite(values: Sequence[float]) -> None:
    """`InputError` where a number that is to be drawn is none."""
    check_shown(bool(np.isfinite(np.asarray(values, dtype=float)).all()), "NaN or infinity among the values")


def _is_number(cell: str | float | Cell, *, written: bool) -> bool:
    """Whether a cell is a number, or empty, or, where `written` ones count, a text such as ``-2.40 %``."""
    cell = cell.text if isinstance(cell, Cell) else cell
    if not isinstance(cell, str) or not cell:
        return True
    return written and re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?( %)?", cell) is not None
