"""Tokens or other names as column headings below a grid, placed so that none runs into its neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from interp.figures.engine import drawing
from interp.figures.engine.axis import Heading
from interp.figures.engine.measured_text import fit, line_height, text_width

LONGEST = 16  # characters of a token that is turned; there is no hover in a picture


@dataclass(frozen=True)
class TokenAxis:
    """Where and how the headings are written, known before the figure has its size."""

    headings: tuple[Heading, ...]
    cell: float  # inches
    size: float
    turn: int  # 0 level, 45 slanted, 90 upright

    @classmethod
    def plan(cls, headings: Sequence[Heading], cell: float) -> TokenAxis:
        """Level where all tokens fit their cells (but for special ones, such as a BOS); else turned."""
        ordinary = [part for h in headings if not h.token.startswith("<") for part in _lines(h)]
        for size in (8.5, 8.0, 7.5):
            if all(text_width(text, size, bold=True) <= cell * 0.96 for text in ordinary) and cell >= 0.4:
                return cls(tuple(headings), cell, size, 0)
        return cls(tuple(headings), cell, min(8.5, cell * 72 * 0.8), 45 if cell >= 0.24 else 90)

    @property
    def below(self) -> float:
        """Inches taken below the grid."""
        if not self.turn:
            lines = max(len(_lines(heading)) for heading in self.headings)
            return 0.07 + lines * line_height(self.size)
        return 0.14 + max(self._lengths()) * np.sin(np.radians(self.turn)) + self.size / 72

    @property
    def overhang(self) -> float:
        """Inches by which a slanted heading begins left of the grid: it ends under its column."""
        run = np.cos(np.radians(self.turn)) if self.turn == 45 else 0
        return max(0.0, *(w * run - self.cell * (i + 0.5) for i, w in enumerate(self._lengths())))

    def draw(self, ax: Axes) -> None:
        """Write the headings below the axes, one a column."""
        for i, heading in enumerate(self.headings):
            colour = drawing.INK if heading.strong else drawing.QUIET
            if not self.turn:
                for line, text in enumerate(_lines(heading)):
                    drawing.write_at(
                        ax,
                        i,
                        0,
                        fit(text, self.size, self.cell * 0.98),
                        self.size,
                        at="x",
                        dy=-0.06 - line * line_height(self.size),
                        va="top",
                        bold=heading.strong,
                        colour=colour,
                    )
                continue
            slanted = self.turn == 45
            drawing.write_at(
                ax,
                i,
                0,
                _joined(heading),
                self.size,
                at="x",
                rotation=self.turn,
                dx=0.03 if slanted else 0,
                dy=-0.07,
                ha="right",
                va="top" if slanted else "center",
                bold=heading.strong,
                colour=colour,
            )

    def _lengths(self) -> list[float]:
        return [text_width(_joined(h), self.size, bold=h.strong) for h in self.headings]


def _lines(heading: Heading) -> list[str]:
    """A level heading: the token, and below it the corrupted prompt's or the note."""
    if heading.other is not None:
        return [heading.shown() + "/", heading.below()]
    return [heading.shown(), heading.note] if heading.note else [heading.shown()]


def _joined(heading: Heading) -> str:
    """A turned heading, on one line."""
    token = heading.shown(LONGEST)
    if heading.other is not None:
        return f"{token}/{heading.below(LONGEST)}"
    return f"{token} ({heading.note})" if heading.note else token
