"""An answer as a notebook, and as the files that `interp run` writes: record, figure and report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from interp.app.views.questions import LibraryQuestion
from interp.experiments.base import find_experiment
from interp.figures.engine.drawing import png
from interp.figures.engine.html import page
from interp.figures.engine.notation import model_line
from interp.figures.engine.view import Chart, View
from interp.figures.engine.view_figure import figure_of
from interp.figures.engine.view_html import fragment
from interp.notebooks import notebook, program, title_of
from interp.provenance import Provenance
from interp.results import Result
from interp.runs import default_tag, picture, record_of, report_page, run_folder, write_run

_drawing = Lock()  # matplotlib draws in one thread at a time


@dataclass(frozen=True)
class Download:
    """A file that is made when it is asked for."""

    label: str
    name: str
    mime: str
    make: Callable[[], str | bytes]


def downloads(
    model: str, question: LibraryQuestion, result: Callable[[], Result], *, python: str = ""
) -> tuple[Download, ...]:
    """The files of an answer. The JSON, saved as ``result.json``, is a run that `interp show` reads. The
    notebook has the program `python`, whose `result` is the answer; without one, the experiment."""
    experiment = find_experiment(question.method)

    def config() -> dict[str, Any]:
        return experiment.make_config({"model": model, **question.arguments}).model_dump()

    def as_notebook() -> str:
        code = python or program(experiment, config())
        return notebook(code, result(), title=title_of(experiment), about=experiment.about)

    files = _three_files(
        experiment.name,
        record=lambda: record_of(experiment, config(), result()),
        figure=lambda: picture(experiment, result()),
        report=lambda: report_page(experiment, config(), result()),
    )
    name = f"{experiment.name}.ipynb"
    return (*files, Download("Download as notebook", name, "application/x-ipynb+json", as_notebook))


def save_run(model: str, question: LibraryQuestion, result: Result, out: Path) -> str:
    """Write an answer as a run under `out`, as the copied command would; returns the run's name. `RunError`
    where it cannot be written."""
    experiment = find_experiment(question.method)
    config = experiment.make_config({"model": model, **question.arguments})
    folder = run_folder(out, experiment.name, default_tag(model), force=False)
    with _drawing:
        write_run(experiment, config, folder, result, time.time())
    return f"{experiment.name}/{folder.name}"


def chart_downloads(chart: Chart, *, name: str, title: str, provenance: Provenance) -> tuple[Download, ...]:
    """The files of one chart: its numbers, its picture, and both as a page."""
    view = View(title=title, above=(), blocks=(chart,), below=())

    def record() -> dict[str, Any]:
        table = chart.table
        numbers = {"title": title, "columns": table.columns, "rows": table.rows}
        return numbers | {"provenance": provenance.to_dict()}

    return _three_files(
        name,
        record=record,
        figure=lambda: png(figure_of(view, notes=[model_line(provenance)])),
        report=lambda: page(title=title, body=fragment(view), provenance=provenance),
    )


def _three_files(
    name: str,
    *,
    record: Callable[[], dict[str, Any]],
    figure: Callable[[], bytes],
    report: Callable[[], str],
) -> tuple[Download, ...]:
    """The same as JSON, PNG and HTML."""

    def json_text() -> str:
        return json.dumps(record(), ensure_ascii=False)

    def locked_figure() -> bytes:
        with _drawing:
            return figure()

    def locked_report() -> str:
        with _drawing:
            return report()

    return (
        Download("JSON", f"{name}.json", "application/json", json_text),
        Download("PNG", f"{name}.png", "image/png", locked_figure),
        Download("HTML", f"{name}.html", "text/html", locked_report),
    )
