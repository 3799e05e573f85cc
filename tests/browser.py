"""The app in a real browser, for tests: its server, Chromium, and a watch over requests and complaints.

Fixtures; `conftest.py` names this file as a plugin. Where Chromium, Playwright or Streamlit is missing, the
tests that use them are skipped, and say so.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

#: Run as root in a container, without a screen, and silent towards the network.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOST = "127.0.0.1"
START = 120  # seconds that the server may take to answer, on a busy machine
PATIENCE = 30_000  # milliseconds that a test waits for what a user should see


def chromium_path() -> str | None:
    """Debian's Chromium, or another one on the path."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str | None:
    """What is not installed here that the tests in a browser need; None where all of it is there."""
    if chromium_path() is None:
        return "Chromium (Debian: apt-get install chromium)"
    modules = {"playwright": "Playwright", "streamlit": "Streamlit"}
    return next((name for module, name in modules.items() if importlib.util.find_spec(module) is None), None)


@dataclass(frozen=True)
class Server:
    """A running app: where it is, what it writes, and the folder that it was started in."""

    url: str
    log: Path
    folder: Path

    def address(self, **parameters: str) -> str:
        return f"{self.url}/?{urlencode(parameters)}" if parameters else self.url


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """`interp app` at a free port, started in `folder`; ended with all its processes."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    command = [sys.executable, "-m", "interp", "app", "--port", str(port)]
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=offline, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _answered(f"http://{HOST}:{port}/_stcore/health", process, log)
        yield Server(f"http://{HOST}:{port}", log, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answered(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers; what it wrote, where it does not."""
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The app did not start; it wrote:\n{log.read_text()}")


@dataclass
class Watch:
    """What a browser asked for and complained about."""

    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def add(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._asked(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._asked(socket.url)))
        context.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", self._dialog)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != HOST:
            self.outside.append(url)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app, once for all tests."""
    if (what := missing()) is not None:
        pytest.skip(f"the app is not tested in a browser: needs {what}")
    with serving(tmp_path_factory.mktemp("app")) as server:
        yield server


@pytest.fixture(scope="module")
def chromium(server: Server) -> Iterator[Browser]:
    """A browser without a window; not one for all tests, as Playwright's event loop would run under others."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def visit(server: Server, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """`visit(page="Trace", ...)` opens the app with these parameters in the URL, in a session of its own.

    At the end of the test: nothing but this machine was asked for anything, no browser complained, and the
    server met no exception.
    """
    watch, contexts, written = Watch(), [], server.log.stat().st_size

    def visit(options: dict[str, Any] | None = None, **parameters: str) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 1000}} | (options or {}))
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        watch.add(context)
        page = context.new_page()
        page.goto(server.address(**parameters), wait_until="domcontentloaded")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert watch.outside == []
    assert watch.complaints == []
    assert "Traceback" not in server.log.read_text()[written:]
