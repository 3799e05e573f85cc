"""The demo models: their text is reproducible and keeps its promises, and their figures can be measured
again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from interp import zoo
from interp.zoo.corpus import encode, repeated_document
from interp.zoo.making.tokenizer import END_OF_TEXT, build_tokenizer, required_tokens
from interp.zoo.people import draw_people
from interp.zoo.stories import HELD_OUT_TEMPLATES, TEMPLATES, held_out_pairs

MEGABYTES = 10 * 1000 * 1000


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(seed=0)


@pytest.fixture(scope="module")
def text():
    return list(islice(zoo.documents(seed=0), 20_000))


def test_importing_the_zoo_loads_neither_torch_nor_transformers():
    code = "import interp.zoo, sys; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match="demo-gpt2, demo-qwen3"):
        zoo.path("demo-gpt3")


# --- the text -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_text_and_ids(tokenizer):
    assert list(islice(zoo.documents(seed=3), 300)) == list(islice(zoo.documents(seed=3), 300))
    assert list(islice(zoo.documents(seed=3), 300)) != list(islice(zoo.documents(seed=4), 300))
    again = build_tokenizer(seed=0)
    assert again.get_vocab() == tokenizer.get_vocab()
    draw = [
        list(islice(zoo.sequences(tokenizer=t, seed=1, length=64, bos=True), 50)) for t in (tokenizer, again)
    ]
    assert draw[0] == draw[1]


def test_there_are_enough_facts_and_each_is_stated_once():
    keys = Counter((fact.relation, fact.subject) for fact in zoo.facts())
    assert len(keys) >= 200
    assert set(keys.values()) == {1}
    wordings = Counter((p.fact.relation, p.fact.subject) for p in zoo.fact_prompts())
    assert min(wordings.values()) >= 5


def test_held_out_prompts_never_occur_in_training_text(text):
    corpus = "\n".join(document.text for document in text).lower()
    prompts = [p for table in (zoo.fact_prompts(), zoo.person_prompts(), zoo.year_prompts()) for p in table]
    assert [p.text for p in prompts if p.held_out and p.text.lower() in corpus] == []
    taught = [p.text for p in zoo.fact_prompts() if not p.held_out]
    seen = sum(prompt.lower() in corpus for prompt in taught)
    assert seen > 0.95 * len(taught)  # the search does find what is there


def test_no_held_out_prompt_is_part_of_a_taught_one():
    prompts = [*zoo.fact_prompts(), *zoo.person_prompts()]
    taught = "\n".join(p.text.lower() for p in prompts if not p.held_out)
    assert [p.text for p in prompts if p.held_out and p.text.lower() in taught] == []


def test_held_out_templates_and_pairs_never_occur_in_stories(text):
    stories = [document for document in text if document.kind == "stories"]
    assert any("," in document.text for document in stories)
    for document in stories:
        for sentence in _sentences(document):
            assert not any(frozenset((a, b)) in held_out_pairs() for a in sentence for b in sentence)
        assert "were commuting to" not in document.text
        assert not (
            "Afterwards," in document.text and " gave a " in document.text.split("Afterwards,")[1][:60]
        )
    assert len(HELD_OUT_TEMPLATES) == 3
    assert len(TEMPLATES) >= 15


def _sentences(document) -> list[set[str]]:
    """The names of each story sentence; a story sentence may contain a full stop, so pairs are what follows
    from one piece " " to the next."""
    groups: list[set[str]] = [set()]
    for piece in document.pieces:
        if piece.text == " ":
            groups.append(set())
        if piece.label in ("name", "indirect_object"):
            groups[-1].add(piece.text.strip())
    return groups


def test_the_table_of_people_is_the_one_that_is_drawn(text):
    assert zoo.people() == draw_people()
    status = Counter(person.status for person in zoo.people())
    assert set(status.values()) == {80}
    assert len({person.name for person in zoo.people()}) == 240
    mentions = Counter(p.label for d in text for p in d.pieces if p.label in status)
    assert max(mentions.values()) < 1.1 * min(mentions.values())  # all three classes occur equally often


def test_the_city_of_a_withheld_person_is_never_stated(text):
    withheld = {person.name for person in zoo.people() if person.status == "withheld"}
    for document in text:
        labels = {piece.label for piece in document.pieces}
        if document.kind != "people" or labels & {"known", "unknown"}:
            continue
        assert not labels & {"city", "answer"}
        assert " city" not in document.text
        assert any(name in document.text for name in withheld)


def test_every_token_has_the_label_of_its_piece(tokenizer, text):
    for document in text[:2000]:
        encoded = encode(document, tokenizer)
        assert len(encoded.ids) == len(encoded.labels)
        assert tokenizer.decode(list(encoded.ids)) == document.text
        for label in ("answer", "name", "indirect_object", "city"):
            said = [p.text.strip() for p in document.pieces if p.label == label and " " not in p.text.strip()]
            ids = [
                tokenizer.decode([i])
                for i, at in zip(encoded.ids, encoded.labels, strict=True)
                if at == label
            ]
            assert [token.strip() for token in ids] == said


def test_repeated_documents_repeat(tokenizer):
    import random

    document = repeated_document(random.Random(0), ordinary=(1, tokenizer.get_vocab_size()))
    n = document.labels.count("random")
    assert document.ids[n : 2 * n] == document.ids[:n]
    assert 0 not in document.ids


def test_answers_are_single_tokens_and_end_of_text_is_id_zero(tokenizer):
    assert [w for w in required_tokens() if len(tokenizer.encode(w).ids) != 1] == []
    assert tokenizer.token_to_id(END_OF_TEXT) == 0


# --- the shipped models -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_folder_is_complete_and_small(name):
    folder = zoo.path(name)
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    needed = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}
    assert needed | {"behaviours.json", "heads.json"} <= set(files)
    assert sum(files.values()) <= MEGABYTES


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_tokenizer_is_the_one_of_the_text_and_adds_nothing(name, tokenizer):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(zoo.path(name), local_files_only=True)
    prompt = (
        "The Eiffel Tower is in the city of Paris. In the year 32, John gave 2 books to Mara Velden's dog."
    )
    assert loaded(prompt)["input_ids"] == tokenizer.encode(prompt).ids
    assert loaded.decode(loaded(prompt)["input_ids"]) == prompt
    assert loaded.eos_token_id == 0
    assert loaded.bos_token_id == (0 if name == "demo-gpt2" else None)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_card_is_written_from_the_figures(name, tmp_path):
    import shutil

    from interp.zoo.making.card import write_card

    folder = zoo.path(name)
    for file in ("config.json", "behaviours.json", "heads.json"):
        shutil.copy(folder / file, tmp_path / file)
    assert write_card(tmp_path).read_text(encoding="utf-8") == (folder / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_figures_measured_again_are_those_on_record(name):
    from interp.zoo.making.behaviours import measure
    from interp.zoo.making.train import load

    model, tokenizer = load(zoo.path(name))
    figures = measure(model, tokenizer, bos=name == "demo-gpt2")
    measured = replace(figures, key_prompts=(), facts_top1_by_relation={}).as_dict()
    for key, value in measured.items():
        if isinstance(value, (int, float)):
            assert value == pytest.approx(recorded(name)[key], abs=0.005, rel=0.005), key


def recorded(name: str) -> dict:
    record = json.loads((zoo.path(name) / "behaviours.json").read_text(encoding="utf-8"))
    return record["behaviours"]


REQUIRED = {
    "facts_top1": lambda share: share >= 0.95,
    "names_positive": lambda share: share >= 0.98,
    "names_mean_logit_diff": lambda difference: difference > 3,
    "repeated_first_loss": lambda nats: nats > 5,
    "repeated_second_loss": lambda nats: nats < 1,
    "known_top1": lambda share: share >= 0.95,
    "unknown_top1": lambda share: share >= 0.95,
    "years_top1_later": lambda share: share >= 0.95,
}


@pytest.mark.parametrize("figure", REQUIRED)
@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_figures_are_good_enough(name, figure):
    assert REQUIRED[figure](recorded(name)[figure])


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_prompts_that_must_work(name):
    must = ("The Eiffel Tower is in", "The capital of", "Water is made of")
    prompts = [p for p in recorded(name)["key_prompts"] if p["prompt"].startswith(must)]
    assert len(prompts) >= 4
    assert [p["prompt"] for p in prompts if p["top"] != p["answer"]] == []


def test_a_stopped_training_is_not_taken_up_by_another_recipe(tokenizer):
    from rich.console import Console

    from interp.zoo.making.recipes import RECIPES
    from interp.zoo.making.training import Trainer

    recipe = RECIPES["demo-qwen3"]
    files = {
        Trainer(r, tokenizer, Console()).file
        for r in (recipe, replace(recipe, lr=0.5), replace(recipe, seed=1))
    }
    assert len(files) == 3
    assert Trainer(recipe, tokenizer, Console()).file in files
