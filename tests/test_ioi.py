"""The analysis of indirect objects finds planted heads, and what it says of the demo models is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

import interp
from compiled import indirect_object_model
from interp.errors import InputError, SiteError
from interp.figures.views.ioi import view
from interp.methods.common.heads import head_name
from interp.methods.studies.head_classes import CLASSES
from interp.models.base import Model
from interp.results import read_result
from interp.tasks.base import PairDataset
from test_heads import as_dataset

Load = Callable[..., Model]


def planted_dataset(family: str) -> tuple[Model, PairDataset, dict[str, tuple[int, int]]]:
    planted = indirect_object_model(family)
    pairs = [
        dataclasses.replace(pair, positions={**pair.positions, "S1+1": (pair.positions["S1"][0] + 1,)})
        for pair in as_dataset(planted, 24)
    ]
    model = interp.load_model(planted.hf_model, device="cpu")
    return model, PairDataset(name="planted", pairs=tuple(pairs)), planted.heads


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_every_planted_head_is_in_its_class(family: str) -> None:
    """Recall and precision 1: the movers, the S-inhibition head and the duplicate-token head, and no other.

    The planted S-inhibition head finds S2 by its place, so what it reads there comes from the duplicate-token
    head, and there is no induction.
    """
    model, dataset, heads = planted_dataset(family)
    found = interp.ioi(model, dataset, n_random=2)
    expected = {
        "name mover": "name_mover",
        "negative name mover": "negative_mover",
        "S-inhibition": "s_inhibition",
        "duplicate token": "duplicate_token",
    }
    for name in CLASSES:
        wanted = (head_name(heads[expected[name]]),) if name in expected else ()
        assert found.heads(name) == wanted, name
    np.testing.assert_allclose([one.faithfulness.value for one in found.circuits], 1, atol=0.01)
    assert set(found.circuits[0].heads) == set(found.circuits[1].heads)
    before, after = found.baseline.logit_diff.mean(), {one.name: one.after for one in found.ablations}
    # the arithmetic of the planted circuit: names at 1 / 0 from the mover, -1/4 / 0 from the negative one
    assert after["name mover"] == pytest.approx(-before / 3, rel=0.03)
    assert after["negative name mover"] == pytest.approx(4 * before / 3, rel=0.03)
    assert found.pairs.said == found.pairs.answers
    assert "clean run" not in " ".join(view(found).above)
    lost = dataclasses.replace(found.baseline, logit_diff=-found.baseline.logit_diff)
    first = view(dataclasses.replace(found, baseline=lost)).above[0]
    assert first == "In 24 of 24 pairs the clean run does not put the answer above the foil."


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_on_the_demo_models(load: Load, name: str) -> None:
    """They lack most of the paper's classes; all heads that act are nearly the whole of it."""
    model = load(name)
    options = {"templates": "held_out", "n": 16, "n_random": 3}
    found = interp.ioi(model, **options)  # type: ignore[arg-type]
    assert (found.baseline.logit_diff > 0).all()
    assert all(swap.logit_diff > 0 for swap in found.baseline.swaps)
    assert not found.heads("S-inhibition")
    every = found.circuits[-1]
    assert 0.75 < every.faithfulness.value < 1.2
    assert every.faithfulness.value > every.random.max()
    for one in found.maps.values():
        assert (one.low <= one.value + 1e-12).all()
        assert (one.value <= one.high + 1e-12).all()
    for lost in found.ablations:
        change = lost.after - found.baseline.logit_diff.mean()
        assert change == pytest.approx(float(lost.change.value), abs=1e-4)
    again = read_result(found.to_dict())
    assert isinstance(again, type(found))
    assert again.to_dict() == found.to_dict()
    with pytest.raises(InputError, match="holds no map"):
        found.map("nothing")


def test_what_it_cannot_do_is_said(load: Load) -> None:
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="between 0 and 1"):
        interp.ioi(model, least=2)
    with pytest.raises(InputError, match="template"):
        interp.ioi(model, n=30)  # one prompt of each template and order: no mean over a template
    with pytest.raises(SiteError, match="transformers"):
        interp.ioi(load("demo-gpt2", "nnsight"))
