"""The process of the server: Streamlit, and meanwhile the first model is loaded for the first page."""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

from interp.app.server.models import Loaded, first_model
from interp.app.server.store import shared

if __name__ == "__main__":
    shared().start(first_model(), Loaded())
    cli.main(["run", str(Path(__file__).parents[1] / "main.py"), *sys.argv[1:]])
