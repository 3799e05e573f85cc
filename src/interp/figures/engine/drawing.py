"""Drawing with matplotlib, without its global state.

Everything that a global setting could change (fonts, colours, sizes, ticks) is set on each artist, so
that a figure looks the same in a notebook with another style, and the same result gives the same bytes.
Figures are laid out in inches from the top left, since their size follows the number of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from interp.figures.engine.colours import RGB, css, text_on
from interp.figures.engine.measured_text import drawable, fit, font, line_height, text_width, wrap

DPI = 150
MARGIN = 0.3  # inches at the left and the right
INK, QUIET, RULE, PAPER = "#1b1f24", "#5b6470", "#c9ced6", "#ffffff"
ACCENT, SECOND = "#b2182b", "#2166ac"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, attached to no window and to no global list."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, edgecolor=PAPER)
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def sheet(
    *, width: float, body: float, title: str, above: Sequence[str], below: Sequence[str], gap: float = 0.22
) -> tuple[Figure, float]:
    """A figure with a title and texts above and below room for a body; and where that room begins.

    The texts are broken into lines that fit, so that the height is known only here.
    """
    room = width - 2 * MARGIN
    titles = wrap(title, 12, room * 0.92)  # bold is wider than `wrap` knows
    head = [line for text in above for line in wrap(text, 8.5, room)]
    foot = [line for text in below for line in wrap(text, 7.5, room)]
    top = 0.26 + len(titles) * line_height(12) + len(head) * line_height(8.5) + gap
    figure = new_figure(width, top + body + len(foot) * line_height(7.5) + 0.2)
    y = 0.22
    for line in titles:
        write(figure, MARGIN, y, line, 12, bold=True)
        y += line_height(12)
    write_lines(figure, MARGIN, y + 0.04, head, 8.5)
    write_lines(figure, MARGIN, top + body, foot, 7.5)
    return figure, top


def png(figure: Figure) -> bytes:
    """The figure as a PNG; the same result gives the same bytes (no date and no version inside)."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def write(
    figure: Figure, x: float, y: float, text: str, size: float, *, colour: str = INK, bold: bool = False
) -> None:
    """One line of text, its top left corner `x` and `y` inches from the figure's."""
    width, height = figure.get_size_inches()
    figure.text(
        x / width,
        1 - y / height,
        drawable(text),
        va="top",
        ha="left",
        color=colour,
        fontproperties=font(size, bold=bold),
        parse_math=False,
    )


def title_height(title: str) -> float:
    """Inches that a block's title takes; none without one."""
    return 0.26 if title else 0.0


def write_title(figure: Figure, title: str, *, left: float, top: float, room: float) -> float:
    """A block's title, shortened to its room; returns its height."""
    if title:
        write(figure, left, top, fit(title, 8.5, room * 0.93), 8.5, bold=True)  # bold is wider
    return title_height(title)


def fill(figure: Figure, left: float, top: float, width: float, height: float, colour: str) -> None:
    """A filled rectangle below what is written later."""
    w, h = figure.get_size_inches()
    corner = (left / w, 1 - (top + height) / h)
    figure.add_artist(
        Rectangle(corner, width / w, height / h, facecolor=colour, edgecolor="none", linewidth=0, zorder=0)
    )


def write_lines(figure: Figure, x: float, y: float, lines: Sequence[str], size: float) -> None:
    """Several lines of quiet text, one below the other."""
    for i, line in enumerate(lines):
        write(figure, x, y + i * line_height(size), line, size, colour=QUIET)


def axes(figure: Figure, *, left: float, top: float, width: float, height: float) -> Axes:
    """Empty axes at that place in inches, without ticks; labels are put on with `label_x` and `write_at`."""
    w, h = figure.get_size_inches()
    ax = figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h), facecolor=PAPER)
    ax.grid(False)
    ax.tick_params(which="both", left=False, right=False, top=False, bottom=False)
    ax.tick_params(which="both", labelleft=False, labelright=False, labeltop=False, labelbottom=False)
    for spine in ax.spines.values():
        spine.set(visible=True, color=RULE, linewidth=0.8)
    return ax


def write_at(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    *,
    colour: str = INK,
    bold: bool = False,
    ha: str = "center",
    va: str = "center",
    rotation: float = 0,
    at: str = "data",
    dx: float = 0,
    dy: float = 0,
) -> None:
    """Text at a place in the axes: `at` says in which coordinates (data, or data along one axis only);
    `dx` and `dy` are inches away from it."""
    transform = {
        "data": ax.transData,
        "x": ax.get_xaxis_transform(),
        "y": ax.get_yaxis_transform(),
        "axes": ax.transAxes,
    }
    ax.annotate(
        drawable(text),
        (x, y),
        xycoords=transform[at],
        xytext=(dx * 72, dy * 72),
        textcoords="offset points",
        ha=ha,
        va=va,
        rotation=rotation,
        rotation_mode="anchor",
        color=colour,
        fontproperties=font(size, bold=bold),
        parse_math=False,
        annotation_clip=False,
    )


def label_x(
    ax: Axes, values: Sequence[float], labels: Sequence[str], size: float, *, title: str = ""
) -> None:
    """Labels below the axes."""
    for value, label in zip(values, labels, strict=True):
        write_at(ax, value, 0, label, size, at="x", dy=-0.05, va="top", colour=QUIET)
    if title:
        write_at(ax, 0.5, 0, title, size, at="axes", dy=-0.07 - line_height(size), va="top")


def every(n: int, *, room: float, need: float) -> range:
    """Which of `n` evenly spaced labels to write where there is `room` inches and each needs `need`."""
    most = max(1, int(room / need))
    step = next((s for s in (1, 2, 4, 5, 8, 10, 20, 50, 100) if n / s <= most), n)
    return range(0, n, step)


def cells(ax: Axes, colours: Sequence[Sequence[RGB]]) -> None:
    """Coloured cells [row, column], row 0 at the bottom, with thin lines between them where there is room."""
    image = np.array(colours, dtype=np.uint8)
    rows, columns = image.shape[:2]
    ax.imshow(
        image,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, columns - 0.5, -0.5, rows - 0.5),
        resample=False,
    )
    if min(ax.bbox.width / columns, ax.bbox.height / rows) >= 0.1 * DPI:
        ax.hlines(
            np.arange(1, rows) - 0.5, -0.5, columns - 0.5, colors=PAPER, linewidths=0.6, linestyles="solid"
        )
        ax.vlines(
            np.arange(1, columns) - 0.5, -0.5, rows - 0.5, colors=PAPER, linewidths=0.6, linestyles="solid"
        )
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(-0.5, rows - 0.5)


def write_cells(
    ax: Axes, texts: Sequence[Sequence[str]], colours: Sequence[Sequence[RGB]], size: float
) -> None:
    """A text in each cell, black or white by its background."""
    for row, (line, backgrounds) in enumerate(zip(texts, colours, strict=True)):
        for column, (text, background) in enumerate(zip(line, backgrounds, strict=True)):
            if text:
                write_at(ax, column, row, text, size, colour=css(text_on(background)), va="center_baseline")


def number_size(texts: Sequence[Sequence[str]], cell_w: float, cell_h: float) -> float:
    """The largest size at which the longest number fits its cell; 0 where none that can be read does."""
    longest = max((text for row in texts for text in row), key=len)
    for size in (8, 7, 6, 5.5):
        if text_width(longest, size) <= cell_w * 0.92 and size / 72 * 1.2 <= cell_h:
            return size
    return 0


def outline(ax: Axes, row: int, column: int, *, colour: str = INK, width: float = 1.4) -> None:
    """A frame around one cell."""
    for edge, line, order in (
        (PAPER, 2 * width, 3),
        (colour, width, 3.5),
    ):  # pale, for dark cells
        ax.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                facecolor="none",
                edgecolor=edge,
                linewidth=line,
                linestyle="solid",
                zorder=order,
                clip_on=False,
            )
        )


def scale_bar(ax: Axes, scale: Callable[[float], RGB], low: float, high: float, *, upright: bool) -> None:
    """Fill the axes with the colours of `scale` from `low` to `high`."""
    strip = np.array([scale(low + (high - low) * (i + 0.5) / 256) for i in range(256)], dtype=np.uint8)
    image, extent = (strip[:, None], (0, 1, low, high)) if upright else (strip[None], (low, high, 0, 1))
    ax.imshow(image, origin="lower", aspect="auto", interpolation="nearest", extent=extent, resample=False)
    ax.set_xlim(extent[0], extent[1])
    ax.set_ylim(extent[2], extent[3])
