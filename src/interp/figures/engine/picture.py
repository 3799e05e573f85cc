"""A chart as a list of marks in inches, drawn the same by matplotlib and as SVG in a page.

`charts` and `graph_chart` lay a chart out once, by measured text; this file only puts the marks on paper.
A colour is a name, so that a page can have a light and a dark form (`chart.css`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from html import escape
from typing import Literal, TypeAlias

from matplotlib.figure import Figure

from interp.figures.engine import drawing

#: The colours of a chart by name. `warm` and `cool` mean a sign; `s0`, `s1`, ... tell series apart, also for
#: colour-blind readers (the hues of Okabe and Ito 2008, darkened for contrast on white).
COLOURS = {
    "ink": drawing.INK,
    "quiet": drawing.QUIET,
    "rule": drawing.RULE,
    "paper": drawing.PAPER,
    "warm": drawing.ACCENT,
    "cool": drawing.SECOND,
    "s0": "#0072b2",
    "s1": "#c44e00",
    "s2": "#00795a",
    "s3": "#a0458a",
    "s4": "#7a6200",
    "s5": "#1b1f24",
}
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2), (9, 2), (3, 1))  # in points

Anchor: TypeAlias = Literal["start", "middle", "end"]
_PER_INCH = 120  # units of an SVG


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


Mark: TypeAlias = "Stroke | Area | Dot | Label"


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


def draw(figure: Figure, picture: Picture, *, left: float, top: float) -> None:
    """Put the marks on a matplotlib figure."""
    ax = drawing.axes(figure, left=left, top=top, width=picture.width, height=picture.height)
    ax.patch.set_visible(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlim(0, picture.width)
    ax.set_ylim(picture.height, 0)
    for order, mark in enumerate(picture.marks):
        colour = COLOURS[mark.colour]
        if isinstance(mark, Label):
            drawing.write_at(
                ax,
                mark.x,
                mark.y,
                mark.text,
                mark.size,
                colour=colour,
                bold=mark.bold,
                ha={"start": "left", "middle": "center", "end": "right"}[mark.anchor],
                va="center" if mark.upright else "center_baseline",
                rotation=90 if mark.upright else 0,
            )
            ax.texts[-1].set_zorder(10 + order)
        elif isinstance(mark, Dot):
            face, edge, width = (
                (COLOURS["paper"], colour, 1.0) if mark.hollow else (colour, COLOURS["paper"], 0.5)
            )
            ax.plot(
                [mark.x], [mark.y], linestyle="", marker="o", markersize=2 * mark.radius * 72,
                markerfacecolor=face, markeredgecolor=edge, markeredgewidth=width, clip_on=False,
                zorder=10 + order,
            )  # fmt: skip
        elif isinstance(mark, Area):
            x, y = zip(*mark.points, strict=True)
            ax.fill(x, y, facecolor=colour, edgecolor="none", linewidth=0, alpha=mark.opacity,
                    clip_on=False, zorder=10 + order)  # fmt: skip
        else:
            x, y = zip(*mark.points, strict=True)
            style = (0, tuple(d / mark.width for d in mark.dash)) if mark.dash else "solid"
            ax.plot(
                x, y, color=colour, linewidth=mark.width, linestyle=style, marker="", alpha=mark.opacity,
                solid_capstyle="butt", dash_capstyle="butt", clip_on=False, zorder=10 + order,
            )  # fmt: skip


def svg(picture: Picture, *, label: str) -> str:
    """The picture as an SVG element; marks with a tip tell it on hover."""
    inner = "\n".join(_element(mark) for mark in picture.marks)
    width, height = _units(picture.width), _units(picture.height)
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n{inner}\n</svg>'
    )


def _element(mark: Mark) -> str:
    tip = f"<title>{escape(mark.tip)}</title>" if mark.tip else ""
    if isinstance(mark, Label):
        x, y = _units(mark.x), _units(mark.y)
        turn = f' transform="rotate(-90 {x} {y})"' if mark.upright else ""
        bold = ' font-weight="600"' if mark.bold else ""
        anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
        size = _units(mark.size / 72)
        return (
            f'<text class="{mark.colour}" x="{x}" y="{y}" dy=".35em" font-size="{size}"{anchor}{bold}{turn}>'
            f"{escape(mark.text)}{tip}</text>"
        )
    if isinstance(mark, Dot):
        place = f'cx="{_units(mark.x)}" cy="{_units(mark.y)}" r="{_units(mark.radius)}"'
        ring = " ring" if mark.hollow else ""
        return f'<circle class="{mark.colour}{ring}" {place}>{tip}</circle>'
    points = " ".join(f"{_units(x)},{_units(y)}" for x, y in mark.points)
    opacity = f' opacity="{mark.opacity:g}"' if mark.opacity < 1 else ""
    if isinstance(mark, Area):
        return f'<polygon class="{mark.colour}" points="{points}"{opacity}>{tip}</polygon>'
    dash = " ".join(_units(d / 72) for d in mark.dash)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline class="{mark.colour}" points="{points}" stroke-width="{_units(mark.width / 72)}"'
        f"{dashes}{opacity}>{tip}</polyline>"
    )


def _units(inches: float) -> str:
    return f"{inches * _PER_INCH:.4g}"
