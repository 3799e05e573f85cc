"""Answers as people write them: of several tokens, and of several forms that count as the same.

What is right is computed by brute force: plain forward passes of the Hugging Face model over the prompt with
the answer's tokens behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

import interp
from conftest import byte_tokenizer
from families import family_model
from interp import Edit
from interp.answers import Answer, apart, check_at_once
from interp.errors import InputError
from interp.figures.views.logit_lens import report
from interp.methods.attribution.edge_attribution import node_attribution
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Level
from interp.methods.common.question import Question
from interp.methods.common.sender_runs import sender_runs
from interp.methods.patching.causal_tracing import draw_noise, embedding_std
from interp.models.base import Model
from interp.readout import Readout
from interp.tasks.base import Pair, PairDataset
from interp.tasks.facts import facts
from interp.tasks.inspection import inspect_dataset
from interp.tasks.user_pairs import user_pairs

FAMILIES = ["gpt2", "qwen3", "gemma3_text"]
# in each of the models, the first of them favours the answer
CLEAN, CORRUPTED = [256, 10, 41, 30, 40, 50], [256, 10, 89, 30, 40, 50]
ANSWER, FOIL = Answer(((60, 61, 62),)), Answer(((63, 70), (80,)))  # of other lengths, and of two forms


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest) -> tuple[Model, PreTrainedModel]:
    """A tiny model in double precision, and the Hugging Face model that it looks into."""
    hf = family_model(request.param).double()
    return interp.load_model(hf, device="cpu", dtype="float64"), hf


def log_p(hf: PreTrainedModel, prompt: Sequence[int], form: Sequence[int]) -> float:
    """The log-probability of a form after a prompt, one token at a time."""
    total = 0.0
    for i, token in enumerate(form):
        with torch.no_grad():
            logits = hf(torch.tensor([[*prompt, *form[:i]]])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
    return total


def log_p_of(hf: PreTrainedModel, prompt: Sequence[int], answer: Answer) -> float:
    return float(np.logaddexp.reduce([log_p(hf, prompt, form) for form in answer]))


def test_readouts_are_plain_forward_passes(both: tuple[Model, PreTrainedModel]) -> None:
    model, hf = both
    wanted = {
        "log_prob": log_p_of(hf, CLEAN, ANSWER),
        "prob": np.exp(log_p_of(hf, CLEAN, FOIL)),
        "logit_diff": log_p_of(hf, CLEAN, ANSWER) - log_p_of(hf, CLEAN, FOIL),
    }
    found = {
        "log_prob": Readout.answer_log_prob(ANSWER),
        "prob": Readout.prob(FOIL),
        "logit_diff": Readout.logit_diff(ANSWER, FOIL),
    }
    for name, readout in found.items():
        swept = model.sweep(CLEAN, [[]], readout)
        assert swept.values.shape == (1,)
        assert float(swept.values[0]) == pytest.approx(wanted[name], abs=1e-5), name
        logits = model.forward(readout.runs(model.to_tokens(CLEAN)))
        assert float(readout(logits)[0]) == pytest.approx(wanted[name], abs=1e-5), name
    each = model.sweep(CLEAN, [[]], Readout.token_log_probs(ANSWER.forms[0])).values[0]
    assert each.shape == (3,)
    assert float(each.sum()) == pytest.approx(wanted["log_prob"], abs=1e-5)
    assert float(each[0]) == pytest.approx(log_p(hf, CLEAN, [60]), abs=1e-5)


def patched_log_p(
    model: Model, form: Sequence[int], edits: Callable[[int], list[Edit]], prompt: Sequence[int] = CORRUPTED
) -> float:
    """By plain passes over the prompt and the beginning of a form; `edits` of a run of so many tokens."""
    total = 0.0
    for i, token in enumerate(form):
        run = [*prompt, *form[:i]]
        total += float(model.forward(run, edits(len(run)))[0, -1].log_softmax(-1)[token])
    return total


def patched_diff(
    model: Model, edits: Callable[[Sequence[int]], list[Edit]], prompt: Sequence[int] = CORRUPTED
) -> float:
    """log p(answer) - log p(foil) with edits that depend on what follows the prompt."""
    values = []
    for answer in (ANSWER, FOIL):
        forms = [
            sum(
                float(
                    model.forward([*prompt, *form[:i]], edits(form[:i]))[0, -1].log_softmax(-1)[token].item()
                )
                for i, token in enumerate(form)
            )
            for form in answer
        ]
        values.append(float(np.logaddexp.reduce(forms)))
    return values[0] - values[1]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("site", "by"),
    [
        ("resid_pre", "position"),
        ("z", "head"),
        ("attn_out", "layer"),
        ("mlp_act", "neuron"),
        ("pattern", "head"),
    ],
)
def test_activation_patching(both: tuple[Model, PreTrainedModel], site: str, by: str, exact: bool) -> None:
    """A cell is patched in every run in which a part of the answer is read; the donor reads it, too."""
    model, _ = both
    found = interp.activation_patching(
        model, clean=CLEAN, corrupted=CORRUPTED, answer=ANSWER, foil=FOIL, site=site, by=by, exact=exact
    )
    assert found.path == ("plain" if exact else "branching")
    columns = {"position": 6, "head": 4, "layer": 1, "neuron": model.arch.d_mlp, "pattern": 4}[by]
    assert found.recovery.mean.shape == (3, columns)
    clean, corrupted = patched_diff(model, lambda _: [], CLEAN), patched_diff(model, lambda _: [])
    assert found.clean_values[0] == pytest.approx(clean, abs=1e-5)
    assert found.corrupted_values[0] == pytest.approx(corrupted, abs=1e-5)
    for layer, column in ((1, 0), (0, columns - 1), (1, min(2, columns - 1))):

        def edits(follows: Sequence[int], layer: int = layer, column: int = column) -> list[Edit]:
            donor = model.run_with_cache([*CLEAN, *follows], [site])[site, layer]
            if by == "position":
                return [Edit.set(site, layer, value=donor[:, [column]], positions=column)]
            if by == "layer":
                return [Edit.set(site, layer, value=donor)]
            if by == "neuron":
                own = model.run_with_cache([*CORRUPTED, *follows], [site])[site, layer].clone()
                own[..., column] = donor[..., column]
                return [Edit.set(site, layer, value=own)]
            axis = 1 if site == "pattern" else 2
            return [Edit.set(site, layer, value=donor.narrow(axis, column, 1), heads=column)]

        value = (patched_diff(model, edits) - corrupted) / (clean - corrupted)
        assert found.recovery.mean[layer, column] == pytest.approx(value, abs=1e-5)


def test_causal_tracing(both: tuple[Model, PreTrainedModel]) -> None:
    """With noise, too: the same noise on the prompt whatever follows it."""
    model, hf = both
    swapped = interp.causal_tracing(model, clean=CLEAN, corrupted=CORRUPTED, answer=ANSWER, foil=FOIL)
    assert swapped.recovery.shape == (3, 6)
    donor = model.run_with_cache(CLEAN, ["resid_pre"])["resid_pre", 1]

    def edits(_: Sequence[int]) -> list[Edit]:
        return [Edit.set("resid_pre", 1, value=donor[:, [2]], positions=2)]

    assert swapped.values[1, 2] == pytest.approx(patched_diff(model, edits), abs=1e-5)
    assert swapped.clean_answer_prob == pytest.approx(np.exp(log_p_of(hf, CLEAN, ANSWER)), abs=1e-6)
    std = 9.0 * embedding_std(model, model.to_tokens(CLEAN), [2, 5])

    def disturbed(seed: int, more: Sequence[Edit] = ()) -> float:
        """The mean over two draws of noise."""
        noise = draw_noise(model, n_positions=2, std=std, samples=2, seed=seed)
        values = []
        for sample in noise:
            added = [Edit.add("embed", value=sample, positions=(2, 5)), *more]
            forms = [patched_log_p(model, form, lambda _, added=added: added, CLEAN) for form in FOIL]
            values.append(float(np.logaddexp.reduce(forms)))
        return float(np.mean(values))

    seed = next(s for s in range(20) if disturbed(s) < log_p_of(hf, CLEAN, FOIL) - 0.1)  # it takes away
    noisy = interp.causal_tracing(
        model, clean=CLEAN, answer=FOIL, corruption="noise", subject=[2, 5],
        samples=2, most_samples=2, sigma=9.0, seed=seed,
    )  # fmt: skip
    assert noisy.metric == "log_prob"
    assert noisy.corrupted_value == pytest.approx(disturbed(seed), abs=1e-5)
    restored = [Edit.set("resid_pre", 1, value=donor[:, [2]], positions=2)]
    assert noisy.values[1, 2] == pytest.approx(disturbed(seed, restored), abs=1e-5)


@pytest.mark.parametrize("method", ["attribution", "integrated"])
def test_attribution_patching_is_the_slope_of_exact_patching(
    both: tuple[Model, PreTrainedModel], method: str
) -> None:
    """Of a donor that hardly differs, the estimate is what the patch does."""
    model, _ = both
    question = Question.of(model, clean=CLEAN, corrupted=CORRUPTED, answer=ANSWER, foil=FOIL)
    runs = model.run_with_cache(question.base_runs, ["z"])
    gradient = model.gradients(question.base, [("z", 1)], question.readout)[0]
    small = 1e-3 * torch.randn(runs["z", 1].shape, generator=torch.Generator().manual_seed(0)).double()
    edit = Edit.set("z", 1, value=(runs["z", 1] + small)[:, :, :1], heads=0)
    moved = model.sweep(question.base, [[], [edit]], question.readout).values
    assert float(moved[1] - moved[0]) == pytest.approx(float((small * gradient)[:, :, 0].sum()), rel=3e-2)
    found = interp.activation_patching(
        model, clean=CLEAN, corrupted=CORRUPTED, answer=ANSWER, foil=FOIL, site="z", by="head", method=method
    )
    assert found.recovery.mean.shape == (3, 4)


def test_lens(both: tuple[Model, PreTrainedModel]) -> None:
    """At the last layer it is the model itself; at any other, each token is read behind those before it."""
    model, hf = both
    found = interp.logit_lens(model, CLEAN, ANSWER)
    assert found.answer_prob[-1] == pytest.approx(np.exp(log_p_of(hf, CLEAN, ANSWER)), rel=1e-4)
    assert found.answer_token_log_probs is not None
    for layer in (0, 1, 2):
        for i, token in enumerate(ANSWER.forms[0]):
            one = interp.logit_lens(model, [*CLEAN, *ANSWER.forms[0][:i]], token)
            got = found.answer_token_log_probs[layer, i]
            assert got == pytest.approx(np.log(one.answer_prob[layer]), abs=1e-5)
    page = report(found)
    assert "Token by token" in page
    assert "ranks last" in page
    ranks = [
        interp.logit_lens(model, [*CLEAN, *ANSWER.forms[0][:i]], token).answer_rank
        for i, token in enumerate(ANSWER.forms[0])
    ]
    np.testing.assert_array_equal(found.answer_rank, np.max(ranks, axis=0))
    everywhere = interp.logit_lens(model, CLEAN, FOIL, position="all")
    assert everywhere.answer_prob.shape == (4, 6)
    at_2 = interp.logit_lens(model, CLEAN[:3], FOIL)
    np.testing.assert_allclose(everywhere.answer_prob[:, 2], at_2.answer_prob, atol=1e-6)
    forms = interp.logit_lens(model, CLEAN, Answer(((60,), (80,))))
    each = [interp.logit_lens(model, CLEAN, token) for token in (60, 80)]
    np.testing.assert_allclose(forms.answer_prob, sum(one.answer_prob for one in each), atol=1e-9)
    np.testing.assert_array_equal(forms.answer_rank, np.minimum(*(one.answer_rank for one in each)))


PAIRS = PairDataset(
    name="some",
    pairs=(
        Pair(
            clean=tuple(CLEAN), corrupted=tuple(CORRUPTED), answer=ANSWER, foil=FOIL, positions={"END": (5,)}
        ),
        Pair(
            clean=(256, 11, 21, 31, 40, 50),
            corrupted=(256, 11, 98, 31, 40, 50),
            answer=Answer(((61,),)),
            foil=Answer(((5, 6, 7),)),
            positions={"END": (5,)},
        ),
    ),
)


def test_ablation(both: tuple[Model, PreTrainedModel]) -> None:
    """A head is knocked out where the answer's tokens are read, too, by what other prompts have there."""
    model, _ = both
    kinds = ["zero", "mean", "mean_by_position", "mean_by_template", "resample"]
    found = interp.ablation(model, PAIRS, ["a1.h2", "m2@END"], kinds=kinds)
    corrupted = PAIRS.corrupted

    def z(prompt: Sequence[int]) -> torch.Tensor:
        return model.run_with_cache(list(prompt), ["z"])["z", 1][:, :, [2]]

    mean = torch.cat([z(prompt)[0] for prompt in corrupted]).mean(0)
    values: dict[str, Callable[[Sequence[int]], torch.Tensor | float]] = {
        "zero": lambda follows: 0.0,
        "mean": lambda follows: mean,
        "mean_by_position": lambda follows: sum(z([*p, *follows]) for p in corrupted) / 2,  # type: ignore[return-value]
        "mean_by_template": lambda follows: sum(z([*p, *follows]) for p in corrupted) / 2,  # type: ignore[return-value]
        "resample": lambda follows: z([*corrupted[0], *follows]),
    }
    for row, kind in enumerate(kinds):

        def edits(follows: Sequence[int], kind: str = kind) -> list[Edit]:
            return [Edit.set("z", 1, value=values[kind](follows), heads=2)]

        assert found.after_each[0, row, 0] == pytest.approx(patched_diff(model, edits, CLEAN), abs=1e-5), kind
    at_end = patched_diff(model, lambda _: [Edit.zero("mlp_out", 2, positions=5)], CLEAN)
    assert found.after_each[0, 0, 1] == pytest.approx(at_end, abs=1e-5)
    noisy = interp.ablation(model, PAIRS, ["a1.h2"], kinds="noise")
    assert np.isfinite(noisy.after).all()


def test_edges_nodes_and_paths(both: tuple[Model, PreTrainedModel]) -> None:
    """A node's score is a patch of what it writes in all runs; its edges into the logits act on the last
    stream."""
    model, _ = both
    nodes = node_attribution(model, PAIRS[:1], direction="noising")
    unpatched = patched_diff(model, lambda _: [], CLEAN)

    def edits(follows: Sequence[int]) -> list[Edit]:
        donor = model.run_with_cache([*CORRUPTED, *follows], ["mlp_out"])["mlp_out", 1]
        return [Edit.set("mlp_out", 1, value=donor)]

    patched = patched_diff(model, edits, CLEAN)
    assert nodes.by_name()["m1"] == pytest.approx(unpatched - patched, abs=1e-5)
    paths = interp.path_patching(model, PAIRS[:1], senders=["m1", "a0.h1"])
    assert paths.total.mean[0] == pytest.approx(patched - unpatched, abs=1e-5)

    def last(follows: Sequence[int]) -> list[Edit]:
        own, donor = (
            model.run_with_cache([*p, *follows], ["mlp_out"])["mlp_out", 1] for p in (CLEAN, CORRUPTED)
        )
        return [Edit.add("resid_post", 2, value=donor - own)]

    direct = patched_diff(model, last, CLEAN) - unpatched
    assert paths.direct.mean[0] == pytest.approx(direct, abs=1e-5)
    if "q" not in model.sites:
        return
    edges = interp.edge_attribution(model, PAIRS[:1])
    assert edges.by_name()["m1->logits"] == pytest.approx(-direct, abs=1e-5)

    def of_mlp(follows: Sequence[int]) -> list[Edit]:
        own, donor = (
            model.run_with_cache([*p, *follows], ["mlp_out"])["mlp_out", 0] for p in (CLEAN, CORRUPTED)
        )
        read = model.run_with_cache([*CLEAN, *follows], ["resid_mid"])["resid_mid", 1]
        reads = [Edit.set("resid_mid", 1, value=read + donor - own)]
        value = model.run_with_cache([*CLEAN, *follows], ["mlp_out"], reads)["mlp_out", 1]
        return [Edit.set("mlp_out", 1, value=value)]

    assert edges.by_name()["m0->m1"] == pytest.approx(
        unpatched - patched_diff(model, of_mlp, CLEAN), abs=1e-5
    )
    near = Pair(clean=tuple(CLEAN), corrupted=tuple(CORRUPTED), answer=ANSWER, foil=FOIL)
    runs = sender_runs(model, near, direction="noising", metric="logit_diff")
    assert len(runs.each) == 2  # behind 60 and 61, and behind 63


def test_direct_logit_attribution(both: tuple[Model, PreTrainedModel]) -> None:
    """The parts sum to the log-odds; without a foil, to the log-probability."""
    model, hf = both
    found = interp.direct_logit_attribution(model, CLEAN, ANSWER, FOIL, views=("head", "source", "neuron"))
    expected = log_p_of(hf, CLEAN, ANSWER) - log_p_of(hf, CLEAN, FOIL)
    assert found.logits[0] == pytest.approx(expected, abs=1e-5)
    assert found.by_component.mean.sum() == pytest.approx(expected, abs=1e-3)
    assert found.by_source is not None
    assert found.by_head is not None
    assert found.by_source.shape == (3, 4, 7)  # six positions, and the answer's own
    np.testing.assert_allclose(found.by_source.sum(-1), found.by_head.mean, atol=1e-3)
    alone = interp.direct_logit_attribution(model, CLEAN, FOIL)
    assert alone.logits[0] == pytest.approx(log_p_of(hf, CLEAN, FOIL), abs=1e-5)
    assert alone.by_component.mean.sum() == pytest.approx(alone.logits[0], abs=1e-3)
    forms = interp.direct_logit_attribution(model, CLEAN, Answer(((60,), (61,))), 80, position=3)
    logits = model.forward(CLEAN)[0, 3]
    assert forms.logits[0] == pytest.approx(float(logits[[60, 61]].logsumexp(0) - logits[80]), abs=1e-5)


def test_head_ablation() -> None:
    model = interp.load_model("demo-gpt2")
    text = "John and Mary went to the store. John gave a drink to"
    few = {"n_random": 1, "n_reference": 2, "n_donors": 1, "n_texts": 1, "text_length": 8, "copy_length": 4}
    found = interp.head_ablation(model, text, ["5.1"], answer=" Mary Anna", kinds=["zero"], **few)
    prompt, (form,) = model.to_tokens(text).row(0), model.to_answer(" Mary Anna")
    assert len(form) > 1
    assert found.measures[0] == "log_prob"
    zero = [Edit.zero("z", 5, heads=1)]
    assert found.before[0] == pytest.approx(patched_log_p(model, form, lambda _: [], prompt), abs=1e-4)
    assert found.after[0, 0] == pytest.approx(patched_log_p(model, form, lambda _: zero, prompt), abs=1e-4)
    log_probs = model.forward(prompt)[0].double().log_softmax(-1)
    loss = -float(log_probs[range(len(prompt) - 1), prompt[1:]].mean())
    assert found.before[1] == pytest.approx(loss, abs=1e-4)


def test_answers_of_one_token_are_read_as_ever() -> None:
    """To the bit: the same columns of the same logits."""
    model = interp.load_model(family_model("gpt2"), device="cpu")
    logits = model.forward(CLEAN)
    last = logits[:, -1].double()
    assert torch.equal(Readout.logit_diff(60, 80)(logits), last[:, 60] - last[:, 80])
    assert torch.equal(Readout.prob(60)(logits), last.softmax(-1)[:, 60])
    for readout in (Readout.logit_diff(60, 80), Readout.prob(Answer.of(60))):
        tokens = model.to_tokens(CLEAN)
        assert readout.runs(tokens) is tokens
        edits = [[Edit.zero("z", 1, heads=0)]]
        swept = model.sweep(CLEAN, edits, readout, exact=True).values
        assert torch.equal(swept, readout(model.forward(CLEAN, edits[0])))


@pytest.mark.parametrize("level", ["node", "edge"])
def test_circuits(both: tuple[Model, PreTrainedModel], level: Level) -> None:
    """Everything is the model; what lies outside is what the corrupted prompt has with the same tokens behind
    it."""
    model, _ = both
    full = Circuit.of(model, [], level="node").full
    circuits = [full, full.without(["m1"])]
    if level == "edge":
        circuits = [circuit.as_edges() for circuit in circuits]
    values = circuit_values(model, PAIRS[:1], circuits)[:, 0]

    def edits(follows: Sequence[int]) -> list[Edit]:
        donor = model.run_with_cache([*CORRUPTED, *follows], ["mlp_out"])["mlp_out", 1]
        return [Edit.set("mlp_out", 1, value=donor)]

    expected = patched_diff(model, lambda _: [], CLEAN), patched_diff(model, edits, CLEAN)
    assert values == pytest.approx(expected, abs=1e-4)


def test_facts_of_several_tokens() -> None:
    hf = family_model("qwen3").double()
    hf.config.max_position_embeddings = 512
    model = interp.load_model(hf, tokenizer=byte_tokenizer(), device="cpu", dtype="float64")
    with pytest.raises(InputError, match="several_tokens"):
        facts(model, n=3, relations="country_capital")
    dataset = facts(
        model, n=3, relations=["country_capital", "next_month"], prompts="any", several_tokens=True
    )
    assert dataset.made["several_tokens"] is True
    inspection = inspect_dataset(model, dataset, batch_size=2)
    assert inspection.pairs.several_tokens
    for i, pair in enumerate(dataset):
        answer, foil = Answer.of(pair.answer), Answer.of(pair.foil)
        assert not answer.at_once
        assert apart(answer, foil)
        expected = log_p_of(hf, pair.clean, answer) - log_p_of(hf, pair.clean, foil)
        assert inspection.clean_logit_diff[i] == pytest.approx(expected, abs=1e-4)
        prob = np.exp(log_p_of(hf, pair.corrupted, answer))
        assert inspection.corrupted_prob[i] == pytest.approx(prob, rel=1e-4)


def test_pairs_of_a_file_may_have_several_tokens_and_forms(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    row = {
        "prompt": "The capital of France is",
        "corrupted": "The capital of Japan is",
        "answer": " Paris| Lyon is",
    }
    file.write_text(json.dumps(row | {"foil": {"any": [" Tokyo is", [7]]}}))
    model = interp.load_model("demo-gpt2")
    (pair,) = user_pairs(model, path=file)
    assert pair.answer == model.to_answer(" Paris| Lyon is")
    assert isinstance(pair.foil, Answer)
    assert pair.foil.forms[1] == (7,)


def test_features_read_answers_of_one_place() -> None:
    with pytest.raises(InputError, match="one token each"):
        check_at_once(ANSWER, None, what="Effects of features")
    check_at_once(Answer(((3,), (4,))), Answer.of(5), what="Effects of features")


# ---- how they are written ----


def test_written_answers() -> None:
    model = interp.load_model("demo-gpt2")
    paris, tokyo = model.to_single_token(" Paris"), model.to_single_token(" Tokyo")
    assert model.to_answer(" Paris").plain == paris
    assert model.to_answer(paris).plain == paris
    assert model.to_answer(" Paris| Tokyo") == Answer(((paris,), (tokyo,)))
    assert model.to_answer(" Paris | Tokyo") == Answer(((paris,), (tokyo,)))
    listed = model.to_answer({"any": [" Paris", tokyo, [paris + 1, tokyo]]})
    assert listed == Answer(((paris,), (tokyo,), (paris + 1, tokyo)))
    assert model.to_answer(" Paris| Paris").plain == paris
    several = model.to_answer(" Tokyo Paris")
    assert several == Answer(((tokyo, paris),))
    assert model.answer_label(several) == " Tokyo Paris"
    unspaced = model.to_answer(" Paris|Paris")  # asked for beside the other, it is no slip
    assert unspaced.forms[0] == (paris,)
    assert len(unspaced.forms[1]) > 1
    assert model.answer_label(model.to_answer(" Paris| Tokyo")) == " Paris| Tokyo"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Paris", "leading space"),
        ("", "empty"),
        (" Paris| Paris is", "begins with"),
        ({"all": [" Paris"]}, "any"),
        ({"any": []}, "any"),
        ({"any": [[1.5]]}, "token ids"),
        ({"any": [[10**9]]}, "lie between"),
        (True, "text or a token id"),
    ],
)
def test_what_is_no_answer(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        interp.load_model("demo-gpt2").to_answer(given)


def test_an_answer_and_a_foil_that_count_each_other_are_refused() -> None:
    model = interp.load_model("demo-gpt2")
    pair = {"clean": "The capital of France is", "corrupted": "The capital of Japan is"}
    with pytest.raises(InputError, match="begins with the other"):
        interp.activation_patching(model, **pair, answer=" Paris is", foil=" Paris")
