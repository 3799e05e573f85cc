"""Parts that sum to the logit, in every family and on every backend; and what the parts are."""

from __future__ import annotations

import json
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

import interp
from conftest import needs_backend, run
from families import FAMILIES, family_model
from interp.errors import DecompositionError, InputError, SiteError
from interp.methods.attribution import logit_parts as module
from interp.methods.attribution.frozen_readout import frozen_readout
from interp.methods.attribution.results import DirectLogitAttributionResult
from interp.results import read_result

BACKENDS = [
    pytest.param("transformer_lens", marks=pytest.mark.tl),
    pytest.param("nnsight", marks=pytest.mark.nnsight),
]
DEMOS = ("demo-gpt2", "demo-qwen3")
IDS, ANSWER, FOIL = [5, 17, 80, 3, 99, 42, 7], 12, 200
STORY = "When John and Mary went to the store, John gave a drink to"
POSITIONS = {"gpt2", "gpt_neo", "opt"}  # those that add an embedding of the position


def exact_norms(hf: PreTrainedModel) -> PreTrainedModel:
    """The model in float64, its RMS norms too: transformers computes them in float32 in any case."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        eps = self.variance_epsilon if hasattr(self, "variance_epsilon") else self.eps
        weight = self.weight + 1 if type(self).__name__.startswith("Gemma") else self.weight
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight

    hf = hf.double()
    for part in hf.modules():
        if "RMSNorm" in type(part).__name__:
            part.forward = MethodType(forward, part)
    return hf


def sums(result: DirectLogitAttributionResult) -> list[tuple[Any, Any]]:
    """Every sum of parts, and what it must be."""
    pairs: list[tuple[Any, Any]] = [
        (result.by_component.mean.sum(), result.logits.mean()),
        (result.accumulated.value[-1], result.logits.mean()),
        (np.diff(result.accumulated.value), result.by_layer("attn") + result.by_layer("mlp")),
    ]
    if result.by_head is not None:
        pairs.append((result.by_head.mean.sum(-1) + result.attn_bias, result.by_layer("attn")))
    if result.by_source is not None:
        pairs.append((result.by_source.sum(-1), result.by_head.mean))
    if result.by_neuron is not None:
        largest = result.by_neuron
        mlps = largest.others + largest.bias
        np.add.at(mlps, [layer for layer, _ in largest.neurons], largest.parts.value)
        pairs.append((mlps, result.by_layer("mlp")))
    return pairs


def means(result: DirectLogitAttributionResult) -> dict[str, np.ndarray | None]:
    """Every mean over prompts, by name."""
    neurons = result.by_neuron
    return {
        "by_component": result.by_component.mean,
        "accumulated": result.accumulated.value,
        "by_head": None if result.by_head is None else result.by_head.mean,
        "attn_bias": result.attn_bias,
        "by_source": result.by_source,
        "by_neuron": None if neurons is None else neurons.parts.value,
        "mlp_bias": None if neurons is None else neurons.bias,
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_the_parts_sum_to_the_logit_in_every_family(name: str) -> None:
    model = interp.load_model(exact_norms(family_model(name)), dtype="float64", device="cpu")
    for foil, position in ((FOIL, -1), (None, 2)):
        result = interp.direct_logit_attribution(model, IDS, ANSWER, foil, position=position)
        for parts, whole in sums(result):
            np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-9)
        logits = model.forward(IDS)[0, position]
        wanted = logits[ANSWER] if foil is None else logits[ANSWER] - logits[foil]
        if result.soft_cap is None:
            assert result.logits[0] == pytest.approx(float(wanted), abs=1e-12)
        elif foil is None:  # what is decomposed is before the cap
            capped = result.soft_cap * np.tanh(result.logits[0] / result.soft_cap)
            assert capped == pytest.approx(float(wanted), abs=1e-12)
            assert abs(capped - result.logits[0]) > 1e-6
        assert ("pos_embed" in result.components) == (FAMILIES[name][0] in POSITIONS)
        assert result.by_head is not None
        assert (result.by_neuron is None) == (model.arch.d_mlp is None)


@pytest.mark.parametrize("name", DEMOS)
def test_the_parts_of_the_demo_models_sum_in_float32(load, name: str) -> None:
    model = load(name)
    for prompt, answer, foil in ((STORY, " Mary", " John"), ("The capital of France is", " Paris", None)):
        result = interp.direct_logit_attribution(model, prompt, answer, foil)
        for parts, whole in sums(result):
            np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-4)
        assert result.left_out == ()


def test_the_direction_is_the_unembedding_behind_the_norm() -> None:
    """By the formula of LayerNorm, written out."""
    hf = family_model("gpt2").double()
    model = interp.load_model(hf, dtype="float64", device="cpu")
    cache = model.run_with_cache(IDS, ["resid_post", "mlp_out"])
    stream = cache["resid_post", 2][0, -1]
    norm, rows = hf.transformer.ln_f, hf.lm_head.weight.detach()
    scale = (stream.var(unbiased=False) + norm.eps).sqrt()
    towards = (rows[ANSWER] - rows[FOIL]) * norm.weight.detach()
    direction = (towards - towards.mean()) / scale
    readout = frozen_readout(model, stream, cache.logits[0, -1], ANSWER, FOIL)
    torch.testing.assert_close(readout.direction, direction)
    assert readout.constant == pytest.approx(float((rows[ANSWER] - rows[FOIL]) @ norm.bias.detach()))
    result = interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)
    part = result.by_component.mean[result.components.index("L1 mlp")]
    assert part == pytest.approx(float(cache["mlp_out", 1][0, -1] @ direction))


def test_a_neuron_writes_its_activation_times_its_row() -> None:
    model = interp.load_model(family_model("llama").double(), dtype="float64", device="cpu")
    result = interp.direct_logit_attribution(model, IDS, ANSWER, FOIL, k=3)
    cache = model.run_with_cache(IDS, ["resid_post", "mlp_act"])
    readout = frozen_readout(model, cache["resid_post", 2][0, -1], cache.logits[0, -1], ANSWER, FOIL)
    parts = torch.stack(
        [cache["mlp_act", n][0, -1] * (model.W_out(n) @ readout.direction) for n in range(3)]
    ).numpy()
    assert result.by_neuron is not None
    values = result.by_neuron.parts.value
    assert len(values) == 3
    for (layer, neuron), value in zip(result.by_neuron.neurons, values, strict=True):
        assert value == pytest.approx(parts[layer, neuron])
    assert np.sort(np.abs(parts).ravel())[-3:] == pytest.approx(np.abs(values)[::-1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DEMOS)
def test_the_backends_agree(load, name: str, backend: str) -> None:
    ours, theirs = (
        interp.direct_logit_attribution(load(name, b), STORY, " Mary", " John")
        for b in (backend, "transformers")
    )
    assert ours.components == theirs.components
    for field, mean in means(ours).items():
        if mean is not None:
            np.testing.assert_allclose(mean, means(theirs)[field], atol=1e-4)
    assert {one.what for one in ours.left_out} == ({"source"} if backend == "nnsight" else set())


@pytest.mark.tl
@pytest.mark.parametrize("name", DEMOS)
def test_folded_weights_have_parts_that_sum_to_the_same(load, name: str) -> None:
    """Folding moves biases and means about; the logit difference stays, and so does the sum of its parts."""
    folded = load(name, "transformer_lens", processing="folded")
    ours, theirs = (
        interp.direct_logit_attribution(model, STORY, " Mary", " John") for model in (folded, load(name))
    )
    np.testing.assert_allclose(ours.by_component.mean.sum(), theirs.by_component.mean.sum(), atol=1e-3)
    for parts, whole in sums(ours):
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-3)


@pytest.mark.nnsight
def test_a_backend_that_lacks_the_pattern_names_one_that_has_it() -> None:
    needs_backend("nnsight")
    model = interp.load_model(family_model("gpt2"), backend="nnsight", device="cpu")
    with pytest.raises(SiteError, match="backend='transformers'"):
        interp.direct_logit_attribution(model, IDS, ANSWER, FOIL, views=["source"])


def test_several_prompts_are_averaged(load) -> None:
    model = load("demo-gpt2")
    prompts = ["The capital of France is", "The capital of Japan is", "The capital of Italy is"]
    answers = [" Paris", " Tokyo", " Rome"]
    together = interp.direct_logit_attribution(model, prompts, answers, " London", seed=4)
    alone = [
        interp.direct_logit_attribution(model, p, a, " London") for p, a in zip(prompts, answers, strict=True)
    ]
    for field in ("by_component", "accumulated", "by_head", "by_source", "attn_bias", "mlp_bias"):
        np.testing.assert_allclose(
            means(together)[field], np.mean([means(one)[field] for one in alone], 0), atol=1e-9
        )
    each = [one.by_component.mean for one in alone]
    np.testing.assert_allclose(together.by_component.each, each, atol=1e-9)
    for parts, whole in sums(together):
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-4)
    heads = together.by_head
    assert (heads.low <= heads.mean).all()
    assert (heads.mean <= heads.high).all()
    assert (heads.low < heads.high).any()
    again = interp.direct_logit_attribution(model, prompts, answers, " London", seed=4)
    np.testing.assert_array_equal(heads.low, again.by_head.low)
    uneven = interp.direct_logit_attribution(model, [prompts[0], STORY], [" Paris", " Mary"], " London")
    assert uneven.by_source is None
    assert "numbers of tokens" in {one.what: one.why for one in uneven.left_out}["source"]


def test_one_token_of_a_model_with_positions(load) -> None:
    """A prompt too short to tell the two embeddings apart by itself."""
    result = interp.direct_logit_attribution(load("tiny-gpt2"), [7], ANSWER, FOIL)
    assert result.components[:2] == ("embed", "pos_embed")


def test_what_is_off_is_said(load, monkeypatch) -> None:
    model = load("tiny-llama")
    with monkeypatch.context() as patched:
        patched.setattr(module, "embeddings", lambda model, tokens, cache, at: {"embed": torch.zeros(32)})
        with pytest.raises(DecompositionError, match="leave the residual stream at the embedding"):
            interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)
    with monkeypatch.context() as patched:
        patched.setattr(type(model), "W_out", lambda self, layer: torch.ones(48, 32))
        with pytest.raises(DecompositionError, match="neurons of layer 0"):
            interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)
    with monkeypatch.context() as patched:
        own = type(model)._unembed

        def off(self, resid, columns=None):
            return own(self, resid, columns) + resid.sin().sum(-1, True)

        patched.setattr(type(model), "_unembed", off)
        with pytest.raises(DecompositionError, match="frozen"):
            interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)


def test_half_precision_is_refused_rather_than_wrong() -> None:
    model = interp.load_model(family_model("llama").bfloat16(), dtype="bfloat16", device="cpu")
    with pytest.raises(DecompositionError, match="float32"):
        interp.direct_logit_attribution(model, IDS, ANSWER, FOIL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"foil": ANSWER}, "same token"),
        ({"position": 7}, "out of range"),
        ({"position": -8}, "out of range"),
        ({"views": ["heads"]}, "did you mean 'head'"),
        ({"k": 0}, "at least 1"),
        ({"answer": [1, 2]}, "1 prompts and 2 answers"),
    ],
)
def test_bad_questions(load, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        interp.direct_logit_attribution(load("tiny-llama"), IDS, **{"answer": ANSWER, **arguments})


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_a_result_survives_json(load, name: str) -> None:
    views: tuple[Any, ...] = ("all", [])
    for view in views:
        result = interp.direct_logit_attribution(load(name), IDS, ANSWER, FOIL, views=view)
        again = read_result(json.loads(json.dumps(result.to_dict())))
        assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())
        assert again.equals(result)
        if view == "all":
            assert again.by_neuron.neurons == result.by_neuron.neurons


@pytest.mark.parametrize("name", DEMOS)
def test_the_command_line(tmp_path, name: str, capsys) -> None:
    assert (
        run("run", "direct_logit_attribution", "--set", f"model={name}", "--tag", "x", "--out", tmp_path) == 0
    )
    assert "The largest heads" in capsys.readouterr().out
    folder = tmp_path / "direct_logit_attribution" / "x"
    assert (folder / "direct_logit_attribution.png").stat().st_size > 10_000
    assert "Parts by head" in (folder / "report.html").read_text(encoding="utf-8")
    prompts = '["The capital of France is", "The capital of Japan is"]'
    several = (f"prompt={prompts}", 'answer=[" Paris", " Tokyo"]', "foil= London", 'views=["neuron"]')
    assert run("run", "direct_logit_attribution", "--set", *several, "--tag", "y", "--out", tmp_path) == 0
