"""An answer as files, the same that `interp run` writes: its record, its figure and its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from interp.app.views.questions import LibraryQuestion
from interp.experiments.base import find_experiment
from interp.figures.engine.drawing import png
from interp.figures.engine.html import page
from interp.figures.engine.notation import model_line
from interp.figures.engine.view import Chart, View
from interp.figures.engine.view_figure import figure_of
from interp.figures.engine.view_html import fragment
from interp.provenance import Provenance
from interp.results import Result
from interp.runs import picture, record_of, report_page

_drawing = Lock()  # matplotlib draws in one thread at a time


@dataclass(frozen=True)
class Download:
    """A file that is made when it is asked for."""

    label: str
    name: str
    mime: str
    make: Callable[[], str | bytes]


def downloads(model: str, question: LibraryQuestion, result: Callable[[], Result]) -> tuple[Download, ...]:
    """The files of an answer. The JSON, saved as ``result.json``, is a run that `interp show` reads."""
    experiment = find_experiment(question.experiment)

    def config() -> dict:
        return experiment.make_config({"model": model, **question.arguments}).model_dump()

    def record() -> str:
        return json.dumps(record_of(experiment, config(), result()), ensure_ascii=False)

    def drawn() -> bytes:
        with _drawing:
            return picture(experiment, result())

    def report() -> str:
        with _drawing:
            return report_page(experiment, config(), result())

    name = experiment.name
    return (
        Download("JSON", f"{name}.json", "application/json", record),
        Download("PNG", f"{name}.png", "image/png", drawn),
        Download("HTML", f"{name}.html", "text/html", report),
    )


def chart_downloads(chart: Chart, *, name: str, title: str, provenance: Provenance) -> tuple[Download, ...]:
    """The files of one chart: its numbers, its picture, and both as a page."""
    view = View(title=title, above=(), blocks=(chart,), below=())

    def numbers() -> str:
        table = chart.table
        said = {"title": title, "columns": table.columns, "rows": table.rows}
        return json.dumps(said | {"provenance": provenance.to_dict()}, ensure_ascii=False)

    def drawn() -> bytes:
        with _drawing:
            return png(figure_of(view, notes=[model_line(provenance)]))

    def report() -> str:
        with _drawing:
            return page(title=title, body=fragment(view), provenance=provenance)

    return (
        Download("JSON", f"{name}.json", "application/json", numbers),
        Download("PNG", f"{name}.png", "image/png", drawn),
        Download("HTML", f"{name}.html", "text/html", report),
    )
