"""The court of lenses: what it measures is what it says, and it finds a step in between that was planted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import interp
from compiled_two_steps import BRIDGE_LAYER, A, B, C, answer_of, bridge_of, cases, sequences, two_step_model
from conftest import run
from interp import JacobianLens, TunedLens
from interp.errors import InputError
from interp.figures.engine.view import Words
from interp.figures.views import compare_lenses as presentation
from interp.methods.lens.bridge_exchange import swaps
from interp.methods.lens.bridges import clean_streams, paired
from interp.methods.lens.exchange import exchanged
from interp.methods.lens.lens import EMBEDDING, Lens
from interp.methods.lens.shuffled import ShuffledLens
from interp.methods.lens.token_directions import lens_directions
from interp.results import read_result
from interp.runs import read_run
from interp.tasks.two_hops import TwoHop, known, two_hops
from test_token_directions import idle_model

FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def two_steps() -> interp.Model:
    return interp.load_model(two_step_model(), device="cpu", name="two steps", self_check=False)


class ByHand(Lens):
    """The lens that the planted model's later layers make: what stands in `bridge` after layer 1 is read as
    the same token in `output`."""

    name = "by hand"
    description = "the space of the bridge is read as the output"

    def translate(self, resid, layer):
        if layer != BRIDGE_LAYER:
            return resid
        moved = resid.clone()
        moved[..., 96:128] = resid[..., 64:96]  # the space of the output, and that of the bridge
        return moved

    def check_fits(self, model):
        assert model.arch.n_layers == 3


def test_the_planted_model_takes_two_steps(two_steps) -> None:
    for case in cases(8):
        *_, a, _ = case.prompt
        assert int(two_steps.forward(case.prompt)[0, -1].argmax()) == answer_of(bridge_of(a))
    kept, dropped = known(two_steps, cases(8))
    assert (len(kept), len(dropped)) == (8, 0)
    assert {case.bridge for case in kept} == set(B)
    assert {case.answer for case in kept} == set(C)
    assert set(A).isdisjoint(B)


def test_the_court_finds_the_planted_step_and_what_exchanging_it_does(two_steps) -> None:
    result = interp.compare_lenses(
        two_steps, sequences(3), lenses={"logit": "logit", "by hand": ByHand()}, cases=cases(8),
        shuffled=["by hand"], k=1, widths=[2, 1],
    )  # fmt: skip
    logit, by_hand, control = result.lenses
    assert [one.control for one in result.lenses] == [False, False, True]
    at = BRIDGE_LAYER + 1  # row 0 is the embedding
    assert by_hand.bridges.in_top.value.tolist() == [0, 0, 1, 0]  # the last layer says the answer
    assert by_hand.bridges.other_in_top.value.tolist() == [0, 0, 0, 0]
    assert not logit.bridges.in_top.value.any()
    assert control.bridges.in_top.value.max() <= 1 / 8
    assert not control.bridges.in_top.value[at]
    assert float(by_hand.bridges.above_chance.value) == pytest.approx(
        1 / 3
    )  # one of the three before the last
    assert by_hand.exchange.flips.value.tolist() == [0, 0, 1]
    assert not by_hand.exchange.random_flips.value.any()
    assert not logit.exchange.flips.value.any()
    # the answer's logit goes, the foretold one's comes: 8 each
    np.testing.assert_allclose(by_hand.exchange.shift[:, at], 16, atol=0.1)
    assert float(by_hand.exchange.above_random.low) > 0
    ranks = by_hand.bridges
    np.testing.assert_allclose(ranks.log_rank.value, np.log(ranks.rank).mean(0))
    assert ranks.log_rank.value[at] == ranks.log_rank.low[at] == ranks.log_rank.high[at] == 0
    nearer = np.log(ranks.other_rank / ranks.rank)[:, :-1].mean()
    assert float(ranks.nearer.value) == pytest.approx(nearer)
    # of bands after the embedding and after layer 0, those of two layers from layer 0 on hold the bridge's
    bands = by_hand.bands
    assert (bands.widths, bands.starts) == ((1, 2), ("embed", "0"))
    assert bands.held_flips.value.tolist() == bands.live_flips.value.tolist() == [0, 0.5]
    assert bands.random_flips.value.tolist() == logit.bands.held_flips.value.tolist() == [0, 0]
    assert read_result(json.loads(json.dumps(result.to_dict()))).equals(result)
    words = presentation.view(result).block("verdict", Words).text
    assert "by hand at most 1.00 (after layer 1;" in words
    assert "logit at most 0.00 " in words
    assert "Over bands of 1, 2 layers" in words
    assert "by hand 0.00, 0.50 (live 0.00, 0.50)" in words


def test_the_parity_of_a_band_matters_to_live_coordinates_alone() -> None:
    """In a model whose layers add nothing, a held exchange is the same over any band; a live one comes and
    goes."""
    model = idle_model()
    found: dict[int, TwoHop] = {}
    for last in range(4, 20):
        prompt = [3, 1, last]
        said = int(model.forward(prompt)[0, -1].argmax())
        if said in prompt:
            continue  # such a prompt says its bridge
        found[said] = TwoHop(relation="r", prompt=prompt, bridge=said, answer=said, hops=(prompt, prompt))
    cases = list(found.values())[:3]
    widths = list(range(1, model.arch.n_layers + 1))
    one = interp.compare_lenses(model, [[3, 1, 4]], lenses=["logit"], cases=cases, widths=widths).lenses[0]
    held, live = one.bands.held_shift.value, one.bands.live_shift.value
    assert one.bands.starts == ("embed",)
    assert held[0] > 0.1
    np.testing.assert_allclose(held, held[0], rtol=1e-3)
    np.testing.assert_allclose(live[::2], held[0], rtol=1e-3)
    np.testing.assert_allclose(live[1::2], 0, atol=1e-3)


def test_bands_are_as_single_runs_say(load) -> None:
    """Held bands, of a lens whose directions differ from layer to layer, against whole states that are set,
    layer after layer, to what a run finds; live ones against the same with what it finds exchanged."""
    model = load("demo-gpt2")
    lens = interp.load_lens("jacobian", model)
    prompts = (FRANCE, "The capital of Japan is")
    cases = [
        TwoHop(relation="r", prompt=prompt, bridge=answer, answer=answer, hops=(prompt, prompt))
        for prompt, answer in zip(prompts, (" Paris", " Tokyo"), strict=True)
    ]
    one = interp.compare_lenses(model, [FRANCE], lenses=[lens], cases=cases, widths=[1, 3]).lenses[0]
    pairs, _ = paired(model, cases)
    both = swaps(model, lens, pairs, clean_streams(model, pairs))
    assert one.bands.starts == ("embed", "0", "1", "2")
    start, shifts = 2, {"held": [], "live": []}
    for swap in both:
        ids = list(swap.pair.ids)
        ahead = [swap.pair.foretold, swap.pair.answer]
        clean = model.forward(ids)[0, -1, ahead].double()
        for name in shifts:
            edits = []
            for row in range(start, start + 3):
                layer, plane = swap.layers[row], swap.directions[row].double()
                here = model.run_with_cache(ids, [("resid_post", layer)], edits)["resid_post", layer][0, 1:]
                inverse = torch.linalg.pinv(plane)  # [d_model, 2]
                before = swap.clean[row].double() if name == "held" else here.double()
                wanted = (before @ inverse).flip(-1)
                state = here.double() + (wanted - here.double() @ inverse) @ plane
                edits.append(
                    interp.Edit.set("resid_post", layer, value=state.float()[None], positions=swap.positions)
                )
            moved = model.forward(ids, edits)[0, -1, ahead].double() - clean
            shifts[name].append(float(moved[0] - moved[1]))
        live = [edit for row in swap.live(model, range(start, start + 3)) for edit in row]
        held = [edit for row in swap.held()[start : start + 3] for edit in row]
        _, (of_held, of_live) = swap.said(model, [[held], [live]])
        assert of_held == pytest.approx(shifts["held"][-1], abs=1e-2)
        assert of_live == pytest.approx(shifts["live"][-1], abs=1e-2)
    assert abs(shifts["held"][0] - shifts["live"][0]) > 0.1


def test_another_models_lens_is_a_control(load) -> None:
    model, other = load("demo-gpt2"), "demo-qwen3"
    result = interp.compare_lenses(model, [FRANCE], lenses=["jacobian"], other_models=[other])
    own, foreign = result.lenses
    assert (own.control, foreign.control, foreign.label) == (False, True, f"of {other}")
    assert other in foreign.description
    loaded = JacobianLens.load(other, model, check=False)
    alone = interp.compare_lenses(model, [FRANCE], lenses={"it": loaded}).lenses[0]
    np.testing.assert_array_equal(alone.text.kl.value, foreign.text.kl.value)
    assert not np.allclose(own.text.kl.value, foreign.text.kl.value, atol=0.1)
    for name, sentence in ((model.identity.name, "this model itself"), ("nowhere", "no lens 'nowhere'")):
        with pytest.raises(InputError, match=sentence):
            interp.compare_lenses(model, [FRANCE], other_models=[name])
    with pytest.raises(InputError, match="for a model of width 192"):
        interp.compare_lenses(idle_model(), [[3, 1, 4]], lenses=["logit"], other_models=[other])


def test_on_text_it_agrees_with_measure_lens(load) -> None:
    model, text = load("demo-gpt2"), [FRANCE, "The Eiffel Tower is in the city of"]
    lens = TunedLens.identity(model)
    lens.weight.copy_(0.02 * torch.randn(lens.weight.shape, generator=torch.Generator().manual_seed(0)))
    court = interp.compare_lenses(model, text, lenses=["logit", lens])
    plain = interp.measure_lens(model, lens, text)
    for row, one in enumerate(court.lenses):
        np.testing.assert_allclose(one.text.kl.value, plain.kl[row], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(one.text.top1.value, plain.top1[row])
        np.testing.assert_allclose(one.text.bias, plain.bias[row], rtol=1e-6, atol=1e-9)
    assert court.n_tokens == plain.n_tokens
    assert (court.prompts, court.lenses[0].bridges, court.lenses[0].exchange) == ((), None, None)
    assert not court.lenses[0].text.gain.value
    gain = (plain.kl[0, :-1] - plain.kl[1, :-1]).mean()
    assert np.sign(court.lenses[1].text.gain.value) == np.sign(gain)
    read = interp.logit_lens(model, FRANCE, position="all", lens=lens)
    first = model.forward(FRANCE)[0].argmax(-1)
    ranks = [
        interp.logit_lens(model, FRANCE, int(t), position=i, lens=lens).answer_rank
        for i, t in enumerate(first)
    ]
    alone = interp.compare_lenses(model, [FRANCE], lenses=[lens]).lenses[0].text
    np.testing.assert_allclose(alone.log_rank.value, np.log(ranks).mean(0), atol=1e-6)
    np.testing.assert_allclose(alone.kl.value, read.kl_to_final.mean(1), rtol=1e-4, atol=1e-7)
    assert np.isnan(alone.kl.low).all()  # one sequence has no interval
    later = interp.compare_lenses(model, [FRANCE], lenses=[lens], skip_first=2)
    np.testing.assert_allclose(
        later.lenses[0].text.kl.value, read.kl_to_final[:, 2:].mean(1), rtol=1e-4, atol=1e-7
    )
    assert later.n_tokens == len(ranks) - 2


def test_directions_are_gradients_and_exchanging_twice_is_nothing(load) -> None:
    model = load("demo-qwen3")
    lens = TunedLens.identity(model)
    lens.weight.copy_(0.05 * torch.randn(lens.weight.shape, generator=torch.Generator().manual_seed(1)))
    tokens = [7, 99]
    found = lens_directions(model, lens, 2, tokens)
    translator = torch.eye(192) + lens.weight[3]
    torch.testing.assert_close(found, model.W_U[:, tokens].T @ translator, rtol=1e-4, atol=1e-5)
    plain = lens_directions(model, interp.load_lens("logit", model), EMBEDDING, tokens)
    torch.testing.assert_close(plain, model.W_U[:, tokens].T)
    states = torch.randn(3, 192, generator=torch.Generator().manual_seed(2))
    once = exchanged(states, found)
    torch.testing.assert_close(exchanged(once, found), states, rtol=1e-4, atol=1e-4)
    # by hand, with two orthonormal directions: the coordinates change places, the rest stays
    by_hand = exchanged(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert by_hand.tolist() == [[2.0, 1.0, 3.0]]
    jacobian = JacobianLens.of_model(
        model, source_layers=(2,), jacobian=translator[None], target_layer=5, n_prompts=1
    )
    torch.testing.assert_close(
        lens_directions(model, jacobian, 2, tokens), interp.token_directions(model, jacobian, tokens, 2)
    )
    for other in (lens, interp.load_lens("logit", model)):  # any lens that has directions
        edits = interp.exchange_edits(model, other, FRANCE, *tokens, layers=[2])
        before, after = (
            model.run_with_cache(FRANCE, ["resid_post"], e)["resid_post", 2][0] for e in ([], edits)
        )
        torch.testing.assert_close(
            exchanged(before, interp.token_directions(model, other, tokens, 2)), after, rtol=1e-3, atol=1e-3
        )
    edits = interp.exchange_edits(model, jacobian, FRANCE, *tokens, layers=[2])
    before, after = (model.run_with_cache(FRANCE, ["resid_post"], e)["resid_post", 2][0] for e in ([], edits))
    torch.testing.assert_close(exchanged(before, found), after, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="no map"):
        lens_directions(model, interp.load_lens("patchscope", model), 2, tokens)


def test_a_shuffled_lens_has_the_same_matrices_and_reads_nothing(load) -> None:
    model = load("demo-qwen3")
    shuffled = ShuffledLens(lens=interp.load_lens("logit", model), n_layers=6)
    state = torch.arange(192.0)
    assert sorted(shuffled.translate(state, 2).tolist()) == state.tolist()
    assert shuffled.translate(state, 2).tolist() != shuffled.translate(state, 3).tolist()
    assert torch.equal(shuffled.translate(state, 5), state)
    assert torch.equal(shuffled.translate(state, 2), shuffled.translate(state, 2))


def test_what_the_model_does_not_know_is_left_out(load) -> None:
    model = load("demo-gpt2")
    table = two_hops()
    assert len({case.prompt for case in table}) == len(table)
    rome = TwoHop(relation="r", prompt=FRANCE, bridge=" Rome", answer=" Paris", hops=(FRANCE, FRANCE))
    two_tokens = TwoHop(
        relation="r", prompt=FRANCE, bridge=" Paris Rome", answer=" Paris", hops=(FRANCE, FRANCE)
    )
    inside = TwoHop(relation="r", prompt=FRANCE, bridge=" France", answer=" Paris", hops=(FRANCE, FRANCE))
    kept, dropped = known(model, [rome, two_tokens, inside])
    assert not kept
    assert "stands in the prompt" in dropped[2].why
    assert "says ' Paris', not ' Rome'" in dropped[0].why
    assert "no single token" in dropped[1].why
    same = TwoHop(relation="r", prompt=FRANCE, bridge=" Paris", answer=" Paris", hops=(FRANCE, FRANCE))
    result = interp.compare_lenses(model, [FRANCE], lenses=["logit"], cases=[same, rome])
    assert not result.prompts
    assert len(result.dropped) == 2
    assert "no other prompt of its relation" in result.dropped[1].why
    assert "nothing else is said" in presentation.view(result).block("verdict", Words).text


def test_what_cannot_be_compared_is_a_sentence(load) -> None:
    model = load("demo-gpt2")
    for values, sentence in (
        ({"lenses": []}, "no lens to judge"),
        ({"lenses": ["logit", "logit"]}, "same label"),
        ({"lenses": ["nowhere"]}, "There is no lens"),
        ({"shuffled": ["x"]}, "to shuffle"),
        ({"controls": ["x"]}, "to be a control"),
        ({"k": 0}, "at least 1"),
        ({"n_random": 0}, "at least 1"),
        ({"skip_first": 6}, "shortest sequence has 6 tokens"),
        ({"widths": [0]}, "A band has 1 to 6 layers"),
        ({"widths": [7]}, "A band has 1 to 6 layers"),
        ({"widths": [2, 2]}, "given once"),
    ):
        with pytest.raises(InputError, match=sentence):
            interp.compare_lenses(model, [FRANCE], **values)
    with pytest.raises(InputError, match="no text"):
        interp.compare_lenses(model, [])


def test_the_command_line(tmp_path) -> None:
    given = ("held_out=2", "length=16", 'lenses=["logit","patchscope"]', 'shuffled=["logit"]')
    assert run("run", "compare_lenses", "--set", *given, "--tag", "x", "--out", tmp_path) == 0
    result = read_run(tmp_path / "compare_lenses" / "x").result
    assert [one.label for one in result.lenses] == ["logit", "patchscope", "logit, shuffled"]
    assert (tmp_path / "compare_lenses" / "x" / "compare_lenses.png").stat().st_size > 10_000
