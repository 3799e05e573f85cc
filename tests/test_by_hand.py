"""A model small enough to compute by hand, taken through every method.

Vocabulary and width are 4: tokens a, b, c, d are the axes, each embedded as twice its axis, so that the
RMS norm of an embedding is 1 and the norm leaves it alone. Two layers:

- layer 0: attention is uniform over the past (queries and keys are zero), values are what it reads, and
  the output projection sends a to 6 c and b to 2 d; everything else to nothing. No MLP.
- layer 1: no attention. One MLP neuron: gate = c, up = b, and it writes 5 a.

Clean prompt [a, b]. At the last position layer 0 reads the mean of 2 a and 2 b, that is a + b, and adds
6 c + 2 d: the stream is 2 b + 6 c + 2 d, of RMS sqrt((4 + 36 + 4) / 4) = sqrt(11). The neuron reads
c = 6 / sqrt(11) and b = 2 / sqrt(11). Corrupted prompt [c, b]: layer 0 adds 2 d only.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import interp
from interp import Edit

A, B, C, D = range(4)
ROOT = math.sqrt(11)


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


NEURON = silu(6 / ROOT) * 2 / ROOT  # the activation of the one MLP neuron, clean
STREAM = [5 * NEURON, 2.0, 6.0, 2.0]  # the final residual stream at the last position, clean


def rms_normed(x: list[float]) -> list[float]:
    return [v / math.sqrt(sum(w * w for w in x) / 4) for v in x]


def softmax(x: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in x)
    return [math.exp(v) / total for v in x]


@pytest.fixture(scope="module")
def model() -> interp.Model:
    config = LlamaConfig(
        vocab_size=4,
        hidden_size=4,
        intermediate_size=1,
        num_hidden_layers=2,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=4,
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
        max_position_embeddings=16,
        bos_token_id=None,
        eos_token_id=None,
    )
    hf = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in hf.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        hf.model.embed_tokens.weight.copy_(2 * torch.eye(4))
        hf.lm_head.weight.copy_(torch.eye(4))
        attention = hf.model.layers[0].self_attn
        attention.v_proj.weight.copy_(torch.eye(4))
        attention.o_proj.weight[C, A] = 6.0
        attention.o_proj.weight[D, B] = 2.0
        mlp = hf.model.layers[1].mlp
        mlp.gate_proj.weight[0, C] = 1.0
        mlp.up_proj.weight[0, B] = 1.0
        mlp.down_proj.weight[A, 0] = 5.0
    # Its queries and keys are zero, so an edit of either does nothing: the self-check would refuse that.
    return interp.load_model(hf, self_check=False)


def last(x: torch.Tensor) -> list[float]:
    return x[0, -1].flatten().tolist()


def test_every_site_holds_what_paper_says(model):
    cache = model.run_with_cache([A, B], model.sites)
    assert last(cache["embed"]) == [0, 2, 0, 0]
    assert last(cache["resid_pre", 0]) == [0, 2, 0, 0]
    assert cache["pattern", 0][0, 0].tolist() == [[1, 0], [0.5, 0.5]]
    assert last(cache["q", 0]) == last(cache["k", 0]) == [0, 0, 0, 0]
    assert last(cache["v", 0]) == pytest.approx([0, 2, 0, 0])
    assert last(cache["z", 0]) == pytest.approx([1, 1, 0, 0])
    assert last(cache["attn_out", 0]) == pytest.approx([0, 0, 6, 2])
    assert last(cache["resid_mid", 0]) == pytest.approx([0, 2, 6, 2])
    assert last(cache["mlp_out", 0]) == [0, 0, 0, 0]
    assert last(cache["resid_post", 0]) == pytest.approx([0, 2, 6, 2])
    assert last(cache["attn_out", 1]) == [0, 0, 0, 0]
    assert last(cache["mlp_act", 1]) == pytest.approx([NEURON])
    assert last(cache["mlp_out", 1]) == pytest.approx([5 * NEURON, 0, 0, 0])
    assert last(cache["resid_post", 1]) == pytest.approx(STREAM)
    assert last(cache.logits) == pytest.approx(rms_normed(STREAM), abs=1e-6)


def test_edits_do_what_paper_says(model):
    def stream(*edits: Edit) -> list[float]:
        return last(model.run_with_cache([A, B], ["resid_post"], edits)["resid_post", 1])

    zeroed = [0.0, 2.0, 0.0, 0.0]  # without attention the neuron's gate is silu(0) = 0
    assert stream(Edit.zero("z", 0)) == pytest.approx(zeroed)
    assert stream(Edit.scale("attn_out", 0, value=0.0)) == pytest.approx(zeroed)
    assert stream(Edit.zero("mlp_act", 1)) == pytest.approx([0, 2, 6, 2])
    assert stream(Edit.set("mlp_act", 1, value=1.0)) == pytest.approx([5, 2, 6, 2])
    assert stream(Edit.add("resid_post", 1, value=torch.tensor([1.0, 0, 0, 0]))) == pytest.approx(
        [STREAM[0] + 1, *STREAM[1:]]
    )
    looks_at_itself = torch.tensor([0.0, 1.0])  # z is then 2 b, and attention writes 4 d
    after = stream(Edit.set("pattern", 0, positions=-1, value=looks_at_itself), Edit.zero("mlp_out", 1))
    assert after == pytest.approx([0, 2, 0, 4])
    # values of both positions averaged: the mean of 2 a and 2 b everywhere, as z has it already
    assert stream(Edit.mean("v", 0), Edit.zero("mlp_out", 1)) == pytest.approx([0, 2, 6, 2])
    no_c = stream(Edit.project_out("resid_mid", 0, value=torch.tensor([0.0, 0, 3.0, 0])))
    assert no_c == pytest.approx([0, 2, 0, 2])


def test_logit_lens(model):
    lens = interp.logit_lens(model, [A, B], C, k=2)
    embedding = softmax([0, 2, 0, 0])
    middle = softmax([0, 2 / ROOT, 6 / ROOT, 2 / ROOT])
    final = softmax(rms_normed(STREAM))
    assert lens.layers == ("embed", "0", "1")
    assert lens.answer_prob == pytest.approx([embedding[C], middle[C], final[C]], abs=1e-6)
    assert lens.answer_rank.tolist() == [4, 1, 1]  # b before c; a and d tie with c, which counts against it
    assert lens.answer_ties.tolist() == [2, 0, 0]
    assert lens.crossover_layer == 0
    assert lens.entropy[0] == pytest.approx(-sum(p * math.log(p) for p in embedding), abs=1e-6)
    kl = [
        sum(p * math.log(p / q) for p, q in zip(final, other, strict=True)) for other in (embedding, middle)
    ]
    assert lens.kl_to_final == pytest.approx([*kl, 0], abs=1e-6)
    assert lens.top_ids[:, 0].tolist() == [B, C, C]


def test_logit_lens_of_the_parts(model):
    attention = interp.logit_lens(model, [A, B], C, site="attn_out", k=1)
    writes = softmax(rms_normed([0, 0, 6, 2]))
    assert attention.layers == ("0", "1")
    assert attention.answer_prob == pytest.approx([writes[C], 0.25], abs=1e-6)  # layer 1 writes nothing


def test_causal_tracing_denoising(model):
    trace = interp.causal_tracing(model, clean=[A, B], corrupted=[C, B], answer=C, foil=D)
    # corrupted: [c, b] gives z = c + b, so the stream is 2 b + 2 d and the neuron is off
    assert trace.corrupted_value == pytest.approx(0 - 2 / math.sqrt(2), abs=1e-6)
    clean = rms_normed(STREAM)
    assert trace.clean_value == pytest.approx(clean[C] - clean[D], abs=1e-6)
    assert trace.recovery == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-6)


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("attn_out", [[0, 1], [0, 0]]),
        ("resid_mid", [[0, 1], [0, 1]]),
        ("resid_post", [[0, 1], [0, 1]]),
    ],
)
def test_causal_tracing_at_other_sites(model, site, expected):
    trace = interp.causal_tracing(model, clean=[A, B], corrupted=[C, B], answer=C, foil=D, site=site)
    assert trace.recovery == pytest.approx(np.array(expected, dtype=float), abs=1e-6)


def test_causal_tracing_of_the_mlp(model):
    trace = interp.causal_tracing(model, clean=[A, B], corrupted=[C, B], answer=C, foil=D, site="mlp_out")
    # layer 1's clean MLP output in the corrupted run: 5 NEURON a + 2 b + 2 d
    value = -rms_normed([5 * NEURON, 2, 0, 2])[D]
    expected = (value - trace.corrupted_value) / (trace.clean_value - trace.corrupted_value)
    assert trace.recovery == pytest.approx(np.array([[0, 0], [0, expected]]), abs=1e-6)


def test_causal_tracing_noising(model):
    trace = interp.causal_tracing(
        model, clean=[A, B], corrupted=[C, B], answer=C, foil=D, direction="noising"
    )
    assert trace.recovery == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0]]), abs=1e-6)


def test_causal_tracing_with_a_window_over_all_layers(model):
    trace = interp.causal_tracing(
        model, clean=[A, B], corrupted=[C, B], answer=C, foil=D, site="attn_out", window=2
    )
    # centred on layer 0: layers -1 and 0, cut to 0; centred on layer 1: layers 0 and 1
    assert trace.recovery == pytest.approx(np.array([[0.0, 1.0], [0.0, 1.0]]), abs=1e-6)


def test_causal_tracing_by_probability_and_kl(model):
    for metric in ("prob", "kl"):
        trace = interp.causal_tracing(model, clean=[A, B], corrupted=[C, B], answer=C, metric=metric)
        assert trace.recovery == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-6)
    assert trace.clean_value == 0
    p, q = softmax(rms_normed(STREAM)), softmax(rms_normed([0, 2, 0, 2]))
    kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert trace.corrupted_value == pytest.approx(kl, abs=1e-6)


def test_noise_on_the_first_token(model):
    trace = interp.causal_tracing(
        model, clean=[A, B], answer=C, foil=D, corruption="noise", subject=[0], samples=3, sigma=2.0
    )
    # the subject's embedding is a two among four entries: a sample variance of (4 - 4 * 0.25) / 3 = 1
    assert trace.noise_std == pytest.approx(2.0)
    assert trace.recovery == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-6)


def test_direct_logit_attribution(model):
    scale = math.sqrt(sum(v * v for v in STREAM) / 4)  # that of the final norm, frozen

    def parts(answer: int, foil: int) -> dict[str, float]:
        result = interp.direct_logit_attribution(model, [A, B], answer, foil)
        return dict(zip(result.components, (scale * result.by_component.mean).tolist(), strict=True))

    nothing = dict.fromkeys(["embed", "L0 attn", "L0 mlp", "L1 attn", "L1 mlp", "constant"], 0.0)
    # The last token is b, embedded as 2 b; layer 0 writes 6 c + 2 d; the neuron of layer 1 writes a.
    assert parts(C, D) == pytest.approx(nothing | {"L0 attn": 4.0}, abs=1e-5)
    assert parts(A, B) == pytest.approx(nothing | {"embed": -2.0, "L1 mlp": 5 * NEURON}, abs=1e-5)

    result = interp.direct_logit_attribution(model, [A, B], C, D)
    # 6 c comes from the value of a, at position 0, and 2 d from that of b, at position 1.
    assert (scale * result.by_source[0, 0]).tolist() == pytest.approx([6.0, -2.0], abs=1e-5)
    assert (scale * result.accumulated.value).tolist() == pytest.approx([0.0, 4.0, 4.0], abs=1e-5)
    result = interp.direct_logit_attribution(model, [A, B], A, B, k=1)
    assert result.by_neuron.neurons == ((1, 0),)
    assert (scale * result.by_neuron.parts.value).tolist() == pytest.approx([5 * NEURON], abs=1e-5)


def test_contrast(model):
    contrast = interp.contrast(model, [A, B], [C, B], target=C, competitor=D, margin=0.5)
    # after layer 0 the streams are 2 b + 6 c + 2 d, of scale sqrt(11), and 2 b + 2 d, of scale sqrt(2)
    assert contrast.ahead[0] == pytest.approx([0, 4 / ROOT, 4 / math.sqrt(sum(v * v for v in STREAM) / 4)])
    assert contrast.ahead[1] == pytest.approx([0, -math.sqrt(2), -math.sqrt(2)])
    assert contrast.marks.tolist() == [[0, 1, 1], [0, -1, -1]]
    assert contrast.parting == 1
    assert contrast.hand_offs == (1, 1)
