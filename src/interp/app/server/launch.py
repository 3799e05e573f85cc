"""Start the app's server: this machine only, no telemetry, no browser unless asked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from interp.app.server.models import BEGIN_WITH
from interp.app.ui.theme import THEME
from interp.app.views.runs import OUTPUTS
from interp.errors import ConfigError, how_to_install


def command(port: int, *, browser: bool) -> list[str]:
    """What is run. `ConfigError` where Streamlit is not installed or the port is none."""
    if importlib.util.find_spec("streamlit") is None:
        raise ConfigError(f"The app needs Streamlit; run: {how_to_install('app')}.")
    if not 1 <= port <= 65535:
        raise ConfigError(f"A port lies between 1 and 65535; got {port}.")
    options = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": not browser,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "global.disableWidgetStateDuplicationWarning": True,  # texts have defaults, and examples replace them
    }
    given = [f"--{key}={str(value).lower()}" for key, value in options.items()]
    given += [f"--{key}={value}" for key, value in THEME.items()]
    return [sys.executable, "-m", "interp.app.server.serve", *given]


def launch(port: int, *, browser: bool, model: str | None = None, out: Path | None = None) -> int:
    """Serve until interrupted; the server's exit code. Pages begin with `model`, by default a demo model; the
    runs shown are those in `out`."""
    given = {BEGIN_WITH: model, OUTPUTS: out}
    environment = os.environ | {name: str(value) for name, value in given.items() if value is not None}
    program = command(port, browser=browser)
    if os.name == "posix":  # the server takes this process's place: what ends the one ends the other
        os.execve(program[0], program, environment)
    return subprocess.call(program, env=environment)
