"""The server's process: Streamlit, while the first model is loaded for the first page."""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

from interp.app.server.model_server import shared_server
from interp.app.server.models import ModelIdentity
from interp.app.server.settings import first_model

if __name__ == "__main__":
    shared_server().submit(first_model(), ModelIdentity())
    cli.main(["run", str(Path(__file__).parents[1] / "main.py"), *sys.argv[1:]])
