"""The page Runs: run folders listed, opened and compared, without Streamlit and as Streamlit runs it."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import interp
from app_pages import error_of, run_without_errors
from conftest import run
from interp.app.views import comparison, runs
from interp.errors import InterpError, RunError
from interp.runs import read_run
from type_checks import unchecked


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Three runs of two experiments on two models, of known ages."""
    out = tmp_path_factory.mktemp("outputs")
    made = (
        ("logit_lens", "demo-gpt2", "a"),
        ("logit_lens", "demo-qwen3", "b"),
        ("contrast", "demo-gpt2", "c"),
    )
    for age, (name, model, tag) in enumerate(made):
        assert run("run", name, "--model", model, "--tag", tag, "--out", out) == 0
        os.utime(out / name / tag / "result.json", (1e9 - age, 1e9 - age))
    return out


@pytest.fixture
def out(finished, tmp_path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "outputs"))


def test_runs_are_listed_newest_first(out):
    entries = runs.find_runs(out)
    assert [entry.name for entry in entries] == ["logit_lens/a", "logit_lens/b", "contrast/c"]
    assert [entry.model for entry in entries] == ["demo-gpt2", "demo-qwen3", "demo-gpt2"]
    assert [e.tag for e in runs.select(entries, model="demo-gpt2")] == ["a", "c"]
    assert [e.tag for e in runs.select(entries, experiment="logit_lens", model="demo-gpt2")] == ["a"]
    assert runs.find_runs(out / "nothing") == []


def test_unfinished_folders_stand_last_and_hidden_ones_nowhere(out):
    (out / "contrast" / "half").mkdir()
    (out / "contrast" / ".x.123.unfinished").mkdir()
    (out / "a file").write_text("")
    (out / "contrast" / "a file").write_text("")
    entries = runs.find_runs(out)
    assert [entry.name for entry in entries][-1] == "contrast/half"
    assert len(entries) == 4
    assert entries[-1].finished_in_words == "no result"
    with pytest.raises(RunError, match="no finished run"):
        runs.open_run(out, entries, "contrast/half")


@pytest.mark.parametrize(
    "name", ["../outside/t", "/etc/passwd", "contrast/../../outside/t", "link/t", "contrast/link", ""]
)
def test_no_name_leads_outside(out, name):
    shutil.copytree(out / "contrast" / "c", out.parent / "outside" / "t")
    (out / "link").symlink_to(out.parent / "outside")
    (out / "contrast" / "link").symlink_to(out.parent / "outside" / "t")
    with pytest.raises(RunError, match="There is no run"):
        runs.open_run(out, runs.find_runs(out), name)


def test_a_linked_file_is_not_given_out(out):
    folder = out / "contrast" / "c"
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "contrast.png").unlink()
    (folder / "contrast.png").symlink_to("/etc/passwd")
    opened = runs.open_run(out, runs.find_runs(out), "contrast/c")
    assert {path.name for path in runs.files(opened)} == {"result.json", "config.yaml", "report.html"}
    assert runs.figure(opened) is None


def test_an_opened_run_shows_what_is_in_its_folder(out):
    opened = runs.open_run(out, runs.find_runs(out), "logit_lens/a")
    assert runs.report(opened) == (opened.path / "report.html").read_text()
    assert runs.figure(opened) == (opened.path / "logit_lens.png").read_bytes()
    assert ("model", "demo-gpt2") in runs.config_table(opened).rows
    assert ("backend", "transformers") in runs.provenance_table(opened).rows


def damaged(record: dict) -> list[dict]:
    result = record["result"]
    changed = [
        {"answer_prob": 1},
        {"top_tokens": None},
        {"provenance": {}},
        {"layers": []},
        {"answer_rank": [[1], [1, 2]]},
    ]
    return [record | {"result": result | one} for one in changed] + [
        {},
        {"format": 1},
        record | {"experiment": "none"},
    ]


@unchecked()
@pytest.mark.parametrize("case", range(8))
def test_a_damaged_run_is_a_sentence(out, case):
    file = out / "logit_lens" / "a" / "result.json"
    file.write_text(json.dumps(damaged(json.loads(file.read_text()))[case]))
    with pytest.raises(InterpError) as caught:
        runs.report(runs.open_run(out, runs.find_runs(out), "logit_lens/a"))
    assert "\n" not in str(caught.value)


def test_a_torn_file_is_a_sentence(out):
    file = out / "logit_lens" / "a" / "result.json"
    file.write_bytes(file.read_bytes()[:500])
    (out / "logit_lens" / "a" / "config.yaml").write_text("a: [")
    entries = runs.find_runs(out)
    assert runs.select(entries, experiment="logit_lens")[0].model in ("", "demo-qwen3")
    with pytest.raises(RunError, match="cannot be read"):
        runs.open_run(out, entries, "logit_lens/a")


def test_a_run_is_the_same_as_itself(finished):
    one = read_run(finished / "logit_lens" / "a")
    assert comparison.config_differences(one, one).rows == ()
    table = comparison.result_differences(one.result, one.result)
    assert table.strong == ()
    assert comparison.verdict(table) == "The two results are the same, to the last digit."


@unchecked()
def test_differences_are_named_with_their_size_and_place(finished):
    one = read_run(finished / "logit_lens" / "a")
    changed = one.result.answer_prob.copy()
    changed[3] += 0.25
    other = dataclasses.replace(one.result, answer_prob=changed, answer="x", entropy=one.result.entropy[:-1])
    table = comparison.result_differences(one.result, other)
    differing = {table.rows[i][0]: table.rows[i][-1] for i in table.strong}
    place = ", ".join(
        map(str, np.unravel_index(np.abs(changed - one.result.answer_prob).argmax(), changed.shape))
    )
    assert differing == {
        "answer_prob": f"at most 0.25, at [{place}]",
        "answer": "differs",
        "entropy": "of different shapes",
    }
    assert comparison.verdict(table).startswith("3 of ")


def test_what_a_result_holds_within_others_is_compared_too(load):
    one = interp.activation_patching(
        load("demo-gpt2"),
        clean="The capital of France is",
        corrupted="The capital of Japan is",
        answer=" Paris",
        foil=" Tokyo",
        site="resid_pre",
        by="position",
    )
    changed = one.recovery.mean.copy()
    changed[2, 4] += 0.5
    recovery = dataclasses.replace(one.recovery, mean=changed)
    other = dataclasses.replace(one, recovery=recovery, pairs=dataclasses.replace(one.pairs, task="facts"))
    table = comparison.result_differences(one, other)
    differing = {table.rows[i][0]: table.rows[i][1:] for i in table.strong}
    assert differing["recovery: mean"][-1] == "at most 0.5, at [2, 4]"
    assert differing["pairs: task"] == ("not there", "facts", "differs")
    assert len(differing) == 2
    assert comparison.result_differences(one, one).strong == ()
    assert np.isnan(one.recovery.low).all()  # of one pair: the same on both sides, and no difference
    low = dataclasses.replace(one.recovery, low=np.zeros_like(one.recovery.low))
    table = comparison.result_differences(one, dataclasses.replace(one, recovery=low))
    assert [table.rows[i][-1] for i in table.strong] == ["no number in one of them, at 36 of 36"]


def test_configurations_are_compared_key_by_key(finished):
    a, b = (read_run(finished / "logit_lens" / tag) for tag in "ab")
    assert comparison.config_differences(a, b).rows == (
        ("model", "demo-gpt2", "demo-qwen3"),
        ("made with: bos", "<|endoftext|>", "none"),
    )
    c = read_run(finished / "contrast" / "c")
    rows = {row[0]: row[1:] for row in comparison.config_differences(a, c).rows}
    assert rows["experiment"] == ("logit_lens", "contrast")
    assert rows["margin"] == ("not there", "1.0")
    with pytest.raises(RunError, match="cannot be compared"):
        comparison.result_differences(a.result, c.result)


@pytest.fixture
def app(open_page, out, monkeypatch):
    monkeypatch.setenv("INTERP_OUTPUTS", str(out))
    return open_page("Runs")


def test_the_page_opens_the_newest_and_follows_the_url(app):
    run_without_errors(app)
    assert app.selectbox(key="run").value == "logit_lens/a"
    app.selectbox(key="run").set_value("contrast/c").run()
    assert app.query_params["run"] in ("contrast/c", ["contrast/c"])
    assert not app.exception
    assert not app.error


def test_two_runs_are_compared(app):
    app.query_params["run"] = "logit_lens/a"
    app.query_params["other"] = "logit_lens/b"
    run_without_errors(app)
    assert any("differ" in part.value for part in app.markdown)
    assert "cannot be compared" in error_of(app.selectbox(key="other").set_value("contrast/c"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "<script>", "contrast/../../x"])
def test_a_wrong_name_in_the_url_is_a_sentence(app, name):
    app.query_params["run"] = name
    app.run()
    assert not app.exception
    assert "There is no run" in app.warning[0].value
    assert app.selectbox(key="run").value == "logit_lens/a"


def test_a_damaged_run_leaves_the_page(app, out):
    (out / "logit_lens" / "a" / "result.json").write_text("{")
    app.query_params["run"] = "logit_lens/a"
    assert "cannot be read" in error_of(app)
    app.selectbox(key="run").set_value("logit_lens/b").run()
    assert not app.error


def test_without_runs_the_page_says_how_to_make_one(app, monkeypatch, tmp_path):
    monkeypatch.setenv("INTERP_OUTPUTS", str(tmp_path / "none"))
    app.run()
    assert not app.exception
    assert "no runs" in app.info[0].value
