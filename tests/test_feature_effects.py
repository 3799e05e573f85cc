"""Effects of features: exact ones against single runs, and estimates where they must be exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compiled import linear_model
from interp import feature_edit, feature_effects, load_model, make_dataset, resuming
from interp.errors import InputError
from interp.figures.views.feature_effects import view
from interp.methods.features import cell_effects as module
from interp.results import read_result
from interp.saes.activations import Standard, TopK
from interp.saes.dictionary import flat
from interp.tasks.base import Pair, PairDataset
from planting import FAMILIES
from test_saes import make

PROMPT = "The capital of France is"
ASKED = {"answer": " Paris", "foil": " Tokyo"}


@pytest.mark.parametrize(("name", "site"), [("demo-gpt2", "resid_post"), ("demo-qwen3", "z")])
def test_every_cell_is_a_run_of_its_own(load, name, site):
    """All active features at all positions, and no others."""
    model = load(name)
    sae = make(model, site, 2, activation=TopK(4))
    found = feature_effects(model, sae, PROMPT, **ASKED, steps=1)
    x = flat(site, model.run_with_cache(PROMPT, [sae.address])[sae.address])[0]
    features = sae.encode(x)
    active = {(p, f) for p, f in features.nonzero().tolist() if p > 0}
    assert set(zip(found.entries.place.tolist(), found.entries.feature.tolist(), strict=True)) == active
    a, b = (model.to_single_token(ASKED[w]) for w in ("answer", "foil"))

    def diff(edits=()):
        last = model.forward(PROMPT, edits)[0, -1]
        return (last[a] - last[b]).item()

    before = diff()
    assert found.before == pytest.approx([before], abs=1e-4)
    for place, feature, activation, effect in zip(
        found.entries.place.tolist(),
        found.entries.feature.tolist(),
        found.entries.activation,
        found.entries.exact,
        strict=True,
    ):
        alone = diff([feature_edit(sae, "ablate", feature, positions=place)])
        assert effect == pytest.approx(alone - before, abs=2e-4)
        assert activation == pytest.approx(features[place, feature].item(), rel=1e-4)
    assert np.abs(found.entries.exact).max() > 0.01
    best, exact = found.strongest(1)[0], found.entries.exact
    assert found.cells.exact.value[best] == pytest.approx(exact[np.abs(exact).argmax()])
    assert read_result(found.to_dict()).to_dict() == found.to_dict()


@pytest.mark.parametrize("change", ["ablate", "noising", "denoising"])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_the_linear_model_estimates_are_exact_and_add_up(family, change):
    planted = linear_model(family)
    model = load_model(planted.hf_model, device="cpu")
    draw = torch.Generator().manual_seed(0)
    directions = torch.randn(20, 12, generator=draw)
    directions = (directions - directions.mean(1, keepdim=True)) @ model.W_E  # differences of embeddings
    sae = make(model, "resid_post", 0, n=20, W_dec=directions, activation=Standard())
    pair = planted.pairs(1)[0]
    asked = {} if change == "ablate" else {"corrupted": pair.corrupted}
    found = feature_effects(
        model, sae, pair.clean, answer=pair.answer, foil=pair.foil, change=change, steps=2, **asked
    )
    size = np.abs(found.entries.exact).max()
    assert size > 1e-3
    np.testing.assert_allclose(found.entries.attribution, found.entries.exact, atol=2e-4 * size)
    np.testing.assert_allclose(found.entries.integrated, found.entries.exact, atol=2e-4 * size)
    assert min(one.pearson for one in found.agreement) > 0.9999
    base, donor = (pair.corrupted, pair.clean) if change == "denoising" else (pair.clean, pair.corrupted)
    values = [sae.encode(model.run_with_cache(ids, [sae.address])[sae.address]) for ids in (base, donor)]
    value = values[1][:, 1:] if change != "ablate" else 0.0
    together = feature_edit(sae, "set", range(20), value=value, positions=range(1, 6))
    whole, plain = (pair.readout(model.forward(base, edits)).item() for edits in ([together], []))
    assert found.entries.exact.sum() == pytest.approx(whole - plain, rel=1e-3)
    assert found.before == pytest.approx([plain], rel=1e-4)


def test_integrated_estimates_add_up_to_the_whole_where_the_model_is_not_linear(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 4, activation=TopK(4))
    found = feature_effects(model, sae, PROMPT, **ASKED, steps=32)
    everything = feature_edit(sae, "ablate", range(sae.n_features), positions=range(1, 6))
    a, b = (model.to_single_token(ASKED[w]) for w in ("answer", "foil"))
    last = model.forward(PROMPT, [everything])[0, -1]
    whole = (last[a] - last[b]).item() - found.before[0]
    assert found.entries.integrated.sum() == pytest.approx(whole, rel=0.02)


def test_over_a_dataset_places_are_roles_and_what_does_not_change_counts_as_0(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2, activation=TopK(3))
    dataset = make_dataset("facts", model, n=4, seed=1)
    found = feature_effects(model, sae, dataset, roles=["subject", "END"], steps=1)
    assert found.places == ("subject", "END")
    assert len(found.before) == 4
    cells = found.cells
    for cell in range(len(cells)):
        place, feature = cells.place[cell], cells.feature[cell]
        mine = (found.entries.place == place) & (found.entries.feature == feature)
        assert cells.exact.value[cell] == pytest.approx(found.entries.exact[mine].sum() / 4)
        assert cells.share[cell] == mine.sum() / 4
        assert cells.exact.low[cell] <= cells.exact.value[cell] <= cells.exact.high[cell]
    assert view(found).below[-1].startswith("Intervals: 95 %")
    assert "Intervals" not in view(feature_effects(model, sae, PROMPT, **ASKED, steps=1)).below[-1]
    long = next(i for i, where in enumerate(dataset.positions("subject")) if len(where) > 1)
    entry = np.flatnonzero((found.entries.prompt == long) & (found.entries.place == 0))[0]
    pair = dataset[long]
    edit = feature_edit(sae, "ablate", int(found.entries.feature[entry]), positions=pair.positions["subject"])
    diffs = [model.forward(pair.clean, edits)[0, -1] for edits in ([edit], [])]
    after, before = ((x[pair.answer] - x[pair.foil]).item() for x in diffs)
    assert found.entries.exact[entry] == pytest.approx(after - before, abs=2e-4), (
        "all positions of a role together"
    )


def test_it_goes_on_from_where_it_was_stopped(load, tmp_path, monkeypatch):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2, activation=TopK(3))
    dataset = make_dataset("facts", model, n=3)
    asked = {"roles": ["END"], "steps": 1}
    whole = feature_effects(model, sae, dataset, **asked)
    real, begun = module._estimates, []

    def stopped_after(n):
        def estimates(*arguments):
            begun.append(1)
            if len(begun) > n:
                raise KeyboardInterrupt
            return real(*arguments)

        begun.clear()
        monkeypatch.setattr(module, "_estimates", estimates)

    with resuming(tmp_path):
        stopped_after(2)
        with pytest.raises(KeyboardInterrupt):
            feature_effects(model, sae, dataset, **asked)
        stopped_after(9)
        again = feature_effects(model, sae, dataset, **asked)
        assert len(begun) == 1, "two of three prompts were there"
        assert again.to_dict() == whole.to_dict()
        other = make(model, "resid_post", 2, activation=TopK(3), seed=1)
        feature_effects(model, other, dataset, **asked)
        assert len(begun) == 4, "another dictionary is another question"


def test_what_cannot_be_asked_is_refused(load):
    model = load("demo-gpt2")
    sae = make(model, "resid_post", 2)
    dataset = make_dataset("facts", model, n=2)
    for data, asked, said in (
        (PROMPT, {}, "needs its answer"),
        (PROMPT, {**ASKED, "change": "ablat"}, "did you mean 'ablate'"),
        (PROMPT, {**ASKED, "change": "noising"}, "needs a corrupted prompt"),
        (PROMPT, {**ASKED, "corrupted": "The capital of Japan is"}, "takes no corrupted prompt"),
        (PROMPT, {**ASKED, "change": "noising", "corrupted": "Oh"}, "tokens"),
        (PROMPT, {**ASKED, "roles": ["END"]}, "Roles are those of a dataset"),
        (PROMPT, {**ASKED, "metric": "logit"}, "metric"),
        (PROMPT, {**ASKED, "steps": 0}, "at least 1"),
        (dataset, {"answer": " Paris"}, "its own answers"),
        (dataset, {"roles": ["S1"]}, "S1"),
    ):
        with pytest.raises(InputError, match=said):
            feature_effects(model, sae, data, **asked)
    pair = Pair(clean=(1, 2), corrupted=(1, 3), answer=4, foil=5)
    with pytest.raises(InputError, match="no roles in common"):
        feature_effects(model, sae, PairDataset(name="own", pairs=(pair,)))
    with pytest.raises(InputError, match="another unembedding"):
        feature_effects(load("demo-qwen3"), sae, PROMPT, **ASKED)
    silent = make(model, "resid_post", 2, b_enc=torch.full((40,), -1e6), activation=Standard())
    with pytest.raises(InputError, match="No feature"):
        feature_effects(model, silent, PROMPT, **ASKED)
