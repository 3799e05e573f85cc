"""The two pictures of a logit lens: curves and top tokens at one position, or a map over all positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.colours import RGB, css, sequential, text_on
from interp.figures.engine.notation import decimal, model_line, round_numbers, show_token
from interp.figures.engine.token_axis import TokenAxis
from interp.figures.engine.view import Heading
from interp.figures.views import lens_words

if TYPE_CHECKING:
    from interp.methods.lens.logit_lens import LogitLensResult

_TOP_TOKENS = 5  # more would not be read


def curves(result: LogitLensResult) -> Figure:
    """One position: probability, rank, entropy and KL over the layers, and the top tokens of each layer."""
    grid = {name: array[:, 0] for name, array in result.grid.items()}
    n_rows, k = len(result.layers), min(_TOP_TOKENS, grid["top_ids"].shape[1])
    row_h = min(max(5.0 / n_rows, 0.155), 0.4)
    body = max(n_rows * row_h, 4.3)
    curve_w, cell_w, left = 4.2, 1.06, drawing.MARGIN + 0.62
    strip_left = left + curve_w + 0.95
    width = strip_left + k * cell_w + drawing.MARGIN
    crossover = lens_words.crossover_row(result)
    fig, top = drawing.sheet(
        width=width,
        body=body + 0.6,
        gap=0.4,
        title=lens_words.title(result),
        above=lens_words.asked(result),
        below=[
            lens_words.verdict(result),
            "Filled points: the answer is the top token. Framed: the answer."
            + (" Dotted: the crossover." if crossover is not None else ""),
            model_line(result.provenance),
        ],
    )

    x = range(n_rows)
    on_top = grid["answer_rank"] == 1
    heights = [body * 0.36 - 0.2, body * 0.3 - 0.25, body * 0.34 - 0.25]
    tops = [top, top + body * 0.36 + 0.08, top + body * 0.66 + 0.08]
    prob, rank, nats = (
        drawing.axes(fig, left=left, top=t, width=curve_w, height=h)
        for t, h in zip(tops, heights, strict=True)
    )
    for ax in (prob, rank, nats):
        ax.set_xlim(-0.5, n_rows - 0.5)
        if crossover is not None:
            ax.axvline(crossover, color=drawing.INK, linewidth=1, linestyle=":")

    answer = show_token(result.answer, max_chars=20)
    prob.set_ylim(-0.04, 1.08)
    _ticks(prob, [0, 0.5, 1], ["0", "0.5", "1"])
    _curve(prob, x, grid["answer_prob"], drawing.ACCENT, filled=on_top)
    _panel_title(prob, [(f"probability of {answer}", drawing.ACCENT)])
    if crossover is not None:
        _crossover_label(prob, result, crossover, curve_w)

    logs = [math.log10(r) for r in grid["answer_rank"]]
    deepest = max(*logs, 0.5)
    rank.set_ylim(deepest * 1.1, -deepest * 0.1)
    ranks = [1, 2, 5] if deepest < 1 else [10**p for p in range(math.floor(deepest) + 1)]
    ranks = [r for r in ranks if math.log10(r) <= deepest]
    _ticks(rank, [math.log10(r) for r in ranks], [f"{r:,}" for r in ranks])
    _curve(rank, x, logs, drawing.ACCENT, filled=on_top)
    _panel_title(rank, [(f"rank of {answer} (1 is top)", drawing.ACCENT)])

    highest = max(float(grid["entropy"].max()), float(grid["kl_to_final"].max()), 0.1)
    nats.set_ylim(-0.06 * highest, highest * 1.08)
    steps = round_numbers(0, highest)
    _ticks(nats, steps, [f"{s:g}" for s in steps])
    _curve(nats, x, grid["entropy"], drawing.SECOND)
    _curve(nats, x, grid["kl_to_final"], drawing.QUIET, marker="s")
    _panel_title(
        nats,
        [("entropy", drawing.SECOND), ("KL to the final prediction", drawing.QUIET), ("(nats)", drawing.INK)],
    )
    shown = _layer_labels(result.layers, curve_w / n_rows)
    drawing.label_x(nats, shown, [result.layers[i] for i in shown], 8, title="layer")

    strip = drawing.axes(fig, left=strip_left, top=top, width=k * cell_w, height=n_rows * row_h)
    probs = grid["top_probs"][:, :k].tolist()
    colours = [[sequential(p) for p in row] for row in probs]
    drawing.cells(strip, colours)
    for row in range(n_rows):
        for column in range(k):
            _token_cell(
                strip,
                row,
                column,
                grid["top_tokens"][row][column],
                probs[row][column],
                colours[row][column],
                cell_w,
            )
            if grid["top_ids"][row, column] == result.answer_id:
                drawing.outline(strip, row, column)
    rows = drawing.every(n_rows, room=n_rows * row_h, need=0.13)
    drawing.label_y(strip, rows, [result.layers[i] for i in rows], 8, title="layer")
    for column in range(k):
        drawing.write_at(
            strip, column, 1, f"top {column + 1}", 8, at="x", dy=0.05, va="bottom", colour=drawing.QUIET
        )
    _legend(fig, left=strip_left, top=top + n_rows * row_h + 0.18)
    return fig


def position_map(result: LogitLensResult) -> Figure:
    """All positions: the top token of each [layer, position], coloured by its probability."""
    grid = result.grid
    n_rows, n_columns = grid["answer_prob"].shape
    cell_w = min(max(14.0 / n_columns, 0.115), 0.82)
    cell_h = min(max(5.6 / n_rows, 0.14), 0.36)
    grid_w, grid_h = cell_w * n_columns, cell_h * n_rows
    tokens = TokenAxis.plan([Heading(result.tokens[p]) for p in result.positions], cell_w)
    left = drawing.MARGIN + max(0.75, tokens.overhang)
    width = max(left + grid_w + drawing.MARGIN, 6.4)
    fig, top = drawing.sheet(
        width=width,
        body=grid_h + tokens.below + 0.55,
        title=lens_words.title(result),
        above=lens_words.asked(result),
        below=[
            lens_words.verdict(result),
            "Cells: the top token at that layer and position. Framed: it is the answer.",
            model_line(result.provenance),
        ],
    )

    ax = drawing.axes(fig, left=left, top=top, width=grid_w, height=grid_h)
    colours = [[sequential(p) for p in row] for row in grid["top_probs"][..., 0].tolist()]
    drawing.cells(ax, colours)
    text_size = min(7.5, cell_h * 72 / 1.25)
    if cell_w >= 0.3 and text_size >= 5:
        says = [[show_token(t[0]) for t in row] for row in grid["top_tokens"]]
        texts = [[drawing.fit(t, text_size, cell_w * 0.93) for t in row] for row in says]
        drawing.write_cells(ax, texts, colours, text_size)
    for row, column in zip(*(grid["answer_rank"] == 1).nonzero(), strict=True):
        drawing.outline(ax, int(row), int(column), width=1.4 if cell_w > 0.3 else 0.8)
    rows = drawing.every(n_rows, room=grid_h, need=0.13)
    drawing.label_y(ax, rows, [result.layers[i] for i in rows], 8, title="layer")
    tokens.draw(ax)
    _legend(fig, left=left, top=top + grid_h + tokens.below + 0.15)
    return fig


def _curve(
    ax: Axes,
    x: Sequence[int],
    y: Sequence[float] | np.ndarray,
    colour: str,
    *,
    filled: Sequence[bool] | None = None,
    marker: str = "o",
) -> None:
    size = min(4.5, max(2.0, 90 / len(x)))
    ax.plot(x, y, color=colour, linewidth=1.4, linestyle="-", marker="")
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        face = colour if filled is None or filled[i] else drawing.PAPER
        ax.plot(
            [a],
            [b],
            linestyle="",
            marker=marker,
            markersize=size,
            markerfacecolor=face,
            markeredgecolor=colour,
            markeredgewidth=1,
            clip_on=False,
            zorder=4,
        )


def _ticks(ax: Axes, values: Sequence[float], labels: Sequence[str]) -> None:
    """Faint lines across, with their values at the left."""
    for value in values:
        ax.axhline(value, color="#e6e9ee", linewidth=0.8, linestyle="-", zorder=0)
    drawing.label_y(ax, values, labels, 8)


def _panel_title(ax: Axes, parts: Sequence[tuple[str, str]]) -> None:
    """What a panel shows, each part in the colour of its curve."""
    x = 0.0
    for text, colour in parts:
        drawing.write_at(
            ax, 0, 1, text, 8, at="axes", dx=x, dy=0.05, ha="left", va="bottom", colour=colour, bold=True
        )
        x += drawing.text_width(text + "  ", 8, bold=True) + 0.06


def _crossover_label(ax: Axes, result: LogitLensResult, row: int, width: float) -> None:
    """Beside the dotted line, on the side where the curve is not: before the crossover it is low."""
    text = f"crossover: {'embedding' if result.layers[row] == 'embed' else 'layer ' + result.layers[row]}"
    room = (row + 0.5) / len(result.layers) * width
    before = room > drawing.text_width(text, 8) + 0.1
    drawing.write_at(
        ax,
        row,
        0.97 if before else 0.06,
        text,
        8,
        at="x",
        dx=-0.05 if before else 0.05,
        ha="right" if before else "left",
        va="top" if before else "bottom",
    )


def _token_cell(ax: Axes, row: int, column: int, token: str, prob: float, colour: RGB, width: float) -> None:
    """The token at the left of its cell and its probability at the right."""
    ink = css(text_on(colour))
    number = decimal(prob)
    text = drawing.fit(show_token(token), 7.5, width - 0.16 - drawing.text_width(number, 6.5))
    drawing.write_at(ax, column - 0.5, row, text, 7.5, dx=0.05, ha="left", va="center_baseline", colour=ink)
    drawing.write_at(
        ax, column + 0.5, row, number, 6.5, dx=-0.05, ha="right", va="center_baseline", colour=ink
    )


def _layer_labels(layers: Sequence[str], spacing: float) -> list[int]:
    """The rows whose layers are written below the curves without touching each other."""
    first = 1 if layers[0] == "embed" else 0
    chosen = [
        first + i for i in drawing.every(len(layers) - first, room=spacing * (len(layers) - first), need=0.24)
    ]
    return [0, *(i for i in chosen if i * spacing > 0.3)] if first else chosen


def _legend(fig: Figure, *, left: float, top: float) -> None:
    """The colour scale of probabilities, at `left` and `top` inches."""
    ax = drawing.axes(fig, left=left, top=top, width=1.8, height=0.11)
    drawing.scale_bar(ax, sequential, 0, 1, upright=False)
    for value in (0, 0.5, 1):
        drawing.write_at(ax, value, 0, f"{value:g}", 7, at="x", dy=-0.03, va="top")
    drawing.write_at(
        ax, 1, 0.5, "probability of the token shown", 7.5, at="axes", dx=0.1, ha="left", va="center_baseline"
    )
