"""How soon the app answers, in a real browser: from a changed prompt to the drawn page, from a click to its
detail.

    python bench/app.py [--tries 18] [--models demo-gpt2 gemma-3-270m] [--write]

Chromium without a window, driven by Playwright, beside the server on the same machine. Times are taken in the
page: from the event (Ctrl+Enter in the prompt, or the click on a cell) to the last frame in which any text of
the page changes, after which nothing changes for a second and Streamlit says that its script has ended; from
the event also to the last change of the lens and of the cell's own detail, its top tokens, which stand beside
it, and to the last change of all but what the model goes on to say, which is asked last. No
try repeats a prompt or a cell, so that none is answered from memory. What is typed is taken when the typing
has paused; that pause is not in these times. Of Gemma 3 270M, where it is installed (`make real`), prompts of
about 15 tokens, another target, one more word, and a text of about 650 tokens; memory: the server's highest.

Whose the time is, is printed for each event: until the server's last message to the browser (Streamlit's run
of the script, in which the library's answers are), and after it (the browser's drawing). What the library's
answers take by themselves, asked without Streamlit, `--answers` prints, in processor time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import torch
from tables import put
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from interp import load_model
from interp.app.server import settings
from interp.app.server.launch import server_command
from interp.models.gguf.packages import GEMMA, is_installed
from interp.models.names import KNOWN
from interp.zoo import NAMES

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
TRIES = 18
PLACES = (  # of one token each
    *("Japan", "Italy", "Spain", "Germany", "Egypt", "Russia", "China", "Peru", "Cuba", "Kenya", "Iran"),
    *("Greece", "Norway", "Poland", "Turkey", "Canada", "Austria", "Chile", "Denmark", "Finland", "Hungary"),
)
TEMPLATES = ("The capital of {} is", "People in {} speak", "The currency of {} is the")
PROMPTS = {"Explore": [t.format(place) for t in TEMPLATES for place in PLACES]}
REAL = "gemma-3-270m"
REAL_PROMPTS = [
    f"Everybody who has been to school knows that the capital city of {place} is" for place in PLACES
]
LONG = " it was the best of times, it was the worst of times, it was the age of wisdom, and" * 29
CLEAN, JAPAN = "The capital of France is", "The capital of Japan is"
#: Of as many tokens as CLEAN; the page begins with JAPAN, which would change nothing.
PROMPTS["Trace"] = [prompt for prompt in PROMPTS["Explore"][: len(PLACES)] if prompt != JAPAN]
SMALL = "GPT-2 small dimensions"
DRAWN = {"Explore": "Logit lens", "Trace": "Recovery"}  # the grid that each page is about, by its label

#: Defines `measured(event)` on a page.
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


@contextmanager
def run_server(files: str) -> Iterator[tuple[str, int]]:
    """The app at a free port, which may read models in a folder; its address, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        server_command(port, browser=False),
        stdout=subprocess.DEVNULL,
        env=os.environ | {settings.FILES: files},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def highest_memory(process: int) -> float:
    """GB that a process has taken at most."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1e6


class Messages:
    """When the browser last asked the server for something, when the server's last message came, and how much
    processor time the server took."""

    def __init__(self, page: Any, server: int) -> None:
        self.asked = self.answered = self.used = 0.0
        self.server = server  # its process
        #: Of each event: seconds until the last message, processor seconds of the server, seconds in all.
        self.shares: list[tuple[float, float, float]] = []
        page.on("websocket", self._watch)

    def _watch(self, socket: Any) -> None:
        socket.on("framesent", lambda _: setattr(self, "asked", self.asked or time.perf_counter()))
        socket.on("framereceived", lambda _: setattr(self, "answered", time.perf_counter()))

    def begin(self) -> None:
        self.asked, self.used = 0.0, processor_seconds(self.server)

    def end(self, whole: float) -> None:
        used = processor_seconds(self.server) - self.used
        self.shares.append((max(self.answered - self.asked, 0.0), used, whole))

    def in_words(self) -> str:
        """The medians of what was watched since this was last asked."""
        server, used, whole = (statistics.median(times) for times in zip(*self.shares, strict=True))
        self.shares = []
        return (
            f"  until the server's last message {server:.2f} s of {whole:.2f} s; the server's processor time "
            f"{used:.2f} s"
        )


def processor_seconds(process: int) -> float:
    """The processor time that a process has taken with all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_event(page: Any, event: str, act: Any) -> tuple[float, ...]:
    """Seconds from an event, which `act` causes, to the last change of the lens and the cell's detail, of all
    but what is said next, and of the page."""
    page.evaluate("(kind) => { window.result = window.measured(kind); }", event)
    page.messages.begin()
    act()
    took = page.evaluate("() => window.result")
    if took is None:
        raise SystemExit("Nothing changed on the page within a minute.")
    page.messages.end(took[-1] / 1000)
    return tuple(one / 1000 for one in took)


def open_page(page: Any, address: str, name: str, parameters: dict[str, str]) -> None:
    """Go to a page with these parameters, and wait until it is drawn and can be measured."""
    page.goto(f"{address}/?{urlencode({'page': name, **parameters})}")
    grid, permit = page.get_by_role("grid", name=DRAWN[name]), page.get_by_role("button", name="Open it")
    grid.or_(permit).first.wait_for(timeout=300_000)
    if permit.count():
        permit.click()
    grid.wait_for(timeout=300_000)
    page.locator("[data-test-script-state=notRunning]").wait_for(timeout=300_000)
    page.evaluate(MEASURE)


def time_texts(page: Any, label: str, texts: Sequence[str], tries: int) -> list[tuple[float, ...]]:
    """Seconds of `time_event` from a new text in a field, `tries` times; those that are refused are not
    counted."""
    field, times = page.get_by_label(label, exact=True), []
    key = "Control+Enter" if field.evaluate("one => one.tagName") == "TEXTAREA" else "Enter"
    for text in texts:
        field.fill(text)
        took = time_event(page, "keydown", lambda: field.press(key))
        if page.locator("[data-testid=stAlert]").count() == 0:
            times.append(took)
        if len(times) == tries + 2:
            return times[2:]
    raise SystemExit(f"Only {len(times)} texts could be used; ask for fewer tries.")


def time_clicks(page: Any, tries: int) -> list[tuple[float, ...]]:
    """Seconds of `time_event` from a click on a cell of the lens, `tries` times."""
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


def of_a_demo(page: Any, address: str, model: str, tries: int) -> Iterator[tuple[str, Sequence[float]]]:
    """Each event, and how long it took: on Explore, then on Trace, which random weights have nothing for."""
    tokens = {"answer": " Paris", "foil": " Tokyo", "target": " Paris"}
    open_page(page, address, "Explore", {"model": model, "prompt": CLEAN, **tokens})
    yield from drawn("Explore, a changed prompt", time_texts(page, "Prompt", PROMPTS["Explore"], tries))
    yield from clicked(page, tries)
    if model not in NAMES:
        return
    open_page(page, address, "Trace", {"model": model, "clean": CLEAN, "corrupted": JAPAN, **tokens})
    traced = time_texts(page, "Corrupted prompt", PROMPTS["Trace"], tries)
    yield "Trace, a changed prompt", whole(traced)


def of_a_real_model(page: Any, address: str, tries: int) -> Iterator[tuple[str, Sequence[float]]]:
    """The same of Gemma 3 270M on Explore."""
    open_page(page, address, "Explore", {"model": REAL, "prompt": CLEAN, "target": " Paris"})
    few = min(tries, len(PLACES) - 2)
    prompts = time_texts(page, "Prompt", REAL_PROMPTS, few)
    yield from drawn("Explore, a changed prompt of about 15 tokens", prompts)
    targets = time_texts(page, "Target token", [f" {place}" for place in PLACES], few)
    yield from drawn("Explore, another target", targets, says_more=False)
    longer = [" ".join((REAL_PROMPTS[0], *PLACES[: i + 1])) for i in range(len(PLACES))]
    yield from drawn("Explore, one word more", time_texts(page, "Prompt", longer, min(few, 8)))
    yield from clicked(page, few)
    texts = [f"{place}:{LONG}" for place in PLACES]  # of one end, so that the lens may show the same
    yield "Explore, about 650 tokens: all", whole(time_texts(page, "Prompt", texts[:5], 3))
    words = [" ".join((texts[4], *PLACES[: i + 1])) for i in range(5)]
    yield "Explore, one word more behind these: all", whole(time_texts(page, "Prompt", words, 3))


def drawn(
    event: str, times: Sequence[tuple[float, ...]], *, says_more: bool = True
) -> Iterator[tuple[str, Sequence[float]]]:
    """The parts of the page that are drawn one after the other."""
    lens, page, everything = zip(*times, strict=True)
    yield f"{event}: its lens", lens
    yield f"{event}: the page", page
    if says_more:
        yield f"{event}: what the model goes on to say", everything


def whole(times: Sequence[tuple[float, ...]]) -> list[float]:
    """Until the last change of all."""
    return [everything for *_, everything in times]


def clicked(page: Any, tries: int) -> Iterator[tuple[str, Sequence[float]]]:
    """What a click on a cell brings."""
    details, _, everything = zip(*time_clicks(page, tries), strict=True)
    yield "Explore, a click on a cell: its top tokens", details
    yield "Explore, a click on a cell: all that follows it", everything


def answers_alone(models: Sequence[str], tries: int) -> str:
    """What Explore asks the library of a changed prompt, and of a click, without Streamlit and a browser."""
    from interp.app.views import explore, generate
    from interp.app.views.attention import AttentionPatterns
    from interp.app.views.lens import LogitLens, ShapeOf
    from interp.app.views.tokens import LikeliestTokens

    lines = []
    for name in models:
        model = load_model(name)
        prompts = REAL_PROMPTS if name == REAL else PROMPTS["Explore"]
        heads = tuple((0, head) for head in range(model.arch.n_heads))
        typed, clicked = [], []
        for prompt in prompts[: tries + 2]:
            end = len(model.to_tokens(prompt).row(0)) - 1
            of_prompt = [ShapeOf(prompt), LogitLens(prompt, " Paris"), LikeliestTokens(prompt)]
            of_cell = [
                explore.TrackedTokens(prompt, end, (" Paris",)),
                explore.DirectLogitAttribution(prompt=prompt, answer=" Paris", position=end),
                AttentionPatterns(prompt, heads),
            ]
            start = time.process_time()
            for question in (*of_prompt, *of_cell, generate.GoesOn(prompt)):
                question(model)
            typed.append(time.process_time() - start)
            start = time.process_time()
            for question in of_cell:
                question(model)
            clicked.append(time.process_time() - start)
        for event, times in (("a changed prompt", typed[2:]), ("a click on a cell", clicked[2:])):
            lines.append(f"{name}, Explore, {event}: {in_seconds(times)} s of processor time (median | 90th)")
    return "\n".join(lines)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description="How soon the app answers.")
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--models", nargs="+", help="only these, for a look; the table is of all")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--answers", action="store_true", help="time the library's answers alone, and stop")
    options = parser.parse_args()
    if options.answers:
        print(answers_alone(options.models or ["demo-gpt2"], options.tries))
        return
    lines = [
        "| model | page and event | median (s) | 90th percentile (s) |",
        "|---|---|---|---|",
    ]
    with (
        TemporaryDirectory() as folder,
        run_server(folder) as (address, process),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.add_init_script("localStorage.setItem('interp tour seen', '1')")
        page.messages = Messages(page, process)
        models = {"demo-gpt2": "demo-gpt2", "demo-qwen3": "demo-qwen3", SMALL: small_gpt2(folder)}
        if is_installed(GEMMA):
            models[REAL] = REAL
        for name, model in models.items():
            if options.models and name not in options.models:
                continue
            measure = of_a_real_model if name == REAL else partial(of_a_demo, model=model)
            for what, times in measure(page, address, tries=options.tries):
                lines.append(f"| {name} | {what} | {in_seconds(times)} |")
                print(lines[-1], flush=True)
                if page.messages.shares:
                    print(page.messages.in_words(), flush=True)
        browser.close()
        memory = f"\nMemory of the server, at most: {highest_memory(process):.2g} GB.\n"
    print(memory)
    if options.write:
        put("app", "\n".join(lines) + "\n" + memory)


if __name__ == "__main__":
    main()
