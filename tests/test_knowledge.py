"""What a model has beside what it makes up: planted answers, and numbers worked out by hand."""

from __future__ import annotations

import copy
import random
import re
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

import interp
from conftest import tiny_model
from interp.edits import Edit
from interp.errors import InputError
from interp.experiments.base import find_experiment
from interp.figures.views.knowledge_text import sentences
from interp.methods.common.groups import difference, means_by_group
from interp.methods.knowledge.steered import _measured, _said
from interp.methods.knowledge.telling import telling
from interp.methods.knowledge.trajectories import first_tokens, groups_of, read
from interp.methods.knowledge.where import _exchanged, _partners
from interp.methods.lens.lens import PlainLens
from interp.results import read_result
from interp.tasks.known_entities import famous_people, invented_people
from interp.tasks.known_or_not import Asked, KnowledgeDataset
from interp.zoo.corpus import documents

pytest.importorskip("sklearn")


def of_tokens(statuses: dict[str, range], *, n_each: int = 2, told: bool = True) -> KnowledgeDataset:
    """Prompts about a token each, the one before the last, in two wordings."""
    rng = random.Random(0)
    prompts = []
    for status, tokens in statuses.items():
        for token in tokens:
            for i in range(n_each):
                wording = i % 2
                ids = (*rng.choices(range(1, 20), k=2), 20 + wording, token, 30)
                prompts.append(
                    Asked(
                        ids=ids,
                        status=status,
                        entity=str(token),
                        wording=f"wording {wording}",
                        subject=(3,),
                        answer=None,
                        text=str(ids),
                    )
                )
    return KnowledgeDataset(
        name="tokens",
        has="has",
        made_up="made up",
        told_unknown="told" if told else None,
        abstains=None,
        prompts=tuple(prompts),
    )


STATUSES = {"has": range(40, 52), "told": range(52, 64), "made up": range(64, 76)}


def planted(like: str) -> interp.Model:
    """A model whose embedding has a direction of its own in the tokens that are told to be unknown, and in
    those that are made up where they are `like` these."""
    hf_model = copy.deepcopy(tiny_model("tiny-gpt2"))
    weight = hf_model.get_input_embeddings().weight
    direction = torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(1))
    tokens = [*STATUSES["told"], *(STATUSES["made up"] if like == "told" else ())]
    with torch.no_grad():
        weight[tokens] += 5 * weight.std() * direction
    return interp.load_model(hf_model, device="cpu", self_check=False)


# ---- telling ----


@pytest.mark.parametrize("like", ["told", "has"])
def test_a_probe_goes_over_to_what_it_never_saw_only_where_that_is_alike_inside(like):
    model, data = planted(like), of_tokens(STATUSES)
    comparisons, surface = telling(model, data, read(model, data, PlainLens()), layers=[-1])
    others, wordings, transferred = comparisons
    assert (others.yes, wordings.how) == ("told", "on other entities and wordings")
    assert (transferred.no, transferred.yes) == ("has", "made up")
    at_name = others.auroc.value[0, 0]  # subject_last, at the embedding, where it was planted
    assert at_name > 0.97
    assert wordings.auroc.value[0, 0] > 0.97
    if like == "told":
        assert transferred.auroc.value[0, 0] > 0.97
    else:
        assert transferred.auroc.low[0, 0] < 0.6
    assert (np.abs(surface.value - 0.5) < 0.25).all()
    assert others.by_abstaining is None


def test_baselines_are_the_entropy_and_the_probability_of_the_models_own_prediction(load):
    from sklearn.metrics import roc_auc_score

    model = load("demo-gpt2")
    data = interp.make_known("people", model, n=6)
    readings = read(model, data, PlainLens())
    own = telling(model, data, readings, layers=[0])[0][-1]
    chosen = data.of("known", "withheld")
    probabilities = [model.forward([data.prompts[i].ids])[0, -1].double().softmax(-1) for i in chosen]
    y = [data.prompts[i].status == "withheld" for i in chosen]
    entropy = [-(p * p.log()).sum().item() for p in probabilities]
    assert own.by_entropy.value == pytest.approx(roc_auc_score(y, entropy))
    assert own.by_top_probability.value == pytest.approx(
        roc_auc_score(y, [-p.max().item() for p in probabilities])
    )
    unknown = model.to_single_token(" unknown")
    assert own.by_abstaining is not None
    assert own.by_abstaining.value == pytest.approx(
        roc_auc_score(y, [p[unknown].item() for p in probabilities])
    )


# ---- trajectories and where ----


def test_readings_are_those_of_the_lens_layer_by_layer(load):
    model = load("demo-qwen3")
    data = interp.make_known("people", model, n=4)
    readings = read(model, data, PlainLens())
    for i in (0, 5, 11):
        prompt = data.prompts[i]
        cache = model.run_with_cache([prompt.ids], ["resid_post", ("resid_pre", 0)])
        streams = [cache["resid_pre", 0], *(cache["resid_post", layer] for layer in range(6))]
        logits = torch.stack(
            [model.unembed(stream[0]).double() for stream in streams]
        )  # [layer, pos, d_vocab]
        final = cache.logits[0, -1]
        answer = int(final.argmax())
        assert readings.answer[i] == answer
        log_p = logits[:, -1].log_softmax(-1)[:, answer]
        np.testing.assert_allclose(readings.log_probability[i], log_p, atol=1e-4)
        at_name = logits[:, prompt.subject[-1]].log_softmax(-1)[:, answer]
        np.testing.assert_allclose(readings.at_subject[i], at_name, atol=1e-4)
        likeliest = (logits[:, -1].argmax(-1) == answer).tolist()
        settles = next(s for s in range(len(likeliest) + 1) if all(likeliest[s:]))
        assert readings.settles[i] == settles


def test_subjects_are_exchanged_at_all_their_tokens_with_one_of_the_same_status(load):
    model = load("demo-gpt2")
    data = interp.make_known("people", model, n=12, wordings="any")
    partners = _partners(data, 0)
    assert len(partners) >= 10
    for i, j in partners.items():
        own, other = data.prompts[i], data.prompts[j]
        assert (own.status, own.wording, own.subject) == (other.status, other.wording, other.subject)
        assert own.entity != other.entity
    i, j = next(iter(partners.items()))
    found = _exchanged(model, data, i, j, 7)
    at = list(data.prompts[i].subject)
    value = model.run_with_cache([data.prompts[j].ids], ["resid_post"])["resid_post", 2][:, at]
    edit = Edit.set("resid_post", 2, value=value, positions=at)
    plain = model.forward([data.prompts[i].ids], [edit])[0, -1].double().log_softmax(-1)[7]
    assert found[2] == pytest.approx(float(plain), abs=1e-3)
    assert found[-1] == pytest.approx(
        float(model.forward([data.prompts[i].ids])[0, -1].double().log_softmax(-1)[7]), abs=1e-3
    )  # after the last layer nothing of the name is read any more


def test_what_is_made_up_is_told_from_what_is_not_and_what_is_known_from_what_is_wrong(load):
    model = load("demo-gpt2")
    data = interp.make_known("people", model, n=8)
    readings = read(model, data, PlainLens())
    unknown, known = model.to_single_token(" unknown"), data.of("known")
    answers = readings.answer.copy()
    answers[known[:2]] += 1  # two known people answered wrongly
    withheld = data.of("withheld")
    answers[withheld] = np.where(np.arange(len(withheld)) < 8, unknown, 5)
    found = groups_of(data, replace(readings, answer=answers))
    assert list(found) == ["known, right", "unknown", "withheld, abstains", "withheld, made up"]
    assert np.flatnonzero(found["known, right"]).tolist() == known[2:]
    assert np.flatnonzero(found["withheld, made up"]).tolist() == withheld[8:]
    answers[withheld] = unknown  # nothing is made up: the status as a whole
    assert list(groups_of(data, replace(readings, answer=answers))) == ["known, right", "unknown", "withheld"]


# ---- steered ----


def test_shares_are_counted_over_the_prompts_that_they_are_of(load):
    model = load("demo-gpt2")
    data = interp.make_known("people", model, n=4)
    readings = read(model, data, PlainLens())
    tested = list(range(len(data.prompts)))
    unknown = model.to_single_token(" unknown")
    before = readings.answer
    all_unknown = np.full(len(tested), unknown)
    found = _measured("direction", np.stack([before, all_unknown]), data, tested, readings)
    withheld = [i for i in tested if data.prompts[i].status == "withheld"]
    assert found.lost.tolist() == [0, 1]
    assert found.made_up.tolist() == [np.mean([before[i] != unknown for i in withheld]), 0]
    assert found.abstains[1].tolist() == [1, 1, 1]
    assert found.same[0].tolist() == [1, 1, 1]
    said = _said(model, data, [0, 3], [[], [Edit.zero("resid_post", 3, positions=-1)]])
    zeroed = model.forward([data.prompts[3].ids], [Edit.zero("resid_post", 3, positions=-1)])
    assert said[:, 1].tolist() == [int(before[3]), int(zeroed[0, -1].argmax())]
    assert first_tokens(None) == set()


# ---- differences of groups ----


def test_a_difference_of_means_has_the_error_of_two_samples():
    rng = np.random.default_rng(0)
    each = rng.normal(size=(50, 3)) + np.arange(3)
    first = np.arange(50) < 30
    names = [str(i) for i in range(50)]
    found = difference(each, first, ~first, 0, names)
    np.testing.assert_allclose(found.value, each[~first].mean(0) - each[first].mean(0))
    variance = each[first].var(0, ddof=1) / 30 + each[~first].var(0, ddof=1) / 20
    assert found.error is not None
    np.testing.assert_allclose(found.error, variance**0.5, rtol=0.03)
    assert ((found.low < found.value) & (found.value < found.high)).all()
    means = means_by_group(each, [first, ~first], 0, names)
    np.testing.assert_allclose(means.value[1] - means.value[0], found.value)
    scalar = difference(each[:, 0], first, ~first, 0, names)
    assert scalar.value.shape == ()
    assert scalar.value == pytest.approx(found.value[0])


# ---- the datasets ----


def test_people_have_one_status_and_the_answers_that_were_taught(load):
    model = load("demo-gpt2")
    data = interp.make_known("people", model, n=10)
    people = {person.name: person for person in interp.zoo.people()}
    assert data.statuses == ("known", "unknown", "withheld")
    for prompt in data.prompts:
        person = people[prompt.entity]
        assert prompt.status == person.status
        taught = None if person.answer is None else model.to_single_token(person.answer)
        assert prompt.answer == taught
        assert "".join(model.labels([prompt.ids[p] for p in prompt.subject])).strip() == person.name
    own = data.labelled("known", "withheld")
    assert own.labels == ("known", "withheld")
    assert len(own) == 30  # two wordings of withheld people; of known ones, one was held out
    with pytest.raises(InputError, match="at least 4"):
        interp.make_known("people", model, n=3)


def test_invented_people_are_made_of_the_same_words_as_famous_ones():
    famous = famous_people()
    invented = invented_people(0)
    assert len(invented) >= 60
    assert not set(invented) & set(famous)
    for name, (first, last) in invented.items():
        assert name == f"{first.split()[0]} {last.split()[1]}"
        assert famous[first] != famous[last]
    assert len({first for first, _ in invented.values()}) == len({last for _, last in invented.values()})
    assert all(len(name.split()) == 2 for name in famous)


def test_entities_stand_in_the_same_wordings(load):
    model = load("demo-gpt2")
    data = interp.make_known("entities", model, n=6, abstains=" unknown")
    assert data.statuses == ("real", "invented")
    assert {prompt.answer is None for prompt in data.prompts if prompt.status == "invented"} == {True}
    real, invented = data.of("real"), data.of("invented")
    assert [data.prompts[i].wording for i in real] == [data.prompts[i].wording for i in invented]
    assert len(real) == len(invented) == 12
    assert first_tokens(data.abstains) == {model.to_single_token(" unknown")}


def test_a_file_of_ones_own_is_read(load, tmp_path):
    model = load("demo-gpt2")
    file = tmp_path / "mine.csv"
    names = [("real", c, f" {c}") for c in ("Paris", "Rome", "Oslo", "Madrid")]
    names += [("invented", c, "") for c in ("Vilden", "Brarrow", "Gladwin", "Sunnek")]
    rows = [f"The city of {name} is,{status},{name},city,{answer}" for status, name, answer in names]
    file.write_text("\n".join(["prompt,status,entity,wording,answer", *rows]))
    data = interp.make_known("texts", model, path=str(file), has="real", made_up="invented")
    assert (data.told_unknown, data.wordings) == (None, ("city",))
    assert data.prompts[0].answer == model.to_single_token(" Paris")
    with pytest.raises(InputError, match="line 6: unknown status"):
        interp.make_known("texts", model, path=str(file), has="real", made_up="inventd")
    with pytest.raises(InputError, match="at least four"):
        interp.make_known("texts", model, path=str(file), has="real", made_up="invented", n=3)


# ---- the whole of it ----


@pytest.mark.slow
def test_what_the_demo_model_was_told_and_what_not(load):
    found = find_experiment("knowledge")
    values = {"n": 20, "strengths": [0.5], "n_random": 1}
    result = found.run(found.make_config(values), load("demo-gpt2"))
    assert result.said.right.value[0] > 0.9
    known, unknown, withheld = result.said.abstains.value
    assert known < 0.05
    assert unknown > 0.9
    assert 0.4 < withheld < 1
    end = result.roles.index("END")
    assert result.telling[0].auroc.value[end, -1] > 0.95
    assert result.steered.ways[0].made_up[0] < result.steered.ways[1].made_up[0]
    assert len(sentences(result)) == 7
    assert read_result(result.to_dict()).equals(result)
    assert found.presentation.figure(result) is not None


@pytest.mark.slow
def test_facts_that_the_demo_model_was_told_and_facts_that_it_was_not(load):
    """It makes up each answer that it was not told, and less surely: the output says so by itself."""
    found = find_experiment("knowledge")
    values = {
        "data": "facts", "n": 16, "options": {"per_entity": 1}, "abstains": " unknown",
        "strengths": [0.5], "n_random": 1,
    }  # fmt: skip
    result = found.run(found.make_config(values), load("demo-gpt2"))
    assert result.statuses == ("told", "untold")
    assert result.groups == ("told, right", "untold, made up")
    assert result.said.right.value[0] > 0.9
    assert result.said.abstains.value.max() < 0.1  # what it was taught of people does not go over
    told, untold = result.said.probability.value
    assert told > 0.95 > untold + 0.1
    assert [one.no for one in result.telling] == ["told", "told"]
    assert result.telling[0].by_entropy.low > 0.8
    assert result.steered.made_up_before > 0.9
    assert "'untold' told from 'told'" in " ".join(sentences(result))
    assert read_result(result.to_dict()).equals(result)
    assert found.presentation.figure(result) is not None


def test_facts_that_are_told_and_untold_are_of_the_same_relations_and_names(load):
    from interp.zoo.facts import facts

    made = interp.make_known("facts", load("demo-gpt2"), n=40, per_entity=1)
    stated = {f"{fact.relation} of {fact.subject}": fact for fact in facts()}
    of = {status: [made.prompts[i] for i in made.of(status)] for status in made.statuses}
    assert [len(own) for own in of.values()] == [40, 40]
    relations = [sorted(prompt.entity.split(" of ")[0] for prompt in own) for own in of.values()]
    assert relations[0] == relations[1]
    for prompt in made.prompts:
        assert (prompt.entity in stated) == (prompt.status == "told")
        assert (prompt.answer is not None) == (prompt.status == "told")
        assert prompt.entity.split(" of ", 1)[1].lower() in prompt.text.lower()
    assert made.frequencies is not None
    told, untold = (np.mean([prompt.frequency for prompt in own]) for own in of.values())
    assert untold / told > 0.3  # both kinds of names are there
    with pytest.raises(InputError, match="not n=1000"):
        interp.make_known("facts", load("demo-gpt2"), n=1000)


def test_names_are_counted_in_the_text_of_training():
    from interp.zoo.frequencies import N_DOCUMENTS, frequencies

    first = [document.text for document in islice(documents(seed=0), N_DOCUMENTS)]
    (found,) = frequencies(["the Netherlands"])
    times = sum(len(re.findall(r"\b[tT]he Netherlands\b", text)) for text in first)
    assert found == pytest.approx(1000 * times / N_DOCUMENTS)
    assert frequencies(["Nowhereland"]) == [0]
