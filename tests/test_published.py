"""Published figures, where the weights are in the local cache; elsewhere they say that they were skipped.

They need no network and never ask for one: a model that is not cached is skipped.
"""

from __future__ import annotations

import pytest

import interp
from interp.models.names import KNOWN, is_local

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def gpt2(real: tuple[str, str] | None) -> interp.Model:
    return _model("gpt2", real)


@pytest.fixture(scope="module")
def qwen3(real: tuple[str, str] | None) -> interp.Model:
    return _model("qwen3-0.6b", real)


def _model(name: str, real: tuple[str, str] | None) -> interp.Model:
    if real is not None and real[0] == name:
        return interp.load_model(real[1])
    if real is not None:
        pytest.skip(f"{real[0]} was asked for, and these are figures of {name}")
    if not is_local(KNOWN[name]):
        pytest.skip(f"the weights of {name} ({KNOWN[name].source}) are not in the local cache")
    return interp.load_model(name)


def test_gpt2_water(gpt2):
    """An earlier logit-lens project: about 0.48 in the end, near zero through layer 6, crossover at 10."""
    lens = interp.logit_lens(gpt2, "Water is made of hydrogen and", " oxygen")
    assert lens.answer_prob[-1] == pytest.approx(0.48, abs=0.05)
    assert lens.answer_prob[:7].max() < 0.05
    assert lens.crossover_layer in (9, 10)
    assert lens.top_tokens[-1] == (" oxygen", " helium", " carbon", " methane", " is")


def test_qwen3_water(qwen3):
    lens = interp.logit_lens(qwen3, "Water is made of hydrogen and", " oxygen")
    assert lens.answer_prob[-1] == pytest.approx(0.99, abs=0.02)
    assert lens.crossover_layer in (21, 22)


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_capitals(name, request):
    """Recovery about 1 at the subject in early and middle layers, then at the last token."""
    model = request.getfixturevalue(name)
    pair = {"clean": "The capital of France is", "corrupted": "The capital of Japan is"}
    trace = interp.causal_tracing(model, **pair, answer=" Paris", foil=" Tokyo")
    subject = trace.clean_tokens.index(" France")
    assert trace.recovery[: model.arch.n_layers // 3, subject].min() > 0.8
    assert trace.recovery[-1, -1] > 0.8
    assert abs(trace.recovery[-1, subject]) < 0.2


def _logit_diff(model: interp.Model, prompt: str, answer: str, foil: str) -> float:
    logits = model.forward(prompt)[0, -1]
    return float(logits[model.to_single_token(answer)] - logits[model.to_single_token(foil)])


def test_gpt2_indirect_object(gpt2):
    """An IOI notebook project, TransformerLens with BOS: +3.17 on the prompt, and its role swaps."""
    prompt = "When {} and {} went to the store, {} gave a drink to"
    assert _logit_diff(gpt2, prompt.format("John", "Mary", "John"), " Mary", " John") == pytest.approx(
        3.17, abs=0.05
    )
    # the swapped prompts are not quoted in full, so only their sign is held
    for subject, other in (("Mary", "John"), ("Bob", "Alice"), ("Alice", "Bob")):
        assert _logit_diff(gpt2, prompt.format(subject, other, subject), f" {other}", f" {subject}") > 0


def test_gpt2_hello_world(gpt2):
    """TransformerLens's own test-suite: the loss of "Hello world!" with BOS is 5.331856."""
    tokens = gpt2.to_tokens("Hello world!")
    log_probs = gpt2.forward(tokens)[0, :-1].log_softmax(-1)
    loss = -log_probs.gather(1, tokens.ids[0, 1:, None].to(log_probs.device)).mean()
    assert float(loss) == pytest.approx(5.331856, abs=1e-4)
