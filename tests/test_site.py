"""The site: it builds without a warning or a dead link, and is read and searched from its folder, offline."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import interp
from browser import FLAGS, PATIENCE, chromium_path
from interp.experiments.base import all_experiments

ROOT = Path(__file__).parents[1]
NEEDED = ("mkdocs", "material", "mkdocstrings", "latex2mathml")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(
            importlib.util.find_spec(name) is None
            for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml")
        ),
        reason="needs the extra docs",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_method_and_every_public_name_has_its_place(site: Path) -> None:
    assert {path.stem for path in (site / "methods").glob("*.html")} == set(all_experiments())
    reference = "".join(path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html"))
    missing = [name for name in interp.__all__ if not re.search(rf'id="interp\.[\w.]*\b{name}"', reference)]
    assert missing == ["SITES", "__version__"]
    lens = (site / "methods" / "logit_lens.html").read_text(encoding="utf-8")
    assert "When it misleads" in lens
    assert "nostalgebraist 2020" in lens


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_lesson_shows_what_its_cells_showed(site: Path, path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    kinds = [{*output.get("data", {"text": ""})} for output in outputs]
    page = (site / "course" / f"{path.stem}.html").read_text(encoding="utf-8")
    assert page.count('<div class="cell-output"') == len(outputs)
    assert len(re.findall('<div class="interp-view', page)) == sum("text/html" in kind for kind in kinds)
    figures = re.findall(r'<img src="([\w-]+\.png)"', page)
    assert len(figures) == sum("image/png" in kind for kind in kinds)
    assert all((site / "course" / name).read_bytes().startswith(b"\x89PNG") for name in figures)
    assert page.count("<!doctype") + page.count("<!DOCTYPE") == 1
    assert not re.search(r'id="put-|<style>\.interp-view|\$\\', page)
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert page.count("<math ") == len(re.findall(r"\$\$.+?\$\$|\$.+?\$", text))


@pytest.mark.skipif(
    chromium_path() is None or importlib.util.find_spec("playwright") is None, reason="needs Chromium"
)
def test_it_is_read_and_searched_from_its_folder_without_a_network(site: Path, pytestconfig: Any) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        context, asked, complaints = browser.new_context(), [], []
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        for name in ("index.html", "methods/logit_lens.html", "reference/lenses.html", "your-data.html"):
            page.goto((site / name).as_uri())
            page.locator("article h1").first.wait_for(timeout=PATIENCE)
        page.goto((site / "course" / "01_logit_lens.html").as_uri())
        page.locator(".cell-output .interp-grid td").first.hover()
        assert page.locator(".tooltip:popover-open").count() == 1
        assert page.locator("table.grid:visible").count() == 0
        page.goto((site / "index.html").as_uri())
        page.locator("input.md-search__input").press_sequentially("patchscope")
        found = page.locator(".md-search-result__link").first
        found.wait_for(timeout=PATIENCE)
        assert found.get_attribute("href").startswith("file://")
        found.click()
        page.locator("article h1").first.wait_for(timeout=PATIENCE)
        browser.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file://", "data:", "blob:"))] == []
