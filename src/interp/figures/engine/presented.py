"""From `view(result) -> View` to the three functions that an experiment's presentation has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from interp.figures.engine.notation import model_line
from interp.figures.engine.view import View
from interp.figures.engine.view_figure import figure_of
from interp.figures.engine.view_html import fragment
from interp.figures.engine.view_terminal import renderable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from interp.results import Result

R = TypeVar("R", bound="Result")


def presented(
    view: Callable[[R], View],
) -> tuple[Callable[[R], Figure], Callable[[R], RenderableType], Callable[[R], str]]:
    """(figure, table, report) of a view. The first two end with the model's line; a page has its provenance.

    figure, table, report = presented(view)
    """

    def figure(result: Any) -> Figure:
        return figure_of(view(result), notes=[model_line(result.provenance)])

    def table(result: Any) -> RenderableType:
        return renderable(view(result), notes=[model_line(result.provenance)])

    def report(result: Any) -> str:
        return fragment(view(result))

    return figure, table, report
