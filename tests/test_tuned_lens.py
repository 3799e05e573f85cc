"""The tuned lens: what it is without training, what training does, and how it is kept and recognised."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import interp
from conftest import run
from interp import TunedLens, zoo
from interp.errors import InputError, NonFiniteError
from interp.methods.lens.lens import Lens
from interp.methods.lens.measure_lens import lens_bias
from interp.models import unembedding
from interp.models.unembedding import unembed_hashes
from interp.results import read_result
from interp.text.sequences import load_text

BACKENDS = [
    pytest.param("transformer_lens", marks=pytest.mark.tl),
    pytest.param("nnsight", marks=pytest.mark.nnsight),
]
DEMOS = ("demo-gpt2", "demo-qwen3")
EIFFEL = "The Eiffel Tower is in the city of"
STEPS, SEQUENCES = 25, 40


@pytest.fixture(scope="module")
def tuned(load):
    """`tuned(name)`: a lens of a demo model after a short training, its losses, and text held out."""
    made = {}

    def tuned(name: str):
        if name not in made:
            text, held_out = load_text(load(name), "demo", training=SEQUENCES, held_out=6, length=64)
            lens, losses = interp.train_tuned_lens(load(name), text, steps=STEPS, batch_size=4)
            made[name] = lens, losses, held_out
        return made[name]

    return tuned


@pytest.mark.parametrize("name", DEMOS)
def test_without_training_it_is_the_logit_lens(load, name: str) -> None:
    model = load(name)
    result = interp.lenses_on_prompt(model, EIFFEL, " Paris", lenses=["logit", TunedLens.identity(model)])
    plain = interp.logit_lens(model, EIFFEL, " Paris")
    for reading in result.readings:
        np.testing.assert_array_equal(reading.answer_prob, plain.answer_prob)
        np.testing.assert_array_equal(reading.top_ids, plain.top_ids)
    assert result.crossover_layers == (plain.crossover_layer,) * 2
    every = interp.logit_lens(model, EIFFEL, position="all", lens=TunedLens.identity(model))
    np.testing.assert_array_equal(every.top_ids, interp.logit_lens(model, EIFFEL, position="all").top_ids)
    assert (every.lens, plain.lens) == ("tuned", "logit")


class Doubled(Lens):
    """Every stream but the last layer's, twice as long."""

    name = "doubled"
    description = "streams are doubled"

    def translate(self, resid, layer):
        return resid if layer == 5 else 2 * resid + layer

    def check_fits(self, model):
        if model.arch.n_layers != 6:
            raise InputError("This lens is for six layers.")


def test_any_lens_can_be_read_with(load, tuned) -> None:
    model, lens = load("demo-qwen3"), Doubled()
    result = interp.logit_lens(model, EIFFEL, " Paris", lens=lens)
    cache = model.run_with_cache(EIFFEL, [("resid_pre", 0), "resid_post"])
    streams = [cache["resid_pre", 0], *cache.stack("resid_post")]
    paris = model.to_single_token(" Paris")
    for row, stream in enumerate(streams):
        logits = lens.logits(model, stream[0, -1], row - 1)
        moved = stream if row == 6 else 2 * stream + (row - 1)
        torch.testing.assert_close(logits, model.unembed(moved[0, -1]))
        assert result.answer_prob[row] == pytest.approx(float(logits.softmax(-1)[paris]), rel=1e-4)
    assert (result.lens, result.lens_description) == ("doubled", "streams are doubled")
    two = interp.contrast(model, EIFFEL, "The Colosseum is in the city of", target=" Paris",
                          competitor=" Rome", lens=lens)  # fmt: skip
    np.testing.assert_allclose(two.target_prob[0], result.answer_prob, rtol=1e-4)
    assert two.lens == "doubled"
    measured = interp.measure_lens(model, lens, tuned("demo-qwen3")[2][:1])
    assert measured.lenses == ("logit", "doubled")
    assert (measured.kl[0, :-1] != measured.kl[1, :-1]).all()
    assert measured.kl[0, -1] == measured.kl[1, -1]
    with pytest.raises(InputError, match="six layers"):
        interp.logit_lens(load("tiny-gpt2"), [1, 2], lens=lens)
    with pytest.raises(InputError, match="six layers"):
        interp.measure_lens(load("tiny-gpt2"), lens, [[1, 2]])
    with pytest.raises(InputError, match="doubled lens does not read 'mlp_out'"):
        interp.logit_lens(model, EIFFEL, site="mlp_out", lens=lens)


@pytest.mark.parametrize("name", DEMOS)
def test_training_helps_at_every_layer_on_text_that_it_did_not_see(load, tuned, name: str) -> None:
    lens, losses, held_out = tuned(name)
    result = interp.measure_lens(load(name), lens, held_out, losses=losses)
    assert (result.kl[1, :-1] < result.kl[0, :-1]).all()
    assert (result.cross_entropy[1, :-2] < result.cross_entropy[0, :-2]).all()
    assert (result.bias[1, 1:-1] < result.bias[0, 1:-1]).all()
    np.testing.assert_allclose(result.kl[:, -1], 0, atol=1e-6)  # the last layer is the model
    np.testing.assert_allclose(result.bias[:, -1], 0, atol=1e-6)
    assert losses.shape == (STEPS, load(name).arch.n_layers)
    assert (losses[-5:].mean(0) < losses[0]).all()


def test_what_is_measured_is_what_it_is_called(load, tuned) -> None:
    """Perplexity and KL at the last layer and at the embedding, computed plainly from the model's logits."""
    model = load("demo-gpt2")
    lens, _, held_out = tuned("demo-gpt2")
    text = [held_out[0], held_out[1][:30]]  # of different lengths, so that there is padding
    result = interp.measure_lens(model, lens, text, batch_size=2)
    nll, kl, final_probs, lens_probs = [], [], [], []
    for ids in text:
        cache = model.run_with_cache(ids, [("resid_pre", 0)])
        final = cache.logits[0].double().log_softmax(-1)
        nll += (-final[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]).tolist()
        read = model.unembed(cache["resid_pre", 0])[0].double().log_softmax(-1)
        kl += (final.exp() * (final - read)).sum(-1).tolist()
        final_probs.append(final.exp())
        lens_probs.append(read.exp())
    assert result.n_tokens == len(kl)
    assert result.perplexity[0, -1] == pytest.approx(math.exp(np.mean(nll)), rel=1e-4)
    assert result.kl[0, 0] == pytest.approx(np.mean(kl), rel=1e-4)
    p, q = (torch.cat(probs).mean(0) for probs in (final_probs, lens_probs))
    assert result.bias[0, 0] == pytest.approx(float((p * (p / q).log2()).sum()), rel=1e-3)


def test_lens_bias_by_hand() -> None:
    final = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    lens = torch.tensor([[0.25, 0.25, 0.5], [0.5, 0.5, 0.0]], dtype=torch.float64)
    assert lens_bias(final, lens.log()).tolist() == [1.0, 0.0]  # half the odds everywhere: one bit


def test_lens_bias_is_finite_where_probabilities_are_smaller_than_any_number(load) -> None:
    """Logits that lie thousands apart, as those of an early layer of a large vocabulary."""

    class Extreme(Doubled):
        def translate(self, resid, layer):
            return resid

        def logits(self, model, resid, layer):
            read = super().logits(model, resid, layer)
            return read if layer == 5 else 3000 * (read - read.amin()) / (read.amax() - read.amin())

    model = load("demo-gpt2")
    measured = interp.measure_lens(model, Extreme(), [EIFFEL])
    court = interp.compare_lenses(model, [EIFFEL], lenses=[Extreme()]).lenses[0].text
    logits = (
        Extreme().logits(model, model.run_with_cache(EIFFEL, ["resid_post"])["resid_post", 2][0], 2).double()
    )
    assert float(logits.softmax(-1).mean(0).min()) == 0
    mean = logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
    final = model.forward(EIFFEL)[0].double().softmax(-1).mean(0)
    expected = float((final * (final.log() - mean)).sum() / math.log(2))
    assert measured.bias[1, 3] == pytest.approx(expected, rel=1e-4)
    assert court.bias[3] == pytest.approx(expected, rel=1e-4)


def test_training_is_by_its_seed(load, tuned) -> None:
    model = load("demo-gpt2")
    text = tuned("demo-gpt2")[2] + load_text(model, "demo", training=4, held_out=1, length=64, seed=3)[0]
    one, same, other = (
        interp.train_tuned_lens(model, text, steps=2, batch_size=2, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one[0].weight, same[0].weight)
    assert np.array_equal(one[1], same[1])
    assert not torch.equal(one[0].weight, other[0].weight)
    assert all(p.grad is None for p in model.hf_model.parameters()), "the model is frozen"


def test_a_lens_is_kept_and_found_again(load, tuned, tmp_path) -> None:
    model, (lens, _, _) = load("demo-gpt2"), tuned("demo-gpt2")
    lens.save(tmp_path / "lens", pickled=True)
    config = json.loads((tmp_path / "lens" / "config.json").read_text(encoding="utf-8"))
    assert config["num_hidden_layers"] == 6
    assert config["lens_type"] == "linear_tuned_lens"
    assert {"0.weight", "5.bias"} <= load_file(tmp_path / "lens" / "params.safetensors").keys()
    again = TunedLens.load(tmp_path / "lens", model)
    (tmp_path / "lens" / "params.safetensors").unlink()
    pickled = TunedLens.load(tmp_path / "lens", model)
    for read in (again, pickled):
        assert torch.equal(read.weight, lens.weight)
        assert torch.equal(read.bias, lens.bias)
    with pytest.raises(InputError, match="holds a lens already"):
        lens.save(tmp_path / "lens")


def test_the_layout_is_that_of_linear_modules(load, tmp_path) -> None:
    """As the tuned-lens library applies its files: ``h + Linear_i(h)``, before the model's unembedding."""
    model = load("demo-qwen3")
    translators = torch.nn.ModuleList(torch.nn.Linear(192, 192) for _ in range(6))
    with torch.no_grad():
        for p in translators.parameters():
            p.copy_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.ndim)))
    torch.save(translators.state_dict(), tmp_path / "params.pt")
    config = {"base_model_name_or_path": "mine", "d_model": 192, "num_hidden_layers": 6, "bias": True}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match="check=False"):
        TunedLens.load(tmp_path, model)  # it does not say for which unembedding
    lens = TunedLens.load(tmp_path, model, check=False)
    cache = model.run_with_cache(EIFFEL, [("resid_pre", 0), ("resid_pre", 3)])
    result = interp.logit_lens(model, EIFFEL, " Paris", lens=lens)
    for layer in (0, 3):
        h = cache["resid_pre", layer][0, -1]
        probs = model.unembed(h + translators[layer](h).detach()).softmax(-1)
        paris = float(probs[model.to_single_token(" Paris")])
        assert result.answer_prob[layer] == pytest.approx(paris, rel=1e-4)


def test_another_model_is_refused(load, tuned, tmp_path) -> None:
    lens = tuned("demo-gpt2")[0]
    lens.save(tmp_path / "lens")
    with pytest.raises(InputError, match="another unembedding"):  # of the same size
        TunedLens.load(tmp_path / "lens", load("demo-qwen3"))
    with pytest.raises(InputError, match="another unembedding"):
        interp.logit_lens(load("demo-qwen3"), EIFFEL, lens=lens)
    with pytest.raises(InputError, match="layers of width"):
        TunedLens.load(tmp_path / "lens", load("tiny-gpt2"))
    with pytest.raises(InputError, match="site='resid'"):
        interp.logit_lens(load("demo-gpt2"), EIFFEL, site="mlp_out", lens=lens)


def test_the_hash_tells_a_fine_tuned_copy_but_not_a_dtype(load) -> None:
    model = load("demo-gpt2")
    own = unembed_hashes(model)
    printed = np.array_str(model.W_U.T.numpy(), precision=1)
    assert own["unembed_hash"] == hashlib.sha256(printed.encode()).hexdigest()
    with np.printoptions(precision=3, threshold=5):
        assert unembed_hashes(model) == own
    assert unembed_hashes(load("demo-gpt2", dtype="float64")) == own
    assert unembed_hashes(load("demo-gpt2", dtype="bfloat16"))["unembed_sha256"] == own["unembed_sha256"]
    nudged = interp.load_model("demo-gpt2", device="cpu")
    with torch.no_grad():
        nudged.hf_model.get_output_embeddings().weight[100, 100] += 0.1
    assert unembed_hashes(nudged)["unembed_hash"] == own["unembed_hash"]  # the library's sees corners alone
    with pytest.raises(InputError, match="another unembedding"):
        TunedLens.identity(model).check_fits(nudged)


def test_an_unembedding_is_hashed_once_and_again_where_it_has_changed(monkeypatch) -> None:
    model = interp.load_model("demo-gpt2", device="cpu")
    hashed, plain = [], unembedding._hashes
    monkeypatch.setattr(unembedding, "_hashes", lambda weight: hashed.append(1) or plain(weight))
    lens = TunedLens.identity(model)
    for _ in range(3):
        lens.check_fits(model)
        interp.load_lens("jacobian", model)
    assert len(hashed) == 1
    weight = model.hf_model.get_output_embeddings().weight
    for number, change in enumerate(
        (lambda: weight[7, 7].add_(1.0), lambda: weight.data.mul_(1.1), lambda: weight[7, 7].sub_(1.0)), 2
    ):
        with torch.no_grad():
            change()
        with pytest.raises(InputError, match="another unembedding"):
            lens.check_fits(model)
        assert len(hashed) == number
    assert unembed_hashes(model) == plain(model.W_U.T.detach().contiguous())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DEMOS)
def test_a_lens_serves_every_backend(load, tuned, name: str, backend: str) -> None:
    lens = tuned(name)[0]
    ours, theirs = (
        interp.lenses_on_prompt(load(name, b), EIFFEL, " Paris", lenses=["logit", lens])
        for b in (backend, "transformers")
    )
    for a, b in zip(ours.readings, theirs.readings, strict=True):
        np.testing.assert_allclose(a.answer_prob, b.answer_prob, atol=1e-4)
    if backend == "transformer_lens":
        with pytest.raises(InputError, match="folded"):
            lens.check_fits(load(name, backend, processing="folded"))


def damaged(folder: Path, what: str) -> None:
    if what == "no configuration":
        (folder / "config.json").unlink()
    elif what == "no parameters":
        (folder / "params.safetensors").unlink()
    elif what == "cut parameters":
        (folder / "params.safetensors").write_bytes((folder / "params.safetensors").read_bytes()[:1000])
    elif what == "no number of layers":
        (folder / "config.json").write_text("{}", encoding="utf-8")
    else:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config | {"lens_type": "other"}), encoding="utf-8")


@pytest.mark.parametrize(
    "what", ["no configuration", "no parameters", "cut parameters", "no number of layers", "other type"]
)
def test_a_damaged_lens_is_one_sentence(load, tmp_path, what: str) -> None:
    model = load("tiny-gpt2")
    TunedLens.identity(model).save(tmp_path / "lens")
    damaged(tmp_path / "lens", what)
    with pytest.raises(InputError, match=r"lens"):
        TunedLens.load(tmp_path / "lens", model)


def test_a_result_survives_json(load, tuned) -> None:
    lens, losses, held_out = tuned("demo-gpt2")
    for result in (
        interp.lenses_on_prompt(load("demo-gpt2"), EIFFEL, " Paris", lenses=["logit", lens]),
        interp.measure_lens(load("demo-gpt2"), lens, held_out[:2], losses=losses),
        interp.measure_lens(load("demo-gpt2"), lens, held_out[:2]),
    ):
        again = read_result(json.loads(json.dumps(result.to_dict())))
        assert json.dumps(again.to_dict()) == json.dumps(result.to_dict())


def test_text_of_a_file(load, tmp_path) -> None:
    model, file = load("demo-gpt2"), tmp_path / "text.txt"
    file.write_text("The capital of France is Paris. " * 40, encoding="utf-8")
    training, held_out = load_text(model, str(file), training=5, held_out=2, length=16)
    assert {len(ids) for ids in training + held_out} == {16}
    assert {ids[0] for ids in training + held_out} == {model.bos_id}
    with pytest.raises(InputError, match="give a longer file"):
        load_text(model, str(file), training=500, held_out=2, length=16)
    with pytest.raises(InputError, match="cannot be read"):
        load_text(model, str(tmp_path / "none.txt"), training=5, held_out=2)
    with pytest.raises(InputError, match="give a text file"):
        load_text(load("tiny-gpt2"), "demo", training=5, held_out=2, length=16)
    with pytest.raises(InputError, match="at most"):
        load_text(model, "demo", training=5, held_out=2, length=100_000)
    first, second = load_text(load("demo-qwen3"), "demo", training=3, held_out=3, length=16)
    assert first != second
    assert zoo.NAMES == DEMOS


def test_bad_questions(load) -> None:
    model = load("tiny-gpt2")
    with pytest.raises(InputError, match="fewer than a batch"):
        interp.train_tuned_lens(model, [[1, 2]], batch_size=2)
    with pytest.raises(InputError, match="at least 1"):
        interp.train_tuned_lens(model, [[1, 2]], steps=0)
    with pytest.raises(InputError, match="longer text"):
        interp.measure_lens(model, TunedLens.identity(model), [[1], [2]])
    with pytest.raises(NonFiniteError, match="lower the learning rate"):
        interp.train_tuned_lens(model, [[1, 2, 3]] * 4, batch_size=2, steps=40, learning_rate=1e30)


def test_the_command_line(tmp_path, capsys) -> None:
    quick = ("training=8", "held_out=2", "length=32", "steps=3", "batch_size=4")
    folder = f"save_to={tmp_path / 'lens'}"
    assert run("run", "train_tuned_lens", "--set", *quick, folder, "--tag", "x", "--out", tmp_path) == 0
    assert (tmp_path / "train_tuned_lens" / "x" / "train_tuned_lens.png").stat().st_size > 10_000
    lens = f"lens={tmp_path / 'lens'}"
    assert run("run", "logit_lens", "--set", lens, "--tag", "x", "--out", tmp_path) == 0
    assert "held-out sequences of 32 tokens of 'demo'" in " ".join(capsys.readouterr().out.split())
    assert run("run", "contrast", "--set", lens, "--tag", "x", "--out", tmp_path) == 0
    assert "held-out sequences of 32 tokens of 'demo'" in " ".join(capsys.readouterr().out.split())
    assert run("run", "logit_lens", "--set", lens, "model=demo-qwen3", "--out", tmp_path) == 2
    assert "another unembedding" in " ".join(capsys.readouterr().err.split())
