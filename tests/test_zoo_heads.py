"""What the cards say of the demo models' heads: held to the record, and measured again."""

from __future__ import annotations

import json
import shutil

import pytest

from interp import zoo
from interp.zoo.making.card import write_card


def recorded(name: str) -> dict:
    return json.loads((zoo.path(name) / "heads.json").read_text(encoding="utf-8"))


def same(measured, record, where: str = "") -> None:
    """Figures to 0.02, or 1 % of large ones; names, and which heads are named, exactly."""
    if isinstance(record, dict):
        assert list(measured) == list(record), where
        for key, value in record.items():
            same(measured[key], value, f"{where}/{key}")
    elif isinstance(record, float):
        assert measured == pytest.approx(record, abs=0.02, rel=0.01), where
    elif isinstance(record, list) and record and isinstance(record[0], float):
        assert measured == pytest.approx(record, abs=0.02), where
    else:
        assert measured == record, where


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_heads_measured_again_are_those_on_record(name, load):
    from interp.zoo.making.heads import measure

    same(measure(load(name)), recorded(name))


def test_demo_gpt2_copies_by_heads_that_look_two_places_after_the_earlier_occurrence():
    record = recorded("demo-gpt2")
    assert next(iter(record["looks"]["previous_token"])) == "0.5"
    assert record["looks"]["induction"] == {}
    assert {f"1.{head}" for head in range(6)} <= set(record["looks"]["two_after"])
    assert record["copying"]["without_all"]["two_after"] < 0 < record["copying"]["logit_diff"]


def test_demo_gpt2_misses_the_21st_token():
    missed = recorded("demo-gpt2")["missed"]
    assert missed["20"] == {}
    assert list(missed["25"]) == ["21"]
    assert missed["25"]["21"] > 7
    assert "token 21" in (zoo.path("demo-gpt2") / "README.md").read_text(encoding="utf-8")


def test_demo_qwen3_copies_by_induction():
    record = recorded("demo-qwen3")
    assert set(record["looks"]["induction"]) == {"2.3", "2.4", "2.5"}
    assert not any(record["missed"].values())


def test_demo_qwen3_suppresses_the_subject():
    """Its strongest direct heads look at S2, and write against the name that they see."""
    heads = recorded("demo-qwen3")["indirect_objects"]["heads"]
    for name in ("4.1", "4.2"):
        assert heads[name]["direct"] < -1
        assert heads[name]["END to S2"] > 0.9
        assert heads[name]["negative copying"] > 0.5 > heads[name]["copying"]


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_card_names_the_heads_of_the_record(name):
    card = (zoo.path(name) / "README.md").read_text(encoding="utf-8")
    for head in recorded(name)["indirect_objects"]["heads"]:
        assert f"| {head} |" in card


def test_a_card_without_a_measurement_says_so(tmp_path):
    for file in ("config.json", "behaviours.json"):
        shutil.copy(zoo.path("demo-gpt2") / file, tmp_path / file)
    assert "Not measured yet" in write_card(tmp_path).read_text(encoding="utf-8")
