"""What the command line tells the server, by environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from interp.zoo import NAMES

#: The model that pages begin with.
MODEL = "INTERP_APP_MODEL"
#: The folder of runs that the page Runs shows.
RUNS = "INTERP_OUTPUTS"


def first_model() -> str:
    """The model that pages begin with, which is loaded when the server starts."""
    return os.environ.get(MODEL) or NAMES[0]


def runs_folder() -> Path:
    """The folder of runs that the server was given; else the command line's own, where the server runs."""
    return Path(os.environ.get(RUNS, "outputs"))
