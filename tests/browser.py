"""The app in a real browser, for tests: its server, Chromium, a watch over what the browser asks for and
complains of, and the parts of a page by their roles and names, as a screen reader finds them.

The fixtures are there for all tests, as `conftest.py` names this file as a plugin. Where Chromium, Playwright
or Streamlit is missing, the tests that use them are skipped, and say so.
"""

from __future__ import annotations

import importlib.util
import os
import re
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

from interp import Model
from interp.app.views.grid_data import grid_data
from interp.app.views.lens import LogitLens, lens_grid
from interp.errors import InterpError
from interp.experiments.base import find_experiment
from interp.runs import perform

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

#: Run as root in a container, without a screen, and silent towards the network.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What a browser keeps that has seen the tour, which else stands in a corner of the page.
TOUR_SEEN = "try { localStorage.setItem('interp tour seen', '1') } catch {}"
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
    """A running app: where it is, what it writes, the folder that it was started in, and its process."""

    url: str
    log: Path
    folder: Path
    process: subprocess.Popen[bytes]

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
    # One thread, as in the tests' own process: the same sums in the same order.
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for_answer(f"http://{HOST}:{port}/_stcore/health", process, log)
        yield Server(f"http://{HOST}:{port}", log, folder, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_for_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
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
        context.on("request", lambda request: self._requested(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._requested(socket.url)))
        context.on("console", lambda line: line.type == "error" and self.complaints.append(line.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("dialog", self._dialog)

    def _requested(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "file") and parts.hostname != HOST:
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
    """A browser without a window; not one for all tests, as its event loop would run under others."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        yield browser
        browser.close()


def _text_of(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode("utf-8", "ignore")


@pytest.fixture
def open_app(server: Server, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """`open_app(page="Trace", ...)` opens the app with these parameters in the URL, in a session of its own;
    `received` is called with all that the server sends to it. The tour was seen but on a `first_visit`.

    At the end of the test: nothing but this machine was asked for anything, no browser complained, and the
    server met no exception.
    """
    watch, contexts, written = Watch(), [], server.log.stat().st_size

    def open_app(
        options: dict[str, Any] | None = None,
        *,
        received: Callable[[str], None] | None = None,
        first_visit: bool = False,
        **parameters: str,
    ) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 1000}} | (options or {}))
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if not first_visit:
            context.add_init_script(TOUR_SEEN)
        watch.add(context)
        page = context.new_page()
        if received is not None:
            page.on(
                "websocket",
                lambda socket: socket.on("framereceived", lambda frame: received(_text_of(frame))),
            )
        page.goto(server.address(**parameters), wait_until="domcontentloaded")
        return page

    yield open_app
    for context in contexts:
        context.close()
    assert watch.outside == []
    assert watch.complaints == []
    assert "Traceback" not in server.log.read_text()[written:]


@pytest.fixture(scope="session")
def runs(server: Server) -> tuple[str, str]:
    """Two runs in the folder that the server was started in."""
    config = {"model": "demo-gpt2", "device": "cpu"}
    for name, answer in (("paris", " Paris"), ("tokyo", " Tokyo")):
        experiment = find_experiment("logit_lens")
        given = experiment.make_config(config | {"prompt": FRANCE, "answer": answer})
        perform(experiment, given, server.folder / "outputs" / "logit_lens" / name)
    return "logit_lens/paris", "logit_lens/tokyo"


@pytest.fixture(scope="session")
def expect(server: Server) -> Any:
    """Playwright's assertions, which wait until they hold."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    return expect


# ---- parts of a page ----

FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name, exact=True)


def lens(page: Page) -> Locator:
    return page.get_by_role("grid", name=re.compile("Logit lens"))


def tokens(model: Model, prompt: str) -> list[str]:
    """The tokens of a prompt, as the lens heads its columns."""
    return [column["text"] for column in grid_data(lens_grid(LogitLens(prompt)(model)))["columns"]]


def recovery(page: Page) -> Locator:
    cell = page.get_by_role("gridcell", name=re.compile("recovery"))
    return page.get_by_role("grid").filter(has=cell)


def cell(grid: Locator, layer: int, position: int) -> Locator:
    return grid.get_by_role("gridcell", name=re.compile(rf"^layer {layer}, position {position}\b"))


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(re.escape(label))).click()  # "Model" is not "another model"
    page.get_by_role("option", name=option, exact=True).click()


def settled(page: Page) -> None:
    """Wait until the page has all that the server sends."""
    page.locator("[data-test-script-state=notRunning]").wait_for()


def turn_to(page: Page, name: str) -> None:
    """Another page of the app."""
    page.get_by_role("radiogroup", name="Page").get_by_text(name, exact=True).click()


@pytest.fixture(scope="session")
def shows(expect: Any, load: Callable[[str], Model]) -> Callable[..., None]:
    """Wait until Explore shows what the library computes for a prompt: its tokens over the lens, or the
    sentence that refuses it."""

    def shows(page: Page, prompt: str, model: str = "demo-gpt2") -> None:
        try:
            heads = tokens(load(model), prompt)
        except InterpError as error:
            expect(page.get_by_role("alert").first).to_have_text(str(error), use_inner_text=True)
        else:
            expect(lens(page).get_by_role("columnheader")).to_have_text(["layer", *heads])
            expect(page.get_by_role("alert")).to_have_count(0)

    return shows
