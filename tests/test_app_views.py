"""What the app shows, without a browser and without Streamlit."""

import json
import re
import shlex
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from app_pages import DEMOS, run_copied_command, run_copied_program, without_provenance
from conftest import run
from interp.app.views import explore, kept, lens, trace
from interp.app.views.alignment import Alignment
from interp.app.views.attention import MOST_KEYS, AttentionPatterns, attention_grid, folded, heads_grid
from interp.app.views.downloads import chart_downloads, downloads
from interp.app.views.grid_data import MOST_TOKENS, grid_data, token_ranking, token_strip, turned
from interp.app.views.tokens import (
    LikeliestTokens,
    SingleToken,
    TypedAnswer,
    TypedTokens,
    completions,
    read_token,
)
from interp.errors import InputError
from interp.figures.engine import html
from interp.figures.engine.notation import decimal, probability, show_token
from interp.figures.engine.view import Axis, Grid
from interp.runs import read_run

PROMPT = "The capital of France is"
PATCHING = trace.ActivationPatching(PROMPT, "The capital of Japan is", " Paris", " Tokyo")

QUESTIONS = [
    lens.LogitLens(PROMPT),
    lens.LogitLens('It\'s "so" \\n — here', " Paris"),
    explore.DirectLogitAttribution(prompt=PROMPT, answer=" Paris", position=-1),
    AttentionPatterns(PROMPT, ((2, 3), (2, 4))),
    PATCHING,
    trace.ActivationPatching(PROMPT, "The capital of Japan is", " Paris", part="head", direction="noising"),
]


def same(a, b):
    assert without_provenance(a) == without_provenance(b)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: type(q).__name__)
def test_copied_program_and_command_and_the_files_give_what_is_shown(load, question, tmp_path, monkeypatch):
    # To the last bit where nothing was read before: columns that an earlier prompt left are of a product of
    # another size, which some processors round otherwise.
    monkeypatch.setattr(kept, "_KEPT", WeakKeyDictionary())
    shown = question(load("demo-gpt2"))
    same(run_copied_program(question), shown)
    folder = run_copied_command(question, tmp_path)
    same(read_run(folder).result, shown)
    record, figure, report, _ = (file.make() for file in downloads("demo-gpt2", question, lambda: shown))
    assert figure == (folder / f"{question.method}.png").read_bytes()
    assert report == (folder / "report.html").read_text(encoding="utf-8")
    (tmp_path / "result.json").write_text(record, encoding="utf-8")
    same(read_run(tmp_path).result, shown)


@pytest.mark.parametrize("name", DEMOS)
def test_the_lens_ends_in_the_model_s_own_distribution(load, name):
    model = load(name)
    result = lens.LogitLens(PROMPT)(model)
    probs = model.forward(PROMPT)[0].double().softmax(-1)
    table = lens.cell_table(result, len(result.layers) - 1, len(result.tokens) - 1)
    best = int(probs[-1].argmax())
    assert table.rows[0][1] == show_token(model.labels([best])[0])
    tracked = explore.TrackedTokens(PROMPT, -1, (" Paris", " Tokyo"))(model)
    ids = [model.to_single_token(t) for t in (" Paris", " Tokyo")]
    np.testing.assert_allclose(tracked[-1], probs[-1, ids].numpy(), rtol=1e-4)
    lines = explore.tracked_lines(tracked, result.layers, (" Paris", " Tokyo"))
    assert [s.name for s in lines.series] == ["␣Paris", "␣Tokyo"]


@pytest.mark.parametrize("colour", lens.COLOURS)
def test_lens_colours(load, colour):
    result = lens.LogitLens(PROMPT, " Paris")(load("demo-gpt2"))
    grid = lens.lens_grid(result, colour)
    last = grid.values[-1, -1]
    expected = {
        "probability": result.top_probs[-1, -1, 0],
        "rank": 1 / result.answer_rank[-1, -1],
        "entropy": result.entropy[-1, -1],
    }
    assert last == expected[colour]
    assert grid.texts[-1, -1] == show_token(result.top_tokens[-1][-1][0])


def test_a_target_below_the_top_is_told_with_its_rank(load):
    result = lens.LogitLens(PROMPT, " Paris")(load("demo-gpt2"))
    row, column = np.argwhere(result.answer_rank > lens.TOP)[0]
    table = lens.cell_table(result, int(row), int(column))
    assert len(table.rows) == lens.TOP + 1
    assert table.rows[-1][:2] == (int(result.answer_rank[row, column]), "␣Paris")
    assert table.strong == (lens.TOP,)
    with pytest.raises(InputError, match="no cell at row 99"):
        lens.cell_table(result, 99, 0)


@pytest.mark.parametrize("position", [-1, 2])
def test_a_sentence_says_what_is_said_and_where_the_target_stands(load, position):
    """What the model says, from where on the lens reads it, and of another target how unlikely it is."""
    model = load("demo-gpt2")
    of_paris, of_lima = (lens.LogitLens(PROMPT, token)(model) for token in (" Paris", " Lima"))
    at = position % len(of_paris.tokens)
    tops = of_paris.top_ids[:, at, 0].tolist()
    since = next(i for i in range(len(tops)) if len(set(tops[i:])) == 1)
    token, p = of_paris.top_tokens[-1][at][0], float(of_paris.top_probs[-1, at, 0])
    layer = of_paris.layers[since]
    said = (
        f"Behind {show_token(of_paris.tokens[at])} the model says {show_token(token)} ({probability(p)}), "
        f"the likeliest from layer {layer} on"
    )
    assert lens.in_words(of_lima, at).startswith(f"{said}; ␣Lima, the target, has rank ")
    ranks = of_lima.answer_rank[:, at]
    assert f"has rank {int(ranks[-1]):,} ({probability(float(of_lima.answer_prob[-1, at]))})" in (
        lens.in_words(of_lima, at)
    )
    after = 1 + int(ranks[1:].argmin())  # not at the embedding, where nothing is computed yet
    best = f"at best {int(ranks[after]):,} after layer {of_lima.layers[after]}."
    best = "nowhere higher" if ranks[after] == ranks[-1] else best
    assert best in lens.in_words(of_lima, at)
    if position == -1:
        assert lens.in_words(of_paris, at) == f"{said}."
    tuned = lens.LogitLens(PROMPT, " Paris", lens="tuned")(model)
    assert "the model says" not in lens.in_words(tuned, at)


def test_attribution_and_attention(load):
    model = load("demo-qwen3")
    result = explore.DirectLogitAttribution(prompt=PROMPT, answer=" Paris", position=-1)(model)
    grid = explore.attribution_grid(result)
    assert grid.values.shape == (model.arch.n_layers, model.arch.n_heads + 1)
    mlp = result.by_component.mean[result.components.index("L3 mlp")]
    assert grid.values[3, -1] == mlp
    answer = AttentionPatterns(PROMPT, ((2, 3), (2, 4)))(model)
    pattern = attention_grid(answer, 1, 3)
    np.testing.assert_allclose(np.nansum(pattern.values, axis=1), 1, atol=1e-5)
    assert pattern.title == "Head 2.4"
    assert pattern.framed == ((3, int(answer.patterns[1][3].argmax())),)
    assert folded(pattern, 3) is pattern
    from_here = heads_grid(answer, 3)
    np.testing.assert_array_equal(from_here.values[1], pattern.values[3])
    assert from_here.rows.short() == ["2.3", "2.4"]


def test_tracked_tokens_can_be_taken_along(load, tmp_path):
    model = load("demo-gpt2")
    question = explore.TrackedTokens(PROMPT, 3, (" Paris", "<148>"))
    shown = question(model)
    names: dict = {}
    exec(explore.tracked_as_python("demo-gpt2", question), names)
    for column, token in enumerate(question.tokens):
        # sums in float32 over one position and over several differ in the last digit on some processors
        np.testing.assert_allclose(names["result"][token], shown[:, column], rtol=1e-4)
    for i, command in enumerate(explore.tracked_as_commands("demo-gpt2", question).split("\n")):
        assert run(*shlex.split(command)[1:], "--out", tmp_path, "--tag", f"t{i}") == 0
        result = read_run(tmp_path / "logit_lens" / f"t{i}").result
        np.testing.assert_allclose(result.answer_prob, shown[:, i], rtol=1e-4)
    lines = explore.tracked_lines(shown, ("embed", *map(str, range(6))), (" Paris", "<148>"))
    files = chart_downloads(lines, name="t", title="Tracked", provenance=result.provenance)
    numbers, figure, report = (file.make() for file in files)
    assert json.loads(numbers)["rows"][3] == ["2", *shown[3].tolist()]
    assert figure.startswith(b"\x89PNG")
    assert "<svg" in report


def test_a_target_is_completed_by_what_is_likely_there(load):
    model = load("demo-gpt2")
    likeliest = LikeliestTokens(PROMPT)(model)
    probs = model.forward(PROMPT)[0, -1].double().softmax(-1)
    assert [probs[model.to_single_token(token)] for token in likeliest[:3]] == pytest.approx(
        probs.topk(3).values.tolist()
    )
    assert sorted(likeliest) == sorted(model.labels(range(model.arch.d_vocab)))
    assert completions(likeliest, " P")[0] == " Paris"
    assert completions(likeliest, "P")[0] == " Paris"
    assert completions(likeliest, "")[0] == " Paris"
    assert completions(likeliest, " Parisx")[0] == " Paris"
    assert completions((" abc", "abd", "b", "abe"), "ab", most=2) == [" abc", "abd"]
    assert completions((" abc", "abd"), " ab") == [" abc"]  # the typed space is one
    assert completions((" abc", "b"), " abc") == []
    assert completions(("a", "b"), "zzz") == ["a", "b"]  # nothing begins so: what is likeliest


def test_tokens_are_read_as_they_are_shown(load):
    vocabulary = load("demo-gpt2").labels(range(load("demo-gpt2").arch.d_vocab))
    assert read_token("␣Paris↵") == " Paris\n"
    nameless = next(token for i, token in enumerate(vocabulary) if token == f"<{i}>")
    assert SingleToken(nameless)(load("demo-gpt2")) == nameless
    assert load("demo-gpt2").to_single_token(nameless) == vocabulary.index(nameless)
    assert SingleToken(" Paris")(load("demo-gpt2")) == " Paris"
    with pytest.raises(InputError, match="Par"):
        SingleToken(" Parisx")(load("demo-gpt2"))


def test_tracked_tokens_begin_with_the_target_and_the_likeliest(load):
    result = lens.LogitLens(PROMPT, " Tokyo")(load("demo-gpt2"))
    ids = explore.likeliest_tokens(result, 5)
    tokens = TypedTokens(ids)(load("demo-gpt2"))
    assert tokens[:2] == ("␣Tokyo", "␣Paris")
    assert len(set(ids)) == 4
    assert [load("demo-gpt2").to_single_token(read_token(token)) for token in tokens] == list(ids)


@pytest.mark.parametrize("name", DEMOS)
@pytest.mark.parametrize("part", list(trace.PARTS))
@pytest.mark.parametrize("direction", list(trace.DIRECTIONS))
def test_a_patched_cell_says_what_the_map_measured(load, name, part, direction):
    """log p(answer) - log p(foil) of each run is the metric between which the sweep measured recovery."""
    model = load(name)
    question = trace.ActivationPatching(
        PROMPT, "The capital of Japan is", " Paris", " Tokyo", part, direction
    )
    result = question(model)
    layer, column = cell = result.peak
    predictions = trace.CellPredictions(question, layer, column, k=model.arch.d_vocab)(model)
    clean, corrupted = result.clean_values[0], result.corrupted_values[0]
    measured = corrupted + result.recovery.mean[layer, column] * (clean - corrupted)
    for predicted, metric in zip(predictions, (clean, corrupted, measured), strict=True):
        assert np.log(predicted.answer / predicted.foil) == pytest.approx(metric, abs=1e-3)
        assert (dict(predicted.top)[" Paris"], dict(predicted.top)[" Tokyo"]) == (
            predicted.answer,
            predicted.foil,
        )
    assert trace.recovery_grid(result).values[layer, column] == result.recovery.mean[layer, column]
    table = trace.metric_table(result, predictions, cell)
    assert table.rows[0][1:] == tuple(map(decimal, (clean, corrupted, measured)))
    assert [row[0] for row in table.rows[2:]] == ["probability of ␣Paris", "probability of ␣Tokyo"]
    assert trace.prediction_table(predictions).rows[0][1] == "␣Paris"
    into = "into the corrupted one" if direction == "denoising" else "into the clean one"
    assert trace.cell_in_words(result, direction, cell).endswith(into)
    with pytest.raises(InputError, match="no layer 99"):
        trace.CellPredictions(question, 99, 0)(model)
    with pytest.raises(InputError, match=r"There is no (head|position) 99"):
        trace.CellPredictions(question, 0, 99)(model)


@pytest.mark.parametrize("direction", list(trace.DIRECTIONS))
def test_a_patched_cell_of_an_answer_of_several_tokens(load, direction):
    """As of one token: the probabilities are those between which recovery is measured."""
    question = trace.ActivationPatching(
        PROMPT, "The capital of Japan is", " Paris is| Rome", " Tokyo is", "head", direction
    )
    result = question(load("demo-gpt2"))
    layer, column = result.peak
    predictions = trace.CellPredictions(question, layer, column)(load("demo-gpt2"))
    clean, corrupted = result.clean_values[0], result.corrupted_values[0]
    measured = corrupted + result.recovery.mean[layer, column] * (clean - corrupted)
    for predicted, metric in zip(predictions, (clean, corrupted, measured), strict=True):
        assert np.log(predicted.answer / predicted.foil) == pytest.approx(metric, abs=1e-3)
    assert trace.metric_table(result, predictions, (layer, column)).rows[0][0].startswith("log p(")


def test_answers_are_typed_as_they_are_written(load):
    model = load("demo-gpt2")
    assert TypedAnswer(" Paris")(model).in_words == ""
    assert TypedAnswer(" Paris")(model).text == " Paris"
    assert TypedAnswer(" Tokyo Paris")(model).in_words == "2 tokens: ␣Tokyo + ␣Paris"
    assert TypedAnswer(" Paris| Tokyo is")(model).in_words == "any of 2: ␣Paris, ␣Tokyo + ␣is"
    result = lens.LogitLens(PROMPT, " Tokyo Paris")(model)
    assert model.labels(explore.likeliest_tokens(result, 5))[0] == " Tokyo"
    with pytest.raises(InputError, match="leading space"):
        TypedAnswer("Paris")(model)


@pytest.mark.parametrize("name", DEMOS)
@pytest.mark.parametrize("example", list(trace.EXAMPLES)[:3])
def test_the_examples_of_trace_are_told_apart(load, name, example):
    typed = trace.EXAMPLES[example]
    answer, foil = (read_token(typed[key]) for key in ("answer", "foil"))
    result = trace.ActivationPatching(typed["clean"], typed["corrupted"], answer, foil)(load(name))
    assert result.clean_values[0] > 3
    assert result.corrupted_values[0] < -1


def test_the_work_of_a_sweep_is_the_rows_that_its_branches_carry(load):
    model = load("demo-gpt2")
    n, layers, first = 6, model.arch.n_layers, 4  # France, Japan
    cells = [(layer, position) for layer in range(layers) for position in range(first, n)]
    passes = sum((n - position) * (layers - layer) for layer, position in cells) / layers
    assert PATCHING.work(model) == pytest.approx(4 * n + passes)
    heads = trace.ActivationPatching(PROMPT, "The capital of Japan is", " Paris", part="head")
    passes = sum(model.arch.n_heads * n * (layers - layer) for layer in range(layers)) / layers
    assert heads.work(model) == pytest.approx(4 * n + passes)


def test_prompts_are_laid_token_over_token():
    pair = Alignment.between(("A", " b", " c"), ("A", " x", " c"))
    assert pair.columns == (("A", "A"), (" b", " x"), (" c", " c"))
    assert (pair.problem, pair.differing) == ("", [1])
    assert pair.differences == "3 tokens each; they differ at position 1 (␣b / ␣x)."
    longer = Alignment.between(("A", " b", " c"), ("A", " x", " y", " c"))
    assert longer.columns == (("A", "A"), (" b", " x"), (None, " y"), (" c", " c"))
    assert "3 tokens and the corrupted one 4" in longer.problem
    assert longer.html.count("differs") == 4
    assert "same" in Alignment.between(("A",), ("A",)).problem
    long = Alignment.between(("A",) * 500, (*("A",) * 400, "B", *("A",) * 99))
    assert long.differences.endswith("they differ at position 400 (A / B). Drawn: 384 to 431.")
    assert long.html.count("differs") == 2
    hostile = Alignment.between(("<script>alert(1)</script>",), ("<b>",)).html
    assert "<script" not in hostile
    assert "<b>" not in hostile


def test_the_payload_is_json_with_layer_rows_from_the_top(load):
    result = lens.LogitLens("<script>alert(1)</script>")(load("demo-gpt2"))
    drawn = grid_data(lens.lens_grid(result), selected=(6, 1))
    assert json.loads(json.dumps(drawn)) == drawn
    assert [row["index"] for row in drawn["rows"]] == list(range(len(result.layers)))[::-1]
    assert drawn["selected"] == [6, 1]
    cell = drawn["rows"][0]["cells"][1]
    assert cell["text"] == show_token(result.top_tokens[-1][1][0])
    assert re.fullmatch(r"s\d+", cell["shade"])
    assert f".{cell['shade']}{{" in html.shades()
    assert len(drawn["names"]) == len(cell["details"])
    assert "entropy (nats)" in drawn["names"]
    pattern = AttentionPatterns(PROMPT, ((0, 0),))(load("demo-gpt2"))
    attention = grid_data(attention_grid(pattern, 0, 0))
    assert attention["rows"][0]["cells"][1] == {"text": ""}  # a query does not see what comes later


def test_a_long_axis_of_tokens_is_drawn_around_a_position(load):
    result = lens.LogitLens("word " * 60)(load("demo-gpt2"))
    assert len(result.tokens) > MOST_TOKENS
    drawn = grid_data(lens.lens_grid(result), around=0)
    assert [column["index"] for column in drawn["columns"]] == list(range(MOST_TOKENS))
    assert len(token_strip(result.tokens, selected=0)["columns"]) == len(result.tokens)


def test_texts_of_cells_are_visible():
    drawn = token_strip(("<|endoftext|>", " a", "\n", "\u202e"), selected=1)
    assert [cell["text"] for cell in drawn["rows"][0]["cells"]] == ["<|endoftext|>", "␣a", "↵", "\\u202e"]
    assert drawn["selected"] == [0, 1]
    ranked = token_ranking([(1, " a", 0.75), (7, "b", 1e-6)], label="Top", framed_rank=7)
    assert [row["text"] for row in ranked["rows"]] == ["1", "7"]
    assert ranked["rows"][0]["cells"][1] == {"text": "0.750", "bar": 0.75}
    assert ranked["framed"] == [[1, 0]]


def test_a_long_pattern_is_folded_around_a_position():
    n, rng = 3 * MOST_TOKENS, np.random.default_rng(0)
    values = np.tril(rng.random((n, n)))
    values /= values.sum(1, keepdims=True)
    values[np.triu_indices(n, 1)] = np.nan
    axis = Axis.tokens([f"t{i}" for i in range(n)], title="key")
    at = 2 * MOST_TOKENS
    grid = Grid(values=values, rows=axis, columns=axis, unit="attention", framed=((at, 0), (at, 7), (at, at)))
    small = folded(grid, at)
    assert len(small.columns) == MOST_KEYS
    np.testing.assert_allclose(np.nansum(small.values, axis=1), 1)
    assert small.columns.headings[0].token == "t0"
    assert small.columns.headings[1].token == f"{n - MOST_KEYS + 1} others"
    (_, first), (_, other), (_, own) = small.framed
    assert (first, other) == (0, 1)
    assert small.values[at, own] == values[at, at]
    assert small.values[at, 0] == values[at, 0]
    assert np.isnan(small.values[0, 2:]).all()
    early = folded(grid, 3)
    assert early.columns.headings[0].token == "t0"
    assert early.columns.headings[-1].token == f"{n - MOST_KEYS + 2} others"


def test_a_turned_lens_has_the_same_cells(load):
    grid = lens.lens_grid(lens.LogitLens(PROMPT, " Paris")(load("demo-gpt2")))
    plain, other = grid_data(grid, selected=(2, 1)), grid_data(turned(grid), selected=(1, 2))

    def cells(data):
        return {
            frozenset((row["full"], column["full"])): cell
            for row in data["rows"]
            for column, cell in zip(data["columns"], row["cells"], strict=True)
        }

    assert cells(plain) == cells(other)
    assert [row["index"] for row in other["rows"]] == list(range(len(grid.columns)))
