"""Runs on disk: ``outputs/<experiment>/<tag>/`` with the result, its configuration and its pictures.

A run is written to a hidden folder beside its place and moved there in one step when it is complete,
so that a killed run leaves nothing that looks finished.
"""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.configs import write_config
from interp.errors import ConfigError, RunError, first_line
from interp.experiments.base import (
    Experiment,
    ExperimentConfig,
    all_experiments,
    current_name,
    find_experiment,
    load_for,
)
from interp.files import read_text
from interp.format_1 import upgraded
from interp.ranks import is_first, n_started
from interp.results import Result, read_result
from interp.resume import Folder, Store, resuming

if TYPE_CHECKING:
    from interp.models.base import Model

#: Runs an experiment of this name and configuration in other processes, such as `interp.workers`.
Elsewhere = Callable[[str, dict[str, Any]], Result]

FORMAT = 2
LARGEST = 2e9  # bytes of a result.json: more would not fit into the memory of a laptop
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class Run:
    """A finished run: where it is, what was run with which configuration, and what came out."""

    path: Path
    experiment: Experiment
    config: dict[str, Any]
    result: Result

    @property
    def files(self) -> list[Path]:
        return sorted(self.path.iterdir())


def default_tag(model: str) -> str:
    """A tag that names the model and the moment, for runs that were given none."""
    slug = re.sub(r"[^A-Za-z0-9._+-]+", "-", Path(model).name).strip("-.") or "model"
    return f"{slug[:60]}-{datetime.now():%Y%m%d-%H%M%S}"


def run_folder(out: Path, experiment: str, tag: str, *, force: bool) -> Path:
    """Where a run goes. `RunError` for a tag that is taken (without `force`) or no plain name."""
    if not _TAG.fullmatch(tag):
        raise RunError(
            f"The tag {tag!r} will not do; use up to 100 letters, digits, '.', '_', '+' and '-', "
            "beginning with a letter or digit."
        )
    folder = out / experiment / tag
    if folder.exists() and not force:
        raise RunError(f"There is a run at {str(folder)!r} already; choose another --tag or pass --force.")
    _check_writable(folder.parent)
    return folder


def _check_writable(folder: Path) -> None:
    """Before the work, not after it: `RunError` where `folder` cannot be written or made."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise RunError(f"{str(there)!r} is a file, so runs cannot be kept in it; choose another --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunError(f"The folder {str(there)!r} cannot be written; choose another --out.")


def perform(
    experiment: Experiment,
    config: ExperimentConfig,
    folder: Path,
    *,
    model: Model | None = None,
    elsewhere: Elsewhere | None = None,
) -> Run:
    """Run the experiment on the model of its configuration, loaded now where it is not given, and write the
    run to `folder` (replacing one that is there). With `elsewhere`, other processes load and run it. Of the
    processes that run one model together (``tp_plan``), the first writes."""
    _check_together(config, elsewhere)
    started = time.time()
    with resuming(_parts_store(folder)):
        if elsewhere is not None:
            result = elsewhere(experiment.name, config.model_dump())
        else:
            result = experiment.run(config, load_for(config) if model is None else model)
    if not is_first():
        return Run(folder, experiment, config.model_dump(), result)
    run = write_run(experiment, config, folder, result, started)
    shutil.rmtree(parts_folder(folder), ignore_errors=True)
    return run


def _check_together(config: ExperimentConfig, elsewhere: Elsewhere | None) -> None:
    """`ConfigError` where torchrun has started several processes that do not run one model together."""
    if n_started() > 1 and (config.tp_plan is None or elsewhere is not None):
        raise ConfigError(
            f"torchrun has started {n_started()} processes, which each would do the same; cut one model over "
            "them with --set tp_plan=auto (without --on), or start interp by itself."
        )


def _parts_store(folder: Path) -> Path | Store:
    """Where a run to `folder` keeps its parts; several processes agree on what is there."""
    if n_started() == 1:
        return parts_folder(folder)
    from interp.models.shards import AgreedStore

    return AgreedStore(Folder(parts_folder(folder)))


def write_run(
    experiment: Experiment, config: ExperimentConfig, folder: Path, result: Result, started: float
) -> Run:
    """A result as a run in `folder`, replacing one that is there."""
    values = {"experiment": experiment.name, **config.model_dump()}
    timestamps = {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 3),
    }
    record = record_of(experiment, config.model_dump(), result) | {"timestamps": timestamps}
    with _replaced_when_complete(folder) as unfinished:
        _write_json(unfinished / "result.json", record)
        (unfinished / "config.yaml").write_text(write_config(values), encoding="utf-8")
        _draw(experiment, result, config.model_dump(), unfinished)
    return Run(folder, experiment, config.model_dump(), result)


def save(result: Result, folder: Path, *, force: bool = False) -> Path:
    """Write a result that was made without a configuration as a run; returns its folder. `RunError` where the
    folder is taken (without `force`), or where no experiment gives results of its kind."""
    from interp.figures.by_kind import module_name

    shown_by = module_name(type(result))
    given_by = [one for one in all_experiments().values() if shown_by and one.shown_by == shown_by]
    if not given_by:
        raise RunError(
            f"No experiment gives a result of the kind {result.kind!r}, so it cannot be kept as a run; "
            "write what its to_dict() says as JSON, and read it with interp.results.read_result."
        )
    if folder.exists() and not force:
        raise RunError(f"There is something at {str(folder)!r} already; choose another folder or force=True.")
    if folder.exists() and not (folder / "result.json").is_file():
        raise RunError(f"{str(folder)!r} is no run, and is not replaced by one; choose another folder.")
    _check_writable(folder.parent)
    with _replaced_when_complete(folder) as unfinished:
        _write_json(unfinished / "result.json", record_of(given_by[0], {}, result))
        _draw(given_by[0], result, {}, unfinished)
    return folder


def record_of(experiment: Experiment, config: dict[str, Any], result: Result) -> dict[str, Any]:
    """What a run's ``result.json`` holds and `read_run` reads."""
    return {
        "format": FORMAT,
        "experiment": experiment.name,
        "config": config,
        "result": result.to_dict(),
    }


def picture(experiment: Experiment, result: Result) -> bytes:
    """The figure of a run, as PNG."""
    from interp.figures.engine.drawing import png

    return png(experiment.presentation.figure(result))


def report_page(experiment: Experiment, config: dict[str, Any], result: Result) -> str:
    """The report of a run, as one HTML page that loads nothing from elsewhere."""
    from interp.figures.engine.html import page

    return page(
        title=experiment.name.replace("_", " "),
        body=experiment.presentation.report(result),
        provenance=result.provenance,
        config=config or None,  # none is known of a result that was saved from Python
    )


def parts_folder(folder: Path) -> Path:
    """Where an unfinished run to `folder` keeps the parts that it has, to go on from."""
    return folder.parent / f".{folder.name}.parts"


def read_run(path: Path, *, largest: float = LARGEST) -> Run:
    """The run in a folder; `RunError` where there is none, it is damaged, or its ``result.json`` has more
    than `largest` bytes."""
    file = path / "result.json"
    try:
        record = json.loads(read_text(file, largest=largest, error=RunError))
    except FileNotFoundError:
        raise RunError(
            f"There is no finished run at {str(path)!r}; give a folder with a result.json."
        ) from None
    except RecursionError:
        raise RunError(f"{str(file)!r} is nested too deeply to be a result; run it again.") from None
    except ValueError as error:
        raise RunError(f"{str(file)!r} cannot be read ({first_line(error)}); run it again.") from None
    if not isinstance(record, dict) or record.get("format") not in (1, FORMAT):
        raise RunError(f"{str(file)!r} is not a result that this version reads; run it again.")
    if missing := {"experiment", "config", "result"} - record.keys():
        raise RunError(f"{str(file)!r} lacks its {', '.join(sorted(missing))}; run it again.")
    if not isinstance(record["config"], dict) or not isinstance(record["result"], dict):
        raise RunError(f"{str(file)!r} is damaged: its config or its result is no mapping; run it again.")
    try:
        experiment = find_experiment(current_name(str(record["experiment"])))
    except ConfigError as error:
        raise RunError(f"{str(file)!r} cannot be shown: {error}") from None
    if experiment.presentation is None:
        raise RunError(f"The experiment {experiment.name!r} has no presentation; read {str(file)!r} instead.")
    _know_all_results()
    return Run(path, experiment, record["config"], _result(record, file))


def _result(record: dict[str, Any], file: Path) -> Result:
    if record["format"] == FORMAT:
        return read_result(record["result"])
    try:
        return read_result(upgraded(record["result"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"The result in {str(file)!r} is damaged ({error!r}); run it again.") from None


def _know_all_results() -> None:
    """Import the results of every room, so that each kind can be read, whatever this process has run so far.
    They are light: neither torch nor a model is needed to show a run."""
    for name in ("interp.methods", "interp.saes", "interp.tasks"):
        for module in pkgutil.walk_packages(import_module(name).__path__, f"{name}."):
            if module.name.endswith("results"):
                import_module(module.name)


def redraw(run: Run) -> None:
    """Draw a run's figure and report anew from its result, without a model."""
    _draw(run.experiment, run.result, run.config, run.path)


def _draw(experiment: Experiment, result: Result, config: dict[str, Any], folder: Path) -> None:
    if experiment.presentation is None:
        return
    (folder / f"{experiment.name}.png").write_bytes(picture(experiment, result))
    (folder / "report.html").write_text(report_page(experiment, config, result), encoding="utf-8")


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(
        json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


@contextmanager
def _replaced_when_complete(folder: Path) -> Iterator[Path]:
    """A hidden folder to write to, which becomes `folder` when the block ends without an error."""
    unfinished = folder.parent / f".{folder.name}.{os.getpid()}.unfinished"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep_up(folder)
        unfinished.mkdir()
    except OSError as error:
        raise RunError(
            f"Cannot write to {str(folder.parent)!r} ({error.strerror}); choose another --out."
        ) from None
    try:
        yield unfinished
        old = folder.parent / f".{folder.name}.{os.getpid()}.replaced"
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise RunError(f"Could not write the run to {str(folder)!r} ({error.strerror}).") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sweep_up(folder: Path) -> None:
    """Remove what killed processes left of earlier tries at the same tag."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        match = re.fullmatch(r"\.(\d+)\.(unfinished|replaced)", left.name.removeprefix(f".{folder.name}"))
        if match and not _alive(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
