"""A picture drawn by matplotlib."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.picture import Area, Dot, Label, Picture, Stroke

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


def draw_picture(figure: Figure, picture: Picture, *, left: float, top: float) -> None:
    """Put the marks on a matplotlib figure, the picture's top left corner at that place in inches."""
    ax = drawing.axes(figure, left=left, top=top, width=picture.width, height=picture.height)
    ax.patch.set_visible(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlim(0, picture.width)
    ax.set_ylim(picture.height, 0)
    for i, mark in enumerate(picture.marks):
        order = 10 + i  # later ones cover earlier ones
        if isinstance(mark, Label):
            _draw_label(ax, mark, order)
        elif isinstance(mark, Dot):
            _draw_dot(ax, mark, order)
        elif isinstance(mark, Area):
            _draw_area(ax, mark, order)
        else:
            _draw_stroke(ax, mark, order)


def _draw_label(ax: Axes, mark: Label, order: int) -> None:
    drawing.write_at(
        ax,
        mark.x,
        mark.y,
        mark.text,
        mark.size,
        colour=COLOURS[mark.colour],
        bold=mark.bold,
        ha={"start": "left", "middle": "center", "end": "right"}[mark.anchor],
        va="center" if mark.upright else "center_baseline",
        rotation=90 if mark.upright else 0,
    )
    ax.texts[-1].set_zorder(order)


def _draw_dot(ax: Axes, mark: Dot, order: int) -> None:
    colour, paper = COLOURS[mark.colour], COLOURS["paper"]
    face, edge, width = (paper, colour, 1.0) if mark.hollow else (colour, paper, 0.5)
    ax.plot(
        [mark.x], [mark.y], linestyle="", marker="o", markersize=2 * mark.radius * 72, markerfacecolor=face,
        markeredgecolor=edge, markeredgewidth=width, clip_on=False, zorder=order,
    )  # fmt: skip


def _draw_area(ax: Axes, mark: Area, order: int) -> None:
    x, y = zip(*mark.points, strict=True)
    ax.fill(
        x, y, facecolor=COLOURS[mark.colour], edgecolor="none", linewidth=0, alpha=mark.opacity,
        clip_on=False, zorder=order,
    )  # fmt: skip


def _draw_stroke(ax: Axes, mark: Stroke, order: int) -> None:
    x, y = zip(*mark.points, strict=True)
    style = (0, tuple(d / mark.width for d in mark.dash)) if mark.dash else "solid"
    ax.plot(
        x, y, color=COLOURS[mark.colour], linewidth=mark.width, linestyle=style, marker="",
        alpha=mark.opacity, solid_capstyle="butt", dash_capstyle="butt", clip_on=False, zorder=order,
    )  # fmt: skip
