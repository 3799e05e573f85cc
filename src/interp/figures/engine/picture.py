"""A chart as a list of marks in inches, drawn the same by matplotlib and as SVG in a page.

`line_chart`, `bar_chart`, `scatter_chart` and `graph_chart` lay a chart out once, by measured text;
`picture_drawing` and `picture_svg` only put the marks on paper. A colour is a name, so that a page can have a
light and a dark form (`chart.css`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias

DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 2), (3, 1))  # in points

Anchor: TypeAlias = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Stroke:
    """A line through points, its width in points of type."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0
    dash: tuple[float, ...] = ()
    opacity: float = 1.0
    tip: str = ""


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: tuple[tuple[float, float], ...]
    colour: str
    opacity: float = 1.0
    tip: str = ""


@dataclass(frozen=True)
class Dot:
    """A filled circle, its radius in inches; or, where `hollow`, a ring."""

    x: float
    y: float
    radius: float
    colour: str
    _: KW_ONLY
    hollow: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Label:
    """A line of text; `y` is the middle of its small letters."""

    x: float
    y: float
    text: str
    size: float
    colour: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False
    upright: bool = False  # turned by a quarter, to be read from the right
    tip: str = ""


Mark: TypeAlias = Stroke | Area | Dot | Label


@dataclass
class Picture:
    """Marks on a sheet of `width` by `height` inches, from its top left; later ones cover earlier ones."""

    width: float
    height: float
    marks: list[Mark] = field(default_factory=list)

    def add(self, *marks: Mark) -> None:
        self.marks += marks


def box(left: float, top: float, width: float, height: float) -> tuple[tuple[float, float], ...]:
    """The corners of a rectangle."""
    right, bottom = left + width, top + height
    return (left, top), (right, top), (right, bottom), (left, bottom)
