"""The page Generate: its questions without Streamlit, and the page as Streamlit runs it."""

import pytest

import interp
from app_pages import error_of, field, run_copied_command, run_without_errors, texts, without_provenance
from interp.app.views.generate import Generate, as_python
from interp.errors import InputError
from interp.runs import read_run

PROMPT = "The capital of France is"
EDITED = Generate(PROMPT, 4, "head", "0.1", 3.0)


def test_a_part_is_scaled(load):
    model = load("demo-gpt2")
    for part, name, at in (
        ("head", "0.1", "blocks.0.attn.hook_z[head=1]"),
        ("attention", "2", "blocks.2.hook_attn_out"),
        ("MLP", "5", "blocks.5.hook_mlp_out"),
    ):
        result = Generate(PROMPT, 4, part, name, -2.0)(model)
        expected = interp.generate(
            model, PROMPT, 4, edits=[interp.Edit("scale", interp.Address.parse(at), -2.0)]
        )
        assert without_provenance(result) == without_provenance(expected)
    result = Generate(PROMPT, 4, "feature", "7", 5.0, "demo-gpt2")(model)
    sae = interp.load_sae("demo-gpt2", model)
    expected = interp.generate(model, PROMPT, 4, edits=[interp.feature_edit(sae, "scale", [7], value=5.0)])
    assert without_provenance(result) == without_provenance(expected)
    assert Generate(PROMPT, 4)(model).unedited == ()


@pytest.mark.parametrize(
    ("part", "name"), [("head", "3"), ("MLP", "1.2"), ("attention", "x"), ("feature", "")]
)
def test_a_name_that_is_none(part, name):
    with pytest.raises(InputError, match="names no"):
        _ = Generate(PROMPT, 4, part, name).edit


def test_copied_program_and_command_give_what_is_shown(load, tmp_path):
    shown = without_provenance(EDITED(load("demo-gpt2")))
    names: dict = {}
    exec(as_python("demo-gpt2", EDITED), names)
    assert without_provenance(names["result"]) == shown
    assert without_provenance(read_run(run_copied_command(EDITED, tmp_path)).result) == shown


def test_the_page_shows_both_texts(open_page, load):
    page = open_page("Generate", prompt=PROMPT, part="head", which="0.1", times="3", n_tokens="4")
    run_without_errors(page)
    result = EDITED(load("demo-gpt2"))
    shown = texts(page)
    for text in (*result.texts, *result.unedited):
        assert text.text.strip() in shown
    assert "unedited" in shown
    assert "names no head" in error_of(field(page, "which").set_value("99"))
