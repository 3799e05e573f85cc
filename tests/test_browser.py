"""The pages in a real browser (skipped where Chromium, Playwright or Streamlit is missing).

Elements are found by their roles and names, as a screen reader finds them. What must be shown is computed
here with the library, from the same prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interp import Model
from interp.app import explore
from interp.app.cells import payload
from interp.errors import InterpError
from interp.figures.notation import show_token

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

DEMOS = ["demo-gpt2", "demo-qwen3"]
FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)> ![x](http://example.invalid/x.png)",
    "right to left": "שלום עולם \u202eabc",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👋🏽",
    "long": "word " * 2000,
    "spaces": "    ",
    "markdown": "# a **b** $x^2$ :red[c] [d](http://example.invalid) `e`",
    "backslashes": "\\n \\u0000 C:\\new \\\\ \\",
    "nothing": "null",
    "nan": "NaN undefined None",
    "percent": "%00 %s {0} ${x} {{7*7}}",
    "quotes": 'it\'s "so" `so` \'\'\' """',
}


@pytest.fixture(scope="module")
def expect():
    return pytest.importorskip("playwright.sync_api").expect


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("textbox", name=name, exact=True)


def lens(page: Page) -> Locator:
    return page.get_by_role("grid", name=re.compile("Logit lens"))


def tokens(model: Model, prompt: str) -> list[str]:
    """The tokens of a prompt, as the lens heads its columns."""
    return [column["text"] for column in payload(explore.lens_grid(explore.Lens(prompt)(model)))["columns"]]


def cell(grid: Locator, layer: int, position: int) -> Locator:
    return grid.get_by_role("gridcell", name=re.compile(rf"^layer {layer}, position {position}\b"))


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def turn_to(page: Page, name: str) -> None:
    """Another page of the app."""
    page.get_by_role("radiogroup", name="Page").get_by_text(name, exact=True).click()


@pytest.fixture(scope="module")
def shows(expect, load) -> Callable[..., None]:
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


# ---- explore ----


@pytest.mark.parametrize("model", DEMOS)
def test_the_lens_follows_what_is_typed_and_clicked(visit, expect, load, shows, model):
    page = visit(model=model)
    shows(page, explore.EXAMPLES[0][0], model)
    box(page, "Prompt").fill(JAPAN)
    shows(page, JAPAN, model)
    result = explore.Lens(JAPAN, " Paris")(load(model))
    cell(lens(page), 3, 2).click()
    expect(page.get_by_text(f"Layer 3, position 2: {show_token(result.tokens[2])}")).to_be_visible()
    expect(cell(lens(page), 3, 2)).to_have_attribute("aria-selected", "true")
    top = explore.cell_table(result, 4, 2).rows[0]
    detail = page.get_by_role("table").filter(has_text="Layer 3, position 2")
    expect(detail.get_by_role("row", name=" ".join(map(str, top)))).to_be_visible()


def test_the_lens_is_walked_with_the_keyboard(visit, expect, shows):
    page = visit(prompt=FRANCE, cell="4.3")
    shows(page, FRANCE)
    start = cell(lens(page), 3, 3)
    expect(start).to_have_attribute("aria-selected", "true")
    start.focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    expect(cell(lens(page), 4, 2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Layer 4, position 2")).to_be_visible()
    expect(cell(lens(page), 4, 2)).to_be_focused()


def test_an_example_takes_one_click(visit, expect, shows):
    page = visit(cell="1.1")
    for prompt, target in explore.EXAMPLES[::-1]:
        page.get_by_role("button", name=prompt).click()
        shows(page, prompt)
        expect(box(page, "Prompt")).to_have_value(prompt)
        expect(page.get_by_text(re.compile(f"Target: {show_token(target)}"))).to_be_visible()


def test_another_model_takes_its_place(visit, expect, shows):
    page = visit(prompt=FRANCE)
    shows(page, FRANCE)
    choose(page, "Model", "demo-qwen3")
    expect(page).to_have_url(re.compile("model=demo-qwen3"))
    shows(page, FRANCE, "demo-qwen3")


# ---- hostile prompts ----


def test_hostile_prompts_give_what_the_library_gives(visit, shows):
    page = visit(target="")
    for prompt in (*HOSTILE.values(), FRANCE):
        box(page, "Prompt").fill(prompt)
        shows(page, prompt)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_prompt_in_the_address_is_a_prompt(visit, shows, name):
    shows(visit(prompt=HOSTILE[name], target=""), HOSTILE[name])
