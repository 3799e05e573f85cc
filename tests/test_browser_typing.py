"""What is typed on a page, in a real browser (skipped where it is missing): prompts of several lines, tokens
that are half typed; how a page is read; and that all of them are reached on a narrow screen."""

from __future__ import annotations

import os
import re
import signal

from browser import FRANCE, box, lens, serving, settled
from interp.app.views.explanations import EXPLANATIONS

LINES = f"{FRANCE}\n{FRANCE}"


def test_a_prompt_of_several_lines_is_typed_shown_and_linked(open_app, expect, shows):
    page = open_app(prompt=FRANCE)
    shows(page, FRANCE)
    field = box(page, "Prompt")
    field.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type(FRANCE)
    shows(page, LINES)
    expect(field).to_have_value(LINES)
    expect(lens(page).get_by_role("columnheader").nth(7)).to_have_text("↵")
    linked = page.url
    other = open_app()
    other.goto(linked)
    shows(other, LINES)
    expect(box(other, "Prompt")).to_have_value(LINES)


def test_half_a_token_is_completed_and_no_error(open_app, expect, shows):
    page = open_app(prompt=FRANCE)
    shows(page, FRANCE)
    target = page.get_by_role("textbox", name="Target token")
    target.fill("Par")
    expect(page.get_by_text("No answer yet:")).to_be_visible()
    settled(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="␣Paris", exact=True).click()
    expect(target).to_have_value("␣Paris")
    expect(page.get_by_text(re.compile("Target: ␣Paris")).first).to_be_visible()


def test_a_page_says_how_it_is_read(open_app, expect):
    page = open_app(page="Trace")
    page.get_by_role("button", name=re.compile("How to read this")).click()
    expect(page.get_by_text("Clean into corrupted: does this activation")).to_be_visible()


def test_a_server_that_is_gone_is_told_in_a_sentence(chromium, expect, tmp_path):
    with serving(tmp_path) as server:
        page = chromium.new_page()
        page.goto(server.address(page="Runs"))
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        settled(page)
        page.wait_for_load_state("networkidle")  # parts of the page are fetched when they are first shown
        os.killpg(server.process.pid, signal.SIGKILL)
        expect(page.get_by_text("The app's server is not running any more")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.close()


def test_every_page_is_reached_on_a_narrow_screen(open_app, expect):
    page = open_app({"viewport": {"width": 390, "height": 800}}, page="Runs")
    pages = page.get_by_role("radiogroup", name="Page").get_by_role("radio")
    expect(pages).to_have_count(len(EXPLANATIONS))
    for one in pages.all():
        place = one.bounding_box()
        assert place is not None
        assert 0 <= place["x"] <= 390 - 20
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
