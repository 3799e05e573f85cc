"""Probes against planted answers and scikit-learn's metrics, and the ways in which a probe misleads."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import interp
from compiled import copy_previous_model
from interp.errors import InputError, SiteError
from interp.experiments.base import find_experiment
from interp.figures.views.probing import view
from interp.methods.probing import fitting
from interp.methods.probing.measures import auroc, balanced_accuracy
from interp.methods.probing.probing import probing
from interp.methods.probing.readings import read_activations, surface_features, untrained_like
from interp.results import read_result
from interp.sites import Address
from interp.tasks.labelled import LabelledDataset, LabelledPrompt, balanced
from planted_directions import WITH, WITHOUT, with_direction

pytest.importorskip("sklearn")


def of_tokens(
    classes: dict[int, bool], *, n_each: int = 3, length: int = 4, seed: int = 0
) -> LabelledDataset:
    """Random prompts whose last token has a label; grouped by that token."""
    rng = random.Random(seed)
    prompts = []
    for token, label in classes.items():
        for _ in range(n_each):
            ids = (*rng.choices(range(1, 30), k=length - 1), token)
            prompts.append(
                LabelledPrompt(
                    ids=ids, label=label, group=str(token), positions={"END": length - 1}, text=str(ids)
                )
            )
    return LabelledDataset(name="tokens", labels=("no", "yes"), grouped_by="tokens", prompts=tuple(prompts))


@pytest.fixture(scope="module")
def planted() -> tuple[interp.Model, torch.Tensor, LabelledDataset]:
    """A model in whose embedding the tokens of one class have a direction of their own."""
    return *with_direction(3), of_tokens({token: token in WITH for token in (*WITH, *WITHOUT)})


# ---- what it finds ----


def test_a_planted_direction_is_read_on_tokens_that_the_probe_never_saw(planted):
    model, direction, data = planted
    result = probing(model, data, layers=[-1], n_shuffled=2, folds=4)
    assert result.layers == ("embed",)
    assert result.accuracy.value[0, 0] > 0.97
    assert result.auroc.value[0, 0] > 0.99
    assert abs(result.shuffled.mean() - 0.5) < 0.2
    assert result.untrained is not None
    assert result.untrained.value[0, 0] < 0.75  # the planted direction is no part of its shape
    assert result.surface.value[0] < 0.75
    x = read_activations(model, data, [Address("resid_pre", 0)], ["END"])[0, 0]
    weight = fitting.fit(x, data.values, 1.0).weight
    cosine = weight @ direction.numpy() / np.linalg.norm(weight)
    assert cosine > 0.5  # of 32 dimensions, a random one has 0.18
    assert read_result(result.to_dict()).equals(result)


def test_a_probe_that_learned_by_heart_is_told_from_one_that_learned():
    """In a compiled model every token is an axis of its own, so that a class of tokens can only be learned by
    heart: other tokens are told no better than by chance, and drawn labels are learned as well as true
    ones."""
    model = interp.load_model(copy_previous_model().hf_model, device="cpu", self_check=False)
    data = of_tokens({token: token % 2 == 0 for token in range(1, 25)}, n_each=4)
    result = probing(model, data, layers=[-1], n_shuffled=2, untrained=False)
    assert result.selectivity is not None
    assert result.accuracy.value[0, 0] < 0.65
    assert result.selectivity.accuracy[0, 0] == 1
    assert result.selectivity.control[0, 0] == 1
    assert result.selectivity.value[0, 0] == 0
    assert result.first_layer(0) is None
    words = view(result)
    assert "At END, no:" in words.block("verdict", type(words.blocks[0])).text


def test_a_label_that_is_the_length_of_the_prompt_is_told_by_the_surface(planted):
    model, _, _ = planted
    prompts = []
    for i in range(24):
        ids = tuple(random.Random(i).choices((1, 2, 3), k=4 + 2 * (i % 2)))
        prompts.append(
            LabelledPrompt(
                ids=ids, label=i % 2 == 1, group=str(i), positions={"END": len(ids) - 1}, text=str(i)
            )
        )
    data = LabelledDataset(name="lengths", labels=("a", "b"), grouped_by="prompts", prompts=tuple(prompts))
    result = probing(model, data, layers=[2], n_shuffled=0, untrained=False)
    assert result.surface.value[0] == 1
    assert result.surface.high[0] == 1
    assert result.surface.low[0] == pytest.approx(0.025 ** (1 / 12))  # of 12 prompts none was wrong
    assert result.first_layer(0) is None  # nothing is above what the surface gives
    assert result.selectivity is None  # a group is a prompt: nothing of it could be learned by heart


# ---- the measures ----


def test_measures_are_those_of_scikit_learn_and_the_interval_is_delongs():
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    rng = np.random.default_rng(0)
    y = rng.random(60) < 0.4
    scores = np.round(rng.normal(size=(3, 60)) + y, 1)  # with ties
    groups = [str(i) for i in range(60)]
    accuracy = balanced_accuracy(scores, y, groups, 0)
    area = auroc(scores, y, np.zeros(60, dtype=int), groups, 0)
    for i, row in enumerate(scores):
        if not (row == 0).any():
            assert accuracy.value[i] == pytest.approx(balanced_accuracy_score(y, row > 0))
        assert area.value[i] == pytest.approx(roc_auc_score(y, row))
        yes, no = row[y], row[~y]
        wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
        variance = wins.mean(1).var(ddof=1) / len(yes) + wins.mean(0).var(ddof=1) / len(no)
        assert area.error is not None
        assert area.error[i] == pytest.approx(variance**0.5, rel=0.02)
    assert (area.low < area.value).all()
    assert (area.value < area.high).all()


def test_scores_of_different_folds_are_not_compared():
    y = np.array([False, True] * 4)
    folds = np.repeat([0, 1], 4)
    scores = np.where(y, 1.0, 0.0) + 100 * folds  # each fold has a scale of its own
    assert auroc(scores[None], y, folds, [str(i) for i in range(8)], 0).value[0] == 1


@pytest.mark.parametrize("measure", ["accuracy", "auroc"])
def test_intervals_cover_over_groups(measure):
    """Groups of five prompts that are alike: the interval of single prompts would be far too narrow."""
    rng, held, wide = np.random.default_rng(1), 0, 0
    for _ in range(60):
        y = np.repeat(np.arange(24) % 2 == 0, 5)
        scores = np.repeat(rng.normal(size=24), 5) + 0.1 * rng.normal(size=120)
        groups = [str(i // 5) for i in range(120)]
        if measure == "accuracy":
            found = balanced_accuracy(scores[None], y, groups, 0)
            alone = balanced_accuracy(scores[None], y, [str(i) for i in range(120)], 0)
        else:
            found = auroc(scores[None], y, np.zeros(120, dtype=int), groups, 0)
            alone = auroc(scores[None], y, np.zeros(120, dtype=int), [str(i) for i in range(120)], 0)
        held += found.low[0] <= 0.5 <= found.high[0]
        wide += alone.low[0] <= 0.5 <= alone.high[0]
    assert held >= 53
    assert wide < 50


# ---- splits and strength ----


def test_no_group_is_on_both_sides_and_every_prompt_is_tested_once():
    y = np.arange(60) % 3 == 0
    groups = [f"g{i // 4}" for i in range(60)]
    folds = fitting.folds_by_group(y, groups, 5, 0)
    assert len(set(folds.tolist())) == 5
    for group in set(groups):
        assert len({fold for fold, one in zip(folds, groups, strict=True) if one == group}) == 1
    with pytest.raises(InputError, match="give more groups"):
        fitting.folds_by_group(np.array([True, False, False]), ["a", "b", "c"], 5, 0)


def test_the_strength_is_chosen_by_the_training_part():
    """Where a label is noise, the strongest penalty; where one column tells it, a weaker one."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 40)).astype(np.float32), np.arange(80) % 2 == 0
    groups = [str(i) for i in range(80)]
    noise = fitting.chosen_strength(x, y, groups, 0)
    x[:, 0] += 6 * y
    assert noise == fitting.GRID[0]
    assert fitting.chosen_strength(x, y, groups, 0) > noise


def test_labels_are_dealt_to_groups_and_not_to_prompts():
    groups = [f"g{i // 3}" for i in range(30)]
    y = np.array([i // 3 < 5 for i in range(30)])
    dealt = fitting.shuffled_by_group(y, groups, np.random.default_rng(0))
    assert dealt.sum() == y.sum()
    assert (dealt != y).any()
    for group in set(groups):
        assert len({bool(d) for d, one in zip(dealt, groups, strict=True) if one == group}) == 1
    mixed = np.arange(30) % 3 == 0  # one yes in each group
    again = fitting.shuffled_by_group(mixed, groups, np.random.default_rng(0))
    assert (again.reshape(10, 3).sum(1) == 1).all()


def test_a_fit_with_more_columns_than_prompts_is_the_same_as_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 50)).astype(np.float32), np.arange(20) % 3 == 0
    x[:, 0] += y
    z = (x - x.mean(0, dtype=np.float64)) / x.std(0, dtype=np.float64)
    plain = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-10, max_iter=5000).fit(z, y)
    np.testing.assert_allclose(fitting.fit(x, y, 0.1)(x), plain.decision_function(z), atol=0.01)


def test_a_constant_column_and_a_huge_one_do_no_harm():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2 == 0
    x = np.stack([np.full(40, 7.0), 1e5 * (rng.normal(size=40) + y), rng.normal(size=40)], 1)
    found = fitting.fit(x.astype(np.float32), y, 1.0)
    assert found.weight[0] == 0
    assert ((found(x) > 0) == y).mean() > 0.6


# ---- what is read ----


def test_activations_are_those_of_each_prompt_at_its_role(load):
    model = load("demo-gpt2")
    data = interp.make_labelled("people", model, n=8)
    found = read_activations(model, data, [Address("resid_post", 2), Address("resid_post", 4)], data.roles)
    assert found.shape == (2, 2, 8, 192)
    for i, prompt in enumerate(data.prompts):
        cache = model.run_with_cache([prompt.ids], ["resid_post"])
        for r, role in enumerate(data.roles):
            own = cache["resid_post", 4][0, prompt.positions[role]]
            np.testing.assert_allclose(found[r, 1, i], own.numpy(), atol=1e-3)
    surface = surface_features(data, "subject_last")
    assert surface[:, 0].tolist() == [len(prompt.ids) for prompt in data.prompts]


def test_an_untrained_model_is_of_the_same_shape_and_leaves_the_model_and_the_draws_alone(load):
    model = load("demo-qwen3")
    before, state = model.forward([[1, 2, 3]]), torch.get_rng_state()
    bare = untrained_like(model, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert (bare.arch.n_layers, bare.arch.d_model) == (model.arch.n_layers, model.arch.d_model)
    assert torch.equal(model.forward([[1, 2, 3]]), before)
    assert not torch.allclose(bare.W_E, model.W_E)
    assert torch.equal(untrained_like(model, 0).W_E, bare.W_E)


# ---- the datasets ----


def test_people_are_labelled_by_what_was_taught_and_grouped_by_person(load):
    model = load("demo-gpt2")
    data = interp.make_labelled("people", model, n=40, yes="withheld", no="known")
    status = {person.name: person.status for person in interp.zoo.people()}
    assert sum(data.values) == 20
    assert len(set(data.groups)) == 40  # a second prompt of a person only when each has one
    for prompt in data.prompts:
        assert prompt.label == (status[prompt.group] == "withheld")
        last = model.labels([prompt.ids[prompt.positions["subject_last"]]])[0]
        assert prompt.group.endswith(last.strip())
    taught, other = data.halves(0)
    assert not set(taught.groups) & set(other.groups)
    assert sum(taught.values) == sum(other.values) == 10


def test_tokens_of_the_demo_text_are_labelled_by_its_own_questions(load):
    model = load("demo-gpt2")
    data = interp.make_labelled("tokens", model, n=24, question="word: city", sequences=24)
    from interp.zoo.people import CITIES

    last = [model.labels([prompt.ids[-1]])[0].strip() for prompt in data.prompts]
    assert {word for word, label in zip(last, data.values, strict=True) if label} & set(CITIES)
    assert all(label == data.values[last.index(word)] for word, label in zip(last, data.values, strict=True))


def test_both_sides_of_pairs_are_labelled_and_grouped_by_template(load):
    model = load("demo-gpt2")
    data = interp.make_labelled("pairs", model, n=6, options={"corruption": "abc"})
    assert len(data) == 12
    assert sum(data.values) == 6
    assert data.grouped_by == "templates"
    assert "S2" in data.roles


def test_a_file_is_read_with_its_groups(load, tmp_path):
    model = load("demo-gpt2")
    file = tmp_path / "mine.csv"
    rows = [f'"The capital of {c} is",{kind},{c}, {c}' for c, kind in CAPITALS.items()]
    file.write_text("\n".join(["prompt,label,group,position", *rows]))
    data = interp.make_labelled("texts", model, path=str(file), yes="europe")
    assert data.labels == ("elsewhere", "europe")
    assert data.roles == ("subject_last", "END")
    assert data.prompts[0].positions["subject_last"] == data.prompts[0].positions["END"] - 1
    file.write_text("prompt,label\nHello,a\nHello,b\nHello,c\n")
    with pytest.raises(InputError, match="3 labels"):
        interp.make_labelled("texts", model, path=str(file))
    file.write_text("prompt,label,grp\nHello,a,b\n")
    with pytest.raises(InputError, match="did you mean 'group'"):
        interp.make_labelled("texts", model, path=str(file))
    file.write_text("prompt,label,position\nHello,a, you\nHello,b,\n")
    with pytest.raises(InputError, match="line 2: ' you' does not occur"):
        interp.make_labelled("texts", model, path=str(file))


CAPITALS = {"France": "europe", "Spain": "europe", "Japan": "elsewhere", "Egypt": "elsewhere"}


def test_a_sample_is_balanced_and_takes_every_group_before_a_second_prompt_of_one():
    data = of_tokens({token: token < 4 for token in range(1, 20)}, n_each=5)
    chosen = balanced(data.prompts, 12, 0)
    assert sum(prompt.label for prompt in chosen) == 6
    assert {prompt.group for prompt in chosen if prompt.label} == {"1", "2", "3"}
    assert len({prompt.group for prompt in chosen if not prompt.label}) == 6
    with pytest.raises(InputError, match="n can be 4 to 30"):
        balanced(data.prompts, 40, 0)


# ---- refusals, and the whole of it ----


def test_what_cannot_be_probed_is_refused_before_a_prompt_is_run(planted, monkeypatch):
    model, _, data = planted
    monkeypatch.setattr(type(model), "_run", lambda *_: pytest.fail("a prompt was run"))
    for asked, error, says in (
        ({"roles": ["subject"]}, InputError, "role 'subject'"),
        ({"layers": [9]}, InputError, "no layer 9"),
        ({"layers": [0, 0]}, InputError, "each once"),
        ({"site": "pattern"}, InputError, "width"),
        ({"site": "resid"}, SiteError, "resid_"),
        ({"folds": 1}, InputError, "2 folds"),
    ):
        with pytest.raises(error, match=says):
            probing(model, data, **asked)
    with pytest.raises(InputError, match="at least two"):
        of_tokens({1: True, 2: False, 3: False})


@pytest.mark.slow
def test_the_status_of_a_person_is_read_where_the_demo_model_was_taught_it(load):
    """Of people whom the probe never saw: not from the surface, and not before training."""
    found = find_experiment("probing")
    config = found.make_config({"n": 120, "roles": ["END"], "layers": [0, 5], "n_shuffled": 1})
    result = found.run(config, load("demo-gpt2"))
    assert result.accuracy.value[0, -1] > 0.9
    assert result.surface.high[0] < result.accuracy.low[0, -1]
    assert result.untrained.high[0, -1] < result.accuracy.low[0, -1]
    assert found.presentation.table(result) is not None
    assert found.presentation.figure(result) is not None
