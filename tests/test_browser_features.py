"""The dashboard of features and the page Features in a real browser (skipped where it is missing)."""

from __future__ import annotations

import re

import pytest

import interp
from interp.app.views import features
from interp.methods.features.feature_profiles import feature_profiles
from interp.saes.activations import TopK
from interp.saes.files import write_sae
from interp.saes.reading import ReadingText, record_features
from test_feature_reading import hostile, ids
from test_saes import make

READING = 180_000  # milliseconds that all features may take to be read, on a busy machine


@pytest.fixture
def opened(chromium, tmp_path):
    """`opened(profiles)`: their dashboard, and what the browser complained of and asked for."""
    heard: list[str] = []
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.on("console", lambda line: heard.append(line.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith("file:") or heard.append(request.url))

    def opened(profiles):
        interp.feature_dashboard(profiles, tmp_path / "features.html")
        page.goto((tmp_path / "features.html").as_uri())
        return page

    yield opened
    page.close()
    assert heard == []


def test_features_are_searched_sorted_and_gone_to(opened, load):
    model = load("demo-gpt2")
    sae = make(model, activation=TopK(5))
    record = record_features(model, sae, interp.reading_text(model, sequences=8, length=32))
    result = feature_profiles(model, record, range(12))
    page = opened(result)
    buttons = page.locator("#list button")
    assert buttons.count() == 12
    page.fill("#search", "7")
    numbers = buttons.locator(".n").all_inner_texts()
    assert "7" in numbers
    page.fill("#search", "no such token")
    assert page.locator("#count").inner_text() == "0 of 12 features"
    page.fill("#search", "")
    page.select_option("#sort", "number")
    assert buttons.locator(".n").all_inner_texts() == [str(i) for i in range(12)]
    page.select_option("#sort", "most")
    by_density = sorted(range(12), key=lambda f: -result.of(f).density)
    assert buttons.locator(".n").first.inner_text() == str(by_density[0])
    first, second = by_density[:2]
    for feature in (first, second):
        page.locator(f'#list button[data-f="{feature}"]').click()
        page.get_by_role("heading", name=f"Feature {feature}").wait_for()
        profile = result.of(feature)
        assert page.locator(".ctx .m").count() == len(profile.contexts) + len(profile.lower)
    assert page.url.endswith(f"#{second}")
    page.go_back()
    page.get_by_role("heading", name=f"Feature {first}").wait_for()
    page.keyboard.press("j")
    page.get_by_role("heading", name=f"Feature {second}").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_token_of_a_dashboard_acts(opened, load, scheme):
    model = load("tiny-gpt2")
    record = record_features(model, make(model, n=30, activation=TopK(4)), ReadingText.of(ids(model)))
    page = opened(hostile(model, record))
    page.emulate_media(color_scheme=scheme)
    assert "<img src=x onerror=alert(1)>" in page.locator(".ctx .m").first.inner_text()
    assert page.locator("img").count() == 0
    assert page.get_by_role("link", name="Neuronpedia").get_attribute("href").endswith("8-res-jb/0")


def test_the_page_leads_from_a_cell_to_its_feature(open_app, expect, load, server):
    model = load("demo-gpt2")
    folder = server.folder / "sae"  # in the folder that the app may read
    write_sae(folder, make(model, "resid_post", 3, activation=TopK(5)))
    found = features.SAEFeatures(str(folder), features.EXAMPLES[1])(model)
    shown = found.strongest(features.ROWS)
    feature, position = shown[2], int((found.features == shown[2]).any(1).argmax())
    page = open_app(page="Features", sae=str(folder), prompt=features.EXAMPLES[1])
    page.get_by_role("button", name="Open it").click()  # a link asks first
    expect(page.get_by_text("Nearest features")).to_be_visible(timeout=READING)
    grid = page.get_by_role("grid", name=re.compile("strongest features"))
    grid.get_by_role("row").nth(3).get_by_role("gridcell").nth(position).click()
    expect(page.get_by_role("heading", name=f"Feature {feature}")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"feature={feature}\b"))
    page.reload()
    expect(page.get_by_role("heading", name=f"Feature {feature}")).to_be_visible()
    expect(page.get_by_text("Where it is strongest", exact=True)).to_be_visible()
