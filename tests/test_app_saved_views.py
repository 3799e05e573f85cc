"""Saved views, runs saved from the app, and the picture of the model, without a browser."""

import json
import os
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from app_pages import without_provenance
from interp.app.views.downloads import save_run
from interp.app.views.generate import Change, Generate
from interp.app.views.lens import LogitLens
from interp.app.views.model_picture import ModelShape, picture
from interp.app.views.patched_lens import PatchedLens, drawn, first_cells
from interp.app.views.saved_views import FILE, MOST, address_of, forget_view, read_views, save_view
from interp.errors import InputError, RunError
from interp.runs import read_run

FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"


def test_views_are_saved_read_and_forgotten(tmp_path):
    out = tmp_path / "outputs"
    assert read_views(out) == []
    address = address_of({"page": ["Explore"], "prompt": ["a & b\n?"], "tracked": ["x", "y"]})
    assert address == "?page=Explore&prompt=a+%26+b%0A%3F&tracked=x&tracked=y"
    first = save_view(out, " one ", "a note", address)
    second = save_view(out, "two", "", "?")
    assert read_views(out) == [second, first]
    assert (first.name, first.note, first.address) == ("one", "a note", address)
    forget_view(out, first)
    assert read_views(out) == [second]


@pytest.mark.parametrize("name", ["", "  ", "x" * 2001])
def test_a_name_that_will_not_do(tmp_path, name):
    with pytest.raises(InputError):
        save_view(tmp_path, name, "", "?")
    assert read_views(tmp_path) == []


def test_no_more_views_than_can_be_listed(tmp_path):
    view = {"name": "n", "note": "", "address": "?", "saved": "x"}
    (tmp_path / FILE).write_text(json.dumps([view] * MOST))
    with pytest.raises(InputError, match="forget one"):
        save_view(tmp_path, "one more", "", "?")


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[1]",
        "{}x",
        '[{"name": "x"}]',
        "\ud800",
        '[{"name":"","note":"","address":"//evil","saved":""}]',
    ],
)
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / FILE).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError):
        read_views(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="has no pipes with names")
def test_a_pipe_is_no_file_of_views(tmp_path):
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(InputError, match="pipe"):
        read_views(tmp_path)


@pytest.mark.parametrize(
    "question",
    [LogitLens(FRANCE), Generate(FRANCE, 2, Change("MLP", "1")), PatchedLens(FRANCE, JAPAN, (1, 4), (2, 4))],
)
def test_an_answer_is_saved_as_a_run(load, tmp_path, question):
    result = question(load("demo-gpt2"))
    name = save_run("demo-gpt2", question, result, tmp_path)
    run = read_run(tmp_path / name)
    assert without_provenance(run.result) == without_provenance(result)
    assert run.config["model"] == "demo-gpt2"
    assert {path.name for path in run.files} >= {"config.yaml", "result.json", "report.html"}
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        save_run("demo-gpt2", question, result, tmp_path / "file")


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (8, 4), (18, 4), (36, 32), (126, 128)])
def test_the_picture_lights_the_stream_and_the_head(layers, heads):
    shape, lit = ModelShape(layers, heads), []
    for row in range(layers + 1):
        drawn = ElementTree.fromstring(picture(shape, row, (0, heads - 1)))
        high, wide = float(drawn.get("height")), float(drawn.get("width"))
        assert high < 260
        dots = [one for one in drawn.iter() if one.get("class") == "lit"]
        assert [one.tag for one in dots] == ["rect", "circle"]
        lit.append(float(dots[1].get("cy")))
        assert all(0 <= float(one.get("x")) <= wide for one in drawn.iter("rect"))
        assert all(0 <= float(one.get("y")) <= high for one in drawn.iter("rect"))
        numbers = [one for one in drawn.iter("text") if (one.text or "").isdigit()]
        places = [float(one.get("y")) for one in numbers]
        assert all(above - below >= 11 for above, below in pairwise(places))  # as high as a line of its type
    assert lit == sorted(lit, reverse=True)


@pytest.mark.parametrize(("words", "most"), [(3, 9), (8, 5), (20, 9)])
def test_three_lenses_have_room_side_by_side(load, words, most):
    """The more tokens a prompt has, the fewer characters of each are shown; one that is scrolled has as many
    as a short one."""
    prompt = " capital" * words
    result = PatchedLens(prompt, prompt, source_cell=(0, 1), target_cell=(1, 1))(load("demo-qwen3"))
    data = drawn(result, "source", "probability", selected=None)
    texts = [column["text"] for column in data["columns"]]
    texts += [cell["text"] for row in data["rows"] for cell in row["cells"]]
    assert max(map(len, texts)) == most
    assert len(data["columns"]) == words


def test_the_cells_to_begin_with_are_where_the_prompts_differ():
    assert first_cells(["a", "b", "c", "d"], ["a", "x", "c", "d"], 9) == ((3, 1), (3, 1))
    assert first_cells(["a", "b"], ["p", "q", "r", "b"], 9) == ((3, 0), (3, 2))
    assert first_cells(["a", "b"], ["a", "b"], 2) == ((1, 0), (1, 0))
