"""Patching over datasets: exact against plain passes, approximations against the exact sweep, intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import interp
from conftest import run
from interp import Edit
from interp.errors import DegeneratePairError, InputError, SiteError
from interp.methods.patching.comparison import compare
from interp.models.base import Model
from interp.results import read_result

Load = Callable[..., Model]
MODELS = ["demo-gpt2", "demo-qwen3"]
PAIR = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}
NAMES = {
    "clean": [
        "When John and Mary went to the store, John gave a drink to",
        "When Tom and Anna went to the garden, Tom gave a ring to",
        "Then, James and Lucy went to the park. James gave a ball to",
    ],
    "corrupted": [
        "When John and Mary went to the store, Mary gave a drink to",
        "When Tom and Anna went to the garden, Anna gave a ring to",
        "Then, James and Lucy went to the park. Lucy gave a ball to",
    ],
    "answer": [" Mary", " Anna", " Lucy"],
    "foil": [" John", " Tom", " James"],
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("direction", ["denoising", "noising"])
@pytest.mark.parametrize(
    ("site", "by"),
    [
        ("resid_pre", "position"),
        ("mlp_out", "layer"),
        ("z", "head"),
        ("k", "head"),
        ("v", "position"),
        ("pattern", "head"),
        ("pattern", "position"),
        ("attn_out", "neuron"),
    ],
)
def test_every_cell_is_one_plain_forward_pass(
    load: Load, name: str, direction: str, site: str, by: str
) -> None:
    model = load(name)
    sweeps = [
        interp.activation_patching(model, **PAIR, site=site, by=by, direction=direction, exact=exact)  # type: ignore[arg-type]
        for exact in ("auto", True)
    ]
    assert [sweep.path for sweep in sweeps] == ["branching", "plain"]
    span = abs(float(sweeps[0].clean_values[0] - sweeps[0].corrupted_values[0]))
    np.testing.assert_allclose(
        sweeps[0].recovery.mean * span, sweeps[1].recovery.mean * span, rtol=0, atol=1e-4
    )


def test_a_cell_by_hand(load: Load) -> None:
    """One head, denoising, by the plainest means."""
    model = load("demo-gpt2")
    sweep = interp.activation_patching(model, **PAIR, site="z", by="head")
    z = model.run_with_cache(PAIR["clean"], ["z"])["z", 4][:, :, 2]  # [1, pos, d_head]
    runs = (
        model.forward(PAIR["clean"]),
        model.forward(PAIR["corrupted"]),
        model.forward(PAIR["corrupted"], [Edit.set("z", 4, value=z[:, :, None], heads=2)]),
    )
    ids = [model.to_single_token(PAIR[key]) for key in ("answer", "foil")]
    clean, corrupted, patched = (float(run[0, -1, ids[0]] - run[0, -1, ids[1]]) for run in runs)
    assert sweep.recovery.mean[4, 2] == pytest.approx((patched - corrupted) / (clean - corrupted), abs=1e-4)
    assert sweep.recovery.shape == (model.arch.n_layers, model.arch.n_heads)


@pytest.mark.parametrize("name", MODELS)
def test_over_several_pairs_of_different_lengths(load: Load, name: str) -> None:
    model = load(name)
    together = interp.activation_patching(model, **NAMES, site="z", by="head")
    alone = [
        interp.activation_patching(
            model, **{key: value[i] for key, value in NAMES.items()}, site="z", by="head"
        )
        for i in range(3)
    ]
    values = np.stack([one.values[0] for one in alone])
    np.testing.assert_allclose(together.values, values, atol=1e-9)
    np.testing.assert_allclose(together.recovery.mean, together.recovery.each.mean(0))
    recovery = together.recovery
    assert (recovery.low <= recovery.mean + 1e-12).all()
    assert (recovery.mean <= recovery.high + 1e-12).all()
    assert (recovery.low < recovery.high).any()
    assert np.isnan(alone[0].recovery.low).all()  # one pair says nothing of others
    again = interp.activation_patching(model, **NAMES, site="z", by="head")
    assert again.to_dict() == together.to_dict()
    assert read_result(together.to_dict()).to_dict() == together.to_dict()


@pytest.mark.parametrize(
    "site", ["resid_pre", "z", "q", "v", "pattern", "attn_out", "mlp_act", "mlp_out", "resid_mid"]
)
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_finite_differences(load: Load, name: str, site: str) -> None:
    """One nudge along a random direction: in float64, but Qwen3 computes its norms in float32."""
    model = load(name, dtype="float64")
    diff = interp.Readout.logit_diff(*(model.to_single_token(PAIR[key]) for key in ("answer", "foil")))
    prompt = PAIR["clean"]
    gradient = model.gradients(prompt, [(site, 3)], diff)[0]
    value = model.run_with_cache(prompt, [site])[site, 3]
    nudge = torch.randn(value.shape, generator=torch.Generator().manual_seed(0), dtype=value.dtype)
    if site == "pattern":
        nudge = nudge.tril()
    size = 1e-3 * value.abs().mean()
    up, down = (
        diff(model.forward(prompt, [Edit.set(site, 3, value=value + s * size * nudge)])) for s in (1, -1)
    )
    assert float((gradient * nudge).sum()) == pytest.approx(
        float((up - down) / (2 * size)), rel=5e-2, abs=1e-4
    )


@pytest.mark.parametrize("name", MODELS)
def test_an_estimate_is_exact_where_the_metric_is_linear(load: Load, name: str) -> None:
    """What is added to the last residual stream, with the final norm's scale nearly as it was."""
    model = load(name)
    exact = interp.activation_patching(model, **PAIR, site="resid_pre")
    estimates = {
        method: interp.activation_patching(model, **PAIR, site="resid_pre", method=method, steps=16)  # type: ignore[arg-type]
        for method in ("attribution", "integrated")
    }
    found = {method: compare(estimate, exact) for method, estimate in estimates.items()}
    assert estimates["attribution"].path == "gradients"
    assert estimates["integrated"].steps == 16
    assert found["integrated"].rank_correlation > 0.5
    before = [PAIR["clean"], PAIR["corrupted"]]
    assert [model.forward(text).requires_grad for text in before] == [False, False]
    layer, column = found["attribution"].worst_cell
    worst = abs(estimates["attribution"].recovery.mean - exact.recovery.mean)
    assert worst[layer, column] == worst.max() == found["attribution"].worst_difference
    assert compare(exact, exact).rank_correlation == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"site": "embed"}, InputError, "belongs to no layer"),
        ({"site": "resid_prr"}, SiteError, "did you mean 'resid_pre'"),
        ({"by": "token"}, InputError, "grouping"),
        ({"by": "head"}, InputError, "has no heads"),
        ({"site": "z", "by": "neuron"}, InputError, "without heads"),
        ({"method": "guess"}, InputError, "Unknown method"),
        ({"steps": 0}, InputError, "at least 1"),
        ({"foil": None, "metric": "logit_diff"}, InputError, "needs a foil"),
        ({"foil": " Paris"}, InputError, "same token"),
        ({"corrupted": "The capital of the town is"}, InputError, "same number"),
        ({"corrupted": PAIR["clean"]}, InputError, "are the same"),
        ({"answer": [" Paris", " Rome"]}, InputError, "one for each"),
        ({"clean": [PAIR["clean"]] * 2}, InputError, "2 clean prompts and 1 corrupted"),
        (
            {"clean": NAMES["clean"], "corrupted": NAMES["corrupted"]},
            InputError,
            "different numbers of tokens",
        ),
        ({"answer": " tadpole", "foil": None}, DegeneratePairError, "hardly differ"),
    ],
)
def test_refusals(load: Load, change: dict, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        interp.activation_patching(load("demo-gpt2"), **{**PAIR, **change})


def test_over_a_task_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "task=indirect_objects", "--set", "n=4", "--set", "site=z", "--set", "by=head"]
    assert run("run", "activation_patching", *options, "--tag", "ioi", "--out", tmp_path) == 0
    record = json.loads((tmp_path / "activation_patching" / "ioi" / "result.json").read_text())
    assert record["result"]["recovery"]["each"]["shape"][0] == 4
    assert record["config"]["clean"] is None
    resolved = tmp_path / "activation_patching" / "ioi" / "config.yaml"
    assert run("run", "activation_patching", "--config", resolved, "--tag", "again", "--out", tmp_path) == 0
    again = json.loads((tmp_path / "activation_patching" / "again" / "result.json").read_text())
    assert again["result"] == record["result"]
    assert run("run", "activation_patching", *options, "--set", "clean=Hello there", "--out", tmp_path) == 2
    assert "both a task and clean" in capsys.readouterr().err
