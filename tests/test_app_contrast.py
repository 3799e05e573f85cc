"""The page Contrast: its views without Streamlit, and the page as Streamlit runs it (skipped without it)."""

import numpy as np
import pytest

import interp
from app_pages import (
    DEMOS,
    error_of,
    field,
    run_copied_command,
    run_copied_program,
    run_without_errors,
    texts,
    without_provenance,
)
from interp.app.views import contrast
from interp.figures.engine.notation import show_token
from interp.runs import read_run

CAPITALS = contrast.Contrast.typed(**contrast.EXAMPLES[0][1])


@pytest.mark.parametrize("name", DEMOS)
@pytest.mark.parametrize("example", contrast.EXAMPLES, ids=lambda e: e[0])
def test_the_examples_part_and_the_grid_says_where(load, name, example):
    result = contrast.Contrast.typed(**example[1])(load(name))
    assert result.marks[:, -1].tolist() == [1, -1]
    grid = contrast.side_by_side(result)
    assert grid.values.shape == (len(result.layers), 4)
    for prompt in range(2):
        np.testing.assert_array_equal(np.sign(grid.values[1:, 2 * prompt]), result.marks[prompt, 1:])
        np.testing.assert_array_equal(np.sign(grid.values[1:, 2 * prompt + 1]), result.marks[prompt, 1:])
        for layer, says in enumerate(grid.texts[:, 2 * prompt]):
            token = show_token(result.top_tokens[prompt][layer], max_chars=12)
            assert says.startswith(f"\u2068{token}\u2069 ")  # also where it is written from right to left
        ahead = [float(text) for text in grid.texts[:, 2 * prompt + 1]]
        np.testing.assert_allclose(ahead, result.ahead[prompt], atol=0.00501)
    framed = {(layer, column // 2) for layer, column in grid.framed}
    assert framed == {(layer, p) for p, layer in enumerate(result.hand_offs) if layer is not None}


def test_the_legend_has_the_three_marks(load):
    drawn = contrast.side_by_side_data(CAPITALS(load("demo-gpt2")), selected=(0, 0))
    assert [name for _, name in drawn["legend"]] == ["␣Tokyo", "neither", "␣Paris"]
    colours = dict(drawn["legend"])
    last = drawn["rows"][0]["cells"]
    assert [colours[cell["shade"]] for cell in last] == ["␣Paris"] * 2 + ["␣Tokyo"] * 2


def test_the_embedding_is_not_coloured(load):
    """Nothing was computed there: the lens reads the last token itself."""
    result = CAPITALS(load("demo-gpt2"))
    assert (result.marks[:, 0] != 0).any()
    values = contrast.side_by_side(result).values
    assert (values[0] == 0).all()
    ranks = np.where(result.marks > 0, result.target_rank, result.competitor_rank)
    faint = (np.abs(values[1:, ::2]) == contrast.FAINT).T
    np.testing.assert_array_equal(faint, (ranks[:, 1:] > contrast.LIKELY) & (result.marks[:, 1:] != 0))
    assert dict(contrast.side_by_side(result).hover)["rank of the target"][-1, 0] == "1"


def test_the_table_of_a_layer_is_what_the_contrast_read(load):
    model = load("demo-gpt2")
    result = CAPITALS(model)
    for prompt in range(2):
        lens = CAPITALS.reading(prompt)(model)
        for row in range(len(result.layers)):
            table = contrast.cell_table(lens, prompt, row)
            assert table.rows[0][1] == show_token(result.top_tokens[prompt][row])
            assert contrast.PROMPTS[prompt] in table.title


def test_another_position_is_that_of_the_prompts_cut_there(load):
    """The model is causal: what is read before the end is what a shorter prompt says at its end."""
    model = load("demo-gpt2")
    values = contrast.EXAMPLES[0][1]
    there = contrast.Contrast.typed(**values, position=-2)(model)
    shorter = values | {"first": "The capital of France", "second": "The capital of Japan"}
    cut = contrast.Contrast.typed(**shorter)(model)
    np.testing.assert_allclose(there.ahead, cut.ahead, atol=1e-3)
    assert there.top_tokens == cut.top_tokens
    with pytest.raises(interp.InterpError, match="no position -99"):
        contrast.Contrast.typed(**values, position=-99)(model)


def test_copied_program_and_command_give_what_is_shown(load, tmp_path):
    question = contrast.Contrast.typed(**contrast.EXAMPLES[1][1], margin=2.5, position=-1)
    shown = without_provenance(question(load("demo-gpt2")))
    assert without_provenance(run_copied_program(question)) == shown
    assert without_provenance(read_run(run_copied_command(question, tmp_path)).result) == shown


@pytest.fixture
def app(open_page):
    return open_page("Contrast")


@pytest.mark.parametrize("model", DEMOS)
def test_the_page_says_where_the_prompts_part(app, model):
    app.query_params["model"] = model
    run_without_errors(app)
    assert "Who is ahead differs" in texts(app)
    assert f"interp run contrast --model {model}" in texts(app)
    app.text_area(key="second").set_value("The capital of Peru is").run()
    assert not app.error
    assert "␣Peru" in texts(app)


def test_the_page_follows_the_url_and_forgives_it(app):
    values = {"first": "The capital of Italy is", "second": "The capital of Spain is"}
    values |= {"target": " Rome", "competitor": " Madrid", "margin": "2.5", "position": "-2"}
    for key, value in values.items():
        app.query_params[key] = value
    app.run()
    assert not app.error
    assert "2.5 or more" in texts(app)
    assert "position -2 (␣Italy / ␣Spain)" in texts(app)


@pytest.mark.parametrize("wrong", [{"margin": "abc"}, {"margin": "-3"}, {"position": "7"}, {"cell": "99.99"}])
def test_a_wrong_address_shows_the_page_all_the_same(app, wrong):
    for key, value in wrong.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    assert "Who is ahead differs" in texts(app)


def test_half_a_token_is_no_error(app):
    app.run()
    run_without_errors(app.text_input(key="target").set_value(" not one token at all"))
    assert "No token yet" in texts(app)
    assert "Who is ahead differs" not in texts(app)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("second", "The capital of France is", "same"),
        ("competitor", " Paris", "same token"),
        ("first", " ", "empty"),
    ],
)
def test_what_cannot_be_contrasted_is_a_sentence(app, key, value, sentence):
    app.run()
    assert sentence in error_of(field(app, key).set_value(value))
