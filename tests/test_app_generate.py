"""The page Generate: its questions without Streamlit, and the page as Streamlit runs it."""

import pytest
import torch

import interp
from app_pages import error_of, field, run_copied_command, run_without_errors, texts, without_provenance
from interp.app.views.generate import Change, Generate, GoesOn, LensAtEnd, as_python, lens_as_python
from interp.errors import EditError, InputError
from interp.methods.common.direction import Direction
from interp.models.unembedding import unembed_hashes
from interp.runs import read_run

PROMPT = "The capital of France is"
EDITED = Generate(PROMPT, 4, Change("head", "0.1", 3.0))


def test_a_part_is_scaled(load):
    model = load("demo-gpt2")
    for part, name, at in (
        ("head", "0.1", "blocks.0.attn.hook_z[head=1]"),
        ("attention", "2", "blocks.2.hook_attn_out"),
        ("MLP", "5", "blocks.5.hook_mlp_out"),
    ):
        result = Generate(PROMPT, 4, Change(part, name, -2.0))(model)
        expected = interp.generate(
            model, PROMPT, 4, edits=[interp.Edit("scale", interp.Address.parse(at), -2.0)]
        )
        assert without_provenance(result) == without_provenance(expected)
    result = Generate(PROMPT, 4, Change("feature", "7", 5.0, sae="demo-gpt2"))(model)
    sae = interp.load_sae("demo-gpt2", model)
    expected = interp.generate(model, PROMPT, 4, edits=[interp.feature_edit(sae, "scale", [7], value=5.0)])
    assert without_provenance(result) == without_provenance(expected)
    assert Generate(PROMPT, 4)(model).unedited == ()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("head", "3"),
        ("MLP", "1.2"),
        ("attention", "x"),
        ("feature", ""),
        ("neuron", "4"),
        ("direction", "1.2"),
    ],
)
def test_a_name_that_is_none(part, name):
    with pytest.raises(InputError, match="names no"):
        _ = Change(part, name).edit


@pytest.mark.parametrize(("how", "op"), [("multiply", "scale"), ("add", "add")])
def test_a_neuron_is_changed(load, how, op):
    model = load("demo-gpt2")
    value = torch.ones(model.arch.d_mlp) if op == "scale" else torch.zeros(model.arch.d_mlp)
    value[17] = 4.0
    edit = interp.Edit(op, interp.Address("mlp_act", 3), value)
    found = Generate(PROMPT, 4, Change("neuron", "3.17", 4.0, how))(model)
    assert found.texts[0].text == interp.generate(model, PROMPT, 4, edits=[edit]).texts[0].text
    lens = LensAtEnd(PROMPT, " Paris", Change("neuron", "3.17", 4.0, how))(model)
    expected = model.forward(PROMPT, [edit])[0, -1].double().softmax(-1)[model.to_single_token(" Paris")]
    assert lens.answer_prob[-1] == pytest.approx(float(expected), rel=1e-5)
    assert expected != pytest.approx(float(LensAtEnd(PROMPT, " Paris")(model).answer_prob[-1]), rel=1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("set", 0, 1), "on neurons"),
        (("scale", 0, []), "at least"),
        (("scale", 0, [1, 1]), "once"),
        (("add", 0, 10**6), "no neuron"),
        (("add", 0, True), "no neuron"),
    ],
)
def test_neurons_that_are_none(load, given, said):
    with pytest.raises(EditError, match=said):
        interp.neuron_edit(load("demo-gpt2"), *given, value=1.0)


@pytest.fixture
def directions(load, tmp_path):
    """A file of one direction, after layer 3."""
    model = load("demo-gpt2")
    vector = torch.nn.functional.normalize(torch.arange(1.0, model.arch.d_model + 1).sin(), dim=0)
    direction = Direction(
        vector=vector, address=interp.Address("resid_post", 3), role="END", how="mean_difference",
        labels=("no", "yes"), ends=(0.0, 1.0), scale=3.0, prompts=(1, 1), data="here", model="demo-gpt2",
        revision=None, unembed_sha256=unembed_hashes(model)["unembed_sha256"],
    )  # fmt: skip
    interp.write_directions(tmp_path / "found.safetensors", [direction])
    return str(tmp_path / "found.safetensors"), vector


@pytest.mark.parametrize("how", ["add", "take out"])
def test_a_direction_is_changed(load, directions, how):
    model, (file, vector) = load("demo-gpt2"), directions
    edit = (
        interp.Edit.add("resid_post", 3, value=1.5 * vector)
        if how == "add"
        else interp.Edit.project_out("resid_post", 3, value=vector)
    )
    change = Change("direction", "0", 0.5, how, directions=file)
    expected = interp.generate(model, PROMPT, 4, edits=[edit]).texts[0]
    assert Generate(PROMPT, 4, change)(model).texts[0].ids == expected.ids
    lens = LensAtEnd(PROMPT, " Paris", change)
    by_hand = interp.logit_lens(model, PROMPT, " Paris", edits=[edit])
    assert lens(model).answer_prob == pytest.approx(by_hand.answer_prob)
    names: dict = {}
    exec(lens_as_python("demo-gpt2", lens), names)
    assert names["result"].answer_prob == pytest.approx(by_hand.answer_prob)


def test_the_lens_by_command_is_the_one_shown(load, tmp_path):
    lens = LensAtEnd(PROMPT, " Paris", Change("feature", "7", 5.0, sae="demo-gpt2"))
    shown = without_provenance(lens(load("demo-gpt2")))
    assert without_provenance(read_run(run_copied_command(lens, tmp_path)).result) == shown


def test_a_continuation_is_what_generate_says(load):
    model = load("demo-gpt2")
    said = GoesOn(PROMPT, 4)(model)
    (expected,) = interp.generate(model, PROMPT, 4).texts
    assert said.tokens == expected.tokens[expected.n_prompt :]
    assert said.texts[-1] == PROMPT + expected.text
    assert said.texts[0] == f"{PROMPT}{said.tokens[0]}"


def test_copied_program_and_command_give_what_is_shown(load, tmp_path):
    shown = without_provenance(EDITED(load("demo-gpt2")))
    names: dict = {}
    exec(as_python("demo-gpt2", EDITED), names)
    assert without_provenance(names["result"]) == shown
    assert without_provenance(read_run(run_copied_command(EDITED, tmp_path)).result) == shown


def test_the_page_shows_both_texts(open_page, load):
    page = open_page("Generate", prompt=PROMPT, part="head", which_head="0.1", times="3", n_tokens="4")
    run_without_errors(page)
    result = EDITED(load("demo-gpt2"))
    shown = texts(page)
    for text in (*result.texts, *result.unedited):
        assert text.text.strip() in shown
    assert "unedited" in shown
    assert "␣Paris behind the prompt:" in shown
    assert "names no head" in error_of(field(page, "which_head").set_value("99"))


def test_another_part_begins_with_one_that_is_there(open_page):
    """A head is no name of a layer: each part keeps its own, and no other's is refused."""
    page = open_page("Generate", prompt=PROMPT, part="head", which_head="0.1", n_tokens="2")
    run_without_errors(page)
    for part in ("attention", "MLP", "neuron", "feature"):
        page.session_state["part"] = part
        run_without_errors(page)
        assert "behind the prompt" in texts(page)
    page.session_state["part"] = "head"
    run_without_errors(page)
    assert page.text_input(key="which_head").value == "0.1"
