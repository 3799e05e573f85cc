"""Running a sweep: every run as `interp run` would do it, then one table and one figure of them all.

The runs are the parts of the work (`interp.parts`): computed here one after the other, or by several workers,
each of which keeps the model that it loaded last. A run that fails by a mistake of the configuration, such as
a site that one of the models does not have, is a row that says so, and the others go on.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interp.configs import write_config
from interp.errors import InterpError, RunError
from interp.experiments.base import LOADING, Experiment, find_experiment, load_for
from interp.parts import Arrays, Work, each_part
from interp.provenance import code_state
from interp.results import read_result
from interp.resume import kept, resuming
from interp.runs import parts_folder, write_run
from interp.sweeps.grid import Cell, measures_of
from interp.sweeps.summary import Row, Summary
from interp.workers.jobs import Models, only


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """All runs of a sweep, as a job for workers; what it returns is the written result of each, or the
    sentence of its error."""

    experiment: str
    configs: Sequence[Mapping[str, Any]]
    labels: Sequence[str]

    def run(self, models: Models) -> list[str]:
        experiment = find_experiment(self.experiment)

        def one(index: int) -> Arrays:
            config = experiment.make_config(dict(self.configs[index]))
            key = repr([(name, getattr(config, name)) for name in LOADING])

            def result() -> Arrays:
                model = only(models, key, lambda: load_for(config))
                return _as_array({"result": experiment.run(config, model).to_dict()})

            asked = {"run": self.experiment, "config": config.model_dump(), "code": code_state()}
            try:
                return kept(asked, result)
            except InterpError as error:
                return _as_array({"error": str(error)})

        work = Work(task="runs", total=len(self.configs), compute=one, describe=self.labels.__getitem__)
        return [bytes(part["json"]).decode() for part in each_part(work)]


def _as_array(value: Mapping[str, Any]) -> Arrays:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return {"json": np.frombuffer(text.encode(), dtype=np.uint8)}


def sweep(
    experiment: Experiment,
    cells: Sequence[Cell],
    folder: Path,
    *,
    show: Sequence[str] = (),
    do: Callable[[SweepJob], list[str]] | None = None,
) -> Summary:
    """Run every cell, and write each as a run to `folder`, with the summary of all.

    Args:
        show: the numbers of each result that the summary shows, as `measures_of` names them; none: those that
            all runs have.
        do: has the job done by workers; None: here.

    Raises `RunError` where not one run succeeds.
    """
    configs = [cell.config.model_dump() for cell in cells]
    job = SweepJob(experiment=experiment.name, configs=configs, labels=[cell.label for cell in cells])
    started = time.time()
    with resuming(parts_folder(folder)):
        written = [json.loads(text) for text in (job.run({}) if do is None else do(job))]
    errors = [one["error"] for one in written if "error" in one]
    if len(errors) == len(written):
        raise RunError(f"All {len(written)} runs of this sweep failed: {errors[0]}")
    measures = [measures_of(one["result"], named=show) if "result" in one else {} for one in written]
    rows = [
        Row(dict(cell.values), found, one.get("error", ""))
        for cell, found, one in zip(cells, measures, written, strict=True)
    ]
    summary = Summary(experiment=experiment.name, rows=tuple(rows), chosen=tuple(show))
    for cell, one in zip(cells, written, strict=True):
        if "result" in one:
            write_run(experiment, cell.config, folder / cell.tag, read_result(one["result"]), started)
    _write_summary(summary, folder)
    shutil.rmtree(parts_folder(folder), ignore_errors=True)
    return summary


def _write_summary(summary: Summary, folder: Path) -> None:
    from interp.figures.engine.drawing import png
    from interp.figures.engine.html import page
    from interp.figures.engine.view_figure import figure_of
    from interp.figures.engine.view_html import fragment

    view = summary.view()
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(summary.table())
    (folder / "table.csv").write_text(out.getvalue(), encoding="utf-8")
    (folder / "sweep.png").write_bytes(png(figure_of(view, notes=[])))
    report = page(title=f"{summary.experiment}, a sweep", body=fragment(view))
    (folder / "report.html").write_text(report, encoding="utf-8")
    distinct = {key: dict.fromkeys(map(json.dumps, summary.values(key))) for key in summary.keys}
    over = {key: [json.loads(value) for value in values] for key, values in distinct.items()}
    values = {"experiment": summary.experiment, "over": over}
    (folder / "sweep.yaml").write_text(write_config(values), encoding="utf-8")
