"""Grids of coloured cells for a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

from interp.figures.engine.colours import RGB, text_on
from interp.figures.engine.notation import shorten

_SHORTEST, _LONGEST = 7, 16  # places that a text which may be shortened has, at the least and at the most


@dataclass(frozen=True)
class Column:
    """A column's heading: a token, and what stands under it (the corrupted token, a note)."""

    title: str
    below: str = ""


@dataclass(frozen=True)
class Cell:
    """A short text on a background. One that `shortens` loses its middle where there is little room; its
    `note` never does."""

    text: str
    background: RGB
    _: KW_ONLY
    note: str = ""
    shortens: bool = False
    bold: bool = False

    def within(self, width: int) -> str:
        """The text and note in as many places."""
        note = f": {self.note}" if self.note else ""
        return (_within(self.text, width - cell_len(note)) if self.shortens else self.text) + note

    def width(self, least: int) -> int:
        """The places that it takes where a text that shortens gets `least`."""
        text = min(cell_len(self.text), least) if self.shortens else cell_len(self.text)
        return text + (cell_len(self.note) + 2 if self.note else 0)


@dataclass(frozen=True)
class Row:
    """A row's label and its cells, as many as there are columns."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """Rows of coloured cells under token headings.

    Where the terminal is too narrow, headings and the texts that may be are shortened first, and then the
    columns are continued in further blocks below.
    """

    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        margin = max(cell_len(self.corner), *(cell_len(row.label) for row in self.rows)) + 1
        room = max(options.max_width - margin, 1)
        widths = self._widths(room)
        for start, stop in _blocks(widths, room):
            if start:
                yield Text()
            yield from self._block(start, stop, widths, margin)

    def _widths(self, room: int) -> list[int]:
        """Each column as wide as its heading where all fit; else as little as its cells need."""
        wanted = [max(cell_len(c.title), cell_len(c.below)) for c in self.columns]
        texts = [max(row.cells[i].width(_LONGEST) for row in self.rows) for i in range(len(self.columns))]

        def widths(most: int) -> list[int]:
            least = min(max(most, _SHORTEST), _LONGEST)
            needed = [max(row.cells[i].width(least) for row in self.rows) for i in range(len(self.columns))]
            return [max(n, min(w, most)) + 1 for n, w in zip(needed, wanted, strict=True)]

        for most in range(max(*wanted, *texts), 4, -1):
            if sum(widths(most)) <= room:
                return widths(most)
        return widths(8)

    def _block(self, start: int, stop: int, widths: list[int], margin: int) -> Iterator[Text]:
        columns = self.columns[start:stop]
        here = widths[start:stop]
        yield _line(self.corner.rjust(margin - 1) + " ", [c.title for c in columns], here, style="bold")
        if any(c.below for c in self.columns):
            yield _line(" " * margin, [c.below for c in columns], here, style="italic")
        for row in self.rows:
            line = Text(row.label.rjust(margin - 1) + " ", no_wrap=True, end="\n")
            for cell, width in zip(row.cells[start:stop], here, strict=True):
                style = Style(
                    color=Color.from_rgb(*text_on(cell.background)),
                    bgcolor=Color.from_rgb(*cell.background),
                    bold=cell.bold,
                )
                text = cell.within(width - 1)
                line.append(set_cell_size(" " * (width - 1 - cell_len(text)) + text + " ", width), style)
            yield line


def heading(text: str) -> Text:
    """The line above everything."""
    return Text(text, style="bold")


def bar(share: float, width: int) -> str:
    """A bar of that share of `width` characters, in steps of an eighth."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _line(label: str, texts: list[str], widths: list[int], *, style: str) -> Text:
    line = Text(label, no_wrap=True)
    for text, width in zip(texts, widths, strict=True):
        shown = _within(text, width - 1)
        line.append(set_cell_size(" " * (width - 1 - cell_len(shown)) + shown + " ", width), style)
    return line


def _within(text: str, width: int) -> str:
    """The text with its middle left out as needed, by displayed width: some characters take two places."""
    for chars in range(len(text), 0, -1):
        shown = shorten(text, chars)
        if cell_len(shown) <= width:
            return shown
    return shorten(text, 1)


def _blocks(widths: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Runs of columns that fit in `room`, at least one in each."""
    start, used = 0, 0
    for i, width in enumerate(widths):
        if i > start and used + width > room:
            yield start, i
            start, used = i, 0
        used += width
    yield start, len(widths)
