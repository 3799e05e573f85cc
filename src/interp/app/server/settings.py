"""What the command line tells the server, by environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from interp.zoo import NAMES

#: The model that pages begin with.
MODEL = "INTERP_APP_MODEL"
#: The folder of runs that the page Runs shows.
RUNS = "INTERP_OUTPUTS"
#: The folders that models, SAEs and texts may lie in.
FILES = "INTERP_APP_FILES"


def first_model() -> str:
    """The model that pages begin with, which is loaded when the server starts."""
    return os.environ.get(MODEL) or NAMES[0]


def runs_folder() -> Path:
    """The folder of runs that the server was given; else the command line's own, where the server runs."""
    return Path(os.environ.get(RUNS, "outputs"))


def files_folders() -> tuple[Path, ...]:
    """The folders that models, SAEs and texts may lie in; the one where the server runs, if none is given."""
    given = os.environ.get(FILES, "").split(os.pathsep)
    return tuple(Path(folder or ".").resolve() for folder in given)
