"""The server's process: Streamlit behind its guard, while the first model is loaded for the first page."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from interp.app.server.guard import Guard
from interp.app.server.model_server import shared_server
from interp.app.server.models import ModelIdentity
from interp.app.server.settings import first_model
from interp.threads import wait_asleep

if __name__ == "__main__":
    wait_asleep()
    sys.setswitchinterval(0.0005)  # seconds: what is drawn is sent while a model's thread works on
    import_module("interp.tokens")  # torch and transformers, before two threads import them at the same time
    options = json.loads(sys.argv[1])  # as `launch.server_command` gives them
    shared_server().submit(first_model(), ModelIdentity())
    guard = Middleware(Guard, port=options["server.port"])
    App(Path(__file__).parents[1] / "main.py", middleware=[guard]).run(config=options)
