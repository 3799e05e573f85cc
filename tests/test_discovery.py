"""The benchmark of discovery: planted edges are found in noise, and AUROC is what it says."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import interp

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def discovery(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("discovery")


def test_auroc_is_the_chance_that_a_planted_one_scores_higher(discovery: Any) -> None:
    scores = {"a": -3.0, "b": 1.0, "c": 2.0, "d": 0.0, "e": 1.0}
    assert discovery.auroc(scores, {"a"}) == 1
    assert discovery.auroc(scores, {"d"}) == 0
    assert discovery.auroc(scores, {"a", "b"}) == pytest.approx((3 + 1.5) / 6)  # b: over d, half over e
    with pytest.raises(SystemExit, match="No score for f"):
        discovery.auroc(scores, {"f"})


@pytest.mark.parametrize("name", ["copy-previous", "self-repair"])
def test_edges_are_found_in_noise_and_noise_does_something(discovery: Any, name: str) -> None:
    planted = discovery.CIRCUITS[name]()
    discovery.add_noise(planted, 0.05, seed=0)
    model = interp.load_model(planted.hf_model, device="cpu")
    pairs = discovery.dataset(planted, 2)
    assert discovery.answers(model, pairs)
    truth = {f"{sender}->{receiver}" for sender, receiver in planted.edges}
    for method in ("exact edges", "EAP"):
        scores = discovery.EDGES[method](model, pairs)
        assert discovery.auroc(scores, truth) > 0.99
        others = [abs(score) for edge, score in scores.items() if edge not in truth]
        assert sum(score > 1e-4 for score in others) > len(others) / 2
