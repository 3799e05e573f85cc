"""Datasets of pairs: the same for the same seed, balanced, with roles where they say; refused where wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.models.base import Model
from interp.results import read_result
from interp.tasks.base import Dropped, Pair, PairDataset
from interp.tasks.datasets import make_dataset
from interp.tasks.facts import facts
from interp.tasks.greater_than import greater_than, prob_diff
from interp.tasks.indirect_objects import CORRUPTIONS, TEMPLATES, indirect_objects, role_swaps
from interp.tasks.inspection import drop_failures, inspect_dataset
from interp.tasks.registry import TASKS
from interp.tasks.repeated_tokens import repeated_sequences, repeated_tokens
from interp.tasks.user_pairs import user_pairs
from interp.zoo.facts import fact_prompts
from interp.zoo.facts_table import TEMPLATES as FACT_TEMPLATES
from interp.zoo.years import FIRST

TL = pytest.param("transformer_lens", marks=pytest.mark.tl)
NNSIGHT = pytest.param("nnsight", marks=pytest.mark.nnsight)
DEMO = ("demo-gpt2", "demo-qwen3")
GENERATED = tuple(name for name in TASKS if name not in ("user_pairs", "role_swaps"))


@pytest.fixture(scope="module", params=DEMO)
def model(request: Any, load: Any) -> Model:
    return load(request.param)


@pytest.fixture(scope="module")
def gpt2(load: Any) -> Model:
    return load("demo-gpt2")


def words_at(model: Model, ids: tuple[int, ...], positions: tuple[int, ...]) -> str:
    return "".join(model.labels([ids[i] for i in positions]))


# ---- the values ----


def pair(**changes: Any) -> Pair:
    return Pair(**{"clean": (1, 2, 3), "corrupted": (1, 4, 3), "answer": 5, "foil": 6} | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"corrupted": (1, 2)}, "same number"),
        ({"corrupted": (1, 2, 3)}, "are the same"),
        ({"foil": 5}, "same token"),
        ({"positions": {"S": (3,)}}, "positions go from 0 to 2"),
        ({"positions": {"S": (-1,)}}, "positions go from 0 to 2"),
        ({"positions": {"S": ()}}, "positions go from 0 to 2"),
    ],
)
def test_a_pair_that_is_none(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        pair(**changes)


def test_a_dataset_is_taken_apart_by_slice_template_and_length() -> None:
    short = pair(template="a", positions={"S": (0,), "END": (2,)})
    long = pair(template="b", clean=(1, 2, 3, 4), corrupted=(1, 9, 3, 4), positions={"S": (0, 1)})
    dataset = PairDataset(name="t", pairs=(short, long, short))
    assert len(dataset) == 3
    assert list(dataset) == [short, long, short]
    assert dataset[1] == long
    assert dataset[1:].pairs == (long, short)
    assert dataset.where(template="a").pairs == (short, short)
    assert dataset.where(length=4).pairs == (long,)
    assert {n: len(d) for n, d in dataset.by_length().items()} == {3: 2, 4: 1}
    assert {t: len(d) for t, d in dataset.by_template().items()} == {"a": 2, "b": 1}
    assert dataset.clean == [(1, 2, 3), (1, 2, 3, 4), (1, 2, 3)]
    assert dataset.answers == [5, 5, 5]
    assert dataset.roles == ("S",)
    assert dataset.positions("S") == [(0,), (0, 1), (0,)]
    assert dataset[:1].position("END") == [2]
    fewer = dataset.without({1: "too long"})
    assert fewer.pairs == (short, short)
    assert fewer.dropped == (Dropped("pair 1", "too long"),)
    for call, says in (
        (lambda: dataset.position("S"), "several tokens"),
        (lambda: dataset.positions("END"), "Not every pair"),
        (lambda: dataset.where(template="c"), "No pair has the template"),
        (lambda: dataset.where(length=5), "pairs of 3, 4"),
        (lambda: dataset[3:], "No pair"),
        (lambda: dataset.without(dict.fromkeys(range(3), "bad")), "bad"),
    ):
        with pytest.raises(InputError, match=says):
            call()


# ---- all tasks ----


@pytest.mark.parametrize("task", GENERATED)
def test_the_seed_decides(task: str, gpt2: Model) -> None:
    first = make_dataset(task, gpt2, n=12, seed=1)
    assert len(first) == 12
    assert make_dataset(task, gpt2, n=12, seed=1) == first
    assert make_dataset(task, gpt2, n=12, seed=2).pairs != first.pairs
    assert first.made["seed"] == 1
    assert json.loads(json.dumps(first.made)) == first.made


@pytest.mark.parametrize("task", GENERATED)
def test_every_pair_aligns_and_is_answered_by_the_demo_models(task: str, model: Model) -> None:
    dataset = make_dataset(task, model, n=60)
    assert len(set(dataset.clean)) == 60
    for one in dataset:
        assert len(one.clean) == len(one.corrupted)
        assert one.clean != one.corrupted
        assert one.positions["END"] == (len(one) - 1,)
        assert (one.clean[0] == model.bos_id) == (model.bos_id is not None)
    found = inspect_dataset(model, dataset)
    assert found.clean_accuracy >= 0.95
    assert (found.clean_logit_diff.mean() - found.corrupted_logit_diff.mean()) > 1
    if task != "greater_than":  # many years are right, so that one has little of the probability
        assert found.clean_prob.mean() > 0.9


def test_a_dataset_goes_into_a_sweep_as_it_is(model: Model) -> None:
    dataset = indirect_objects(model, n=2, corruption="swapped_subject", order="ABBA")
    swept = interp.activation_patching(
        model,
        clean=dataset.clean,
        corrupted=dataset.corrupted,
        answer=dataset.answers,
        foil=dataset.foils,
        by="layer",
    )
    np.testing.assert_allclose(swept.recovery.mean[0], 1, atol=1e-5)
    np.testing.assert_allclose(
        swept.clean_values, inspect_dataset(model, dataset).clean_logit_diff, atol=1e-4
    )


# ---- indirect objects ----


@pytest.mark.parametrize("n", [30, 50, 61])
def test_indirect_objects_are_balanced(n: int, gpt2: Model) -> None:
    dataset = indirect_objects(gpt2, n=n)
    forms = Counter(one.template for one in dataset)
    assert len(forms) == 30
    assert max(forms.values()) - min(forms.values()) <= 1
    abba = sum(one.template.index("[IO]") < one.template.index("[S1]") for one in dataset)
    assert abba in (n // 2, n - n // 2)


def test_indirect_objects_have_their_roles_where_they_say(model: Model) -> None:
    dataset = indirect_objects(model, n=60)
    assert dataset.roles == ("IO", "S1", "S1+1", "S2", "END")
    for one in dataset:
        answer, foil = model.labels([one.answer, one.foil])
        assert words_at(model, one.clean, one.positions["IO"]) == answer
        assert words_at(model, one.clean, one.positions["S1"]) == foil
        assert words_at(model, one.clean, one.positions["S2"]) == foil
        assert one.positions["S1+1"][0] == one.positions["S1"][0] + 1
        assert one.positions["S1"] < one.positions["S2"] < one.positions["END"]
        is_abba = one.positions["IO"] < one.positions["S1"]
        assert is_abba == (one.template.index("[IO]") < one.template.index("[S1]"))
        assert (" " + words_at(model, one.clean, one.positions["END"]).strip()) in (" to",)
    for group in dataset.by_template().values():
        assert len({tuple(one.positions.items()) for one in group}) == 1
        assert len({len(one) for one in group}) == 1


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_corruptions_change_the_names_as_they_say(corruption: str, gpt2: Model) -> None:
    dataset = indirect_objects(gpt2, n=40, corruption=corruption)
    assert dataset.clean == indirect_objects(gpt2, n=40).clean, "whatever the corruption"
    for one in dataset:
        io, s1, s2 = (one.corrupted[one.positions[role][0]] for role in ("IO", "S1", "S2"))
        named = [one.positions[role][0] for role in ("IO", "S1", "S2")]
        assert all(
            a == b for i, (a, b) in enumerate(zip(one.clean, one.corrupted, strict=True)) if i not in named
        )
        if corruption == "abc":
            assert len({io, s1, s2, one.answer, one.foil}) == 5
        elif corruption == "random_names":
            assert s1 == s2
            assert len({io, s1, one.answer, one.foil}) == 4
        elif corruption == "swapped_subject":
            assert (io, s1, s2) == (one.answer, one.foil, one.answer)
        else:
            assert (io, s1, s2) == (one.foil, one.answer, one.foil)


def test_a_swapped_subject_turns_the_answer_round(model: Model) -> None:
    found = inspect_dataset(model, indirect_objects(model, n=30, corruption="swapped_subject"))
    assert found.corrupted_accuracy <= 0.05
    kept = inspect_dataset(model, indirect_objects(model, n=30, corruption="swapped_order"))
    assert kept.corrupted_accuracy >= 0.95


def test_role_swaps_are_each_others_corruption(model: Model) -> None:
    dataset = role_swaps(model, names=[("John", "Mary"), ("Tom", "Anna")])
    assert [model.labels([one.answer])[0] for one in dataset] == [" Mary", " John", " Anna", " Tom"]
    assert (dataset[0].clean, dataset[0].corrupted) == (dataset[1].corrupted, dataset[1].clean)
    assert dataset[0].text.endswith("When John and Mary went to the store, John gave a drink to")
    assert inspect_dataset(model, dataset).clean_accuracy == 1


def test_words_of_several_tokens_are_left_out_and_named(gpt2: Model) -> None:
    dataset = indirect_objects(gpt2, n=4, names=["John", "Mary", "Christopher", "Tom", "Anna", "Paul"])
    assert dataset.dropped[0] == Dropped("1 names: Christopher", "not one token with a leading space")
    assert "Christopher" not in dataset.made["names"]


def test_templates_of_ones_own(gpt2: Model) -> None:
    dataset = indirect_objects(
        gpt2, n=4, templates=["Then, [A] and [B] talked, and [S] said to"], order="BABA"
    )
    assert {one.template for one in dataset} == {"Then, [S1] and [IO] talked, and [S2] said to"}
    assert len(TEMPLATES["paper"]) == 15
    assert set(TEMPLATES["held_out"]).isdisjoint(TEMPLATES["taught"])


# ---- facts, repeated tokens, years ----


def test_facts_share_all_but_the_subject(model: Model) -> None:
    for one in facts(model, n=80, prompts="any"):
        at = one.positions["subject"]
        assert one.positions["subject_last"] == at[-1:]
        before, after = one.template.replace("{S}", "{s}").split("{s}")
        bos = 0 if model.bos_id is None else 1
        assert words_at(model, one.clean, tuple(range(bos, at[0]))).strip() == before.strip()
        assert all(
            a == b for i, (a, b) in enumerate(zip(one.clean, one.corrupted, strict=True)) if i not in at
        )
        if "{x}" not in after:
            assert words_at(model, one.clean, tuple(range(at[-1] + 1, len(one)))) == after


def test_facts_of_one_relation(gpt2: Model) -> None:
    dataset = facts(gpt2, n=20, relations="country_capital")
    assert dataset.made["relations"] == ["country_capital"]
    assert {one.template for one in dataset} <= set(FACT_TEMPLATES["country_capital"])
    several = facts(gpt2, n=21, relations=["country_capital", "next_month"])
    capitals = sum(one.template in FACT_TEMPLATES["country_capital"] for one in several)
    assert (capitals, len(several) - capitals) == (11, 10), "in turn"


@pytest.mark.parametrize("prompts", ["held_out", "taught"])
def test_which_facts_were_taught(prompts: str, gpt2: Model) -> None:
    held_out = {one.text: one.held_out for one in fact_prompts()}
    for one in facts(gpt2, n=30, prompts=prompts):
        assert held_out[one.text.removeprefix("<|endoftext|>")] == (prompts == "held_out")


def test_repeated_sequences_say_where_things_are(model: Model) -> None:
    found = repeated_sequences(model, n=5, length=12, exclude=[7], seed=3)
    assert found == repeated_sequences(model, n=5, length=12, exclude=[7], seed=3)
    assert found.start == (model.bos_id is not None)
    for ids in found.ids:
        assert len(ids) == found.start + 24
        assert set(ids[found.start :]).isdisjoint(found.excluded)
        assert 7 in found.excluded
        for at in list(found.second_copy)[:-1]:
            assert ids[at - found.duplicate_offset] == ids[at]
            assert ids[at - found.induction_offset] == ids[at + 1]
            assert ids.count(ids[at]) == 2
    assert 0 in found.excluded, "<|endoftext|>"


@pytest.mark.parametrize("corruption", ["other_answer", "no_repeat"])
def test_repeated_tokens(corruption: str, model: Model) -> None:
    dataset = repeated_tokens(model, n=20, length=10, corruption=corruption)
    for one in dataset:
        (at,), (duplicate,), (end,) = (one.positions[role] for role in ("answer", "duplicate", "END"))
        assert one.clean[at] == one.answer
        assert one.corrupted[at] == one.foil
        assert one.clean[duplicate] == one.clean[end] == one.corrupted[end]
        assert (one.corrupted[duplicate] == one.corrupted[end]) == (corruption == "other_answer")
        assert sum(a != b for a, b in zip(one.clean, one.corrupted, strict=True)) == (
            1 if corruption == "other_answer" else 10
        )


def test_years(model: Model) -> None:
    dataset = greater_than(model, n=80)
    for one in dataset:
        start = int(words_at(model, one.clean, one.positions["start"]))
        answer, foil = (int(label) for label in model.labels([one.answer, one.foil]))
        assert FIRST < foil <= start < answer < 100
        assert int(words_at(model, one.corrupted, one.positions["start"])) == FIRST
    assert set(Counter(one.template for one in dataset).values()) == {20}
    tokens = model.to_tokens(dataset.clean)
    last = model.forward(tokens)[torch.arange(len(dataset)), torch.tensor(tokens.lengths) - 1]
    assert prob_diff(model, dataset, last).mean() > 0.7


def test_prob_diff_by_hand(gpt2: Model) -> None:
    """All on one later year: 1; all on the start itself: -1; even: the years above less the others."""
    dataset = greater_than(gpt2, n=3)
    later, start = torch.full((2, 3, gpt2.arch.d_vocab), -1e9)
    for row, one in enumerate(dataset):
        later[row, one.answer] = 0
        start[row, one.clean[one.positions["start"][0]]] = 0
    torch.testing.assert_close(prob_diff(gpt2, dataset, later), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(prob_diff(gpt2, dataset, start), -torch.ones(3, dtype=torch.float64))
    years = [int(words_at(gpt2, one.clean, one.positions["start"])) for one in dataset]
    expected = [((99 - year) - (year - 9)) / gpt2.arch.d_vocab for year in years]
    even = prob_diff(gpt2, dataset, torch.zeros(3, gpt2.arch.d_vocab))
    torch.testing.assert_close(even, torch.tensor(expected, dtype=torch.float64))


# ---- inspection ----


def test_an_inspection_is_what_the_model_says(gpt2: Model) -> None:
    dataset = facts(gpt2, n=7)
    found = inspect_dataset(gpt2, dataset, batch_size=3)
    for i, one in enumerate(dataset):
        logits = gpt2.forward(one.clean)[0, -1].double()
        assert found.clean_logit_diff[i] == pytest.approx(
            float(logits[one.answer] - logits[one.foil]), abs=1e-4
        )
        assert found.clean_prob[i] == pytest.approx(float(logits.softmax(-1)[one.answer]), abs=1e-5)
    again = read_result(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()
    assert found.clean_accuracy == np.mean(found.clean_logit_diff > 0)


@pytest.mark.parametrize("backend", [TL, NNSIGHT])
def test_an_inspection_on_other_backends(backend: str, gpt2: Model, load: Any) -> None:
    other = load("demo-gpt2", backend)
    dataset = indirect_objects(other, n=4)
    assert dataset.pairs == indirect_objects(gpt2, n=4).pairs
    ours, theirs = inspect_dataset(gpt2, dataset), inspect_dataset(other, dataset)
    np.testing.assert_allclose(ours.clean_logit_diff, theirs.clean_logit_diff, atol=1e-3)


def test_failures_are_dropped_in_the_open(gpt2: Model) -> None:
    """Pairs whose answer and foil are exchanged fail, exactly those, and so do those that hardly differ."""
    dataset = indirect_objects(gpt2, n=6, corruption="swapped_subject")
    wrong = [
        Pair(clean=p.clean, corrupted=p.corrupted, answer=p.foil, foil=p.answer, text=p.text)
        for p in dataset[:2]
    ]
    mixed = PairDataset(name="mixed", pairs=(*wrong, *dataset[2:]), made=dataset.made)
    found = inspect_dataset(gpt2, mixed)
    kept = drop_failures(mixed, found)
    assert kept.pairs == dataset.pairs[2:]
    assert [one.what for one in kept.dropped] == [one.text for one in wrong]
    assert all("not above 0" in one.why for one in kept.dropped)
    assert "hardly differ" in found.failures(min_span=1e6)[3]
    with pytest.raises(InputError, match="inspect this dataset"):
        drop_failures(kept, found)
    with pytest.raises(InputError, match="No pair of 'mixed' is left"):
        drop_failures(mixed[:2], inspect_dataset(gpt2, mixed[:2]))


def test_a_dataset_made_for_another_model_is_refused(load: Any) -> None:
    with pytest.raises(InputError, match="make it anew"):
        inspect_dataset(load("demo-qwen3"), indirect_objects(load("demo-gpt2"), n=2))
    without_bos = repeated_tokens(load("demo-qwen3"), n=2)
    with pytest.raises(InputError, match="make it anew"):
        inspect_dataset(load("tiny-qwen3"), without_bos)


# ---- what cannot be had ----

CALLS: dict[str, tuple[Callable[[Model], Any], str]] = {
    "an unknown task": (lambda m: make_dataset("indirect_object", m), "did you mean 'indirect_objects'"),
    "an unknown option": (lambda m: make_dataset("facts", m, relation="x"), "did you mean 'relations'"),
    "a number where there is none": (lambda m: make_dataset("role_swaps", m, n=3), "no option 'n'"),
    "an option that is missing": (lambda m: make_dataset("user_pairs", m), "needs 'path'"),
    "no pairs": (lambda m: make_dataset("facts", m, n=0), "at least 1"),
    "a number that is text": (lambda m: make_dataset("facts", m, n="3"), "whole number"),
    "an unknown corruption": (lambda m: indirect_objects(m, corruption="acb"), "did you mean 'abc'"),
    "an unknown set of templates": (
        lambda m: indirect_objects(m, templates="papers"),
        "did you mean 'paper'",
    ),
    "an unknown order": (lambda m: indirect_objects(m, order="ABAB"), "Unknown order"),
    "a template without a subject": (lambda m: indirect_objects(m, templates=["[A] [B]"]), "once each"),
    "a template with an unknown slot": (
        lambda m: indirect_objects(m, templates=["x [A] [B] [S] [PLAC]"]),
        "once each",
    ),
    "a template that begins with a name": (
        lambda m: indirect_objects(m, templates=["[A] and [B] sat, and [S] said to"]),
        "put a space before",
    ),
    "no template": (lambda m: indirect_objects(m, templates=[]), "no template"),
    "too few names": (lambda m: indirect_objects(m, names=["John", "Mary"]), "at least 5 are needed"),
    "names in one text": (lambda m: indirect_objects(m, names="John Mary"), "list of words"),
    "no objects that are tokens": (lambda m: indirect_objects(m, objects=["xylophone"]), "0 are one token"),
    "more prompts than there are": (
        lambda m: indirect_objects(
            m,
            n=99,
            corruption="swapped_order",
            names=["John", "Mary", "Tom", "Anna"],
            templates=["x [A] [B] [S]"],
        ),
        "different prompts, not n=99",
    ),
    "a couple of one": (lambda m: role_swaps(m, names=["John"]), "in twos"),
    "a swap of several tokens": (lambda m: role_swaps(m, names=[("John", "Christopher")]), "tokens"),
    "an unknown relation": (
        lambda m: facts(m, relations="country_capitol"),
        "did you mean 'country_capital'",
    ),
    "more facts than there are": (lambda m: facts(m, n=500, relations="next_day"), "not n=500"),
    "an unknown choice of prompts": (lambda m: facts(m, prompts="heldout"), "did you mean 'held_out'"),
    "more years than there are": (lambda m: greater_than(m, n=5000), "not n=5000"),
    "one random token": (lambda m: repeated_sequences(m, length=1), "at least 2"),
    "more random tokens than there are": (lambda m: repeated_sequences(m, length=4000), "can be drawn"),
    "longer than the model reads": (lambda m: repeated_tokens(m, length=100), "at most 128"),
    "no batch": (lambda m: inspect_dataset(m, facts(m, n=1), batch_size=0), "at least 1"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call(case: str, gpt2: Model) -> None:
    call, says = CALLS[case]
    with pytest.raises(InputError) as caught:
        call(gpt2)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("task", ["indirect_objects", "greater_than", "facts"])
def test_a_tokenizer_without_words(task: str, load: Any) -> None:
    """A byte a token: there are no single-token names, years or answers, and the error says so."""
    with pytest.raises(InputError, match=r"0 are one token|0 of the|None of the"):
        make_dataset(task, load("tiny-gpt2"))
    assert len(make_dataset("repeated_tokens", load("tiny-gpt2"), n=3, length=8)) == 3


# ---- pairs of one's own ----

HEAD = "prompt,corrupted,answer,foil,positions,template\n"
FRANCE = "The capital of France is,The capital of Japan is, Paris, Tokyo"
ROW = {
    "prompt": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}


def test_pairs_from_csv_and_json_lines_are_the_same(model: Model, tmp_path: Path) -> None:
    where = {"subject": " France", "END": -1, "start": [0, 1]}
    cell = json.dumps(where).replace('"', '""')
    a, b = tmp_path / "pairs.csv", tmp_path / "pairs.jsonl"
    a.write_text(f'{HEAD}{FRANCE},"{cell}",capital\n\n{FRANCE},,\n', encoding="utf-8-sig")
    b.write_text(
        json.dumps(ROW | {"positions": where, "template": "capital"}) + "\n\n" + json.dumps(ROW) + "\n"
    )
    from_csv, from_json = (user_pairs(model, path=path) for path in (a, b))
    assert from_csv.pairs == from_json.pairs
    first, second = from_csv
    assert words_at(model, first.clean, first.positions["subject"]) == " France"
    assert first.positions["END"] == (len(first) - 1,)
    assert (first.template, second.template, second.positions) == ("capital", "", {})
    assert inspect_dataset(model, from_csv).clean_accuracy == 1
    assert from_csv.made["file"] == "pairs.csv"


def test_pairs_of_ids_and_samples(gpt2: Model, tmp_path: Path) -> None:
    file = tmp_path / "ids.jsonl"
    rows = [
        {"prompt": [5, i, 9], "corrupted": [5, 8, 9], "answer": i, "foil": 8, "positions": {"x": 1}}
        for i in range(20, 40)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    dataset = make_dataset("user_pairs", gpt2, path=str(file), n=6, seed=1)
    assert dataset == user_pairs(gpt2, path=file, n=6, seed=1)
    assert dataset.answers == sorted(dataset.answers), "in the order of the file"
    assert dataset.position("x") == [1] * 6
    assert dataset[0].clean == (5, dataset[0].answer, 9), "ids are taken as they are"


def test_pairs_that_cannot_be_used_are_dropped_when_asked(gpt2: Model, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(f"{HEAD}{FRANCE.replace(' Tokyo', 'Tokyo')},,\n{FRANCE},,\n")
    with pytest.raises(InputError, match="line 2: The answer 'Tokyo' is"):
        user_pairs(gpt2, path=file)
    dataset = user_pairs(gpt2, path=file, drop=True)
    assert len(dataset) == 1
    assert dataset.dropped[0].what == "line 2"
    assert "leading space" in dataset.dropped[0].why


def line(**changes: Any) -> str:
    """A line of JSON with these keys in place of the usual ones."""
    return json.dumps({k: v for k, v in (ROW | changes).items() if v is not None})


FILES: dict[str, tuple[str, str | bytes, str]] = {
    "another kind of file": ("pairs.txt", FRANCE, ".csv or a .jsonl"),
    "not UTF-8": ("pairs.csv", "prompt\nCafé\n".encode("latin-1"), "not UTF-8"),
    "nothing": ("pairs.csv", "", "holds no pair"),
    "only a header": ("pairs.csv", HEAD, "holds no pair"),
    "only blank lines": ("pairs.jsonl", "\n\n", "holds no pair"),
    "an unknown column": (
        "pairs.csv",
        HEAD.replace("foil", "foils") + FRANCE + ",,\n",
        "line 1: unknown column",
    ),
    "a column twice": ("pairs.csv", HEAD.replace("template", "foil") + FRANCE + ",,\n", "named twice"),
    "no foil": ("pairs.csv", "prompt,corrupted,answer\na,b,c\n", "line 2: 'foil' missing"),
    "an empty cell": ("pairs.csv", f"{HEAD}{FRANCE},,\na,,c,d,,\n", "line 3: 'corrupted' missing"),
    "a comma too many": ("pairs.csv", f"{HEAD}{FRANCE},,,\n", "7 values for 6 columns"),
    "a value too few": ("pairs.csv", f"{HEAD}{FRANCE},\n", "5 values for 6 columns"),
    "an open quote": ("pairs.csv", f'{HEAD}"{FRANCE},,\n', "line 2: no valid CSV"),
    "a line after a cell of two lines": (
        "pairs.csv",
        f'{HEAD}"The capital\nof France is","The capital\nof Japan is", Paris, Tokyo,,\na,b\n',
        "line 5: 2 values",
    ),
    "positions that are no JSON": (
        "pairs.csv",
        f"{HEAD}{FRANCE},END,\n",
        "line 2: the positions: no valid JSON",
    ),
    "positions that are a list": ("pairs.jsonl", line(positions=[1]), "must map roles"),
    "a position beyond the prompt": (
        "pairs.jsonl",
        line(positions={"x": 40}),
        "line 1: the role 'x' stands at 40",
    ),
    "half a position": ("pairs.jsonl", line(positions={"x": 1.5}), "the role 'x' must stand"),
    "a position that is true": ("pairs.jsonl", line(positions={"x": True}), "the role 'x' must stand"),
    "no positions of a role": ("pairs.jsonl", line(positions={"x": []}), "the role 'x' must stand"),
    "a part that is not there": ("pairs.jsonl", line(positions={"x": " Spain"}), "does not occur"),
    "a part of ids": (
        "pairs.jsonl",
        line(prompt=[1, 2], corrupted=[1, 3], positions={"x": "a"}),
        "but the prompt as ids",
    ),
    "broken JSON": ("pairs.jsonl", f"{line()}\n{{'prompt': 1}}", "line 2: no valid JSON"),
    "a list": ("pairs.jsonl", "[1, 2]", "line 1: must be a JSON object"),
    "deeply nested": ("pairs.jsonl", "[" * 100_000, "nested too deeply"),
    "a key twice": ("pairs.jsonl", line()[:-1] + ', "foil": " Rome"}', "given twice"),
    "a misspelt key": ("pairs.jsonl", line(position={"x": 1}), "did you mean 'positions'"),
    "a prompt that is a number": ("pairs.jsonl", line(prompt=3.5), "line 1: A prompt is text or a list"),
    "several prompts": ("pairs.jsonl", line(prompt=["a", "b"]), "line 1: Expected a single prompt"),
    "an id without end": ("pairs.jsonl", line(prompt=[1, 10**30]), "line 1: "),
    "a number without end": (
        "pairs.jsonl",
        line()[:-1] + ', "template": ' + "9" * 5000 + "}",
        "line 1: no valid",
    ),
    "ids out of range": ("pairs.jsonl", line(prompt=[1, 999_999]), "line 1: Token ids must lie"),
    "half a character": ("pairs.jsonl", line(prompt="\ud800"), "lone surrogate"),
    "an answer of yes": ("pairs.jsonl", line(answer=True), "An answer is text"),
    "an answer without its space": ("pairs.jsonl", line(answer="Paris"), "with a leading space"),
    "answer and foil the same": ("pairs.jsonl", line(foil=" Paris"), "line 1: The answer and the foil"),
    "prompts that do not align": ("pairs.jsonl", line(corrupted="Japan is"), "line 1: The clean prompt has"),
    "prompts that are the same": ("pairs.jsonl", line(corrupted=ROW["prompt"]), "are the same"),
    "a template that is a number": ("pairs.jsonl", line(template=3), "the template must be text"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file(case: str, gpt2: Model, tmp_path: Path) -> None:
    name, content, says = FILES[case]
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        user_pairs(gpt2, path=file)
    sentence = str(caught.value)
    assert says in sentence
    assert len(sentence.splitlines()) == 1
    assert len(sentence) < 700


def test_a_file_that_is_not_there(gpt2: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        user_pairs(gpt2, path=tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        user_pairs(gpt2, path=tmp_path / "folder.csv")
    (tmp_path / "one.jsonl").write_text(line())
    with pytest.raises(InputError, match="holds 1 pairs"):
        user_pairs(gpt2, path=tmp_path / "one.jsonl", n=2)


def test_the_names_of_tasks_are_light() -> None:
    program = "import sys, interp.tasks.registry; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
