"""Directions from contrast against planted ones: found, kept, used as edits, measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import interp
from compiled import LOGIT, copy_previous_model
from interp.errors import InputError
from interp.experiments.base import find_experiment
from interp.figures.views.direction_effects import view
from interp.methods.common.direction import Direction, read_directions, write_directions
from interp.methods.probing.direction_effects import direction_effects
from interp.methods.probing.directions import WAYS, find_directions, random_direction
from interp.results import read_result
from interp.tasks.labelled import LabelledDataset, LabelledPrompt
from planted_directions import WITH, WITHOUT, with_direction
from test_probing import of_tokens


@pytest.fixture(scope="module")
def copying() -> interp.Model:
    """The token before the last one is copied to the logits; the norms do nothing."""
    return interp.load_model(copy_previous_model().hf_model, device="cpu", self_check=False)


def before_last(yes: set[int], no: set[int], n_each: int = 4) -> LabelledDataset:
    """Prompts whose token before the last one is of either set; grouped by that token."""
    rng = np.random.default_rng(0)
    prompts = []
    for token in sorted(yes | no):
        for _ in range(n_each):
            ids = (0, *rng.integers(20, 32, 3).tolist(), token, 31)
            prompts.append(
                LabelledPrompt(
                    ids=ids, label=token in yes, group=str(token), positions={"END": 5}, text=str(ids)
                )
            )
    return LabelledDataset(name="before", labels=("no", "yes"), grouped_by="tokens", prompts=tuple(prompts))


# ---- found ----


@pytest.mark.parametrize("how", WAYS)
def test_a_planted_direction_is_found(how):
    if how == "logistic":
        pytest.importorskip("sklearn")
    model, planted = with_direction(6)
    data = of_tokens({token: token in WITH for token in (*WITH, *WITHOUT)})
    found = find_directions(model, data, how=how, layers=[-1])[0]
    assert found.vector.norm().item() == pytest.approx(1, abs=1e-5)
    assert found.vector @ planted > (0.6 if how == "logistic" else 0.95)  # a random one: 0.18
    assert found.ends[1] - found.ends[0] > 0
    assert (found.how, found.labels, found.prompts) == (how, ("no", "yes"), (60, 60))


def test_the_mean_difference_of_a_copying_head_is_written_in_the_tokens_copied(copying):
    yes, no = {1, 2, 3, 4}, {5, 6, 7, 8}
    found = find_directions(copying, before_last(yes, no), layers=[0])[0]
    logits = found.vector @ copying.W_U  # what adding it does: the norms do nothing
    up, down = (sorted(logits.topk(4, largest=largest).indices.tolist()) for largest in (True, False))
    assert (up, down) == (sorted(yes), sorted(no))
    apart = found.ends[1] - found.ends[0]
    assert apart * logits[1].item() == pytest.approx(LOGIT / 4, rel=0.05)  # the means: 1 of 4 tokens each


def test_pairs_of_a_group_are_taken_from_each_other():
    from interp.methods.probing.directions import _paired

    y = np.array([False, True] * 5)
    groups = [f"g{i // 2}" for i in range(10)]
    yes, no = _paired(y, groups, 0)
    assert len(yes) == 5
    assert all(groups[i] == groups[j] and y[i] and not y[j] for i, j in zip(yes, no, strict=True))


# ---- kept ----


def test_directions_are_kept_and_refused_for_another_model(load, copying, tmp_path):
    model = load("demo-gpt2")
    data = interp.make_labelled("people", model, n=12)
    found = find_directions(model, data, layers=[-1, 3])
    file = tmp_path / "unknown.safetensors"
    write_directions(file, found)
    again = read_directions(file, model)
    for one, other in zip(found, again, strict=True):
        assert torch.equal(one.vector, other.vector)
        same = [{**vars(each), "vector": None} for each in (one, other)]
        assert same[0] == same[1]
    with pytest.raises(InputError, match="another unembedding"):
        read_directions(file, copying)
    with pytest.raises(InputError, match="already"):
        write_directions(file, found)
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no directions that can be read"):
        read_directions(tmp_path / "no.safetensors", model)
    long = replace(found[0], vector=2 * found[0].vector)
    write_directions(tmp_path / "long.safetensors", [long])
    with pytest.raises(InputError, match="length 1"):
        read_directions(tmp_path / "long.safetensors", model)


# ---- used ----


def test_edits_along_a_direction_do_what_they_say(load):
    model = load("demo-gpt2")
    found = find_directions(model, interp.make_labelled("people", model, n=12), layers=[2])[0]
    prompt, at = "The home city of Mara Kilvik is", ("resid_post", 2)
    x = model.run_with_cache(prompt, [at])[at][0]
    along = x @ found.vector

    def edited(edits):
        return model.run_with_cache(prompt, [at], edits)[at][0]

    np.testing.assert_allclose(edited(found.project_out(positions=-1))[-1] @ found.vector, 0, atol=1e-2)
    held = edited(found.clamp(1, positions=[1, -1])) @ found.vector
    assert held[[1, -1]].tolist() == pytest.approx([found.ends[1]] * 2, rel=1e-3)
    np.testing.assert_allclose(held[2:-1], along[2:-1], atol=1e-2)
    added = edited(found.add(0.5, positions=-1))
    torch.testing.assert_close(added[-1] - x[-1], 0.5 * found.scale * found.vector, atol=1e-2, rtol=1e-3)
    same = interp.steering(model, prompt, [2.0], direction=found, n_tokens=0)
    plain = interp.steering(model, prompt, [2.0], direction=found.vector, at=found.address, n_tokens=0)
    np.testing.assert_array_equal(same.steered.top_probabilities, plain.steered.top_probabilities)
    with pytest.raises(InputError, match="leave at out"):
        interp.steering(model, prompt, [1.0], direction=found, at=found.address)
    with pytest.raises(InputError, match="another unembedding"):
        interp.steering(load("demo-qwen3"), "Hello there", [1.0], direction=found)


# ---- its effects ----


def test_effects_in_a_compiled_model_are_those_worked_out_by_hand(copying):
    """Adding the direction raises logit(yes token) by what was added; random ones hardly do. Taken out, the
    logit difference of tokens within it goes."""
    data = before_last({1, 2, 3, 4}, {5, 6, 7, 8}, n_each=2)
    text = [[0, *range(20, 30)]]
    result = direction_effects(
        copying,
        data,
        1,
        5,
        layer=0,
        strengths=[-0.5, 0.5],
        n_random=3,
        n_shuffled=1,
        text=text,
        positions="role",
    )
    assert {prompt.group for prompt in data.halves(0)[0].prompts} == {
        g for g in data.groups if g not in {p.group for p in data.halves(0)[1].prompts}
    }
    found = find_directions(copying, data.halves(0)[0], layers=[0])[0]
    slope = float(found.vector @ (copying.W_U[:, 1] - copying.W_U[:, 5]))
    np.testing.assert_allclose(
        result.own.added - result.before, np.outer([-0.5, 0.5], np.full(8, slope * found.scale)), atol=1e-2
    )
    assert [one.way for one in result.ways] == ["direction", *["random"] * 3, "shuffled"]
    assert result.own.cost is not None
    assert result.own.cost.value.shape == (3,)
    assert result.own.cost.value[1] > 0
    assert read_result(result.to_dict()).equals(result)
    assert "As it is" in str(view(result).blocks) or "as it is" in str(view(result).blocks)


def test_a_random_direction_is_of_the_same_length_and_place(copying):
    found = find_directions(copying, before_last({1, 2}, {3, 4}), layers=[0])[0]
    drawn = random_direction(found, 3)
    assert drawn.vector.norm().item() == pytest.approx(1, abs=1e-5)
    assert (drawn.address, drawn.scale) == (found.address, found.scale)
    assert torch.equal(drawn.vector, random_direction(found, 3).vector)


def test_what_cannot_be_asked_is_refused(copying):
    data = before_last({1, 2, 3, 4}, {5, 6, 7, 8})
    for asked, says in (
        ({"strengths": [0.5, -0.5]}, "rising"),
        ({"strengths": [0.0, 1.0]}, "none of 0"),
        ({"positions": "some"}, "choice of positions"),
        ({"role": "subject"}, "subject"),
        ({"site": "z"}, "without heads"),
        ({"layer": 7}, "no layer 7"),
    ):
        with pytest.raises(InputError, match=says):
            direction_effects(copying, data, 1, 5, **{"layer": 0, **asked})
    with pytest.raises(InputError, match="at least two"):
        direction_effects(copying, before_last({1, 2}, {3, 4}), 1, 5, layer=0)


@pytest.mark.slow
def test_what_makes_a_demo_model_say_unknown_is_along_the_direction(load):
    found = find_experiment("direction_effects")
    config = {"n": 40, "layer": 3, "positions": "role", "strengths": [-0.5, 0.5], "n_random": 2}
    result = found.run(found.make_config(config), load("demo-gpt2"))
    known = ~result.labels_of_prompts
    assert result.before[known].mean() < 0.1
    assert result.own.added[1, known].mean() > 0.5
    assert max(one.added[1, known].mean() for one in result.of("random")) < 0.3
    assert isinstance(Direction, type)
