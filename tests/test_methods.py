"""The two methods on the trained models: what must hold on any model, and what is known of these."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

import interp
from interp import Edit
from interp.errors import DegeneratePairError, InputError
from interp.methods.lens import columns
from interp.methods.patching.causal_tracing import draw_noise

CLEAN, CORRUPTED = "The capital of France is", "The capital of Japan is"
PAIR = {"clean": CLEAN, "corrupted": CORRUPTED, "answer": " Paris", "foil": " Tokyo"}


def installed(backend: str) -> bool:
    return backend == "transformers" or importlib.util.find_spec(backend) is not None


@pytest.fixture(scope="module", params=["demo-gpt2", "demo-qwen3"])
def model(request) -> interp.Model:
    return interp.load_model(request.param)


# ---- logit lens ----


def test_the_last_row_is_the_models_own_prediction(model):
    lens = interp.logit_lens(model, CLEAN, " Paris", position="all")
    logits = model.forward(CLEAN)[0].double()
    assert lens.answer_prob[-1] == pytest.approx(
        logits.softmax(-1)[:, model.to_single_token(" Paris")], abs=1e-6
    )
    assert lens.kl_to_final[-1] == pytest.approx(np.zeros(len(lens.tokens)), abs=1e-6)
    assert lens.top_ids[-1, :, 0].tolist() == logits.argmax(-1).tolist()
    assert lens.answer_prob.shape == (model.arch.n_layers + 1, len(lens.tokens))


def test_one_position_is_a_column_of_all(model, load):
    model = load(model.identity.name, dtype="float64")  # else sums of other lengths differ by more
    every = interp.logit_lens(model, CLEAN, " Paris", position="all")
    for position in (-1, 2):
        one = interp.logit_lens(model, CLEAN, " Paris", position=position)
        assert one.answer_prob == pytest.approx(every.answer_prob[:, position], abs=1e-7)
        assert one.answer_rank.tolist() == every.answer_rank[:, position].tolist()
        assert one.top_tokens == tuple(row[position] for row in every.top_tokens)


def test_the_lens_by_hand_on_real_weights(model):
    """Against the model's own modules, without the library's cache and unembedding."""
    hf = model.hf_model
    ids = model.to_tokens(CLEAN).ids
    with torch.no_grad():
        hidden = hf(ids, output_hidden_states=True).hidden_states
        norm = hf.transformer.ln_f if hasattr(hf, "transformer") else hf.model.norm
        states = [norm(h) for h in hidden[:-1]] + [hidden[-1]]  # the last is normed already
        probs = torch.stack([hf.lm_head(s)[0, -1].softmax(-1) for s in states])
    paris = model.to_single_token(" Paris")
    lens = interp.logit_lens(model, CLEAN, " Paris")
    # for GPT-2 the first row of both is the embedding, positions included
    assert lens.answer_prob == pytest.approx(probs[:, paris].numpy(), abs=1e-5)  # other kernels


def test_the_answer_by_default_is_what_the_model_says(model):
    lens = interp.logit_lens(model, CLEAN)
    assert lens.answer == lens.final_top_token == " Paris"
    assert lens.answer_rank[-1] == 1
    assert lens.crossover_layer is not None
    assert 0 <= lens.crossover_layer < model.arch.n_layers
    assert lens.answer_rank[lens.crossover_layer] > 1 or lens.crossover_layer == 0


def test_no_crossover_where_the_answer_does_not_win(model):
    assert interp.logit_lens(model, CLEAN, " Tokyo").crossover_layer is None


def test_a_long_prompt_is_read_in_pieces(load, monkeypatch):
    model = load("tiny-llama")
    ids = [i % model.arch.d_vocab for i in range(1, 25)]
    whole = interp.logit_lens(model, ids, position="all", k=3)
    monkeypatch.setattr(columns, "AT_ONCE", 5 * (model.arch.n_layers + 1) * model.arch.d_vocab)
    unembedded, sizes = columns._unembedded, []
    monkeypatch.setattr(
        columns,
        "_unembedded",
        lambda model, streams, *others: sizes.append(streams.shape[1]) or unembedded(model, streams, *others),
    )
    pieces = interp.logit_lens(model, ids, position="all", k=3)
    assert sizes == [1, 5, 5, 5, 5, 3]  # the last position first, for the answer
    for name in ("answer_prob", "answer_rank", "entropy", "kl_to_final", "top_ids", "top_probs"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-5, atol=1e-6)
    assert pieces.top_tokens == whole.top_tokens


@pytest.mark.parametrize("site", ["attn_out", "mlp_out"])
def test_the_lens_on_parts(model, site):
    lens = interp.logit_lens(model, CLEAN, " Paris", site=site)
    out = model.run_with_cache(CLEAN, [site])[site, 3][0, -1]
    expected = model.unembed(out).double().softmax(-1)[lens.answer_id]
    assert lens.answer_prob[3] == pytest.approx(float(expected), abs=1e-6)
    assert len(lens.layers) == model.arch.n_layers


# ---- causal tracing: identities ----


def test_patching_a_run_with_itself_changes_nothing(model):
    cache = model.run_with_cache(CLEAN, model.sites)
    for hook in cache:
        address = interp.Address.parse(hook)
        same = Edit.set(address.site, address.layer, value=cache[hook])
        torch.testing.assert_close(model.forward(CLEAN, [same]), cache.logits, rtol=0, atol=1e-5)


def test_all_of_the_first_resid_pre_is_the_clean_run(model):
    clean = model.run_with_cache(CLEAN, ["resid_pre"])
    patched = model.forward(CORRUPTED, [Edit.set("resid_pre", 0, value=clean["resid_pre", 0])])
    torch.testing.assert_close(patched, clean.logits, rtol=0, atol=1e-5)


def test_noise_of_sigma_zero_is_the_clean_run(model):
    noise = draw_noise(model, n_positions=1, std=0.0, samples=1, seed=0)
    noised = model.forward(CLEAN, [Edit.add("embed", value=noise, positions=3)])
    torch.testing.assert_close(noised, model.forward(CLEAN), rtol=0, atol=0)
    with pytest.raises(DegeneratePairError, match="hardly differ"):
        interp.causal_tracing(
            model, clean=CLEAN, answer=" Paris", corruption="noise", subject="France", sigma=0.0
        )


def test_every_cell_is_one_plain_forward(model):
    """The batched sweep against a loop of single runs."""
    trace = interp.causal_tracing(model, **PAIR)
    clean = model.run_with_cache(CLEAN, ["resid_pre"])
    paris, tokyo = model.to_single_token(" Paris"), model.to_single_token(" Tokyo")
    for layer in range(model.arch.n_layers):
        for position in range(len(trace.clean_tokens)):
            value = clean["resid_pre", layer][0, position]
            logits = model.forward(CORRUPTED, [Edit.set("resid_pre", layer, value=value, positions=position)])
            diff = float(logits[0, -1, paris] - logits[0, -1, tokyo])
            assert trace.values[layer, position] == pytest.approx(diff, abs=1e-4)


def test_recovery_lies_between_the_two_baselines_by_definition(model):
    trace = interp.causal_tracing(model, **PAIR)
    span = trace.clean_value - trace.corrupted_value
    assert trace.recovery == pytest.approx((trace.values - trace.corrupted_value) / span)
    logits = model.forward([CLEAN, CORRUPTED])[:, -1].double()
    diff = logits[:, trace.answer_id] - logits[:, trace.foil_id]
    assert [trace.clean_value, trace.corrupted_value] == pytest.approx(diff.tolist(), abs=1e-4)


# ---- causal tracing: what is known of these models ----


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_the_fact_sits_at_the_subject_early_and_at_the_end_late(model, direction):
    trace = interp.causal_tracing(model, **PAIR, direction=direction)
    subject = trace.clean_tokens.index(" France")
    effect = trace.recovery if direction == "denoising" else 1 - trace.recovery
    assert effect[0, subject] == pytest.approx(1, abs=1e-3)  # all that differs is the subject's embedding
    assert effect[0, -1] == pytest.approx(0, abs=1e-3)
    assert (effect[:3, subject] > 0.6).all()
    assert (np.diff(effect[:, -1]) > -0.01).all()  # layer by layer it goes over to the last token
    assert effect[-1, subject] < 0.2
    assert effect[-1, -1] > 0.8
    assert effect[:, :subject] == pytest.approx(np.zeros_like(effect[:, :subject]), abs=1e-3)


def test_rome_noise(model):
    trace = interp.causal_tracing(
        model, clean=CLEAN, answer=" Paris", corruption="noise", subject="France", samples=5
    )
    assert trace.metric == "prob"
    assert trace.clean_value > 0.7 > trace.corrupted_value + 0.2
    subject = trace.clean_tokens.index(" France")
    assert trace.corrupted_positions == (subject,)
    assert trace.recovery[0, subject] == pytest.approx(1, abs=1e-3)
    embedded = model.run_with_cache(CLEAN, ["embed"])["embed"][0, subject]
    assert trace.noise_std == pytest.approx(3 * float(embedded.std()), rel=1e-5)
    assert trace.noise_of == "subject"
    span = trace.clean_value - trace.corrupted_value
    assert trace.samples == 40 or trace.corrupted_error <= 0.05 * span
    assert trace.recovery_error[0, subject] == pytest.approx(0, abs=1e-4), "all of it comes back, each time"
    again = interp.causal_tracing(
        model, clean=CLEAN, answer=" Paris", corruption="noise", subject="France", samples=5
    )
    assert again.to_dict() == trace.to_dict()
    other = interp.causal_tracing(
        model, clean=CLEAN, answer=" Paris", corruption="noise", subject="France", samples=5, seed=1
    )
    assert not np.array_equal(other.values, trace.values)


@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_a_window_reaches_further_than_a_layer(model, direction):
    arguments = PAIR | {"site": "mlp_out", "direction": direction}
    n = model.arch.n_layers
    single = interp.causal_tracing(model, **arguments)
    wide = interp.causal_tracing(model, **arguments, window=n)
    subject = single.clean_tokens.index(" France")
    effect = [t.recovery[n // 2, subject] if direction == "denoising" else 1 - t.recovery[n // 2, subject]
              for t in (single, wide)]  # fmt: skip
    assert effect[1] > effect[0]


@pytest.mark.parametrize("metric", ["prob", "kl", "logit_diff"])
def test_metrics_agree_on_where(model, metric):
    trace = interp.causal_tracing(model, **PAIR, metric=metric)
    subject = trace.clean_tokens.index(" France")
    assert trace.recovery[0, subject] == pytest.approx(1, abs=1e-3)
    assert trace.peak[1] in (subject, len(trace.clean_tokens) - 1)


def test_token_ids_give_the_same_as_text(model):
    text = interp.causal_tracing(model, **PAIR)
    ids = interp.causal_tracing(
        model,
        clean=model.to_tokens(CLEAN).row(0),
        corrupted=model.to_tokens(CORRUPTED).row(0),
        answer=model.to_single_token(" Paris"),
        foil=model.to_single_token(" Tokyo"),
    )
    assert np.array_equal(text.recovery, ids.recovery)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_the_methods_agree_between_backends(model, backend):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    other = interp.load_model(model.identity.name, backend=backend)
    ours, theirs = (interp.logit_lens(m, CLEAN, " Paris", position="all") for m in (model, other))
    assert theirs.answer_prob == pytest.approx(ours.answer_prob, abs=1e-4)
    assert theirs.kl_to_final == pytest.approx(ours.kl_to_final, abs=1e-3)
    for extra in ({}, {"direction": "noising", "site": "attn_out"}):
        ours, theirs = (interp.causal_tracing(m, **PAIR, **extra) for m in (model, other))
        assert theirs.values == pytest.approx(ours.values, abs=1e-4)
    noise = {"clean": CLEAN, "answer": " Paris", "corruption": "noise", "subject": "France", "samples": 2}
    ours, theirs = (interp.causal_tracing(m, **noise) for m in (model, other))
    assert theirs.values == pytest.approx(ours.values, abs=1e-4)


# ---- refusals ----


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"corrupted": None}, InputError, "needs a corrupted prompt"),
        ({"subject": "France"}, InputError, "corruption='noise'"),
        ({"corruption": "noise", "subject": "France"}, InputError, "leave the corrupted prompt out"),
        ({"site": "z"}, InputError, "Unknown site"),
        ({"direction": "denoise"}, InputError, "did you mean 'denoising'"),
        ({"metric": "logits"}, InputError, "did you mean 'logit_diff'"),
        ({"window": 0}, InputError, "window"),
        ({"answer": " Rome", "foil": " Cairo"}, DegeneratePairError, "hardly differ"),
    ],
)
def test_refusals(change, error, says):
    model = interp.load_model("demo-gpt2")
    if "answer" in change:  # two prompts on whose other words these two cities hardly depend
        change |= {"metric": "prob"}
    with pytest.raises(error, match=says):
        interp.causal_tracing(model, **PAIR | change)
