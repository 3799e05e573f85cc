"""From `view(result) -> View` to the three functions that an experiment's presentation has.

A table is made without matplotlib, which is imported only when a figure or a report is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.console import RenderableType

from interp.figures.engine.notation import model_line
from interp.figures.engine.view import View
from interp.figures.engine.view_terminal import renderable
from interp.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = object

R = TypeVar("R", bound=Result)


def presentation(
    view: Callable[[R], View],
) -> tuple[Callable[[R], Figure], Callable[[R], RenderableType], Callable[[R], str]]:
    """(figure, table, report) of a view. The first two end with the model's line; a page has its provenance.

    figure, table, report = presentation(view)
    """

    def figure(result: R) -> Figure:
        from interp.figures.engine.view_figure import figure_of

        return figure_of(view(result), notes=[model_line(result.provenance)])

    def table(result: R) -> RenderableType:
        return renderable(view(result), notes=[model_line(result.provenance)])

    def report(result: R) -> str:
        from interp.figures.engine.view_html import fragment

        return fragment(view(result))

    return figure, table, report
