"""Ablation: planted heads are the ones whose loss shows; every kind is what it says, on plain passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from compiled import indirect_object_model, induction_model
from conftest import run
from interp import Edit
from interp.errors import InputError, SiteError
from interp.methods.ablation.ablation import ablation
from interp.methods.ablation.replacement import KINDS
from interp.methods.ablation.results import AblationResult
from interp.methods.common.components import find_sets
from interp.methods.common.names import COMPONENTS, parse
from interp.results import read_result
from interp.tasks.base import Pair, PairDataset
from interp.tasks.indirect_objects import indirect_objects
from planting import FAMILIES, Family
from test_heads import as_dataset, planted

TINY = ("tiny-gpt2", "tiny-qwen3", "tiny-neox")


@pytest.fixture(scope="session")
def own() -> PairDataset:
    """Pairs of token ids for the tiny models: two templates, two lengths."""
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(6):
        length = 5 if i % 2 else 7
        clean, corrupted = rng.choice(np.arange(3, 60), (2, length), replace=False).tolist()
        pairs.append(
            Pair(
                clean=tuple(clean),
                corrupted=tuple(corrupted),
                answer=1,
                foil=2,
                positions={"S": (1,), "END": (length - 1,)},
                template="odd" if i % 2 else "even",
            )
        )
    return PairDataset(name="own", pairs=tuple(pairs))


def logit_diff(model: interp.Model, pair: Pair, edits: list[Edit], prompt: tuple[int, ...] = ()) -> float:
    """The metric in a plain forward pass."""
    logits = model.forward([prompt or pair.clean], edits)[0, -1].double()
    return float(logits[pair.answer] - logits[pair.foil])


# ---- planted heads ----


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("make", [induction_model, indirect_object_model])
def test_planted_heads_and_no_others_matter(make: Any, family: Family) -> None:
    truth, model = planted(make, family)
    # Mean over two templates: in each, prompts of many fillers and names.
    result = ablation(model, as_dataset(truth, 12), kinds=("zero", "mean", "resample"))
    heads = np.array(list(truth.heads.values()))
    n_heads = model.arch.n_heads
    matters = np.zeros(len(result.sets), dtype=bool)
    matters[heads[:, 0] * n_heads + heads[:, 1]] = True
    change = np.abs(result.change.mean)
    assert change[:, ~matters].max() < 0.01
    assert change[:, matters].min() > 1  # logits, of about 20
    zero = result.changes("zero")
    for role, (layer, head) in truth.heads.items():
        fall = -zero[f"a{layer}.h{head}"] / result.before.mean
        assert fall < -0.2 if role == "negative_mover" else fall > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_sets_of_planted_heads(family: Family) -> None:
    """Without both movers nothing is left, while without the mover alone the negative one remains."""
    truth, model = planted(indirect_object_model, family)
    result = ablation(model, as_dataset(truth, 6), ["2.1", "2.3", ["2.1", "2.3"]], kinds="zero")
    mover, negative, both = result.after[0] / result.before.mean
    assert mover == pytest.approx(-1 / 3, abs=0.02)  # -0.25 of 1 - 0.25
    assert negative == pytest.approx(4 / 3, abs=0.02)
    assert both == pytest.approx(0, abs=1e-3)
    assert result.sets == ("a2.h1", "a2.h3", "a2.h1 + a2.h3")


# ---- identities ----


@pytest.mark.parametrize("name", TINY)
def test_nothing_and_everything(load: Any, own: PairDataset, name: str) -> None:
    model = load(name)
    layers = range(model.arch.n_layers)
    everything = ["input", *(f"a{n}" for n in layers), *(f"m{n}" for n in layers)]
    result = ablation(model, own, [[], everything, " + ".join(everything[1:])], kinds=("zero", "resample"))
    np.testing.assert_array_equal(result.after_each[:, :, 0].T, [result.before.each] * 2)
    corrupted = [logit_diff(model, pair, [], pair.corrupted) for pair in own]
    np.testing.assert_allclose(result.after_each[:, 1, 1], corrupted, atol=1e-4)
    clean = [logit_diff(model, pair, []) for pair in own]
    np.testing.assert_allclose(result.before.each, clean, atol=1e-4)
    assert not np.allclose(clean, corrupted, atol=0.01)
    assert result.sets[0] == "nothing"
    assert result.change.low[0, 0] == result.change.high[0, 0] == 0


@pytest.mark.parametrize("name", TINY)
def test_a_layer_ablated_to_zero_is_skipped(load: Any, own: PairDataset, name: str) -> None:
    model = load(name)
    result = ablation(model, own[:2], ["l1", "l0 + l1"], kinds="zero")
    for i, pair in enumerate(own[:2]):
        stream = model.run_with_cache([pair.clean], [("resid_pre", 0), ("resid_pre", 1)])
        skipped = logit_diff(model, pair, [Edit.set("resid_post", 1, value=stream["resid_pre", 1])])
        assert result.after_each[i, 0, 0] == pytest.approx(skipped, abs=1e-4)
        both = logit_diff(model, pair, [Edit.set("resid_post", 1, value=stream["resid_pre", 0])])
        assert result.after_each[i, 0, 1] == pytest.approx(both, abs=1e-4)


# ---- each kind, by hand ----


@pytest.mark.parametrize("reference", ["corrupted", "clean"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_means_by_hand(load: Any, own: PairDataset, name: str, reference: str) -> None:
    model = load(name)
    what = ["a1.h2", "m0@END", "m1.n5"]
    result = ablation(model, own, what, kinds=("mean", "mean_by_template"), reference=reference)  # type: ignore[arg-type]
    z, out, act = [], [], []
    for pair in own:
        cache = model.run_with_cache([getattr(pair, reference)], [("z", 1), ("mlp_out", 0), ("mlp_act", 1)])
        z.append(cache["z", 1][0, :, 2])
        out.append(cache["mlp_out", 0][0])
        act.append(cache["mlp_act", 1][0, :, 5])
    for i, pair in enumerate(own):
        end = len(pair) - 1
        alike = [n for n, other in enumerate(own) if other.template == pair.template]
        own_act = model.run_with_cache([pair.clean], [("mlp_act", 1)])["mlp_act", 1].clone()
        for k, (mean_z, mean_out, mean_act) in enumerate(
            (
                (torch.cat(z).mean(0)[None], torch.cat(out).mean(0), torch.cat(act).mean()),
                (
                    torch.stack([z[n] for n in alike]).mean(0),
                    torch.stack([out[n] for n in alike]).mean(0)[end],
                    torch.stack([act[n] for n in alike]).mean(0),
                ),
            )
        ):
            own_act[0, :, 5] = mean_act
            by_hand = [
                logit_diff(model, pair, [Edit.set("z", 1, value=mean_z[None, :, None], heads=2)]),
                logit_diff(model, pair, [Edit.set("mlp_out", 0, value=mean_out, positions=end)]),
                logit_diff(model, pair, [Edit.set("mlp_act", 1, value=own_act)]),
            ]
            np.testing.assert_allclose(result.after_each[i, k, :], by_hand, atol=2e-5)


def test_mean_by_position_is_that_of_one_template(load: Any, own: PairDataset) -> None:
    model = load("tiny-gpt2")
    same = own.where(length=7)
    result = ablation(model, same, "heads", kinds=("mean_by_position", "mean_by_template", "mean"))
    np.testing.assert_allclose(result.after[0], result.after[1], atol=1e-6)
    assert not np.allclose(result.after[0], result.after[2], atol=1e-6)
    with pytest.raises(InputError, match="5, 7 tokens"):
        ablation(model, own, "heads", kinds="mean_by_position")


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_resampling_from_the_own_corrupted_prompt(load: Any, own: PairDataset, name: str) -> None:
    model = load(name)
    result = ablation(model, own[:3], ["a1.h0", "m1@S", "input@S", "m0.n3"], kinds="resample")
    for i, pair in enumerate(own[:3]):
        sites = [("z", 1), ("mlp_out", 1), ("resid_pre", 0), ("mlp_act", 0)]
        other = model.run_with_cache([pair.corrupted], sites)
        act = model.run_with_cache([pair.clean], [("mlp_act", 0)])["mlp_act", 0].clone()
        act[..., 3] = other["mlp_act", 0][..., 3]
        by_hand = [
            Edit.set("z", 1, value=other["z", 1][:, :, :1], heads=0),
            Edit.set("mlp_out", 1, value=other["mlp_out", 1][:, 1:2], positions=1),
            Edit.set("resid_pre", 0, value=other["resid_pre", 0][:, 1:2], positions=1),
            Edit.set("mlp_act", 0, value=act),
        ]
        expected = [logit_diff(model, pair, [edit]) for edit in by_hand]
        np.testing.assert_allclose(result.after_each[i, 0, :], expected, atol=2e-5)


def test_resampling_from_other_clean_prompts(load: Any, own: PairDataset) -> None:
    """Everything replaced by that of another prompt: the values are another prompt's, each once a length."""
    model = load("tiny-gpt2")
    everything = ["input", *(f"{kind}{n}" for n in range(model.arch.n_layers) for kind in "am")]
    result = ablation(model, own, [everything], kinds="resample", reference="clean", seed=3)
    values = [logit_diff(model, pair, []) for pair in own]
    for length in (5, 7):
        rows = [i for i, pair in enumerate(own) if len(pair) == length]
        after = [float(result.after_each[i, 0, 0]) for i in rows]
        np.testing.assert_allclose(sorted(after), sorted(values[i] for i in rows), atol=1e-4)
        assert all(abs(a - values[i]) > 1e-3 for a, i in zip(after, rows, strict=True))
    with pytest.raises(InputError, match="no other clean prompt of 7 tokens"):
        ablation(model, own[:2], "heads", kinds="resample", reference="clean")


def test_noise_is_seeded_and_of_the_activations_size(load: Any, own: PairDataset) -> None:
    model = load("tiny-gpt2")
    alone = ablation(model, own, ["m1"], kinds="noise", seed=5)
    beside = ablation(model, own, ["a0.h1", "m1"], kinds=("zero", "noise"), seed=5)
    np.testing.assert_allclose(alone.after_each[:, 0, 0], beside.after_each[:, 1, 1], atol=1e-5)
    other = ablation(model, own, ["m1"], kinds="noise", seed=6)
    assert not np.allclose(alone.after, other.after)
    # Noise in what the logits read: its spread is what the standard deviations give.
    many = PairDataset(name="own", pairs=own.pairs * 60)
    spread = ablation(model, many, ["m1.n4"], kinds="noise").after_each[:, 0, 0]
    outs = torch.cat([model.run_with_cache([p.corrupted], [("mlp_act", 1)])["mlp_act", 1][0] for p in own])
    std = float(outs[:, 4].std(unbiased=False))
    for i, pair in enumerate(own):
        up, down = (
            logit_diff(model, pair, [Edit.add("mlp_act", 1, value=sign * std * _unit(model, 4))])
            for sign in (1, -1)
        )
        expected = abs(up - down) / 2  # nearly linear
        assert spread[i::6].std() == pytest.approx(expected, rel=0.35)


def _unit(model: interp.Model, neuron: int) -> torch.Tensor:
    unit = torch.zeros(model.arch.d_mlp or 0)
    unit[neuron] = 1
    return unit


def test_neurons_in_a_set_leave_the_others_free(load: Any, own: PairDataset) -> None:
    """A neuron behind a head that is knocked out too: the other neurons answer to what the head did."""
    model = load("tiny-gpt2")
    pair = own[0]
    result = ablation(model, own[:1], ["a0.h1 + m0.n2 + m0.n7"], kinds="zero")
    head = Edit.zero("z", 0, heads=1)
    act = model.run_with_cache([pair.clean], [("mlp_act", 0)], [head])["mlp_act", 0].clone()
    act[..., [2, 7]] = 0
    expected = logit_diff(model, pair, [head, Edit.set("mlp_act", 0, value=act)])
    assert result.after_each[0, 0, 0] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_branches_give_what_plain_passes_do(load: Any, own: PairDataset, name: str) -> None:
    model = load(name)
    what = ["heads", "layers", "positions", "a0@END + m1.n3 + 1.1"]
    kinds = tuple(k for k in KINDS if k != "mean_by_position")
    fast, plain = (ablation(model, own[:4], what, kinds=kinds, exact=e) for e in ("auto", True))
    assert (fast.path, plain.path) == ("branching", "plain")
    np.testing.assert_allclose(fast.after_each, plain.after_each, atol=1e-4)
    np.testing.assert_allclose(fast.change.mean, fast.after - fast.before.mean, atol=1e-12)
    np.testing.assert_allclose(fast.after, fast.after_each.mean(0), atol=1e-12)


@pytest.mark.parametrize("metric", ["prob", "kl"])
def test_other_metrics(load: Any, own: PairDataset, metric: str) -> None:
    model = load("tiny-gpt2")
    result = ablation(model, own[:2], ["m1"], kinds="zero", metric=metric)  # type: ignore[arg-type]
    for i, pair in enumerate(own[:2]):
        clean, without = (
            model.forward([pair.clean], edits)[0, -1].double().log_softmax(-1)
            for edits in ([], [Edit.zero("mlp_out", 1)])
        )
        if metric == "prob":
            assert result.after_each[i, 0, 0] == pytest.approx(float(without[pair.answer].exp()), rel=1e-4)
        else:
            kl = float((clean.exp() * (clean - without)).sum())
            assert result.after_each[i, 0, 0] == pytest.approx(kl, rel=1e-3)
            assert result.before.each[i] == pytest.approx(0, abs=1e-9)


# ---- names, and what is refused ----


@pytest.mark.parametrize("text", ["a5.h1", "a5", "m3", "m3.n17", "l2", "input", "input@S1+1", "a5.h1@-1"])
def test_names_print_as_they_parse(text: str) -> None:
    assert str(parse(text, COMPONENTS)) == text
    assert parse("9.10", COMPONENTS) == parse("a9.h10", COMPONENTS)


def test_words_stand_for_all_of_a_kind(load: Any, own: PairDataset) -> None:
    arch = (model := load("tiny-qwen3")).arch
    assert len(find_sets(model, "heads", ())) == arch.n_layers * arch.n_heads
    assert len(find_sets(model, ["attention", "mlps", "layers"], ())) == 3 * arch.n_layers
    assert len(find_sets(model, "m1.neurons", ())) == arch.d_mlp
    assert [str(one) for (one,) in find_sets(model, "positions", own.roles)] == ["input@S", "input@END"]


def test_what_is_refused(load: Any, own: PairDataset) -> None:
    model = load("tiny-qwen3")
    for wrong in (
        "head", "a9.h0", "a0.h9", "m9", "m0.n9999", "l9", "m9.neurons", "a0.h1@", "a0.h1@IO", "a0.h1@9",
        "a0+a1", [], ["a0.h1", "0.1"], [["a0", "a0"]], [["l0", "m0"]], [["a0.h1", "a0.h1@END"]], [[3]],
    ):  # fmt: skip
        with pytest.raises(InputError):
            ablation(model, own, wrong)  # type: ignore[arg-type]
    for options in ({"kinds": "zeros"}, {"kinds": []}, {"kinds": ["zero", "zero"]}, {"reference": "none"}):
        with pytest.raises(InputError):
            ablation(model, own, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="alone of the template"):
        ablation(model, own[:2], kinds="mean_by_template")
    with pytest.raises(InputError, match="no roles"):
        find_sets(model, "positions", ())


@pytest.mark.nnsight
def test_nnsight_ablates_too(load: Any) -> None:
    ours, theirs = load("demo-gpt2"), load("demo-gpt2", "nnsight")
    dataset = indirect_objects(ours, n=2)
    what = ["a0.h5", "m2", "l3", "m1.n7", "input@S2"]
    a, b = (ablation(m, dataset, what, kinds=("zero", "mean", "resample")) for m in (ours, theirs))
    np.testing.assert_allclose(a.after, b.after, atol=1e-3)


def test_a_model_without_one_mlp_says_so() -> None:
    from families import family_model

    model = interp.load_model(family_model("mixtral"), device="cpu")
    pair = Pair(clean=(5, 6, 7), corrupted=(5, 6, 8), answer=1, foil=2)
    dataset = PairDataset(name="own", pairs=(pair,))
    with pytest.raises(SiteError, match="mixture of experts"):
        ablation(model, dataset, "m0.neurons")
    assert ablation(model, dataset, "mlps", kinds="zero").after.shape == (1, model.arch.n_layers)


# ---- the demo models, and the command line ----


def test_kinds_disagree_on_a_demo_model(load: Any) -> None:
    """demo-gpt2 needs what head 0.0 always writes, while what that says of a prompt hardly counts."""
    model = load("demo-gpt2")
    result = ablation(model, indirect_objects(model, n=6), ["a0.h0", "a0.h5"])
    zero, resample = result.changes("zero"), result.changes("resample")
    assert zero["a0.h0"] < -3 < -1 < resample["a0.h0"]
    assert zero["a0.h5"] < -3 > resample["a0.h5"]
    again = read_result(result.to_dict())
    assert isinstance(again, AblationResult)
    np.testing.assert_array_equal(again.after, result.after)
    assert [str(one) for (one,) in again.components] == ["a0.h0", "a0.h5"]


@pytest.mark.parametrize("what", ['["mlps", "a0.h5 + a1.h2", []]', "heads"])
def test_the_command_line(tmp_path: Path, what: str) -> None:
    code = run(
        "run", "ablation", "--set", "n=2", "--set", f"what={what}", "--set", 'kinds=["zero","resample"]',
        "--out", tmp_path, "--tag", "one",
    )  # fmt: skip
    assert code == 0
    assert (tmp_path / "ablation" / "one" / "ablation.png").stat().st_size > 10_000
