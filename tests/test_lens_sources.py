"""One way to read, whatever the lens: by name, by place, side by side, and through the model's own layers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import interp
from conftest import run
from interp import Edit, JacobianLens, TunedLens
from interp.errors import InputError, InterpDeprecation, InterpWarning
from interp.figures.engine.view import Lines, Table
from interp.methods.lens.cards import read_card, write_card
from interp.methods.lens.lens import PlainLens
from interp.methods.lens.patchscope import TOKEN_IDENTITY, Patchscope
from interp.methods.lens.results import LensCard
from interp.methods.lens.sources import lens_names
from interp.results import read_result
from interp.runs import read_run
from interp.text.sequences import load_text
from interp.zoo.making.tuned_lens_card import LENGTH, SEED, SEQUENCES

EIFFEL = "The Eiffel Tower is in the city of"
FRANCE, JAPAN = "The capital of France is", "The capital of Japan is"
DEMOS = ("demo-gpt2", "demo-qwen3")
CARD = LensCard(
    text="two texts",
    n_tokens=40,
    layers=("embed", *map(str, range(6))),
    kl=np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
    top1=np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0]),
    logit_kl=np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.0]),
    logit_top1=np.array([0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 1.0]),
)


@pytest.fixture
def nudged(load) -> TunedLens:
    """A lens of demo-gpt2 that is not the identity, with a card."""
    lens = TunedLens.identity(load("demo-gpt2"))
    noise = torch.randn(lens.weight.shape, generator=torch.Generator().manual_seed(0))
    return replace(lens, weight=0.02 * noise, card=CARD)


# ---- names and places ----


@pytest.mark.parametrize("name", DEMOS)
def test_every_name_of_a_model_loads(load, name: str) -> None:
    model = load(name)
    names = lens_names(model)
    assert {"logit", "patchscope"} <= set(names)
    for one in names:
        assert interp.load_lens(one, model).name == one
        assert interp.logit_lens(model, EIFFEL, " Paris", lens=one).lens == one


@pytest.mark.slow
@pytest.mark.parametrize("name", DEMOS)
def test_the_tuned_lens_that_ships_is_as_good_as_its_card_says(load, name: str) -> None:
    model = load(name)
    assert "tuned" in lens_names(model)
    lens = interp.load_lens("tuned", model)
    _, held_out = load_text(model, "demo", training=1, held_out=SEQUENCES, length=LENGTH, seed=SEED)
    measured = interp.measure_lens(model, lens, held_out)
    assert (measured.kl[1, :-1] < measured.kl[0, :-1]).all()
    np.testing.assert_allclose(measured.kl, [lens.card.logit_kl, lens.card.kl], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(measured.top1[1], lens.card.top1, atol=0.002)


def test_a_place_and_a_lens_itself_read_alike(load, nudged, tmp_path) -> None:
    model = load("demo-gpt2")
    nudged.save(tmp_path / "lens")
    by_place = interp.logit_lens(model, EIFFEL, " Paris", lens=tmp_path / "lens")
    by_text = interp.logit_lens(model, EIFFEL, " Paris", lens=str(tmp_path / "lens"))
    itself = interp.logit_lens(model, EIFFEL, " Paris", lens=nudged)
    assert by_place.equals(by_text)
    np.testing.assert_array_equal(by_place.answer_prob, itself.answer_prob)
    assert by_place.answer_prob[2] != interp.logit_lens(model, EIFFEL, " Paris").answer_prob[2]
    assert isinstance(interp.load_lens("logit", model), PlainLens)
    assert interp.load_lens(nudged, model) is nudged


def test_a_model_without_words_is_offered_no_context_in_words(tiny_gpt2) -> None:
    hf_model = AutoModelForCausalLM.from_pretrained(str(tiny_gpt2))
    model = interp.load_model(hf_model, device="cpu", self_check=False)
    assert lens_names(model) == ("logit",)
    with pytest.raises(interp.InterpError, match="tokenizer"):
        interp.logit_lens(model, [1, 2, 3], lens="patchscope")
    ids = interp.logit_lens(model, [1, 2, 3], lens=Patchscope(context=[4, 5, 6]))
    assert "[4, 5, 6]" in ids.lens_description


def test_a_jacobian_lens_is_known_by_its_files(load, tmp_path) -> None:
    model = load("demo-qwen3")
    lens = JacobianLens.of_model(
        model,
        source_layers=(0, 2),
        jacobian=torch.randn(2, 192, 192, generator=torch.Generator().manual_seed(0)),
        target_layer=5,
        n_prompts=3,
        card=CARD,
    )
    lens.save(tmp_path / "folder", dtype=torch.float32)
    lens.save(tmp_path / "lens.pt", dtype=torch.float32)
    itself = interp.logit_lens(model, EIFFEL, " Paris", lens=lens)
    folder = interp.logit_lens(model, EIFFEL, " Paris", lens=str(tmp_path / "folder"))
    assert folder.equals(itself)
    assert (folder.lens, folder.lens_card.equals(CARD)) == ("jacobian", True)
    with pytest.warns(InterpWarning, match="does not record which model"):
        file = interp.logit_lens(model, EIFFEL, " Paris", lens=str(tmp_path / "lens.pt"))
    np.testing.assert_array_equal(file.answer_prob, itself.answer_prob)
    assert (JacobianLens.merge([lens, lens]).card, file.lens_card) == (None, None)
    (tmp_path / "folder" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        interp.load_lens(tmp_path / "folder", model)


def test_what_is_no_lens_is_a_sentence(load, nudged, tmp_path) -> None:
    model = load("tiny-gpt2")
    with pytest.raises(InputError, match="There is no lens 'nowhere'; give logit, patchscope, or"):
        interp.load_lens("nowhere", model)
    with pytest.raises(
        InputError, match=r"No tuned lens comes with the package for .* `interp run train_tuned"
    ):
        interp.load_lens("tuned", model)
    with pytest.raises(InputError, match=r"No jacobian lens .* `interp run train_jacobian_lens"):
        interp.load_lens("jacobian", model)
    with pytest.raises(InputError, match="layers of width"):
        interp.load_lens(nudged, model)
    for call in (interp.logit_lens, interp.lenses_on_prompt):
        key = {"lens": "nowhere"} if call is interp.logit_lens else {"lenses": ["logit", "nowhere"]}
        with pytest.raises(InputError, match="There is no lens"):
            call(model, [1, 2], **key)
    with pytest.raises(InputError, match="one or more"):
        interp.lenses_on_prompt(model, [1, 2], lenses=[])


# ---- how good it is ----


def test_a_card_is_kept_with_its_lens_and_told_by_every_reading(load, nudged, tmp_path) -> None:
    model = load("demo-gpt2")
    nudged.save(tmp_path / "lens")
    lens = TunedLens.load(tmp_path / "lens", model)
    assert lens.card.equals(CARD)
    read = interp.logit_lens(model, FRANCE, " Paris", lens=lens)
    two = interp.contrast(model, FRANCE, JAPAN, target=" Paris", competitor=" Tokyo", lens=lens)
    for result in (read, two):
        assert result.lens_card.equals(CARD)
        assert read_result(json.loads(json.dumps(result.to_dict()))).equals(result)
    from interp.figures.views import contrast, logit_lens

    # means over the layers before the last: KL 3.5 beside 6.5, first tokens 0.25 beside 0.1
    sentence = (
        "KL to the model's prediction 3.50 nats (logit lens 6.50); its first token is the model's in 0.25"
    )
    for view in (logit_lens.view(read), contrast.view(two)):
        assert sentence in " ".join(view.above)
        assert view.block("card", Table).rows[1] == ("0", "5.00", "8.00", "0.10", "0.00")
    without = interp.logit_lens(model, FRANCE, " Paris", lens=replace(lens, card=None))
    assert "How good it is on text is not recorded" in " ".join(logit_lens.view(without).above)
    plain = logit_lens.view(interp.logit_lens(model, FRANCE, " Paris"))
    assert not any("on text" in line for line in plain.above)


def test_a_damaged_card_is_a_sentence(load, tmp_path) -> None:
    assert read_card(tmp_path) is None
    write_card(tmp_path, None)
    assert not list(tmp_path.iterdir())
    for content in ("{", "[]", '{"kind": "lens_card", "text": "x"}', '{"kind": "lens_card", "other": 1}'):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(InputError, match="measure the lens anew"):
            read_card(tmp_path)
    (tmp_path / "card.json").write_text(" " * 2_000_000)
    with pytest.raises(InputError, match="too large"):
        read_card(tmp_path)


def test_top1_is_the_share_of_tokens_with_the_models_first_choice(load, nudged) -> None:
    model, text = load("demo-gpt2"), [FRANCE, EIFFEL]
    result = interp.measure_lens(model, nudged, text)
    same = [[], []]
    for prompt in text:
        cache = model.run_with_cache(prompt, [("resid_post", 2)])
        stream, final = cache["resid_post", 2][0], cache.logits[0].argmax(-1)
        moved = nudged.translate(stream, 2)
        for row, states in enumerate((stream, moved)):
            same[row] += (model.unembed(states).argmax(-1) == final).tolist()
    assert result.top1[:, 3].tolist() == [np.mean(row) for row in same]
    assert result.top1[:, -1].tolist() == [1.0, 1.0]
    card = result.card
    np.testing.assert_array_equal(card.kl, result.kl[1])
    np.testing.assert_array_equal(card.logit_top1, result.top1[0])
    assert replace(result, top1=None).card is None  # of a run of an earlier version


# ---- through the model's own layers ----


@pytest.mark.parametrize("name", DEMOS)
def test_a_patchscope_puts_the_state_behind_its_context(load, name: str) -> None:
    model, context = load(name), "The capital of Japan is"
    lens = Patchscope(context=context)
    result = interp.logit_lens(model, EIFFEL, " Paris", lens=lens)
    cache = model.run_with_cache(EIFFEL, [("resid_pre", 0), "resid_post"])
    paris = model.to_single_token(" Paris")
    for row, layer in ((0, None), (1, 0), (4, 3), (6, 5)):
        site, at = ("resid_pre", 0) if layer is None else ("resid_post", layer)
        edit = Edit.set(site, at, value=cache[site, at][0, -1], positions=-1)
        expected = model.forward(context, [edit])[0, -1].double().softmax(-1)[paris]
        assert result.answer_prob[row] == pytest.approx(float(expected), rel=1e-3, abs=1e-7)
    final = cache.logits[0, -1].double().softmax(-1)[paris]
    assert result.answer_prob[-1] == pytest.approx(float(final), rel=1e-5)  # the last layer is the model
    assert (result.lens, context in result.lens_description) == ("patchscope", True)
    own = interp.logit_lens(model, context, " Tokyo", lens=lens)  # its own states change nothing
    tokyo = model.forward(context)[0, -1].double().softmax(-1)[model.to_single_token(" Tokyo")]
    np.testing.assert_allclose(own.answer_prob, float(tokyo), rtol=1e-3)


def test_a_patchscope_reads_several_positions_and_any_context(load) -> None:
    model = load("demo-qwen3")
    every = interp.logit_lens(model, FRANCE, " Paris", position="all", lens="patchscope")
    for position in (1, 4):
        one = interp.logit_lens(model, FRANCE, " Paris", position=position, lens="patchscope")
        np.testing.assert_allclose(every.answer_prob[:, position], one.answer_prob, rtol=1e-3, atol=1e-8)
    assert TOKEN_IDENTITY in every.lens_description
    other = interp.logit_lens(model, FRANCE, " Paris", lens=f"patchscope:{JAPAN}")
    assert JAPAN in other.lens_description
    same = interp.logit_lens(model, FRANCE, " Paris", lens=Patchscope(context=JAPAN))
    np.testing.assert_array_equal(other.answer_prob, same.answer_prob)
    with pytest.raises(InputError, match="no map of a stream"):
        Patchscope().translate(torch.zeros(192), 0)
    with pytest.raises(InputError, match="patchscope lens does not read 'mlp_out'"):
        interp.logit_lens(model, FRANCE, site="mlp_out", lens="patchscope")
    with pytest.raises(interp.InterpError):
        interp.load_lens(Patchscope(context=""), model)
    measured = interp.measure_lens(model, Patchscope(context=JAPAN), [FRANCE])
    assert measured.kl[1, -1] == pytest.approx(0, abs=1e-6)
    read = interp.logit_lens(model, FRANCE, position="all", lens=Patchscope(context=JAPAN))
    assert measured.kl[1, 3] == pytest.approx(read.kl_to_final[3].mean(), rel=1e-3)


# ---- side by side ----


def test_lenses_side_by_side_are_each_lens_by_itself(load, nudged) -> None:
    model = load("demo-gpt2")
    result = interp.lenses_on_prompt(model, EIFFEL, lenses=["logit", nudged, "patchscope"])
    assert [one.lens for one in result.readings] == ["logit", "tuned", "patchscope"]
    answer = result.readings[0].answer_id
    assert answer == model.to_single_token(" Paris")  # the model's own, the same for all
    for one, lens in zip(result.readings, ("logit", nudged, "patchscope"), strict=True):
        assert one.equals(interp.logit_lens(model, EIFFEL, answer, lens=lens))
    assert result.crossover_layers == tuple(one.crossover_layer for one in result.readings)
    assert read_result(json.loads(json.dumps(result.to_dict()))).equals(result)
    from interp.figures.views import lenses_on_prompt

    view = lenses_on_prompt.view(interp.lenses_on_prompt(model, EIFFEL, lenses=["logit", nudged, nudged]))
    names = [series.name for series in view.block("answer_prob", Lines).series]
    assert names == ["Logit lens", "Tuned lens 1", "Tuned lens 2"]


def test_the_former_name_is_understood(load, nudged, tmp_path, capsys) -> None:
    model = load("demo-gpt2")
    with pytest.warns(InterpDeprecation, match="lenses_on_prompt"):
        old = interp.tuned_lens(model, EIFFEL, " Paris", lens=nudged)
    assert old.equals(interp.lenses_on_prompt(model, EIFFEL, " Paris", lenses=["logit", nudged]))
    nudged.save(tmp_path / "lens")
    given = ("--set", f"lens={tmp_path / 'lens'}", "--tag", "x", "--out", tmp_path)
    assert run("run", "tuned_lens", *given) == 0
    assert "is called 'lenses_on_prompt' now" in capsys.readouterr().err
    assert [one.lens for one in read_run(tmp_path / "lenses_on_prompt" / "x").result.readings] == [
        "logit",
        "tuned",
    ]


def test_results_of_earlier_versions_are_read(load, nudged) -> None:
    """A plain and a tuned reading by these names, the logit lens called plain, and no cards."""
    model = load("demo-gpt2")
    now = interp.lenses_on_prompt(model, EIFFEL, " Paris", lenses=["logit", replace(nudged, card=None)])
    data = now.to_dict()
    plain, tuned = data.pop("readings")
    for one in (plain, tuned):
        del one["lens_card"]
    stored = data | {"kind": "tuned_lens", "plain": plain | {"lens": "plain"}, "tuned": tuned}
    assert read_result(json.loads(json.dumps(stored))).equals(now)
    measured = interp.measure_lens(model, nudged, [FRANCE])
    old = measured.to_dict() | {"lenses": ["plain", "tuned"]}
    assert read_result(json.loads(json.dumps(old))).equals(measured)
