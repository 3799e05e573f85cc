"""Results, models and the like where they are printed or are the last line of a notebook's cell."""

from __future__ import annotations

import dataclasses
import gzip
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from jaxtyping import Float

import interp
from browser import FLAGS, chromium_path
from conftest import PROVENANCE, Parsed, run
from interp.errors import InputError, RunError
from interp.experiments.base import all_experiments
from interp.figures.by_kind import module_name
from interp.figures.engine.html import Cell, table
from interp.figures.engine.notation import show_text
from interp.figures.engine.notebook import embedded
from interp.results import Result, kind_of
from interp.runs import read_run

STORED = Path(__file__).parent / "format_1"
NAMES = sorted(path.name.split(".")[0] for path in STORED.glob("*.json.gz"))
HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\n"
#: What would be fetched from elsewhere.
OUTSIDE = re.compile(r"""(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/)""")


@dataclass(frozen=True, eq=False, kw_only=True)
class CountedResult(Result):
    """One without a view."""

    kind: ClassVar[str] = "counted_words"
    prompt: str
    counts: Float[np.ndarray, "word two"]
    words: tuple[str, ...]
    best: str | None


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory):
    """`stored(name)`: a stored run, read once."""
    runs = {}

    def read(name: str):
        if name not in runs:
            folder = tmp_path_factory.mktemp(name)
            (folder / "result.json").write_bytes(gzip.decompress((STORED / f"{name}.json.gz").read_bytes()))
            runs[name] = read_run(folder)
        return runs[name]

    return read


def counted() -> CountedResult:
    return CountedResult(
        provenance=PROVENANCE, prompt="a b", counts=np.array([[1.0, 2.5]]), words=("a", "b"), best=None
    )


def check_shows_itself(result: Result) -> None:
    """Three lines or less; and HTML that asks nothing of anybody, with no script but its own."""
    text = repr(result)
    assert text.startswith(f"{result.kind} of {result.provenance.model}")
    assert len(text.splitlines()) <= 3
    assert len(text) <= 400
    html = result._repr_html_()
    for own in re.finditer(r"<(style|script)>(.*?)</\1>", html, flags=re.S):
        assert not OUTSIDE.search(own[2])
    found = Parsed(html)
    assert not {"iframe", "link", "img", "object", "embed", "base", "meta"} & set(found.tags)
    assert found.tags.count("script") == (
        1 if "grid" in [v for k, v in found.attributes if k == "class"] else 0
    )
    assert not {name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href")}


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_result_shows_itself(stored, name):
    found = stored(name)
    check_shows_itself(found.result)
    assert len(repr(found.result).splitlines()) == 3  # its view says something of it
    assert found.experiment.presentation.report(found.result) in found.result._repr_html_()


def test_the_three_lines_say_what_it_is_of_and_what_it_says(stored):
    result = stored("logit_lens").result
    of, said, ask = repr(result).splitlines()
    assert of == "logit_lens of demo-gpt2 on “Water is made of hydrogen and”"
    assert said == "Crossover: from layer 3 on, ␣oxygen stays on top."
    assert ask == "Next: .figure(), .table(), .to_frame(), .save(folder)"
    assert re.search(r"on \d+ pairs of indirect_objects$", repr(stored("ioi").result).splitlines()[0])


def test_every_view_is_that_of_a_kind_of_result(stored):
    stored(NAMES[0])  # which imports the results of every room
    experiments = {one.shown_by for one in all_experiments().values()} - {None}
    kinds = [cls for cls in _all(Result) if "kind" in vars(cls)]
    # and two of no experiment, and one of an experiment's several results
    more = {f"interp.figures.views.{kind}" for kind in ("feature_profiles", "sae_features", "train_saes")}
    assert {name for name in map(module_name, kinds) if name} == experiments | more


def _all(cls: type) -> list[type]:
    return [one for sub in cls.__subclasses__() for one in (sub, *_all(sub))]


def test_a_hostile_prompt_is_text(stored):
    result = dataclasses.replace(
        stored("logit_lens").result,
        prompt=HOSTILE,
        tokens=(*stored("logit_lens").result.tokens[:-1], HOSTILE),
    )
    check_shows_itself(result)
    shown = Parsed(result._repr_html_())
    assert "alert(1)</script>" in shown.text
    assert "\u202e" not in shown.text
    assert "\u202e" not in repr(result)
    model = dataclasses.replace(PROVENANCE, model=HOSTILE)
    check = dataclasses.replace(counted(), provenance=model, prompt=HOSTILE, words=(HOSTILE,))
    assert Parsed(check._repr_html_()).tags.count("script") == 0
    assert len(repr(check).splitlines()) == 2


def test_the_style_holds_for_the_view_alone():
    html = embedded('<table class="grid"></table>')
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.S)
    assert style.startswith(".interp-view.interp-view{")
    assert not re.search(r"(?<![\w-])(:root|body|main)\b(?! )", style)
    depth = np.cumsum([{"{": 1, "}": -1}.get(character, 0) for character in style])
    assert (depth[style.index("{") : -1] >= 1).all()  # one rule, and all others within it
    assert depth[-1] == 0
    assert "<script>" not in embedded("<p>words</p>")


def test_what_has_no_grid_and_no_shades_carries_no_style_of_them(stored):
    shaded = embedded(table(["a", "b"], [["c", Cell("d", shade="p3")]], caption=""))
    assert ".p3{" in shaded
    assert ".interp-grid td" in embedded('<table class="grid"></table>')
    plain = embedded(table(["a"], [["b"]], caption=""))
    assert ".p3{" not in plain
    assert ".interp-grid td" not in plain
    for name in NAMES:  # every class of a shade that a view has is one of its style
        shown = stored(name).result._repr_html_()
        used = {one for names in re.findall(r'class="?([^">]+)', shown) for one in names.split()}
        for shade in (one for one in used if re.fullmatch(r"[pm]\d+", one)):
            assert f".{shade}{{" in shown, f"{name}: {shade}"


def test_a_result_without_a_view_shows_its_fields(tmp_path):
    result = counted()
    assert repr(result).splitlines() == [
        "counted_words of demo-gpt2 on “a b”",
        "Next: .figure(), .table(), .to_frame(), .save(folder)",
    ]
    shown = Parsed(result._repr_html_()).text
    assert "float64 [1, 2]: 1 to 2.5" in shown
    assert "a, b" in shown
    assert "counts" in str(result.table())
    with pytest.raises(RunError, match="No experiment gives a result of the kind 'counted_words'"):
        result.save(tmp_path / "kept")


def test_figure_and_table(stored):
    result = stored("logit_lens").result
    figure = result.figure()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "␣oxygen stays on top" in str(result.table())
    assert repr(result.table()) == str(result.table())


def test_a_saved_result_is_a_run(stored, tmp_path, capsys):
    result = stored("logit_lens").result
    folder = result.save(tmp_path / "mine" / "kept")
    assert {file.name for file in folder.iterdir()} == {"result.json", "logit_lens.png", "report.html"}
    assert read_run(folder).result.equals(result)
    assert run("show", folder, "--redraw") == 0
    assert "␣oxygen stays on top" in capsys.readouterr().out
    assert "Configuration" not in (folder / "report.html").read_text()
    with pytest.raises(RunError, match="already"):
        result.save(folder)
    assert result.save(str(folder), force=True) == folder
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="is no run, and is not replaced"):
        result.save(tmp_path / "else", force=True)
    assert (tmp_path / "else" / "thesis.tex").read_text() == "mine"


def test_a_frame_has_a_row_for_each_cell(stored):
    pytest.importorskip("pandas")
    result = stored("causal_tracing").result
    frame = result.to_frame()
    layers, positions = result.recovery.shape
    assert list(frame.columns[:3]) == ["layer", "position", "position token"]
    assert len(frame) == layers * positions
    by_hand = frame.set_index(["layer", "position"])["recovery"]
    layer, position = result.peak
    assert by_hand[layer, position] == result.recovery[layer, position]
    assert frame["position token"].tolist() == [*result.clean_tokens] * layers
    assert list(result.to_frame("runs")["run"]) == ["clean", "corrupted"]
    with pytest.raises(InputError, match="has no block 'run'"):
        result.to_frame("run")
    with pytest.raises(InputError, match="words and no numbers"):
        result.to_frame("verdict")


@pytest.mark.parametrize("name", NAMES)
def test_every_stored_result_is_a_frame(stored, name):
    pytest.importorskip("pandas")
    frame = stored(name).result.to_frame()
    assert len(frame)
    assert frame.columns.is_unique


def test_without_pandas_a_sentence_says_so(stored, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="to_frame needs pandas, which is not installed"):
        stored("logit_lens").result.to_frame()


def test_a_result_is_printed_without_torch_and_matplotlib(tmp_path):
    (tmp_path / "result.json").write_bytes(gzip.decompress((STORED / "logit_lens.json.gz").read_bytes()))
    program = (
        "import pathlib, sys\nfrom interp.runs import read_run\n"
        f"print(repr(read_run(pathlib.Path({str(tmp_path)!r})).result))\n"
        "print(sorted({'torch', 'transformers', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_damaged_result_is_printed_all_the_same(stored):
    result = stored("logit_lens").result
    damaged = kind_of("logit_lens").__new__(kind_of("logit_lens"))
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        object.__setattr__(damaged, field.name, None if field.name == "layers" else value)
    assert repr(damaged).splitlines()[0] == repr(result).splitlines()[0]


def test_features_show_where_they_are_strongest(load):
    model = load("demo-gpt2")
    sae = interp.load_sae("demo-gpt2", model)
    found = interp.sae_features(model, sae, "The capital of France is")
    assert repr(found).splitlines()[1] == f"Active at the last token: {found.n_active[-1]} features."
    assert str(int(found.features[-1, 0])) in Parsed(found._repr_html_()).text
    record = interp.record_features(model, sae, interp.reading_text(model, "demo", sequences=4, length=64))
    n_active = np.diff(record.bounds)
    strongest, silent = int(n_active.argmax()), int(n_active.argmin())
    assert n_active[silent] == 0
    profiles = interp.feature_profiles(model, record, [strongest, silent])
    shown = Parsed(profiles._repr_html_()).text
    for context in profiles.of(strongest).contexts[:6]:
        assert show_text("".join(context.tokens[: context.marked])) in shown
    assert f"Feature {silent} in context" not in shown
    nowhere = interp.feature_profiles(model, record, [silent])
    assert repr(nowhere).splitlines()[1] == f"Feature {silent} is nowhere active on this text."


# ---- what is no result ----


def test_a_model_shows_its_facts_and_sites(load):
    model = load("tiny-gpt2")
    assert len(repr(model).splitlines()) == 1
    shown = Parsed(model._repr_html_()).text
    assert all(site in shown for site in model.sites)
    assert f"batch, pos, head {model.arch.n_heads}, d_head {model.arch.d_head}" in shown
    assert "blocks.{layer}.attn.hook_z" in shown


def test_a_cache_says_what_it_holds(load):
    model = load("tiny-gpt2")
    cache = model.run_with_cache([[256, 1, 2], [256, 1]], ["resid_post", ("pattern", 0)])
    n = model.arch.n_layers
    logits = [2, 3, model.arch.d_vocab]
    assert repr(cache) == f"<Cache of 2 x 3 tokens: pattern, resid_post ({n} layers), logits {logits}>"
    shown = Parsed(cache._repr_html_()).text
    assert "blocks.0.attn.hook_pattern" in shown
    assert f"batch 2, pos 3, d_model {model.arch.d_model}" in shown


def test_an_edit_says_what_it_does():
    assert repr(interp.Edit.zero("z", 4, heads=2)) == "<Edit: zero at blocks.4.attn.hook_z[head=2]>"
    added = interp.Edit.add("resid_post", 2, value=torch.zeros(64), positions=-1)
    assert repr(added) == "<Edit: add [64] at blocks.2.hook_resid_post[pos=-1]>"
    assert repr(interp.Edit.scale("mlp_out", 0, value=0.5)) == "<Edit: scale 0.5 at blocks.0.hook_mlp_out>"


def test_an_sae_and_a_dataset_say_what_they_are(load):
    model = load("demo-gpt2")
    sae = interp.load_sae("demo-gpt2", model)
    at = f"{sae.n_features} features of width {sae.d_in}, {sae.activation.kind}"
    assert repr(sae) == f"<SAE of demo-gpt2 at {sae.address}: {at}>"
    assert str(sae.address) in Parsed(sae._repr_html_()).text
    pairs = interp.make_dataset("indirect_objects", model, n=4)
    assert re.fullmatch(
        r"<PairDataset indirect_objects: 4 pairs of \d+(-\d+)? tokens(, \d+ dropped)?>", repr(pairs)
    )
    assert pairs.pairs[0].text.strip() in Parsed(pairs._repr_html_()).text
    labelled = interp.make_labelled("people", model, n=8)
    assert repr(labelled) == f"<LabelledDataset people: 4 {labelled.labels[0]}, 4 {labelled.labels[1]}>"
    assert labelled.prompts[0].text.strip() in Parsed(labelled._repr_html_()).text
    hostile = dataclasses.replace(pairs, pairs=(dataclasses.replace(pairs[0], text=HOSTILE),))
    assert "img" not in Parsed(hostile._repr_html_()).tags


# ---- in a notebook ----


@pytest.mark.skipif(
    chromium_path() is None or importlib.util.find_spec("playwright") is None, reason="needs Chromium"
)
def test_two_outputs_on_a_page_are_each_drawn_once(stored):
    """As a notebook puts them in: the HTML first, its scripts after it."""
    from playwright.sync_api import sync_playwright

    outputs = [stored(name).result._repr_html_() for name in ("logit_lens", "causal_tracing")]
    grids = sum(output.count('<table class="grid"') for output in outputs)
    insert = """outputs => { for (const output of outputs) {
        const cell = document.createElement("div"); cell.innerHTML = output;
        for (const old of cell.querySelectorAll("script")) {
            const made = document.createElement("script"); made.textContent = old.textContent;
            old.replaceWith(made);
        }
        document.body.append(cell);
    } }"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS])
        page, complaints, asked = browser.new_page(), [], []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.set_content("<p id=own>The notebook's own.</p>")
        before = page.evaluate("getComputedStyle(document.body).fontFamily")
        page.evaluate(insert, outputs)
        assert page.locator(".interp-grid table[role=grid]").count() == grids
        assert page.locator("table.grid:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).fontFamily") == before
        assert page.locator(".interp-view").first.evaluate("e => getComputedStyle(e).fontFamily") != before
        colour = "e => getComputedStyle(e).color"
        ink = page.locator(".interp-view").first.evaluate(colour)
        assert (
            page.locator(".interp-view .plain td:not([class])").first.evaluate(colour) == ink
        )  # without a doctype too
        for theme, scheme in (("false", "dark"), ("true", "light")):  # JupyterLab's, whatever the system's
            page.evaluate("theme => document.body.setAttribute('data-jp-theme-light', theme)", theme)
            shown = page.locator(".interp-view").first.evaluate("e => getComputedStyle(e).colorScheme")
            assert shown == scheme
        page.locator(".interp-grid td").first.hover()
        assert page.locator(".tooltip:popover-open").count() == 1
        browser.close()
    assert not complaints
    assert not [url for url in asked if url.startswith("http")]


@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="needs nbclient")
def test_a_notebook_keeps_html_and_text(tmp_path, stored):
    import nbformat
    from nbclient import NotebookClient

    (tmp_path / "result.json").write_text(
        json.dumps(
            {"format": 2, "experiment": "logit_lens", "config": {}}
            | {"result": stored("logit_lens").result.to_dict()}
        )
    )
    code = (
        f"import pathlib\nfrom interp.runs import read_run\nread_run(pathlib.Path({str(tmp_path)!r})).result"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=120).execute()
    data = notebook.cells[0].outputs[-1]["data"]
    assert data["text/html"].startswith('<!DOCTYPE html>\n<div class="interp-view')
    assert data["text/plain"].splitlines()[0].startswith("logit_lens of demo-gpt2")
