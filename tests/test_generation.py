"""`interp.generate`: texts, what is read at every token, and how both are shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp import Address, Edit, EditFrom, Reader, Sample, feature_reader, lens_reader
from interp.errors import ConfigError, InputError, SiteError
from interp.experiments.base import find_experiment
from interp.figures.engine.grid import Grid
from interp.figures.views.generate import view
from interp.models.unembedding import unembed_hashes
from interp.results import read_result
from interp.saes.dictionary import activations_for
from interp.saes.edits import feature_edit
from test_saes import make

PROMPTS = ["The capital of France is", "Mary and John went to the store and"]


def test_values_are_those_of_a_run_of_the_whole_text(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2)
    edit = Edit.scale("mlp_out", 1, value=0.5)
    norms = Reader(
        what="norms", address=Address("z", 1), unit="norm", columns=("0", "1"),
        read=lambda x: x[:, :2].norm(dim=-1),
    )  # fmt: skip
    read = [lens_reader(model, 3, [" Paris", " store"]), feature_reader(model, sae, [3, 7]), norms]
    found = interp.generate(model, PROMPTS, 5, edits=[EditFrom(edit, "generated")], read=read, stop=())
    for row, text in enumerate(found.texts):
        n = text.n_prompt
        ids = [*model.to_tokens(PROMPTS[row]).row(0), *text.ids]
        assert list(text.tokens) == model.labels(ids)
        assert text.prompt + text.text == model.to_text(ids)
        own = Edit.scale("mlp_out", 1, value=0.5, positions=list(range(n, len(ids))))
        cache = model.run_with_cache([ids], ["resid_post", "z"], [own])
        resid = cache["resid_post", 3][0]
        p = (
            model.unembed(resid)
            .double()
            .softmax(-1)[:, [model.to_single_token(t) for t in (" Paris", " store")]]
        )
        np.testing.assert_allclose(text.readings[0].values, p.numpy(), atol=1e-4)
        features = sae.encode(activations_for(sae, cache["resid_post", 2]))[0, :, [3, 7]]
        np.testing.assert_allclose(text.readings[1].values, features.numpy(), atol=1e-3)
        np.testing.assert_allclose(
            text.readings[2].values, cache["z", 1][0, :, :2].norm(dim=-1).numpy(), atol=1e-3
        )
        log_probs = cache.logits[0].double().log_softmax(-1)
        assert text.log_probs == pytest.approx(
            [float(log_probs[n + i - 1, t]) for i, t in enumerate(text.ids)], abs=1e-3
        )
    assert found.texts[0].readings[0].columns == (" Paris", " store")
    assert [one.text for one in found.unedited] == [
        text.text for text in interp.generate(model, PROMPTS, 5, stop=()).texts
    ]
    assert found.path == "cached"
    assert read_result(found.to_dict()).to_dict() == found.to_dict()


def test_the_view_sets_edited_beside_unedited_text(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2)
    edits = [
        EditFrom(Edit.zero("mlp_out", 3), -1),
        feature_edit(sae, "set", [4], value=200.0, positions=[2]),
        Edit.add("resid_post", 4, value=torch.full((model.arch.d_model,), 3.0)),
    ]
    read = [lens_reader(model, 3, [" Paris"])]
    shown = view(interp.generate(model, PROMPTS, 4, edits=edits, read=read, sample=Sample(seed=3, top_p=0.9)))
    assert "drawn at temperature 1, of the likeliest that have 0.9 together, seed 3" in shown.above[0]
    assert "zero at blocks.3.hook_mlp_out, from position -1 on" in shown.above[0]
    assert "set feature 4 by 200 at blocks.2.hook_resid_post[pos=2], in the prompt" in shown.above[0]
    assert "add by a vector of length" in shown.above[0]
    names = [block.name for block in shown.blocks]
    assert names == ["verdict", "texts", "unedited_0_0", "edited_0_0", "unedited_1_0", "edited_1_0"]
    assert isinstance(shown.block("edited_0_0", Grid), Grid)
    plain = view(interp.generate(model, PROMPTS[0], 4, stop=()))
    assert [block.name for block in plain.blocks] == ["verdict", "texts", "text_0_probability"]


def test_an_unedited_text_is_the_same_as_one_whose_edit_does_nothing(load):
    model = load("demo-gpt2")
    nothing = Edit.scale("resid_post", 2, value=1.0)
    found = interp.generate(model, PROMPTS, 6, edits=[nothing], sample=Sample(temperature=2.0, seed=1))
    assert [one.ids for one in found.texts] == [one.ids for one in found.unedited]
    assert "the same, edited and not" in view(found).blocks[0].text


def test_a_text_that_ends_says_by_what(load):
    model = load("demo-gpt2")
    first = interp.generate(model, PROMPTS[0], 6, stop=()).texts[0]
    third = first.tokens[first.n_prompt + 2]
    found = interp.generate(model, PROMPTS[0], 6, stop=[third]).texts[0]
    n = first.tokens[first.n_prompt :].index(third)
    assert found.ended
    assert found.ids == first.ids[: n + 1]
    assert found.text == "".join(first.tokens[first.n_prompt : first.n_prompt + n])
    assert not first.ended


def test_what_cannot_be_read_is_refused(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2)
    with pytest.raises(InputError, match="no feature 40"):
        feature_reader(model, sae, [40])
    with pytest.raises(InputError, match="another unembedding"):
        feature_reader(load("demo-qwen3"), sae, [4])
    with pytest.raises(InputError, match="name one"):
        lens_reader(model, 3, [])
    with pytest.raises(SiteError, match="out of range"):
        interp.generate(model, PROMPTS, 2, read=[lens_reader(model, 9, [" Paris"])])
    wrong = Reader(
        what="sums",
        address=Address("resid_post", 1),
        unit="sum",
        columns=("a", "b"),
        read=lambda x: x.sum(-1),
    )
    with pytest.raises(InputError, match=r"must give \[token, column\]"):
        interp.generate(model, PROMPTS, 2, read=[wrong])


def test_a_configuration_says_edits_and_what_is_read(load):
    model = load("demo-gpt2")
    found = find_experiment("generate")
    values = {
        "prompt": PROMPTS,
        "n_tokens": 4,
        "edits": [
            {"op": "add", "at": "blocks.2.hook_resid_post", "value": [0.5] * model.arch.d_model, "start": 1},
            {"op": "zero", "at": "blocks.1.attn.hook_z[pos=-1 head=2]"},
        ],
        "lens_layer": 2,
        "lens_tokens": [" Paris"],
        "stop": [],
    }
    result = found.run(found.make_config(values), model)
    direction = torch.full((model.arch.d_model,), 0.5)
    edits = [
        EditFrom(Edit.add("resid_post", 2, value=direction), 1),
        Edit.zero("z", 1, positions=-1, heads=2),
    ]
    same = interp.generate(model, PROMPTS, 4, edits=edits, read=[lens_reader(model, 2, [" Paris"])], stop=())
    assert result.to_dict() == same.to_dict()
    for wrong, said in (
        ({"top_p": 0.5}, "give a temperature"),
        ({"features": [1]}, "give 'sae'"),
        ({"edits": [{"op": "zero"}]}, "An edit needs 'at'"),
        ({"edits": [{"op": "add", "direction": 0, "value": 1}]}, "give 'directions'"),
        ({"read_directions": [0]}, "give 'directions'"),
        ({"edits": [{"op": "ablate", "features": [1], "direction": 0}]}, "write one for each"),
    ):
        with pytest.raises(ConfigError, match=said):
            found.run(found.make_config(wrong), model)


@pytest.fixture
def direction(load) -> interp.Direction:
    model = load("demo-gpt2")
    vector = torch.randn(model.arch.d_model, generator=torch.Generator().manual_seed(0))
    return interp.Direction(
        vector=vector / vector.norm(),
        address=Address("resid_post", 2),
        role="END",
        how="random",
        labels=("known", "unknown"),
        ends=(-1.0, 3.0),
        scale=20.0,
        prompts=(1, 1),
        data="none",
        model="demo-gpt2",
        revision=None,
        unembed_sha256=unembed_hashes(model)["unembed_sha256"],
    )


def test_directions_are_read_and_edited_by_configuration(load, direction, tmp_path):
    model, file = load("demo-gpt2"), tmp_path / "d.safetensors"
    interp.write_directions(file, [direction])
    found = find_experiment("generate")
    values = {"prompt": PROMPTS, "n_tokens": 3, "directions": str(file), "read_directions": [0], "stop": []}

    def ask(*edits: dict):
        return found.run(found.make_config(values | {"edits": list(edits)}), model)

    clamped = ask({"op": "clamp", "direction": 0, "value": 1, "start": "generated"})
    for text in clamped.texts:
        np.testing.assert_allclose(text.readings[0].values[text.n_prompt :], 1.0, atol=1e-4)
    out = ask({"op": "project_out", "direction": 0}).texts[0].readings[0].values
    np.testing.assert_allclose(out, 0.25, atol=1e-4)  # a coordinate of 0, between -1 and 3
    pushed = ask({"op": "add", "direction": 0, "value": 0.5, "start": 1})
    plain = pushed.unedited[0].readings[0].values
    n = pushed.texts[0].n_prompt
    np.testing.assert_allclose(pushed.texts[0].readings[0].values[1:n], plain[1:n] + 10 / 4, atol=1e-4)
    edits = [interp.EditFrom(one, 1) for one in direction.add(0.5)]
    reader = interp.direction_reader(model, direction)
    assert (
        pushed.to_dict() == interp.generate(model, PROMPTS, 3, edits=edits, read=[reader], stop=()).to_dict()
    )
    for wrong, said in (
        ({"op": "clamp", "direction": 0, "value": 2}, "the number of a label"),
        ({"op": "set", "direction": 0}, "Unknown operation 'set' along a direction"),
        ({"op": "add", "direction": 3, "value": 1}, "no direction 3"),
        ({"op": "add", "direction": 0, "value": 1, "at": "blocks.1.hook_resid_post"}, "leave 'at' out"),
    ):
        with pytest.raises(ConfigError, match=said):
            ask(wrong)
