"""Alignment search against a planted plane; exchanges against plain runs; variables and splits by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from conftest import TINY
from interp.edits import Edit
from interp.errors import InputError
from interp.figures.engine.view import Words
from interp.figures.views.alignment_search import view
from interp.methods.probing.alignment_search import alignment_search
from interp.methods.probing.subspaces import principal_basis
from interp.models.given_runs import GivenRuns
from interp.results import read_result
from interp.sites import Address
from interp.tasks.base import Pair, PairDataset
from interp.tasks.variables import with_variable
from planted_directions import SAID, N, cosines, plane_pairs, planted_plane


@pytest.fixture(scope="module")
def plane():
    planted = planted_plane()
    return planted, interp.load_model(planted.hf_model, device="cpu", name="planted", self_check=False)


# ---- what it finds ----


WELL = {"steps": 150, "learning_rate": 0.03}
BRIEFLY = {"steps": 3, "untrained": False, "n_shuffled": 0, "n_random": 1}


@pytest.fixture(scope="module")
def found(plane):
    return alignment_search(plane[1], plane_pairs(64), layers=[0], dims=(1, 2), n_random=2, **WELL)


@pytest.mark.slow
def test_the_plane_in_which_a_variable_is_written_is_found(plane, found):
    basis = torch.tensor(found.bases[1][0])
    assert (basis.T @ basis).numpy() == pytest.approx(np.eye(2), abs=1e-5)
    assert cosines(basis, plane[0].copied).min() > 0.95  # of a random plane: 0.1
    assert found.own.right.value[0, 1] > 0.9  # on values that it was not searched with
    assert found.whole.value[0] == 1
    assert (found.data.prompts[0], found.data.entities) == (32, (N // 2, N // 2))
    assert found.own.right.value[0, 0] < 0.5  # one dimension of the two is not enough


@pytest.mark.slow
def test_no_placebo_finds_the_plane(found):
    assert [one.way for one in found.placebos] == ["shuffled", "untrained", "random", "components"]
    for placebo in found.placebos:
        assert placebo.right.value[0, 1] < 0.5, placebo.way
    shuffled = found.placebos[0]
    assert shuffled.own_labels is not None
    assert shuffled.own_labels[0].max() < 0.5  # a variable that is not there is not found, either
    assert found.exceeds[0, 1]
    assert found.best == (0, 1)
    assert read_result(found.to_dict()).equals(found)
    said = view(found).block("verdict", Words).text
    assert said.startswith("Yes. After layer 0, exchanges within 2 dimensions of 160")


@pytest.mark.slow
def test_at_the_token_itself_it_is_found_where_the_token_has_it(plane):
    asked = {"role": "value", "dims": [2], **BRIEFLY}
    result = alignment_search(plane[1], plane_pairs(64), layers=[-1], **{**asked, **WELL, "steps": 300})
    assert cosines(torch.tensor(result.bases[0][0]), plane[0].token).min() > 0.85
    assert result.own.right.value[0, 0] > 0.8
    later = alignment_search(plane[1], plane_pairs(64), layers=[0], **asked)
    assert later.own.right.value[0, 0] == later.whole.value[0] == 0  # head 0.2 has read it before


def test_where_the_variable_is_not_yet_nothing_is_found(plane):
    result = alignment_search(plane[1], plane_pairs(64), layers=[-1], dims=[2], **BRIEFLY)
    assert result.whole.value[0] == 0
    assert result.own.right.value[0, 0] < 0.1
    assert view(result).block("verdict", Words).text.startswith("No: nowhere")


def test_the_same_seed_gives_the_same(plane):
    one, other = (
        alignment_search(plane[1], plane_pairs(32), layers=[0], dims=[1], **BRIEFLY) for _ in range(2)
    )
    assert one.equals(other)


@pytest.mark.slow
def test_where_all_that_differs_is_the_variable_principal_components_do_as_well(plane):
    result = alignment_search(plane[1], only_the_value(), layers=[0], dims=[2], **{**BRIEFLY, **WELL})
    assert result.placebos[-1].right.value[0, 0] == 1
    said = view(result).block("verdict", Words).text
    assert said.startswith("No: nowhere is what was searched told from its placebos.")
    assert "principal components 1.00" in said


def only_the_value() -> PairDataset:
    """Pairs of which the fillers are all the same."""
    pairs = []
    for pair in plane_pairs(N).pairs:
        clean, corrupted = ((0, 40, ids[2], 41) for ids in (pair.clean, pair.corrupted))
        pairs.append(
            Pair(
                clean=clean, corrupted=corrupted, answer=pair.answer, foil=pair.foil, positions=pair.positions
            )
        )
    return PairDataset(name="plane", pairs=tuple(pairs))


# ---- runs with what is given ----


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("cached", [True, False])
def test_runs_from_kept_keys_are_plain_runs_with_an_edit(load, name, cached):
    model = load(name)
    prompts = [[5, 6, 7, 8, 9], [9, 8, 7, 6, 5], [1, 2, 3, 4], [5, 5, 7, 8, 9]]
    positions = [2, 2, 3, 4]
    runs = GivenRuns(model, prompts, positions, cached=cached)
    drawn = torch.randn(4, model.arch.d_model, generator=torch.Generator().manual_seed(0))
    columns = [3, 1, 7]
    for site, layer in (("resid_post", 0), ("mlp_out", model.arch.n_layers - 1)):
        address = Address(site, layer)
        (own,) = runs.own([address])
        for together in runs.together([0, 1, 2, 3]):
            values = drawn[together].requires_grad_()
            logits = runs(together, address, values, columns)
            gradient = torch.autograd.grad((logits[:, 0] - logits[:, 1]).sum(), values)[0]
            for row, number in enumerate(together):
                ids, at = prompts[number], positions[number]
                cache = model.run_with_cache([ids], [address])
                torch.testing.assert_close(own[number], cache[address][0, at], rtol=1e-4, atol=1e-5)
                edit = Edit.set(site, layer, value=drawn[number].detach(), positions=at)
                plain = model.forward([ids], [edit])[0, -1]
                torch.testing.assert_close(logits[row].detach(), plain[columns], rtol=1e-4, atol=1e-4)
                readout = interp.Readout.logit_diff(columns[0], columns[1])
                wanted = model.gradients(ids, [address], readout, [edit])[0][0, at]
                torch.testing.assert_close(gradient[row], wanted, rtol=1e-4, atol=1e-4)


# ---- variables ----


def names(first: int, second: int, subject: int) -> Pair:
    """Two names and the subject again; the answer is the other one."""
    answer = first if subject == second else second
    clean = (0, first, second, 9, subject)
    return Pair(
        clean=clean,
        corrupted=(0, second, first, 9, subject),
        answer=answer,
        foil=subject,
        positions={"END": (4,)},
    )


def test_an_order_is_answered_by_a_name_of_the_base():
    pairs = PairDataset(name="names", pairs=(names(1, 2, 2), names(3, 4, 3)))
    data = with_variable(pairs, "order", "END")
    assert [(p.value, p.answers, p.own) for p in data.prompts] == [(0, (1, 2), 1), (1, (3, 4), 4)]
    exchanged = {(one.base, one.source): one.wanted for one in data.interchanges(1, 0)}
    assert exchanged == {(0, 1): 2, (1, 0): 3}
    by_answer = with_variable(pairs, "answer", "END")
    assert {(one.base, one.source): one.wanted for one in by_answer.interchanges(1, 0)} == {
        (0, 1): 4,
        (1, 0): 1,
    }


def test_no_entity_is_on_both_sides():
    data = with_variable(
        PairDataset(
            name="names",
            pairs=tuple(names(a, b, s) for a in range(10, 18) for b in range(20, 28) for s in (a, b)),
        ),
        "answer",
        "END",
    )
    halves = data.halves(3)
    first, second = ({e for p in half.prompts for e in p.entities} for half in halves)
    assert first
    assert second
    assert not first & second
    one, other = data.shuffled(0), data
    assert all(a.value != b.value for a, b in zip(one.prompts, other.prompts, strict=True))
    assert sorted(p.value for p in one.prompts) == sorted(p.value for p in other.prompts)


def test_principal_components_are_those_of_the_largest_spread():
    own = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 9, 1, 5, 1])
    basis = principal_basis(own, 2)
    assert basis.abs().max(0).indices.tolist() == [1, 3]


def test_what_cannot_be_searched_is_refused(load, plane):
    demo = load("demo-gpt2")
    several = interp.make_dataset("facts", demo, n=10)
    with pytest.raises(InputError, match="facts are of"):
        alignment_search(demo, several)
    one = interp.make_dataset("facts", demo, n=10, relations="country_capital")
    with pytest.raises(InputError, match="do not both stand"):
        alignment_search(demo, one, variable="order")
    with pytest.raises(InputError, match="without heads"):
        alignment_search(plane[1], plane_pairs(32), site="z")
    with pytest.raises(InputError, match="rising"):
        alignment_search(plane[1], plane_pairs(32), dims=(2, 1))
    with pytest.raises(InputError, match="no more dimensions"):
        alignment_search(plane[1], plane_pairs(32), dims=(1000,))
    with pytest.raises(InputError, match="role"):
        alignment_search(plane[1], plane_pairs(32), role="S2")


def test_prompts_that_are_answered_wrong_are_left_out(plane):
    pairs = plane_pairs(32)
    wrong = Pair(
        clean=(0, 40, 1, 41),
        corrupted=(0, 40, 2, 41),
        answer=SAID[5],
        foil=SAID[6],
        positions={"value": (2,), "END": (3,)},
        text="wrong",
    )
    data = PairDataset(name="plane", pairs=(*pairs.pairs, wrong))
    result = alignment_search(
        plane[1], data, layers=[0], dims=[1], steps=1, untrained=False, n_shuffled=0, n_random=0
    )
    assert [one.what for one in result.data.dropped] == ["wrong"]
    assert np.isfinite(result.own.right.value).all()
