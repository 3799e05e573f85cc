"""The picture, the table and the report of a causal trace.

The number in a cell is always the recovery, never clipped. Its colour says what the patch did; see
`trace_drawing.cell_colours`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from interp.figures.engine import html, terminal
from interp.figures.engine.colours import LIMIT
from interp.figures.engine.notation import (
    compact,
    count,
    decimal,
    measured,
    model_line,
    probability,
    show_token,
)
from interp.figures.views import trace_drawing, trace_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interp.methods.patching.results import CausalTracingResult


def figure(result: CausalTracingResult) -> Figure:
    """The [layer x position] map of recovery, layer 0 at the bottom, the strongest cell framed."""
    return trace_drawing.recovery_map(result)


def table(result: CausalTracingResult) -> RenderableType:
    """Baselines, the map with numbers on colours, and where the strongest effect is; for a terminal."""
    columns = []
    for position, token in enumerate(result.clean_tokens):
        other = trace_words.other_token(result, position)
        below = "" if other is None else show_token(other, max_chars=9)
        if other is None and trace_words.differs(result, position):
            below = "noised"
        columns.append(terminal.Column(show_token(token, max_chars=9), below))
    rows = []
    colours = trace_drawing.cell_colours(result)
    for layer, values in enumerate(result.recovery.tolist()):
        shown = zip(values, colours[layer], strict=True)
        cells = tuple(terminal.Cell(compact(value), colour) for value, colour in shown)
        rows.append(terminal.Row(str(layer), cells))
    return Group(
        terminal.heading(trace_words.title(result)),
        Text(trace_words.setting(result)),
        *(Text(line) for line in trace_words.baselines(result)),
        Text(),
        terminal.Grid("layer", tuple(columns), tuple(reversed(rows))),
        Text(),
        Text(trace_words.reach(result), style="bold"),
        Text(trace_words.peak(result)),
        Text(trace_words.meaning(result)),
        Text(model_line(result.provenance), style="dim"),
    )


def report(result: CausalTracingResult) -> str:
    """The trace as a fragment of HTML for `html.page`; each cell tells its exact values."""
    n_layers, n_positions = result.recovery.shape
    columns = _columns(result)
    names = ["recovery", trace_words.metric(result)]
    size = f"{count(n_layers, 'layer')}, {count(n_positions, 'token')}"

    def recovery_map(details: int) -> str:
        return html.grid(
            columns,
            _rows(result, details=details),
            corner="layer",
            names=names[:details],
            caption=f"Recovery by layer and position ({size})",
        )

    return html.section(
        trace_words.title(result),
        html.paragraph(trace_words.setting(result)),
        _baselines(result),
        html.paragraph(trace_words.reach(result), strong=True),
        html.paragraph(trace_words.peak(result)),
        html.paragraph(trace_words.meaning(result)),
        _legend(result),
        html.smallest_needed(recovery_map, (2, 1, 0)),
    )


def _baselines(result: CausalTracingResult) -> str:
    clean = [
        trace_words.clean_prompt(result),
        measured(result.clean_value),
        probability(result.clean_answer_prob),
        show_token(result.clean_top),
    ]
    corrupted = [
        trace_words.corrupted_prompt(result),
        measured(result.corrupted_value),
        probability(result.corrupted_answer_prob),
        show_token(result.corrupted_top),
    ]
    answer = show_token(result.answer)
    return html.table(
        ["", "Prompt", f"Metric: {trace_words.metric(result)}", f"p({answer})", "The model says"],
        [["clean", *clean], ["corrupted", *corrupted]],
        caption="Recovery is 1 where the metric is as in the clean run, 0 where as in the corrupted one",
    )


def _legend(result: CausalTracingResult) -> str:
    centre = trace_words.no_effect(result)
    stops = [
        (html.diverging_class(effect), {-LIMIT: "≤ ", LIMIT: "≥ "}.get(effect, "") + f"{effect + centre:g}")
        for effect in (-LIMIT, -1, -0.5, 0, 0.5, 1, LIMIT)
    ]
    return html.scale(stops, label=f"recovery; {trace_words.sign(result)}; framed: the strongest effect")


def _columns(result: CausalTracingResult) -> list[html.Column]:
    columns = []
    for position, token in enumerate(result.clean_tokens):
        other = trace_words.other_token(result, position)
        noised = other is None and trace_words.differs(result, position)
        full = f"position {position}: {show_token(token)}"
        if other is not None:
            full += f", corrupted: {show_token(other)}"
        elif noised:
            full += ", noised"
        heading = html.token(token, other=other, note="noised" if noised else "")
        columns.append(html.Column(heading, full))
    return columns


def _rows(result: CausalTracingResult, *, details: int) -> list[html.Row]:
    """The map, last layer on top; each cell with so many of (recovery, metric) for its tooltip."""
    centre, peak = trace_words.no_effect(result), result.peak
    recovery, values = result.recovery.tolist(), result.values.tolist()

    def cell(layer: int, position: int) -> html.Cell:
        share = recovery[layer][position]
        return html.Cell(
            compact(share),
            shade=html.diverging_class(share - centre),
            details=(decimal(share, 4), decimal(values[layer][position], 4))[:details],
            marked=(layer, position) == peak,
        )

    n_layers, n_positions = result.recovery.shape
    return [
        html.Row(str(layer), tuple(cell(layer, position) for position in range(n_positions)))
        for layer in reversed(range(n_layers))
    ]
