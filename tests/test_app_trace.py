"""The page Trace and the choice of a model as Streamlit runs them (skipped where it is not installed)."""

import pytest

from app_pages import DEMOS, error_of, field, run_without_errors, texts
from interp.app.server.access import permissions
from interp.app.server.jobs import question_id
from interp.app.server.model_server import ModelServer
from interp.app.server.settings import FILES, MODEL
from interp.app.views import trace
from interp.app.views.tokens import PromptTokens


@pytest.fixture
def app(open_page):
    return open_page("Trace")


@pytest.mark.parametrize("model", DEMOS)
@pytest.mark.parametrize("part", list(trace.PARTS))
def test_the_map_and_what_the_three_runs_say(app, model, part):
    app.query_params["model"] = model
    app.query_params["part"] = part
    run_without_errors(app)
    shown = texts(app)
    assert f"Recovery at {trace.PARTS[part][0]}, by layer and" in shown
    assert "they differ at position" in shown
    assert f"interp run activation_patching --model {model}" in shown
    for heading in ("clean says", "corrupted says", "patched says"):
        assert heading in shown


def test_the_url_names_the_cell_the_part_and_the_direction(app):
    for key, value in {"part": "head", "direction": "noising", "cell": "2.3"}.items():
        app.query_params[key] = value
    app.run()
    assert "Head 2.3: from the corrupted run into the clean one" in texts(app)
    assert "direction='noising'" in texts(app)


@pytest.mark.parametrize(
    ("key", "value"), [("part", "xyz"), ("direction", "up"), ("cell", "9.99"), ("cell", "x")]
)
def test_what_the_url_cannot_name_is_replaced(app, key, value):
    app.query_params[key] = value
    run_without_errors(app)
    assert "Recovery at resid_pre" in texts(app)


def test_a_page_that_is_none(app):
    app.query_params["page"] = "Foo"
    assert "no page 'Foo'" in error_of(app)


def test_examples_fill_the_inputs(app):
    app.run()
    app.button(key="example-2").click().run()
    assert app.text_area(key="clean").value == trace.EXAMPLES["Indirect object"]["clean"]
    assert not app.error
    assert "they differ at position" in texts(app)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("corrupted", "The capital is", "same number"),
        ("corrupted", "The capital of France is", "the same"),
        ("clean", "  ", "The prompt is empty"),
        ("clean", "word " * 2000, "at most"),
        ("foil", " Paris", "same token"),
        ("foil", " Paris is", "begins with the other"),
    ],
)
def test_what_is_wrong_is_one_sentence(app, key, value, sentence):
    app.run()
    assert sentence in error_of(field(app, key).set_value(value))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [("", "The answer is empty"), ("Paris", "leading space")],
)
def test_half_an_answer_is_no_error(app, answer, sentence):
    app.run()
    run_without_errors(app.text_input(key="answer").set_value(answer))
    assert sentence in texts(app)
    assert "Recovery" not in texts(app)


def test_an_answer_of_several_tokens_says_how_it_is_divided(app):
    app.run()
    app.text_input(key="answer").set_value(" Paris is| Rome").run()
    app.text_input(key="foil").set_value(" <script>alert(1)</script>").run()
    assert not app.error
    assert not app.exception
    assert any("any of 2" in caption.value for caption in app.caption)


def test_a_pair_that_hardly_differs_keeps_the_rest_of_the_page(app):
    app.run()
    app.text_input(key="foil").set_value("")
    assert "hardly differ" in error_of(app.text_input(key="answer").set_value(" Sahara"))
    assert "they differ at position" in texts(app)


# ---- the choice of a model ----


def test_an_unknown_model_is_one_sentence_beside_the_choice(app):
    app.query_params["model"] = "nonsense"
    permissions().allow("nonsense")  # as where it is typed
    assert "Unknown model" in error_of(app)
    assert app.text_area(key="clean").value == trace.EXAMPLES["A capital"]["clean"]  # what was typed stays
    app.selectbox(key="model").set_value("demo-qwen3").run()
    assert not app.error
    assert "Recovery at resid_pre" in texts(app)


def test_a_refused_model_is_not_tried_at_every_word(app, monkeypatch):
    tried = []

    def load(name):
        tried.append(name)
        from interp.models.registry import load_model

        return load_model(name)

    server = ModelServer(load)
    monkeypatch.setattr("interp.app.server.session.shared_server", lambda: server)
    app.query_params["model"] = "no-such-model"
    app.run()
    app.button(key="permit-model").click().run()
    app.text_area(key="clean").set_value("Another prompt").run()
    assert tried == ["no-such-model"]
    assert "Unknown model" in app.error[0].value
    app.button(key="try-again").click().run()
    assert tried == ["no-such-model"] * 2
    assert not app.exception


def test_a_folder_can_be_typed(app, tiny_qwen3, monkeypatch):
    monkeypatch.setenv(FILES, str(tiny_qwen3.parent))
    permissions().allow(str(tiny_qwen3))  # as where it is typed
    app.query_params["model"] = str(tiny_qwen3)
    app.query_params["answer"] = "a"
    app.query_params["foil"] = "b"
    app.query_params["clean"] = "one two"
    app.query_params["corrupted"] = "ten two"
    app.run()
    assert not app.exception
    assert app.selectbox(key="model").value == str(tiny_qwen3)
    assert "they differ at positions 1 (o / t)" in texts(app)


def test_the_server_s_own_model_comes_first(app, monkeypatch):
    monkeypatch.setenv(MODEL, "demo-qwen3")
    app.run()
    assert app.selectbox(key="model").value == "demo-qwen3"


# ---- faults, and what is cancelled ----


def test_a_fault_of_the_program_is_a_sentence_and_a_record(app, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("the details")

    monkeypatch.setattr(trace, "recovery_grid", broken)
    assert "fault of the program" in error_of(app)
    assert "the details" not in app.error[0].value
    assert "the details" in caplog.text


def test_what_was_cancelled_is_computed_when_asked_for(app):
    pair = "The capital of France is", "The capital of Japan is", " Paris", " Tokyo"
    asked = "demo-gpt2", trace.ActivationPatching(*pair)
    app.session_state["cancelled questions"] = {asked}
    app.run()
    assert "Cancelled." in texts(app)
    assert "Recovery at" not in texts(app)
    assert not app.error
    app.button(key=f"compute-{question_id(*asked)}-1").click().run()
    assert "Recovery at resid_pre" in texts(app)


def test_a_question_that_is_cancelled_and_asked_twice_has_two_buttons(app):
    """Both prompts ask for their tokens."""
    prompt = "The capital of France is"
    asked = "demo-gpt2", PromptTokens(prompt)
    app.query_params["clean"] = app.query_params["corrupted"] = prompt
    app.session_state["cancelled questions"] = {asked}
    app.run()
    assert not app.exception
    keys = {f"compute-{question_id(*asked)}-{n}" for n in (1, 2)}
    assert keys <= {button.key for button in app.button}
    app.button(key=f"compute-{question_id(*asked)}-2").click().run()
    assert not app.exception
    assert "the same" in app.error[0].value
