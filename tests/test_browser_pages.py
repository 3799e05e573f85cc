"""The pages of the app in a real browser (skipped where it is missing): typing, clicking, keys, and files.

What must be shown is computed here with the library, from the same prompt.
"""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import interp
from app_pages import same_numbers
from browser import FRANCE, JAPAN, box, cell, choose, lens, recovery, settled
from interp.app.views import circuit_map, contrast, explore, features, trace
from interp.app.views.lens import LogitLens
from interp.figures.engine.notation import probability, show_token
from interp.figures.engine.view import Words
from interp.figures.views import contrast as presentation
from interp.figures.views import head_ablation

DEMOS = ["demo-gpt2", "demo-qwen3"]


# ---- explore ----


@pytest.mark.parametrize("model", DEMOS)
def test_the_lens_follows_what_is_typed_and_clicked(open_app, expect, load, shows, model):
    page = open_app(model=model)
    shows(page, explore.EXAMPLES[0][0], model)
    box(page, "Prompt").fill(JAPAN)
    shows(page, JAPAN, model)
    result = LogitLens(JAPAN, " Paris")(load(model))
    cell(lens(page), 3, 2).click()
    expect(page.get_by_text(f"Layer 3, position 2: {show_token(result.tokens[2])}")).to_be_visible()
    expect(cell(lens(page), 3, 2)).to_have_attribute("aria-selected", "true")
    top = page.get_by_role("grid", name="Top tokens").get_by_role("gridcell")
    expect(top.first).to_have_text(show_token(result.top_tokens[4][2][0]))
    expect(top.nth(1)).to_have_text(probability(result.top_probs[4, 2, 0]))


def test_the_lens_is_walked_with_the_keyboard(open_app, expect, shows):
    page = open_app(prompt=FRANCE, cell="4.3")
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


def test_the_lens_is_switched_in_one_click(open_app, expect, load, shows):
    page = open_app(prompt=FRANCE)
    shows(page, FRANCE)
    page.get_by_role("radiogroup", name="Lens").get_by_text("tuned", exact=True).click()
    expect(page).to_have_url(re.compile("lens=tuned"))
    grid = page.get_by_role("grid", name=re.compile("Tuned lens"))
    result = LogitLens(FRANCE, " Paris", lens="tuned")(load("demo-gpt2"))
    expect(cell(grid, 2, 3)).to_contain_text(show_token(result.top_tokens[3][3][0]))
    expect(page.get_by_text("mean over layers before the last")).to_be_visible()


def test_an_example_takes_one_click(open_app, expect, shows):
    page = open_app(cell="1.1")
    for prompt, values in explore.EXAMPLES[::-1]:
        page.get_by_role("button", name=prompt).click()
        shows(page, prompt)
        expect(box(page, "Prompt")).to_have_value(prompt)
        expect(page.get_by_text(re.compile(f"Target: {values['target']}")).first).to_be_visible()


def test_another_model_takes_its_place(open_app, expect, shows):
    page = open_app(prompt=FRANCE)
    shows(page, FRANCE)
    choose(page, "Model", "demo-qwen3")
    expect(page).to_have_url(re.compile("model=demo-qwen3"))
    shows(page, FRANCE, "demo-qwen3")


# ---- trace ----


@pytest.mark.parametrize("model", DEMOS)
def test_the_map_follows_what_is_typed_and_clicked(open_app, expect, load, model):
    page = open_app(page="Trace", model=model)
    expect(recovery(page)).to_be_visible()
    box(page, "Corrupted prompt").fill("The capital of Egypt is")
    page.get_by_role("textbox", name=re.compile("^Foil")).fill(" Cairo")
    question = trace.ActivationPatching(FRANCE, "The capital of Egypt is", " Paris", " Cairo")
    result = question(load(model))
    texts = list(trace.recovery_grid(result).cells[3])
    row = recovery(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name="3", exact=True))
    expect(row.get_by_role("gridcell")).to_have_text(texts)
    row.get_by_role("gridcell").nth(4).click()
    expect(page.get_by_text("layer 3, position 4").first).to_be_visible()
    table = trace.prediction_table(trace.CellPredictions(question, 3, 4)(load(model)))
    expect(page.get_by_role("row", name=" ".join(map(str, table.rows[0])))).to_be_visible()


def test_prompts_that_do_not_align_are_told_so(open_app, expect):
    page = open_app(page="Trace")
    expect(recovery(page)).to_be_visible()
    box(page, "Corrupted prompt").fill("The capital is")
    expect(page.get_by_role("alert")).to_contain_text("the same number")
    box(page, "Corrupted prompt").fill(JAPAN)
    expect(recovery(page)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


# ---- contrast ----


@pytest.mark.parametrize("model", DEMOS)
def test_two_prompts_stand_side_by_side(open_app, expect, load, model):
    page = open_app(page="Contrast", model=model)
    side_by_side = page.get_by_role("grid", name=re.compile("Layer by layer"))
    expect(side_by_side).to_be_visible()
    box(page, "Second prompt").fill("The capital of Egypt is")
    page.get_by_role("textbox", name=re.compile("^Competitor")).fill(" Cairo")
    expect(page.get_by_role("grid", name=re.compile("Cairo"))).to_be_visible()
    question = contrast.Contrast(FRANCE, "The capital of Egypt is", " Paris", " Cairo")
    result = question(load(model))
    drawn = contrast.side_by_side(result).cells[-1]  # the last layer, which is drawn first
    expect(side_by_side.get_by_role("row").nth(1).get_by_role("gridcell")).to_have_text(list(drawn))
    expect(page.get_by_text(presentation.view(result).block("verdict", Words).text)).to_be_visible()
    side_by_side.get_by_role("gridcell", name=re.compile("layer 2, ")).first.click()
    expect(page.get_by_text("The first prompt. Layer 2, position")).to_be_visible()


# ---- circuit map ----


def test_heads_are_picked_ablated_and_taken_along(open_app, expect, load, tmp_path):
    page = open_app(page="Circuit map")
    scores = page.get_by_role("grid", name=re.compile("^Induction"))
    expect(scores).to_be_visible()
    page.get_by_role("button", name="Copying").click()
    picked = page.get_by_role("textbox", name=re.compile("^Picked heads"))
    expect(picked).to_have_value("2.3,2.4,2.5")
    scores.get_by_role("gridcell", name=re.compile("layer 2, head 4,")).click()
    expect(picked).to_have_value("2.3,2.5")
    question = circuit_map.HeadAblation(" Mary Tom Paul Anna Mary Tom Paul", ("2.3", "2.5"), " Anna", " Tom")
    verdict = head_ablation.view(question(load("demo-gpt2"))).block("verdict", Words).text
    expect(page.get_by_text(verdict)).to_be_visible()
    for name in ("Head 2.3", "Head 2.5"):
        expect(page.get_by_role("grid", name=name)).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("as a circuit file")).click()
    download.value.save_as(tmp_path / "circuit.json")
    circuit = interp.read_circuit(tmp_path / "circuit.json", load("demo-gpt2"))
    assert {name for name in circuit.names if name.startswith("a")} == {"a2.h3", "a2.h5"}
    page.get_by_role("button", name="A capital").click()
    expect(picked).to_have_value("0.5,3.1")
    page.locator("input[type=file]").set_input_files(tmp_path / "circuit.json")
    expect(picked).to_have_value("2.3,2.5")


# ---- features ----


@pytest.mark.slow
def test_a_feature_is_chosen_by_its_cell_and_by_its_number(open_app, expect, load):
    page = open_app(page="Features", prompt=FRANCE)
    model = load("demo-gpt2")
    found = features.SAEFeatures("demo-gpt2", FRANCE)(model)
    strongest = found.strongest(features.ROWS)[0]
    grid = page.get_by_role("grid", name=re.compile("strongest features"))
    grid.get_by_role("gridcell", name=re.compile(f"^feature {strongest}\\b.*strength:")).first.click()
    expect(page.get_by_role("heading", name=re.compile(f"^Feature {strongest}\\b"))).to_be_visible()
    expect(page).to_have_url(re.compile(f"feature={strongest}\\b"))
    number = page.get_by_role("spinbutton", name="Feature")
    expect(number).to_have_value(str(strongest))
    number.fill("3")
    number.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("^Feature 3\\b"))).to_be_visible()


# ---- runs ----


def test_a_run_is_opened_in_place_and_compared(open_app, expect, runs, server):
    page = open_app(page="Runs", run=runs[0])
    report = page.frame_locator("iframe")
    expect(report.get_by_role("heading").first).to_be_visible()
    expect(report.get_by_text(FRANCE).first).to_be_visible()
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("result.json")).click()
    there = server.folder / "outputs" / runs[0] / "result.json"
    assert download.value.path().read_bytes() == there.read_bytes()
    page.get_by_role("combobox", name="Compared with").click()
    page.get_by_role("option", name=re.compile("tokyo")).click()
    expect(page.get_by_role("row", name=re.compile("answer.*Paris.*Tokyo")).first).to_be_visible()


# ---- to take along ----


@pytest.mark.parametrize("model", DEMOS)
def test_what_is_seen_can_be_taken_along(open_app, expect, load, shows, tmp_path, model):
    """The copied program gives what is shown, and the files hold it: JSON with the library's numbers, a PNG,
    and HTML that needs nothing else."""
    page = open_app(model=model, prompt=FRANCE)
    shows(page, FRANCE, model)
    page.get_by_role("button", name="Copy or download").first.click()
    offered = page.get_by_role("dialog")
    names: dict = {}
    exec(offered.get_by_role("code").first.inner_text(), names)
    expected = LogitLens(FRANCE)(load(model))
    assert names["result"].top_tokens == expected.top_tokens
    same_numbers(names["result"].to_dict(), expected.to_dict())

    def file(kind: str) -> Path:
        with page.expect_download() as download:
            offered.get_by_role("button", name=kind).click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
        return tmp_path / download.value.suggested_filename

    record = json.loads(file("JSON").read_text(encoding="utf-8"))
    same_numbers(record["result"], expected.to_dict())
    with Image.open(file("PNG")) as picture:
        assert min(picture.size) > 200
    report = file("HTML").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//|url\(["']?(https?:)?//|@import""", report)
    page.goto((tmp_path / "logit_lens.html").as_uri())
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(page.get_by_text(FRANCE).first).to_be_visible()


def test_the_graph_is_drawn_in_its_frame(open_app, expect):
    """Its script is one of the few that may run."""
    page = open_app(page="Graph", nodes="0.3")
    drawing = page.frame_locator("iframe").get_by_role("group", name="The graph")
    expect(drawing.locator("circle").first).to_be_visible()


# ---- pictures ----


@pytest.mark.parametrize(
    "name",
    ["Explore", "Trace", "Contrast", "Circuit map", "Features", "Graph", "Generate", "Knowledge", "Runs"],
)
def test_each_page_has_its_picture(open_app, expect, runs, server, tmp_path, pytestconfig, name):
    """A screenshot of each page, as the README shows them: `make screenshots` keeps them."""
    page = open_app(page=name, **{"Runs": {"run": runs[0]}, "Knowledge": {"n": "4"}}.get(name, {}))
    expect(page.get_by_role("grid").or_(page.locator("iframe, svg[role=img]")).first).to_be_visible()
    settled(page)
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    expect(page).to_have_title(f"{name} · interp")
    shorten = "(all, path) => all.forEach(one => (one.textContent = one.textContent.replace(path, '')))"
    page.get_by_text(str(server.folder)).evaluate_all(shorten, f"{server.folder}/")  # no machine's own path
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": 1400, "height": min(height, 1800)})
    folder = Path(pytestconfig.getoption("--screenshots") or tmp_path)
    picture = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    few = picture.quantize(256, kmeans=3)
    few.save(path := folder / f"app-{name.lower().replace(' ', '_')}.png", optimize=True)
    assert 10_000 < path.stat().st_size < 200_000
