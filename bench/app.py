"""How soon the app answers, in a real browser: from a changed prompt to the drawn page, from a click to its
detail.

    python bench/app.py [--tries 18] [--write]

Chromium without a window, driven by Playwright, beside the server on the same machine. Times are taken in the
page: from the event (Enter in the prompt, or the click on a cell) to the last frame in which any text of the
page changes, after which nothing changes for a second and Streamlit says that its script has ended; from a
click also to the last change of the cell's own detail, its top tokens. No try
repeats a prompt or a cell, so that none is answered from memory. A prompt that is typed without Enter is
taken when the typing has paused; that pause is not in these times.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import torch
from tables import put
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from interp.app.server.launch import server_command
from interp.models.names import KNOWN

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
TRIES = 18
PLACES = (  # of one token each
    *("Japan", "Italy", "Spain", "Germany", "Egypt", "Russia", "China", "Peru", "Cuba", "Kenya", "Iran"),
    *("Greece", "Norway", "Poland", "Turkey", "Canada", "Austria", "Chile", "Denmark", "Finland", "Hungary"),
)
TEMPLATES = ("The capital of {} is", "People in {} speak", "The currency of {} is the")
PROMPTS = {"Explore": [t.format(place) for t in TEMPLATES for place in PLACES]}
PROMPTS["Trace"] = PROMPTS["Explore"][: len(PLACES)]  # of as many tokens as CLEAN
CLEAN = "The capital of France is"
DRAWN = {"Explore": "Logit lens", "Trace": "Recovery"}  # the grid that each page is about, by its label

#: Defines `measured(event)` on a page.
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


@contextmanager
def run_server() -> Iterator[str]:
    """The app at a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(server_command(port, browser=False), stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def time_event(page: Any, event: str, act: Any) -> tuple[float, float]:
    """Seconds from an event, which `act` causes, to the last change of the cell's detail, and of the page."""
    page.evaluate("(kind) => { window.result = window.measured(kind); }", event)
    act()
    took = page.evaluate("() => window.result")
    if took is None:
        raise SystemExit("Nothing changed on the page within a minute.")
    detail, everything = took
    return detail / 1000, everything / 1000


def open_page(page: Any, address: str, name: str, parameters: dict[str, str]) -> None:
    """Go to a page with these parameters, and wait until it is drawn and can be measured."""
    page.goto(f"{address}/?{urlencode({'page': name, **parameters})}")
    page.get_by_role("grid", name=DRAWN[name]).wait_for(timeout=300_000)
    page.wait_for_function(
        "document.querySelector('[data-testid=stApp]').dataset.testScriptState !== 'running'"
    )
    page.evaluate(MEASURE)


def time_prompts(page: Any, name: str, label: str, tries: int) -> list[float]:
    """Seconds from Enter behind a new prompt to the page, `tries` times; refused prompts are not counted."""
    field, times = page.get_by_label(label, exact=True), []
    for prompt in PROMPTS[name]:
        field.fill(prompt)
        _, took = time_event(page, "keydown", lambda: field.press("Enter"))
        if page.locator("[data-testid=stAlert]").count() == 0:
            times.append(took)
        if len(times) == tries + 2:
            return times[2:]
    raise SystemExit(f"Only {len(times)} prompts could be used; ask for fewer tries.")


def time_clicks(page: Any, tries: int) -> list[tuple[float, float]]:
    """Seconds from a click on a cell of the lens to its detail, and to all that follows it, `tries` times."""
    cells, times = page.get_by_role("grid", name=DRAWN["Explore"]).get_by_role("gridcell"), []
    n = cells.count()
    for i in range(tries + 2):
        times.append(time_event(page, "click", cells.nth(i * 37 % n).click))
    return times[2:]


def small_gpt2(folder: str) -> str:
    """GPT-2 small's dimensions with random weights, large enough that prompts differ."""
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(initializer_range=0.08)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(KNOWN["demo-gpt2"].source).save_pretrained(folder)  # any will do
    return folder


def in_seconds(times: Sequence[float]) -> str:
    """Median and 90th percentile, in seconds."""
    return f"{statistics.median(times):.2f} | {statistics.quantiles(times, n=10)[-1]:.2f}"


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description="How soon the app answers.")
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = [
        "| model | page and event | median (s) | 90th percentile (s) |",
        "|---|---|---|---|",
    ]
    with TemporaryDirectory() as folder, run_server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        for name, model in (
            ("demo-gpt2", "demo-gpt2"),
            ("demo-qwen3", "demo-qwen3"),
            ("GPT-2 small dimensions", small_gpt2(folder)),
        ):
            tokens = {"answer": " Paris", "foil": " Tokyo", "target": " Paris"}
            open_page(page, address, "Explore", {"model": model, "prompt": CLEAN, **tokens})
            explored = time_prompts(page, "Explore", "Prompt", options.tries)
            details, follow = zip(*time_clicks(page, options.tries), strict=True)
            pair = {"clean": CLEAN, "corrupted": "The capital of Sweden is"}
            open_page(page, address, "Trace", {"model": model, **pair, **tokens})
            traced = time_prompts(page, "Trace", "Corrupted prompt", options.tries)
            for what, times in (
                ("Explore, a changed prompt", explored),
                ("Explore, a click on a cell: its top tokens", details),
                ("Explore, a click on a cell: all that follows it", follow),
                ("Trace, a changed prompt", traced),
            ):
                lines.append(f"| {name} | {what} | {in_seconds(times)} |")
                print(lines[-1], flush=True)
        browser.close()
    table = "\n".join(lines) + "\n"
    if options.write:
        put("app", table)


if __name__ == "__main__":
    main()
