"""The page Circuit map: picks, maps and the circuit file; the page as Streamlit runs it."""

import shlex

import numpy as np
import pytest

import interp
from app_pages import (
    DEMOS,
    run_copied_command,
    run_copied_program,
    run_without_errors,
    texts,
    without_provenance,
)
from conftest import run
from interp.app.views import circuit_map
from interp.app.views.attention import AttentionPatterns, pattern_grids
from interp.errors import InputError
from interp.methods.common.heads import find_heads
from interp.runs import read_run

EXAMPLE = circuit_map.EXAMPLES[0][1]
HEADS = ("0.5", "3.1")
ABLATION = circuit_map.HeadAblation(EXAMPLE["prompt"], HEADS, " Mary", " John")


def test_a_click_picks_a_head_and_another_leaves_it():
    assert circuit_map.toggle_head("", 2, 3) == "2.3"
    assert circuit_map.toggle_head("0.5, 3.1", 2, 3) == "0.5,3.1,2.3"
    assert circuit_map.toggle_head("0.5,2.3 3.1", 2, 3) == "0.5,3.1"
    assert circuit_map.parse_heads(" 0.5,,0.5\n3.1 ") == ("0.5", "3.1")
    assert circuit_map.cells_of_heads(("0.5", "9.9", "x", "3.1"), (6, 6)) == ((0, 5), (3, 1))


def test_the_maps_are_the_scores_with_the_picks_framed(load):
    model = load("demo-qwen3")
    question = circuit_map.HeadScores(n=2)
    result = question(model)
    again = interp.head_scores(model, n=2)
    grids = circuit_map.score_grids(result, ((0, 5), (3, 1)))
    for name, grid in zip(circuit_map.SCORES, grids, strict=True):
        np.testing.assert_array_equal(grid.values, again.score(name))
        assert grid.framed == ((0, 5), (3, 1))
        assert grid.framed_means == "picked"


def test_the_patterns_are_those_of_the_first_picks(load):
    model = load("demo-gpt2")
    heads = ("0.5", "3.1", "1.0", "2.0", "5.5")
    result = AttentionPatterns(EXAMPLE["prompt"], heads)(model)
    grids = pattern_grids(result, most=circuit_map.MOST_PATTERNS)
    assert [grid.title for grid in grids] == ["Head 0.5", "Head 3.1", "Head 1.0", "Head 2.0"]
    np.testing.assert_allclose(np.nansum(grids[1].values, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.nan_to_num(grids[1].values), result.pattern((3, 1)), atol=1e-7)


@pytest.mark.parametrize(
    "question",
    [ABLATION, AttentionPatterns(EXAMPLE["prompt"], HEADS), circuit_map.HeadScores(n=2)],
    ids=lambda q: type(q).__name__,
)
def test_copied_program_and_command_give_what_is_shown(load, question, tmp_path):
    shown = without_provenance(question(load("demo-gpt2")))
    assert without_provenance(run_copied_program(question)) == shown
    assert without_provenance(read_run(run_copied_command(question, tmp_path)).result) == shown


@pytest.mark.parametrize("name", DEMOS)
def test_the_circuit_file_reads_back_and_runs(load, name, tmp_path, monkeypatch, capsys):
    model = load(name)
    text = circuit_map.CircuitFile(HEADS)(model)
    (tmp_path / circuit_map.FILE).write_text(text)
    circuit = interp.read_circuit(tmp_path / circuit_map.FILE, model)
    assert circuit == interp.Circuit.of(model, HEADS)
    heads, others = circuit_map.HeadsOfCircuitFile("circuit.json", text.encode())(model)
    assert (heads, others) == (HEADS, ())
    monkeypatch.chdir(tmp_path)
    words = shlex.split(circuit_map.faithfulness_command(name))
    assert run(*words[1:], "--set", "n=4", "--set", "n_random=1", "--tag", "t") == 0, capsys.readouterr().err
    assert (tmp_path / "outputs" / "faithfulness" / "t" / "result.json").exists()


def test_heads_of_other_circuits_are_found(load):
    from interp.methods.circuits.files import circuit_text

    model = load("demo-gpt2")
    nodes = interp.Circuit.of(model, ["0.5", "m0", "m3"])
    heads, others = circuit_map.HeadsOfCircuitFile("n.json", circuit_text(nodes, model).encode())(model)
    assert (heads, others) == (("0.5",), ("m0", "m3"))
    assert circuit_map.left_out(others) == "Its 2 MLPs cannot be picked here."
    edges = interp.Circuit.of(model, ["input->a0.h5<v>", "a0.h5->logits", "a1.h1->logits"], level="edge")
    found = circuit_map.HeadsOfCircuitFile("e.json", circuit_text(edges, model).encode())(model)
    assert found == (("0.5",), ())  # nothing reaches 1.1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "'x.json' is no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "lacks one of"),
        (b'{"cfg": {"n_layers": 12}, "nodes": {}, "edges": {}}', "another model"),
    ],
)
def test_a_file_that_is_no_circuit_is_a_sentence(load, content, sentence):
    with pytest.raises(InputError, match=sentence):
        circuit_map.HeadsOfCircuitFile("x.json", content)(load("demo-gpt2"))


def test_an_empty_circuit_has_nothing_to_pick(load):
    model = load("demo-gpt2")
    from interp.methods.circuits.files import circuit_text

    empty = circuit_text(interp.Circuit.of(model, []), model).encode()
    with pytest.raises(InputError, match="no head"):
        circuit_map.HeadsOfCircuitFile("x.json", empty)(model)


@pytest.mark.parametrize("name", DEMOS)
@pytest.mark.parametrize("example", circuit_map.EXAMPLES, ids=lambda e: e[0])
def test_the_examples_are_answered(load, name, example):
    model, values = load(name), example[1]
    probs = model.forward(values["prompt"])[0, -1].softmax(-1)
    asked = circuit_map.HeadAblation.typed(**values)
    assert float(probs[model.to_single_token(asked.answer)]) > 0.9
    assert model.to_single_token(asked.foil)
    find_heads(model.arch, circuit_map.parse_heads(values["heads"]))


@pytest.fixture
def app(open_page):
    return open_page("Circuit map")


@pytest.mark.parametrize("model", DEMOS)
def test_the_page_shows_maps_and_what_is_lost(app, model):
    app.query_params["model"] = model
    run_without_errors(app)
    assert "Induction (spread evenly" in texts(app)
    assert "What does the model lose without head 0.5?" in texts(app)
    assert f"interp run head_ablation --model {model}" in texts(app)
    app.text_input(key="heads").set_value("0.2,3.1").run()
    assert not app.error
    assert "heads 0.2 and 3.1" in texts(app)


def test_the_picks_are_in_the_url(app):
    for key, value in (EXAMPLE | {"heads": "1.1,2.2"}).items():
        app.query_params[key] = value
    app.run()
    assert not app.error
    assert app.text_input(key="heads").value == "1.1,2.2"
    assert "heads 1.1 and 2.2" in texts(app)


def test_without_a_pick_the_page_says_how_to(app):
    app.run()
    run_without_errors(app.text_input(key="heads").set_value(""))
    assert "Pick a head" in app.info[0].value


@pytest.mark.parametrize("heads", ["9.9", "<script>", "0.5,0.5,x", "../.."])
def test_a_wrong_head_leaves_the_maps(app, heads):
    app.run()
    app.text_input(key="heads").set_value(heads).run()
    assert not app.exception
    assert app.error
    assert "Induction" in texts(app)


@pytest.mark.parametrize(("key", "value"), [("answer", "Mary"), ("answer", ""), ("foil", " Mary")])
def test_a_wrong_answer_leaves_the_patterns(app, key, value):
    app.run()
    app.text_input(key=key).set_value(value).run()
    assert not app.exception
    assert len(app.error) == (1 if key == "foil" else 0)  # half an answer is no error
    assert ("No answer yet" in texts(app)) == (key == "answer")
    assert "Head 0.5" in texts(app)
