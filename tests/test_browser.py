"""The app in a real browser (skipped where it is missing): what holds on every page.

What must be shown is computed here with the library, from the same prompt.
"""

from __future__ import annotations

import re

import pytest

from browser import FRANCE, JAPAN, box, cell, lens, recovery, settled, tokens, turn_to
from interp.app.views import explore
from interp.app.views.lens import LogitLens, lens_grid

#: One for each of twenty sessions; none stands in an example.
NAMES = (
    *("Germany", "Spain", "Italy", "Egypt", "Russia", "Poland", "Norway", "Sweden", "Greece", "Turkey"),
    *("Kenya", "Chile", "Peru", "Cuba", "China", "India", "Iran", "Iraq", "Austria", "Hungary"),
)

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


# ---- the address ----


def test_back_and_forward_follow_what_was_done(open_app, expect, shows):
    page = open_app(prompt=FRANCE, target=" Paris")
    shows(page, FRANCE)
    cell(lens(page), 3, 2).click()
    expect(page.get_by_text("Layer 3, position 2")).to_be_visible()
    page.get_by_role("button", name=explore.EXAMPLES[2][0]).click()
    shows(page, explore.EXAMPLES[2][0])
    settled(page)
    turn_to(page, "Trace")
    expect(recovery(page)).to_be_visible()
    settled(page)
    page.go_back()
    shows(page, explore.EXAMPLES[2][0])
    settled(page)
    page.go_back()
    shows(page, FRANCE)
    expect(page.get_by_text("Layer 3, position 2")).to_be_visible()
    settled(page)
    page.go_forward()
    shows(page, explore.EXAMPLES[2][0])
    settled(page)
    page.go_forward()
    expect(recovery(page)).to_be_visible()


def test_a_link_gives_the_same_view(open_app, expect, shows):
    page = open_app(model="demo-qwen3")
    shows(page, explore.EXAMPLES[0][0], "demo-qwen3")
    box(page, "Prompt").fill(JAPAN)
    shows(page, JAPAN, "demo-qwen3")
    page.get_by_role("radiogroup", name="Colour by").get_by_text("entropy").click()
    cell(lens(page), 2, 3).click()
    expect(page.get_by_text("Layer 2, position 3")).to_be_visible()
    settled(page)
    seen = page.get_by_role("main").inner_text()
    page.reload()
    shows(page, JAPAN, "demo-qwen3")
    expect(page.get_by_text("Layer 2, position 3")).to_be_visible()
    expect(page.get_by_role("main")).to_have_text(seen, use_inner_text=True)
    box(page, "Target token").fill("")
    expect(page).to_have_url(re.compile("target="))
    page.reload()
    shows(page, JAPAN, "demo-qwen3")
    expect(box(page, "Target token")).to_have_value("")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"page": "Nowhere"}, "There is no page 'Nowhere'; Explore is shown."),
        ({"model": "../../etc/passwd"}, "'../../etc/passwd' lies outside the folders that the app may read"),
        ({"cell": "99.99"}, "names a cell that is not in this grid"),
        ({"cell": "<script>alert(1)</script>"}, "names a cell that is not in this grid"),
        ({"head": "x.y"}, "names the head 'x.y'"),
        ({"page": "Trace", "cell": "-1.0"}, "names a cell that is not in this grid"),
        ({"page": "Runs", "run": "../../etc"}, "There is no run '../../etc' to choose from"),
    ],
    ids=str,
)
def test_a_wrong_address_is_told_in_a_sentence(open_app, expect, runs, parameters, sentence):
    page = open_app(**parameters)
    expect(page.get_by_text(sentence).first).to_be_visible()
    expect(page.get_by_role("radiogroup", name="Page")).to_be_visible()


# ---- hostile prompts ----


def test_hostile_prompts_give_what_the_library_gives(open_app, shows):
    page = open_app(target="")
    for prompt in (*HOSTILE.values(), FRANCE):
        box(page, "Prompt").fill(prompt)
        shows(page, prompt)


@pytest.mark.parametrize("name", ["script", "right to left", "long", "spaces", "backslashes", "percent"])
def test_a_hostile_prompt_in_the_address_is_a_prompt(open_app, shows, name):
    shows(open_app(prompt=HOSTILE[name], target=""), HOSTILE[name])


# ---- everybody's page ----


@pytest.mark.slow
def test_twenty_sessions_see_only_their_own_prompts(open_app, expect, load, shows):
    """All type at once; each is shown its own answer, and none is sent a word of another's."""
    prompts = [f"The capital of {name} is" for name in NAMES]
    received: list[list[str]] = [[] for _ in prompts]
    pages = [
        open_app({"viewport": {"width": 800, "height": 600}}, received=texts.append) for texts in received
    ]
    for page in pages:
        expect(box(page, "Prompt")).to_be_visible()
    for page, prompt in zip(pages, prompts, strict=True):
        box(page, "Prompt").fill(prompt)
    for i, page in enumerate(pages):
        shows(page, prompts[i])
        expect(box(page, "Prompt")).to_have_value(prompts[i])
        top_tokens = lens_grid(LogitLens(prompts[i])(load("demo-gpt2"))).texts[-1]
        expect(lens(page).get_by_role("row").nth(1).get_by_role("gridcell")).to_have_text(list(top_tokens))
        for j, prompt in enumerate(prompts):
            assert any(prompt in text for text in received[i]) == (i == j)


# ---- how it looks ----


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_can_be_read(open_app, expect, shows, scheme):
    """The text of each cell stands out from its colour by WCAG's 4.5 to 1, on light pages and on dark."""
    page = open_app({"color_scheme": scheme}, prompt=FRANCE)
    shows(page, FRANCE)
    drawn = (
        lens(page)
        .get_by_role("gridcell")
        .evaluate_all(
            "cells => cells.map(c => [getComputedStyle(c).color, getComputedStyle(c).backgroundColor])"
        )
    )
    assert min(contrast(*map(rgb, pair)) for pair in drawn) >= 4.5
    around = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    assert (luminance(rgb(around)) < 0.1) == (scheme == "dark")


def rgb(css: str) -> tuple[float, ...]:
    return tuple(float(part) for part in re.findall(r"[\d.]+", css)[:3])


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["Explore", "Trace", "Circuit map"])
def test_a_narrow_window_scrolls_only_downwards(open_app, expect, name):
    page = open_app({"viewport": {"width": 390, "height": 800}}, page=name)
    expect(page.get_by_role("grid").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = page.url
    page.get_by_role("gridcell").nth(1).click()
    expect(page).not_to_have_url(before)


def test_a_grid_is_also_a_table_of_text(open_app, expect, load, shows):
    page = open_app(prompt=FRANCE)
    shows(page, FRANCE)
    page.get_by_text("As text").filter(visible=True).first.click()
    expect(page.locator("pre").filter(visible=True).first).to_contain_text(
        "\t".join(["layer", *tokens(load("demo-gpt2"), FRANCE)])
    )
