"""The picture of a causal trace: recovery by layer and position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from interp.figures.engine import drawing
from interp.figures.engine.colours import LIMIT, RGB, diverging
from interp.figures.engine.notation import compact, model_line
from interp.figures.engine.token_axis import TokenAxis
from interp.figures.engine.view import Heading
from interp.figures.views import trace_words

if TYPE_CHECKING:
    from interp.methods.patching.results import CausalTracingResult

_LEGEND_WIDTH = 1.95

# Beside the colour scale: recovery -> what it means.
_STOPS: dict[str, dict[int, tuple[str, ...]]] = {
    "denoising": {
        1: ("as clean:", "answer brought back"),
        0: ("as corrupted:", "nothing comes back"),
        -1: ("further away", "than corrupted"),
    },
    "noising": {
        2: ("beyond clean",),
        1: ("as clean:", "answer unharmed"),
        0: ("as corrupted:", "answer lost"),
    },
}


def recovery_map(result: CausalTracingResult) -> Figure:
    """The [layer x position] map, layer 0 at the bottom, the strongest cell framed."""
    n_layers, n_positions = result.recovery.shape
    cell_w = min(max(9.0 / n_positions, 0.115), 0.66)
    cell_h = min(max(5.6 / n_layers, 0.135), 0.36)
    grid_w, grid_h = cell_w * n_positions, cell_h * n_layers
    tokens = TokenAxis.plan(
        [
            Heading(token, trace_words.other_token(result, i), strong=trace_words.differs(result, i))
            for i, token in enumerate(result.clean_tokens)
        ],
        cell_w,
    )
    left = drawing.MARGIN + max(0.45, tokens.overhang)
    needed = left + grid_w + _LEGEND_WIDTH + drawing.MARGIN
    width = max(needed, 6.4)
    left += (width - needed) / 2
    fig, top = drawing.sheet(
        width=width,
        body=max(grid_h + tokens.below, 2.5) + 0.15,
        title=trace_words.title(result),
        above=[trace_words.setting(result), *trace_words.baselines(result)],
        below=_notes(result),
    )

    ax = drawing.axes(fig, left=left, top=top, width=grid_w, height=grid_h)
    colours = cell_colours(result)
    drawing.cells(ax, colours)
    texts = [[compact(value) for value in row] for row in result.recovery.tolist()]
    size = drawing.number_size(texts, cell_w, cell_h)
    if size:
        drawing.write_cells(ax, texts, colours, size)
    drawing.outline(ax, *result.peak)
    rows = drawing.every(n_layers, room=grid_h, need=0.13)
    drawing.label_y(ax, rows, [str(i) for i in rows], 8, title="layer")
    tokens.draw(ax)
    _legend(fig, result, left=left + grid_w + 0.3, top=top, height=min(max(grid_h, 2.0), 3.2))
    return fig


def cell_colours(result: CausalTracingResult) -> list[list[RGB]]:
    """The colour of each [layer, position]: neutral where the patch changed nothing.

    That is a recovery of 0 when denoising and of 1 when noising, so that in both directions the places
    that matter stand out, and the scale is symmetric about "no effect".
    """
    centre = trace_words.no_effect(result)
    return [[diverging(value - centre) for value in row] for row in result.recovery.tolist()]


def _notes(result: CausalTracingResult) -> list[str]:
    where = "the prompts differ" if result.corruption == "interchange" else "the noise is added"
    return [
        f"{trace_words.meaning(result)} Bold: where {where}. Framed: the strongest effect.",
        trace_words.reach(result),
        trace_words.peak(result),
        model_line(result.provenance),
    ]


def _legend(fig: Figure, result: CausalTracingResult, *, left: float, top: float, height: float) -> None:
    """The colour scale, with what 0 and 1 mean."""
    centre, stops = trace_words.no_effect(result), _STOPS[result.direction]
    ax = drawing.axes(fig, left=left, top=top + 0.2, width=0.16, height=height - 0.2)
    drawing.scale_bar(ax, diverging, -LIMIT, LIMIT, upright=True)
    drawing.write_at(ax, 0, 1, "recovery", 8, at="axes", dy=0.07, ha="left", va="bottom", bold=True)
    for effect in (-LIMIT, -1, -0.5, 0, 0.5, 1, LIMIT):
        number = {-LIMIT: "≤ ", LIMIT: "≥ "}.get(effect, "") + f"{effect + centre:g}"
        drawing.write_at(ax, 1, effect, number, 7, at="y", dx=0.05, ha="left", va="center_baseline")
    for recovery, lines in stops.items():
        for i, line in enumerate(lines):
            drawing.write_at(
                ax,
                1,
                recovery - centre,
                line,
                6.5,
                at="y",
                dx=0.3,
                dy=0.055 * (len(lines) - 1) - 0.11 * i,
                ha="left",
                va="center_baseline",
                colour=drawing.QUIET,
            )
