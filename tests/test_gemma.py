"""A real model, Gemma 3 270M out of packages: the backends agree on it, every experiment runs on it, and it
knows and does what it was seen to know and do. Skipped where the packages (extra ``real``) are not installed.

Figures stand within intervals: another definition of a score may move one, and then says so here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from conftest import needs_backend, run
from interp import Edit
from interp.configs import read_config
from interp.errors import InputError
from interp.experiments.base import all_experiments, find_experiment
from interp.figures.engine.drawing import png
from interp.methods.common.circuit import Circuit
from interp.methods.lens.lens import STREAMS
from interp.models.base import Model
from interp.models.gguf.packages import GEMMA, is_installed
from interp.models.growing import grown
from interp.models.self_check import require, self_check
from interp.sites import SITES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(
        not is_installed(GEMMA),
        reason="the packages of Gemma 3 270M are not installed; run: make real",
    ),
]

ROOT = Path(__file__).parents[1]
TEXT = "When John and Mary went to the store, John gave a drink to"
FACT = {"clean": "The capital of France is", "corrupted": "The capital of Japan is"}
CIRCUIT = ["11.3", "12.1", "13.3", "17.2", "9.3"]

#: The shipped configurations, made small; those on a lens or an SAE are given one of a few steps' training.
TWO = {"n": 4, "options": {"templates": ["Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to"]}}
SMALL: dict[str, dict[str, Any]] = {
    "ablation": TWO | {"what": ["11.3", "12.1"]},
    "activation_patching": {"n": 1},
    "alignment_search": {"n": 60, "steps": 2, "dims": [1], "layers": [9], "per_base": 1, "untrained": False},
    "attention_by_role": {"n": 2},
    "circuit_discovery": {"n": 1, "steps": 1, "n_members": 20},
    "compare_lenses": {
        "held_out": 1, "training": 1, "length": 16, "cases": "none", "shuffled": ["logit"], "n_random": 1,
    },
    "compare_models": {
        "other": None, "other_dtype": "bfloat16", "n": 1, "held_out": 2, "training": 1, "length": 8,
        "stitch": ["mlp_out"], "untrained": False,
    },
    "completeness": {"n": 1, "circuit": ["11.3", "12.1"], "groups": {}},
    "copying_scores": {"n": 1},
    "direction_effects": {"strengths": [0.5], "n_random": 1, "n_shuffled": 0, "sequences": 1, "length": 8},
    "faithfulness": {"n": 2, "n_random": 1, "compare": []},
    "faithfulness_curve": {"n": 1, "steps": 1, "n_random": 1},
    "feature_ablation": {"n": 4, "sequences": 2, "length": 32, "sizes": [1], "n_random": 1, "others": []},
    "feature_effects": {"n": 1, "steps": 1},
    "generate": {"n_tokens": 2},
    "head_ablation": {"n_random": 1, "n_reference": 2, "n_texts": 1, "text_length": 16, "copy_length": 8},
    "head_scores": {"n": 1, "length": 12},
    "ioi": {"n": 4, "templates": TWO["options"]["templates"], "n_random": 1},
    "patching_vs_attribution": {"n": 1},
    "knowledge": {"n": 6, "probe_layers": [9], "options": {}, "strengths": [0.5], "n_random": 1},
    "over_checkpoints": {
        "checkpoints": ["gemma-3-270m"],
        "measures": [{
            "run": "head_scores", "read": {"induction": "attention.2.max"},
            "settings": {"n": 1, "length": 12, "n_ablated": 0},
        }],
    },
    "path_patching": {"n": 1},
    "probing": {
        "n": 4, "options": {"options": {"corruption": "abc"} | TWO["options"]}, "layers": [-1, 9],
        "folds": 2, "n_shuffled": 1, "untrained": False,
    },
    "describe_features": {"sequences": 4, "length": 64, "n": 3},
    "prompt_features": {"sequences": 2, "length": 32},
    "sae_benchmark": {
        "training": 4, "held_out": 2, "length": 32, "n_features": 64, "k": 4, "steps": 3, "batch_size": 32,
        "seeds": 1, "sequences": 24, "settings": [{"kind": "topk"}],
    },
    "steering": {"strengths": [-100, 0, 100], "n_tokens": 2},
    "train_jacobian_lens": {
        "training": 2, "held_out": 1, "length": 20, "layers": [15], "save_to": None,
    },
    "train_sae": {
        "training": 4, "held_out": 2, "length": 32, "expansion": 1, "steps": 4, "batch_size": 32,
        "buffered": 4, "text": "docs/methodology.md",
    },
    "train_transcoders": {
        "training": 4, "held_out": 1, "length": 32, "n_features": 64, "k": 4, "steps": 4, "batch_size": 32,
        "buffered": 4,
    },
    "train_tuned_lens": {"training": 1, "held_out": 1, "length": 8, "steps": 1, "batch_size": 1},
}  # fmt: skip
MAKE_FILES = ("train_sae", "train_transcoders", "train_tuned_lens")


@pytest.fixture(scope="module")
def gemma() -> Model:
    return interp.load_model("gemma-3-270m", self_check=False, memory=1.0)  # GB for a sweep


@pytest.fixture(scope="module")
def pairs(gemma: Model) -> interp.PairDataset:
    """The sixty prompts of indirect objects, two for each template and order."""
    return interp.make_dataset("indirect_objects", gemma, n=60, corruption="abc")


# ---- it is read as it is ----


def test_it_passes_its_self_check(gemma: Model) -> None:
    require(self_check(gemma), gemma)
    assert gemma.arch.post_norms
    assert gemma.identity.quantisation == "Q4_K_M"


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("transformer_lens", marks=pytest.mark.tl),
        pytest.param("nnsight", marks=pytest.mark.nnsight),
    ],
)
def test_the_backends_agree_at_every_site_that_they_share(gemma: Model, backend: Any) -> None:
    """Activations, logits, and the logits after an edit of each site."""
    needs_backend(backend)
    other = interp.load_model(gemma.hf_model, gemma.tokenizer, backend=backend, self_check=False)
    sites = [site for site in other.sites if site in gemma.sites]
    assert {"resid_pre", "z", "attn_out", "mlp_out", "resid_post"} <= set(sites)
    halved = [
        Edit.scale(site, 9 if SITES[site].per_layer else None, value=0.5, positions=-1) for site in sites
    ]
    for edits in ([], *([edit] for edit in halved)):
        read = sites if not edits else ()
        ours, theirs = (model.run_with_cache(TEXT, read, edits) for model in (other, gemma))
        for hook in ours:
            allowed = max(1e-4, 1e-5 * float(theirs[hook].abs().max()))
            torch.testing.assert_close(ours[hook], theirs[hook], rtol=0, atol=allowed)
        torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=1e-3)


# ---- every experiment ----


@pytest.fixture(scope="module")
def trained(gemma: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A dictionary and a lens of a few steps, in the places of those of the configurations."""
    folder = tmp_path_factory.mktemp("trained")
    places: dict[str, Any] = {}
    for experiment, key in (
        ("train_sae", "sae"),
        ("train_transcoders", "transcoders"),
        ("train_tuned_lens", "lens"),
    ):
        places[key] = str(folder / key)
        perform(gemma, experiment, {"save_to": places[key]})
    places["lenses"] = ["logit", places["lens"], "patchscope"]
    return places


def perform(model: Model, name: str, values: dict[str, Any]) -> Any:
    """What an experiment gives in its shipped configuration, made small; drawn, tabled and reported."""
    found = find_experiment(name)
    given = read_config(ROOT / f"configs/{name}/gemma-3-270m.yaml") | SMALL.get(name, {}) | values
    if "text" in given:
        given["text"] = str(ROOT / given["text"])
    del given["experiment"]
    result = found.run(found.make_config(given), model)
    assert png(found.presentation.figure(result)).startswith(b"\x89PNG")
    assert found.presentation.table(result) is not None
    assert found.presentation.report(result).startswith("<section")
    return result


@pytest.mark.parametrize("name", sorted(set(all_experiments()) - set(MAKE_FILES)))
def test_every_experiment_runs_in_its_configuration(gemma: Model, trained: dict[str, Any], name: str) -> None:
    fields = find_experiment(name).config.model_fields
    result = perform(gemma, name, {key: place for key, place in trained.items() if key in fields})
    assert result.provenance.post_norms


@pytest.mark.parametrize("name", ["ablation", "faithfulness", "head_ablation", "path_patching"])
def test_a_head_that_is_not_there_is_refused_before_the_model_runs(
    gemma: Model, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {
        "ablation": "what",
        "faithfulness": "circuit",
        "head_ablation": "heads",
        "path_patching": "senders",
    }
    monkeypatch.setattr(type(gemma), "_run", lambda *_: pytest.fail("a prompt was run"))
    found = find_experiment(name)
    with pytest.raises(InputError, match=r"9\.9|a9\.h9"):
        found.run(found.make_config({key[name]: ["a9.h9"]}), gemma)


# ---- what it knows and does ----


def test_facts_are_known(gemma: Model) -> None:
    expected = {
        ("Water is made of hydrogen and", " oxygen"): (0.80, 0.90),
        ("The Eiffel Tower is in the city of", " Paris"): (0.44, 0.56),
        (TEXT, " Mary"): (0.72, 0.86),
    }
    for (prompt, answer), (low, high) in expected.items():
        probs = gemma.forward(prompt)[0, -1].softmax(-1)
        assert int(probs.argmax()) == gemma.to_single_token(answer)
        assert low < float(probs.max()) < high, prompt


def test_paris_leads_from_layer_13_on(gemma: Model) -> None:
    lens = interp.logit_lens(gemma, "The Eiffel Tower is in the city of", " Paris")
    assert lens.crossover_layer == 13
    prob = lens.answer_prob[1:]  # without the embedding
    assert prob[10] < 1e-4 < prob[11] < 0.01 < prob[12] < 0.2 < prob[13]


def test_the_fact_leaves_the_country_between_layers_12_and_13(gemma: Model) -> None:
    recovery = interp.causal_tracing(gemma, **FACT, answer=" Paris", foil=" Tokyo").recovery
    country, last = recovery[:, 4], recovery[:, 5]
    assert (country[:13] > 0.95).all()
    assert (abs(country[13:]) < 0.15).all()
    assert (abs(last[:13]) < 0.15).all()
    assert (last[13:] > 0.8).all()


def test_indirect_objects_are_named(gemma: Model, pairs: interp.PairDataset) -> None:
    found = interp.inspect_dataset(gemma, pairs)
    assert (found.clean_logit_diff > 0).all()
    assert found.clean_logit_diff.mean() == pytest.approx(4.99, abs=0.3)


def test_heads_look_back(gemma: Model) -> None:
    scores = interp.head_scores(gemma, n=4, n_ablated=0)
    induction = dict(zip(scores.scores, scores.attention.mean, strict=True))["induction"]
    assert np.unravel_index(induction.argmax(), induction.shape) == (5, 1)
    assert induction[5, 1] == pytest.approx(0.83, abs=0.06)
    assert induction[11, 2] == pytest.approx(0.59, abs=0.1)


def test_single_heads_bring_back_and_take_away_an_indirect_object(gemma: Model) -> None:
    """Denoising of each head, on one prompt with the subject swapped."""
    swept = interp.activation_patching(
        gemma,
        clean=TEXT,
        corrupted=TEXT.replace("John gave", "Mary gave"),
        answer=" Mary",
        foil=" John",
        site="z",
        by="head",
    ).recovery.mean
    assert np.unravel_index(swept.argmax(), swept.shape) == (11, 3)
    assert np.unravel_index(swept.argmin(), swept.shape) == (15, 1)
    assert swept[11, 3] == pytest.approx(0.49, abs=0.05)
    assert swept[15, 1] == pytest.approx(-0.47, abs=0.05)


def test_five_heads_carry_half_of_the_indirect_object(gemma: Model, pairs: interp.PairDataset) -> None:
    """With all MLPs, all else being as in the corrupted run; random circuits of as many heads keep less."""
    found = interp.faithfulness(
        gemma, pairs[:8], Circuit.of(gemma, CIRCUIT), keep_mlps=True, compare=[], n_random=2
    )
    value = float(found.faithfulness.value[0, found.runs.index("circuit")])
    assert 0.35 < value < 0.8
    assert (found.random_faithfulness < value).all()


def test_parts_by_head_sum_to_the_logits(gemma: Model) -> None:
    parts = interp.direct_logit_attribution(gemma, TEXT, " Mary", " John", views=["head"])
    logits = gemma.forward(TEXT)[0, -1]
    mary, john = (gemma.to_single_token(name) for name in (" Mary", " John"))
    assert float(parts.by_component.mean.sum()) == pytest.approx(float(logits[mary] - logits[john]), abs=1e-3)
    assert np.unravel_index(parts.by_head.mean.argmax(), parts.by_head.mean.shape) == (12, 1)


def test_interp_real_runs_all_on_one_loaded_model(
    gemma: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make real` runs, made small; its study of indirect objects is tested above."""
    from interp.experiments import demonstrations

    small = tuple((name, values | SMALL.get(name, {})) for name, values in demonstrations.REAL[:3])
    monkeypatch.setattr(demonstrations, "REAL", small)
    loads: list[str] = []
    monkeypatch.setattr("interp.runs.load_for", lambda config: loads.append(config.model) or gemma)
    assert run("real", "--out", tmp_path) == 0
    assert loads == ["gemma-3-270m"]
    printed = capsys.readouterr().out
    assert "Gemma Terms of Use" in printed.split("\n")[0]
    for name, _ in small:
        assert (tmp_path / name / "gemma-3-270m-demo" / f"{name}.png").is_file()


def test_a_text_grows_beyond_the_sliding_window(gemma):
    """Most layers see 512 tokens; what is kept of all of them gives what a whole run gives."""
    ids = gemma.to_tokens(" ".join(["It was the best of times, it was the worst of times."] * 44)).row(0)
    first = grown(gemma, ids[:-9], STREAMS)
    found, whole = grown(gemma, ids, STREAMS, first), gemma.run_with_cache([ids], STREAMS, logits=False)
    assert len(ids) - 9 > gemma.hf_model.config.sliding_window
    for key, value in found.values.items():
        torch.testing.assert_close(value, whole[key], rtol=1e-4, atol=1e-4 * float(whole[key].abs().max()))
