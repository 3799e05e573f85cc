"""What a run will take: counts against the runs themselves, sizes against what is known of the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import interp
from conftest import run
from interp.errors import InputError, ModelLoadError
from interp.experiments.base import find_experiment
from interp.plans.rehearsal import Tally, Work, _counted, rehearse
from interp.plans.shapes import Shape

SHAPES = Path(__file__).parents[1] / "docs" / "shapes"


@pytest.mark.parametrize(
    ("name", "parameters", "active"),
    [
        ("llama-3.1-70b", 70_553_706_496, 70_553_706_496),  # as the published checkpoints have them
        ("llama-3.1-405b", 405_853_388_800, 405_853_388_800),
        ("qwen3-235b-a22b", 235_093_634_560, 22.2e9),
    ],
)
def test_sizes_of_published_models(name: str, parameters: int, active: float) -> None:
    shape = Shape.of(str(SHAPES / f"{name}.json"))
    assert shape.parameters == parameters
    met = shape.parameters - shape.arch.n_layers * (shape.layer_parameters - shape.active_parameters)
    assert met == pytest.approx(active, rel=0.01)


def test_sizes_of_a_model_that_is_here(load: Any) -> None:
    model, shape = load("demo-qwen3"), Shape.of("demo-qwen3")
    assert shape.arch == model.arch
    assert shape.parameters == sum(weight.numel() for weight in model.hf_model.parameters())
    with pytest.raises(ModelLoadError, match="no configuration"):
        Shape.of("no/such-model-anywhere")


COUNTED = {
    "activation_patching": {"site": "z", "by": "head"},
    "causal_tracing": {},
    "path_patching": {"n": 3, "pairs": "all"},
    "ablation": {"n": 3, "pairs": "all", "kinds": ["zero"]},
    "logit_lens": {},
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_rehearsal_counts_what_the_run_computes(name: str, load: Any) -> None:
    """On a random narrow model as on the trained one: rows through layers, and what is read out."""
    model, shape = load("demo-gpt2"), Shape.of("demo-gpt2")
    experiment = find_experiment(name)
    config = experiment.make_config({"model": "demo-gpt2", "self_check": False, **COUNTED[name]})
    tally = Tally()
    with _counted(model, shape, tally):
        experiment.run(config, model)
    seen = Work.of(tally.numbers(), tally)
    foretold = rehearse(experiment, config, shape, model.tokenizer)
    assert foretold.rows == pytest.approx(seen.rows, rel=0.1)
    assert foretold.read_out == pytest.approx(seen.read_out, rel=0.1)
    assert foretold.parts == seen.parts
    assert "_unembed" not in vars(model), "the model is left as it was"


def test_a_deep_model_is_counted_by_a_few_layers(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A polynomial through shallow stand-ins, held to a run at full depth."""
    import copy

    shape = Shape.of("demo-gpt2")
    config = copy.deepcopy(shape.config)
    config.n_layer = 14
    deep = Shape("deep", config)
    experiment = find_experiment("activation_patching")
    tokenizer = load("demo-gpt2").tokenizer
    asked = experiment.make_config({})
    from interp.plans import rehearsal

    monkeypatch.setattr(rehearsal, "_WHOLE", 8)
    fitted = rehearse(experiment, asked, deep, tokenizer)

    whole = rehearsal._run(experiment, asked, deep, tokenizer, 14, None)
    assert fitted.rows == pytest.approx(whole.rows, rel=0.02)
    assert fitted.attended == pytest.approx(whole.attended, rel=0.02)
    assert fitted.n_pos == pytest.approx(whole.attended / whole.rows, rel=0.02)


def test_more_pairs_are_like_the_first() -> None:
    """40 pairs by four of them; the prompts of a task differ in length."""
    shape = Shape.of("demo-gpt2")
    experiment = find_experiment("path_patching")
    tokenizer = interp.load_model("demo-gpt2", device="cpu", self_check=False).tokenizer
    rows = [
        rehearse(experiment, experiment.make_config({"n": n, "pairs": "all"}), shape, tokenizer).rows
        for n in (10, 20)
    ]
    assert rows[1] / rows[0] == pytest.approx(2.0, rel=0.1)


def test_what_does_not_fit_and_what_to_change() -> None:
    options = {"tokenizer": "demo-qwen3", "here": False, "dtype": "bfloat16"}
    whole = interp.plan("causal_tracing", model=str(SHAPES / "llama-3.1-70b.json"), gpus=1, **options)
    (place,) = whole.on
    assert whole.weights == pytest.approx(141e9, rel=0.01)
    assert place.together == 0
    assert place.seconds is None
    assert "in 8-bit they would take 70.6 GB, and fit" in " ".join(place.notes)
    assert "2 such devices would hold them" in " ".join(place.notes)
    eight = interp.plan("causal_tracing", model=str(SHAPES / "llama-3.1-70b.json"), gpus=8, **options).on[0]
    assert (eight.together, eight.copies) == (2, 1)
    assert eight.seconds is not None


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "activation_patching", "--model", "demo-gpt2", "--gpus", "2") == 0
    out = " ".join(capsys.readouterr().out.split())
    for expected in ("operations", "weights in float32", "this machine", "2 GPUs of 80 GB"):
        assert expected in out
    assert run("plan", "activation_patching", "--model", str(SHAPES / "llama-3.1-70b.json")) == 2
    assert "no tokenizer" in capsys.readouterr().err
    with pytest.raises(InputError, match="above 0"):
        interp.plan("logit_lens", gpus=1, gpu_memory=0.0)
