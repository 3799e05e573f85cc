"""Launch the app's server: for this machine only, without telemetry, and with a browser only if asked."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from interp.app.server import settings
from interp.app.server.access import folders_of
from interp.app.server.guard import NAMES
from interp.app.theme import THEME
from interp.errors import ConfigError, how_to_install


def server_command(port: int, *, browser: bool) -> list[str]:
    """The command that starts the server. `ConfigError` where Streamlit is missing or the port is none."""
    if importlib.util.find_spec("streamlit") is None:
        raise ConfigError(f"The app needs Streamlit; run: {how_to_install('app')}.")
    if not 1 <= port <= 65535:
        raise ConfigError(f"A port lies between 1 and 65535; got {port}.")
    options: dict[str, object] = {
        "server.address": NAMES[0],
        "server.port": port,
        "server.allowedHosts": list(NAMES),
        "browser.serverAddress": NAMES[0],
        "server.headless": not browser,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showSidebarNavigation": False,  # of the folder pages/, whose files are no scripts
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "global.disableWidgetStateDuplicationWarning": True,  # texts have defaults, and examples replace them
    }
    return [sys.executable, "-m", "interp.app.server", json.dumps(options | THEME)]


def launch(
    port: int,
    *,
    browser: bool,
    model: str | None = None,
    out: Path | None = None,
    files: Sequence[Path] = (),
) -> int:
    """Serve until interrupted; the server's exit code. Pages begin with `model`, by default a demo model, and
    the page Runs shows the runs in `out`. Models, SAEs and texts are read from the folders `files`, by
    default the working folder; `InputError` where one is not there."""
    folders = os.pathsep.join(map(str, folders_of(files))) or None
    given = {settings.MODEL: model, settings.RUNS: out, settings.FILES: folders}
    environment = os.environ | {name: str(value) for name, value in given.items() if value is not None}
    command = server_command(port, browser=browser)
    if os.name == "posix":  # the server takes this process's place: what ends the one ends the other
        os.execve(command[0], command, environment)
    return subprocess.call(command, env=environment)
