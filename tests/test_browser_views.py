"""Patching by hand, saved views, the tour and the continuation, in a real browser (skipped where it is
missing)."""

from __future__ import annotations

import re

from browser import FRANCE, JAPAN, box, settled
from interp.app.views.generate import GoesOn
from interp.app.views.patched_lens import PatchedLens
from interp.figures.engine.view import Words
from interp.figures.views.patched_lens import view


def grid(page, name):
    return page.get_by_role("grid", name=name, exact=True)


def at(grid, layer, position):
    return grid.get_by_role("gridcell", name=re.compile(rf"^layer {layer}, position {position}\b"))


def sentence(model, source_cell, target_cell):
    question = PatchedLens(FRANCE, JAPAN, source_cell, target_cell)
    return view(question(model)).block("verdict", Words).text


def test_a_cell_is_clicked_dragged_and_chosen_by_keys(open_app, expect, load):
    model = load("demo-gpt2")
    page = open_app(page="Patch", from_prompt=FRANCE, into_prompt=JAPAN)
    source, target = grid(page, "The source"), grid(page, "The target")
    expect(target).to_be_visible()
    at(source, 3, 4).click()
    expect(page.get_by_text(sentence(model, (3, 4), (2, 4)))).to_be_visible()
    at(target, 1, 2).click()
    expect(page.get_by_text(sentence(model, (3, 4), (1, 2)))).to_be_visible()
    settled(page)  # the sentence stands above the grids, and is drawn before them
    reached = [
        at(target, layer, position).get_attribute("class") or ""
        for layer, position in ((1, 2), (0, 2), (2, 1), (1, 3), (2, 3))
    ]
    assert ["reached" in one for one in reached] == [True, False, False, False, True]
    settled(page)
    at(source, 0, 4).drag_to(at(target, 5, 5))
    expect(page.get_by_text(sentence(model, (0, 4), (5, 5)))).to_be_visible()
    settled(page)
    at(target, 5, 5).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text(sentence(model, (0, 4), (4, 5)))).to_be_visible()
    settled(page)
    page.reload()
    expect(page.get_by_text(sentence(model, (0, 4), (4, 5)))).to_be_visible()


def test_the_tour_comes_once_and_when_it_is_asked_for(open_app, expect):
    page = open_app(first_visit=True, prompt=FRANCE)
    tour = page.get_by_role("region", name="Tour")
    expect(tour).to_contain_text("1 of 5")
    outlined = page.locator(".interp-toured")
    for step in range(1, 6):
        expect(tour).to_contain_text(f"{step} of 5")
        settled(page)
        expect(outlined).to_have_count(1)  # also where the page was drawn after the step was shown
        expect(outlined).to_be_in_viewport()
        if step < 5:
            tour.get_by_role("button", name="Next").click()
    tour.get_by_role("button", name="Done").click()
    expect(tour).to_have_count(0)
    expect(outlined).to_have_count(0)
    page.reload()
    expect(page.get_by_role("grid", name=re.compile("Logit lens"))).to_be_visible()
    settled(page)
    expect(tour).to_have_count(0)
    page.get_by_role("button", name="Tour").click()
    expect(tour).to_contain_text("1 of 5")
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)


def test_what_it_goes_on_to_say_is_taken_into_the_prompt(open_app, expect, load):
    said = GoesOn(FRANCE)(load("demo-gpt2"))
    page = open_app(prompt=FRANCE)
    strip = grid(page, "What the model goes on to say").get_by_role("gridcell")
    expect(strip).to_have_count(len(said.tokens))
    strip.nth(1).click()
    expect(box(page, "Prompt")).to_have_value(said.texts[1])


def test_a_view_is_saved_and_found_again(open_app, expect):
    page = open_app(prompt=JAPAN, cell="3.2")
    expect(page.get_by_text("Layer 2, position 2")).to_be_visible()
    page.get_by_role("button", name="Views").click()
    box(page, "Name").fill("a <b>view</b>")
    box(page, "Name").press("Enter")
    box(page, "Note").fill("of *note*")
    page.get_by_role("button", name="Save this view").click()
    link = page.get_by_role("link", name="a <b>view</b>")
    expect(link).to_be_visible()
    expect(page.locator("p").get_by_text("of *note*")).to_be_visible()  # the field may hold it still
    with page.context.expect_page() as opened:
        link.click()
    expect(opened.value.get_by_text("Layer 2, position 2")).to_be_visible()
    expect(box(opened.value, "Prompt")).to_have_value(JAPAN)
    page.get_by_role("button", name="Forget").click()
    expect(link).to_have_count(0)


def test_the_first_column_of_attention_stays_where_the_others_are_scrolled(open_app, expect):
    page = open_app({"viewport": {"width": 1280, "height": 720}}, prompt=" ".join([FRANCE] * 5))
    grid = page.get_by_role("grid", name="Head 5.0", exact=True)
    heads = grid.get_by_role("columnheader")
    expect(heads.nth(1)).to_have_text("<|endo…|>")  # BOS, at which many heads look
    settled(page)
    seen = []
    for side in (0, 10_000):
        grid.evaluate("(table, left) => table.parentElement.scrollTo({ left })", side)
        seen.append([heads.nth(place).bounding_box()["x"] for place in (1, 2)])
    (bos, second), (still, gone) = seen
    assert abs(still - bos) < 8  # but for the margin of the grid
    assert gone < second - 100
