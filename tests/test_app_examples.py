"""Examples are those that the model at hand answers, and a page begins with the first of them."""

from app_pages import run_without_errors
from interp.app.views.examples import Answered


def test_what_a_model_answers(load):
    model = load("demo-gpt2")
    pairs = (
        ("The capital of France is", " Paris"),
        ("The capital of France is", " Tokyo"),
        ("The capital of France is", " no such token"),
        ("   ", " Paris"),
    )
    assert Answered(pairs)(model) == (True, False, False, False)


def test_the_page_begins_with_what_is_answered(open_page, monkeypatch):
    examples = [
        ("Wrong", {"prompt": "The capital of Japan is", "target": "␣Paris", "tracked": []}),
        ("Right", {"prompt": "The capital of France is", "target": "␣Paris", "tracked": []}),
    ]
    monkeypatch.setattr("interp.app.views.explore.EXAMPLES", examples)
    page = open_page("Explore")
    run_without_errors(page)
    assert page.text_area(key="prompt").value == "The capital of France is"
    assert [button.label for button in page.button if (button.key or "").startswith("example-")] == ["Right"]


def test_heads_are_picked_for_demo_models_alone():
    from interp.app.views.circuit_map import EXAMPLES, examples_of

    assert examples_of("demo-qwen3") == EXAMPLES
    assert {values["heads"] for _, values in examples_of("gemma-3-270m")} == {""}
