"""The page Runs without its widgets: the run folders that are there, and one of them opened.

How two runs are compared is in `comparison`.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from interp.app.views.comparison import flat, in_brief
from interp.configs import read_config
from interp.errors import ConfigError, RunError, first_line, nearest
from interp.figures.engine.notation import count, show_text
from interp.figures.engine.view import Table

if TYPE_CHECKING:
    from interp.runs import Run

LARGEST_RESULT = 100e6  # bytes of a result.json that is opened here
LARGEST_FILE = 500e6  # bytes of a file that is sent to a browser
_MOST_PIXELS = 100e6  # of a figure
_MAX_CHARS = 80  # of a name in a list or table


@dataclass(frozen=True)
class RunFolder:
    """A run's folder: what its path and its configuration say of the run."""

    experiment: str
    tag: str
    model: str
    finished: float  # seconds since 1970; 0 where there is no result

    @property
    def name(self) -> str:
        """``logit_lens/demo-gpt2-demo``, as `interp show` takes it."""
        return f"{self.experiment}/{self.tag}"

    @property
    def title(self) -> str:
        """The run in a list to choose from."""
        return " · ".join((self.finished_in_words, self.experiment, self.tag, self.model))

    @property
    def finished_in_words(self) -> str:
        """When the run was finished, in local time; or that it has no result."""
        if not self.finished:
            return "no result"
        return f"{datetime.fromtimestamp(self.finished):%Y-%m-%d %H:%M}"


def find_runs(out: Path) -> list[RunFolder]:
    """The runs under `out`, newest first; at the end the folders without a result.

    Hidden folders are runs at work or stopped, and links are not followed, so that nothing outside is listed.
    Folders whose names are no text (not UTF-8, or with characters that do not print) are left out; no run has
    such a name, and a browser could not ask for it.
    """
    folders = (tag for experiment in _subfolders(out) for tag in _subfolders(experiment))
    return sorted(map(_run_folder, folders), key=lambda run: (-run.finished, run.name))


def _subfolders(path: Path) -> list[Path]:
    try:
        inside = [one for one in path.iterdir() if one.name.isprintable() and one.name[0] != "."]
        return [one for one in inside if one.is_dir() and not one.is_symlink()]
    except OSError:  # not there, or not to be read
        return []


def _run_folder(path: Path) -> RunFolder:
    config = path / "config.yaml"
    model = _model_of(config, _last_change(config))
    return RunFolder(path.parent.name, path.name, model, _last_change(path / "result.json"))


def _last_change(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(maxsize=10_000)
def _model_of(config: Path, changed: float) -> str:
    """The model that a configuration names, or "". It is read again where the file has `changed`."""
    try:
        return show_text(str(read_config(config).get("model", "")), max_chars=_MAX_CHARS)
    except ConfigError:
        return ""


def select(runs: list[RunFolder], *, experiment: str = "", model: str = "") -> list[RunFolder]:
    """The runs of an experiment and of a model; all where one is not given."""
    return [run for run in runs if experiment in ("", run.experiment) and model in ("", run.model)]


def runs_to_compare(runs: list[RunFolder], name: str) -> list[str]:
    """The names of the other runs, those of the same experiment first."""
    others = [run for run in runs if run.name != name]
    return [run.name for run in sorted(others, key=lambda run: run.experiment != name.partition("/")[0])]


def in_words(runs: list[RunFolder], out: Path) -> str:
    """How many runs there are in a folder, in a sentence."""
    unfinished = sum(not run.finished for run in runs)
    found = f"{count(len(runs), 'run')} in {out.absolute()}, the newest first"
    return found + (f"; {unfinished} of them without a result." if unfinished else ".")


def open_run(out: Path, runs: list[RunFolder], name: str) -> Run:
    """The run of this name. `RunError` where it is none of `runs`, whatever path it spells, and where it is
    unfinished or damaged."""
    from interp.runs import read_run

    names = [run.name for run in runs]
    if name not in names:
        raise RunError(f"There is no run {name!r} in {str(out)!r}; {nearest(name, names)}")
    return read_run(out / name, largest=LARGEST_RESULT)


def report(run: Run) -> str:
    """The run's report, drawn from its result and not read from the folder, where anything may stand.
    `RunError` where the result cannot be drawn."""
    from interp.runs import report_page

    try:
        return report_page(run.experiment, run.config, run.result)
    except Exception as error:  # a result that was changed by hand can be wrong in any way
        raise RunError(
            f"The result in {str(run.path)!r} is damaged and cannot be drawn ({first_line(error)}); run it "
            "again."
        ) from None


def files(run: Run) -> list[Path]:
    """The files of a run that may be downloaded. Left out are links, pipes and devices, what is too large to
    be sent, and what has a name that is no text."""
    return [path for path in run.files if path.name.isprintable() and _may_be_sent(path)]


def _may_be_sent(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE


def figure(run: Run) -> bytes | None:
    """The run's figure, as PNG; None where it is not there. `RunError` where its file holds no picture, or
    one far larger than a figure."""
    name = f"{run.experiment.name}.png"
    path = next((path for path in files(run) if path.name == name), None)
    if path is None:
        return None
    from PIL import Image

    content = path.read_bytes()
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(f"{picture.width:,} x {picture.height:,} pixels")
            picture.load()
    except Exception as error:  # a damaged file can fail in any way
        raise RunError(
            f"The figure {str(path)!r} is damaged ({first_line(error)}); draw it again with: interp show "
            "--redraw."
        ) from None
    return content


def provenance_table(run: Run) -> Table:
    """Where the numbers came from."""
    provenance = flat(run.result.provenance.to_dict())
    rows = tuple((show_text(key, max_chars=_MAX_CHARS), in_brief(value)) for key, value in provenance.items())
    return Table(("", "value"), rows, title="Where these numbers come from")


def config_table(run: Run) -> Table:
    """What was asked for."""
    rows = tuple((show_text(key, max_chars=_MAX_CHARS), in_brief(value)) for key, value in run.config.items())
    return Table(("key", "value"), rows, title="Configuration")
