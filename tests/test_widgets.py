"""Widgets: what is clicked is a Python value, and what is set in Python is what is drawn."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from browser import FLAGS, HOST, PATIENCE, Watch, chromium_path
from interp.errors import InputError
from interp.figures.by_kind import view_of
from interp.figures.engine.view import Grid
from interp.runs import read_run

pytest.importorskip("anywidget")
PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}
in_a_browser = pytest.mark.skipif(
    chromium_path() is None or importlib.util.find_spec("playwright") is None, reason="needs Chromium"
)


def click(widget: Any, number: int, row: int, column: int) -> None:
    """What the browser sends when a cell is clicked."""
    places = list(widget.places)
    places[number] = [row, column]
    widget.set_state({"places": places})


@pytest.fixture(scope="module")
def trace(load: Any) -> Any:
    return interp.causal_tracing(load("demo-gpt2"), **PAIR)


def test_the_clicked_cell_is_a_value(trace: Any) -> None:
    widget = interp.widgets.grid(trace)
    assert (widget.selected, widget.cell) == (None, None)
    seen: list[Any] = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    click(widget, 0, 2, 4)
    assert widget.selected == (2, 4)
    assert seen == [(2, 4)]
    cell = widget.cell
    assert cell["recovery"] == trace.recovery[2, 4]
    assert "France" in str(cell)
    widget.selected = [0, 5]
    assert (widget.selected, widget.places) == ((0, 5), [[0, 5]])
    widget.selected = None
    assert widget.places == [None]


def test_a_cell_that_is_not_there_is_refused(trace: Any) -> None:
    widget = interp.widgets.grid(trace)
    with pytest.raises(InputError, match=r"There is no cell \(6, 0\); the grid has 6 rows and 6 columns"):
        widget.selected = (6, 0)
    with pytest.raises(InputError, match=r"A cell is \(row, column\), not 'here'"):
        widget.selected = "here"
    with pytest.raises(InputError, match="'no'"):
        interp.widgets.grid(trace, "no")


def test_a_result_without_a_grid_says_so(tmp_path: Path) -> None:
    stored = Path(__file__).parent / "format_1" / "sae_steering.json.gz"
    (tmp_path / "result.json").write_bytes(gzip.decompress(stored.read_bytes()))
    with pytest.raises(InputError, match="has no grid to click"):
        interp.widgets.grid(read_run(tmp_path).result)


def test_what_is_drawn_is_the_grid_of_the_view_whole(trace: Any) -> None:
    widget = interp.widgets.grid(trace)
    (grid,) = [block for block in view_of(trace).blocks if isinstance(block, Grid)][:1]
    (part,) = widget.parts
    json.dumps(part, allow_nan=False)
    assert len(part["rows"]) == len(grid.rows)
    assert len(part["columns"]) == len(grid.columns)
    assert "drawGrid" in widget._esm
    assert ".interp-grid" in widget._css
    assert not re.search(r"""https?://(?!www\.w3\.org/)|@import|import\s+.*from""", widget._esm + widget._css)


def test_the_attention_of_all_heads(load: Any) -> None:
    model = load("demo-gpt2")
    widget = interp.widgets.attention(model, PAIR["clean"])
    cache = model.run_with_cache(PAIR["clean"], ["pattern"])
    layer, head = widget.head
    beyond = np.array(
        [[cache["pattern", i][0, j, 1:, 1:].sum(-1).mean() for j in range(6)] for i in range(6)]
    )
    assert beyond[layer, head] == pytest.approx(beyond.max())
    np.testing.assert_allclose(widget.map.values, beyond, rtol=1e-5)
    click(widget, 0, 3, 1)
    assert widget.head == (3, 1)
    np.testing.assert_array_equal(widget.pattern, cache["pattern", 3][0, 1].numpy())
    assert widget.parts[1]["caption"] == "Head 3.1"
    click(widget, 1, 5, 2)
    assert (widget.head, widget.selected) == ((3, 1), (5, 2))
    widget.head = (2, 0)
    assert widget.places == [[2, 0], [5, 2]]


def test_the_attention_of_some_heads(load: Any) -> None:
    widget = interp.widgets.attention(load("demo-gpt2"), PAIR["clean"], heads=["4.1", "2.0"])
    assert np.isfinite(widget.map.values).sum() == 2
    before = widget.head
    click(widget, 0, 0, 0)  # one that was not asked for
    assert (widget.head, widget.place(0)) == (before, before)


def test_the_lens_and_the_tokens_of_a_cell(load: Any) -> None:
    model = load("demo-gpt2")
    widget = interp.widgets.lens(model, PAIR["clean"], " Paris")
    assert widget.selected == (6, 5)
    rank, token, probability = widget.tokens[0]
    assert (rank, token) == (1, " Paris")
    assert probability == pytest.approx(
        float(model.forward(PAIR["clean"])[0, -1].softmax(-1).max()), rel=1e-3
    )
    click(widget, 0, 0, 4)
    assert widget.selected == (0, 4)
    assert widget.tokens[0][1] == " France"
    assert widget.parts[1]["caption"].startswith("Layer embed, position 4")
    assert widget.tokens[-1][1] == " Paris"  # the answer, at its rank
    widget.selected = (6, 5)
    assert widget.parts[1]["rows"][0]["cells"][0]["text"] == "␣Paris"


def test_without_anywidget_a_sentence_says_what_to_install(trace: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InputError, match=r"Widgets need anywidget, which is not installed; .*\.\[notebook\]"):
        interp.widgets.grid(trace)


# ---- in a browser ----

#: A page that does what a notebook does with a widget: it gives `render` a model with get, set and on.
_PAGE = """async ([esm, css, state]) => {
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    const module = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    const { default: widget } = await import(module);
    const heard = {}, el = document.createElement("div");
    globalThis.saved = 0;
    globalThis.state = state;
    globalThis.model = {
        get: (name) => state[name],
        set: (name, value) => { state[name] = value; (heard[`change:${name}`] || []).forEach((f) => f()); },
        on: (name, f) => (heard[name] ||= []).push(f),
        save_changes: () => saved++,
    };
    document.body.append(el);
    widget.render({ model, el });
}"""


@in_a_browser
def test_a_click_in_a_page_is_sent_and_drawn(trace: Any) -> None:
    from playwright.sync_api import sync_playwright

    widget = interp.widgets.grid(trace)
    state = {"parts": widget.parts, "places": widget.places}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        page, complaints, asked = browser.new_page(), [], []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.set_content("<!DOCTYPE html><p>A notebook's page.</p>")
        page.evaluate(_PAGE, [widget._esm, widget._css, state])
        cell = page.locator("td[data-row='2'][data-column='4']")
        cell.click()
        assert page.evaluate("state.places") == [[2, 4]]
        assert page.evaluate("saved") == 1
        assert cell.get_attribute("aria-selected") == "true"
        page.evaluate("model.set('places', [[0, 1]])")
        assert cell.get_attribute("aria-selected") == "false"
        assert page.locator("td[aria-selected=true]").get_attribute("data-column") == "1"
        browser.close()
    assert not complaints
    assert not [url for url in asked if url.startswith("http")]


NOTEBOOK = """import interp
model = interp.load_model("demo-gpt2")
trace = interp.causal_tracing(model, clean="The capital of France is", corrupted="The capital of Japan is",
    answer=" Paris", foil=" Tokyo")
grid = interp.widgets.grid(trace)
grid.observe(lambda change: open("clicked.txt", "w").write(repr(grid.cell)), "selected")
grid
###
interp.widgets.attention(model, "When John and Mary went to the store, John gave a drink to")
###
interp.widgets.lens(model, "The Eiffel Tower is in the city of", " Paris")
###
trace"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """JupyterLab in a folder with a notebook of widgets; its address."""
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(code) for code in NOTEBOOK.split("\n###\n")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "widgets.ipynb")
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", f"--ServerApp.ip={HOST}"]
    command += [
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    log = (tmp_path / "lab.log").open("wb")
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
    )
    try:
        end = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://{HOST}:{port}/api", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end, (tmp_path / "lab.log").read_text()
                time.sleep(0.3)
        yield f"http://{HOST}:{port}/lab/tree/widgets.ipynb"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        log.close()


@pytest.mark.slow
@in_a_browser
@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="needs JupyterLab")
def test_a_click_in_jupyterlab_is_a_value_of_the_kernel(lab: str, tmp_path: Path, pytestconfig: Any) -> None:
    from playwright.sync_api import sync_playwright

    watch = Watch()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        context = browser.new_context(viewport={"width": 1300, "height": 3000})
        watch.add(context)
        page = context.new_page()
        page.goto(lab)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=2 * PATIENCE)
        page.evaluate("jupyterapp.restored.then(() => jupyterapp.shell.currentWidget.sessionContext.ready)")
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        grid = page.locator(".interp-view .interp-grid").first
        grid.locator("td[data-row='2'][data-column='4']").click(timeout=4 * PATIENCE)
        clicked = tmp_path / "clicked.txt"
        end = time.monotonic() + 30
        while not clicked.exists():
            assert time.monotonic() < end
            page.wait_for_timeout(100)
        assert "France" in clicked.read_text()
        grid.locator("td[data-row='2'][data-column='4'][aria-selected=true]").wait_for(timeout=PATIENCE)
        page.get_by_text("Top tokens of the cell").or_(page.get_by_text("Layer 5, position")).first.wait_for(
            timeout=PATIENCE
        )
        page.locator(".interp-view .plain").first.wait_for(
            state="attached", timeout=PATIENCE
        )  # the result itself
        folder = pytestconfig.getoption("--screenshots")
        if folder:
            page.screenshot(path=str(Path(folder) / "widgets-in-jupyterlab.png"))
        browser.close()
    assert not watch.outside
