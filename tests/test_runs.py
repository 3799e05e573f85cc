"""Experiments and runs on disk, from the command line as a user gives it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import interp
import interp.runs
from conftest import run
from interp.configs import parse_override, read_config, write_config
from interp.errors import ConfigError, InputError
from interp.experiments.base import ExperimentConfig, all_experiments, experiment, find_experiment
from interp.runs import read_run
from test_showing import check_shows_itself

EXPERIMENTS = ["logit_lens", "causal_tracing"]
MODELS = ["demo-gpt2", "demo-qwen3"]
#: The others, each made small; the tuned lens is trained in tests/test_tuned_lens.py, and what reads an SAE
#: is given one (tests/test_feature_reading.py).
SMALL = {
    "ablation": ["n=4"],
    "attention_patterns": [],
    "attention_by_role": ["n=4"],
    "faithfulness": ["n=4", "n_random=1", 'compare=["mean"]'],
    "completeness": ["n=4", 'circuit=["a0","m0"]', "n_random=1", "n_greedy=0", 'groups={"first":["a0.h5"]}'],
    "compare_lenses": ["held_out=2", "length=16", "cases=none"],
    "compare_models": [
        "other=demo-gpt2",
        "n=2",
        "held_out=2",
        "length=16",
        'stitch=["resid_pre","mlp_out","z"]',
    ],
    "contrast": [],
    "copying_scores": ["n=4"],
    "direct_logit_attribution": [],
    "direction_effects": ["n=16", "strengths=[0.5]", "n_random=1", "n_shuffled=1", "positions=role"],
    "circuit_discovery": ["n=2", "method=eap", "n_members=20"],
    "generate": ["n_tokens=3", 'edits=[{"op": "zero", "at": "blocks.3.hook_mlp_out", "start": -1}]'],
    "head_scores": ["n=2"],
    "head_ablation": ["n_random=1", "n_reference=2", "n_texts=1"],
    "lenses_on_prompt": [],
    "ioi": [
        "n=8",
        'templates=["Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to"]',
        "n_random=1",
    ],
    "activation_patching": [],
    "patching_vs_attribution": ["n=4"],
    "knowledge": ["n=6", "probe_layers=[2]", "strengths=[0.5]", "n_random=1"],
    "over_checkpoints": ['checkpoints=["demo-gpt2"]'],
    "patched_lens": [],
    "path_patching": ["n=2"],
    "train_jacobian_lens": ["training=8", "held_out=2", "length=24", "layers=[2,4]"],
    "alignment_search": ["n=60", "steps=2", "dims=[1]", "layers=[3]", "untrained=false"],
    "probing": ["n=16", "layers=[2]", "folds=2", "n_shuffled=1", "untrained=false"],
    "train_sae": ["training=8", "held_out=2", "length=64", "steps=4", "batch_size=128", "expansion=1"],
    "sae_benchmark": [
        *["training=16", "held_out=2", "length=64", "steps=4", "batch_size=128", "n_features=32", "k=4"],
        *["seeds=2", "sequences=24", 'settings=[{"kind": "topk"}]'],
    ],
    "train_transcoders": [
        *["training=8", "held_out=2", "length=64", "steps=4"],
        *["batch_size=128", "n_features=16", "k=2"],
    ],
    "faithfulness_curve": ["n=2", "method=eap", "n_random=1", "options={}"],
}
TRAINED = {
    "attention_score_parts",
    "attribution_graph",
    "train_tuned_lens",
    "describe_features",
    "feature_ablation",
    "feature_effects",
    "prompt_features",
    "scale_nodes",
    "steering",
}
CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*/*.yaml"))


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """An outputs folder with one finished run of each experiment."""
    folder = tmp_path_factory.mktemp("outputs")
    for name in EXPERIMENTS:
        assert run("run", name, "--tag", "first", "--out", folder) == 0
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_leaves_everything(out, name):
    folder = out / name / "first"
    assert {f.name for f in folder.iterdir()} == {"result.json", "config.yaml", f"{name}.png", "report.html"}
    assert (folder / "report.html").stat().st_size < 500_000
    record = json.loads((folder / "result.json").read_text())
    provenance = record["result"]["provenance"]
    asked = ("model", "revision", "backend", "dtype", "device", "seed", "bos", "processing", "versions")
    assert set(asked) | {"code_revision", "code_dirty"} <= set(provenance)
    assert provenance["versions"]["torch"]
    assert not list(out.glob("**/.*"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_resolved_config_runs_the_same_again(out, tmp_path, name):
    first = out / name / "first"
    changed = {"causal_tracing": "answer= Paris", "logit_lens": "k=3"}[name]
    arguments = ["--tag", "a", "--out", tmp_path, "--seed", "7", "--set", changed]
    assert run("run", name, "--config", first / "config.yaml", *arguments) == 0
    config = tmp_path / name / "a" / "config.yaml"
    assert yaml.safe_load(config.read_text())["seed"] == 7, "the overrides are part of the resolved config"
    assert run("run", name, "--config", config, "--tag", "b", "--out", tmp_path) == 0
    a, b = (json.loads((tmp_path / name / tag / "result.json").read_text()) for tag in "ab")
    assert a.pop("timestamps").keys() == b.pop("timestamps").keys()
    assert a == b
    images = [(tmp_path / name / tag / f"{name}.png").read_bytes() for tag in "ab"]
    assert images[0] == images[1]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_show_and_redraw_need_no_model(out, capsys, name):
    figure = out / name / "first" / f"{name}.png"
    before = figure.read_bytes()
    figure.unlink()
    assert run("show", out / name / "first", "--redraw") == 0
    assert figure.read_bytes() == before
    assert "Paris" in capsys.readouterr().out


def test_results_read_back_exactly(out):
    for name in EXPERIMENTS:
        record = json.loads((out / name / "first" / "result.json").read_text())
        assert read_run(out / name / "first").result.to_dict() == record["result"]


def test_no_experiment_is_left_out():
    assert {*EXPERIMENTS, *SMALL, *TRAINED} == set(all_experiments())


@pytest.mark.parametrize("name", SMALL)
def test_every_experiment_is_kept_and_drawn_again(tmp_path, capsys, name):
    arguments = [part for setting in SMALL[name] for part in ("--set", setting)]
    assert run("run", name, "--tag", "small", "--out", tmp_path, *arguments) == 0, capsys.readouterr().err
    folder = tmp_path / name / "small"
    assert {f.name for f in folder.iterdir()} == {"result.json", "config.yaml", f"{name}.png", "report.html"}
    page = (folder / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page
    found = read_run(folder)
    assert found.result.to_dict() == json.loads((folder / "result.json").read_text())["result"]
    check_shows_itself(found.result)
    assert found.experiment.presentation.report(found.result) in found.result._repr_html_()
    before = (folder / f"{name}.png").read_bytes()
    assert run("show", folder, "--redraw") == 0
    assert (folder / f"{name}.png").read_bytes() == before


def test_a_taken_tag_is_kept_unless_forced(out, capsys):
    before = (out / "logit_lens" / "first" / "result.json").read_text()
    assert run("run", "logit_lens", "--tag", "first", "--out", out) == 2
    assert "already" in capsys.readouterr().err
    assert (out / "logit_lens" / "first" / "result.json").read_text() == before
    assert run("run", "logit_lens", "--tag", "first", "--out", out, "--force") == 0


def test_demo_prints_both_and_can_run_twice(tmp_path, capsys):
    for _ in range(2):
        assert run("demo", "--model", "demo-qwen3", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "logit_lens.png" in printed
    assert "causal_tracing.png" in printed


def test_demo_loads_its_model_once(tmp_path, monkeypatch):
    loaded, load = [], interp.runs.load_for
    monkeypatch.setattr("interp.runs.load_for", lambda config: loaded.append(config.model) or load(config))
    assert run("demo", "--out", tmp_path) == 0
    assert loaded == ["demo-gpt2"]
    provenances = [read_run(tmp_path / name / "demo-gpt2-demo").result.provenance for name in EXPERIMENTS]
    assert provenances[0] == provenances[1]


NOT_THERE = {
    "ablation": ({"what": ["9.9"]}, "no a9.h9"),
    "attention_by_role": ({"between": [["END", "IOO"]]}, "IOO"),
    "completeness": ({"circuit": ["a9.h9"]}, "a9.h9"),
    "copying_scores": ({"roles": ["S3"]}, "S3"),
    "faithfulness": ({"circuit": ["a9.h9"]}, "a9.h9"),
    "head_ablation": ({"heads": ["9.9"]}, "no head 9.9"),
    "path_patching": ({"senders": ["a9.h9"]}, "a9.h9"),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_is_not_there_is_refused_before_any_prompt_is_run(name, load, monkeypatch):
    model, (values, says) = load("demo-gpt2"), NOT_THERE[name]
    monkeypatch.setattr(type(model), "_run", lambda *_: pytest.fail("a prompt was run"))
    found = find_experiment(name)
    with pytest.raises(InputError, match=says):
        found.run(found.make_config(values), model)


def test_a_prompt_alone_of_its_template_is_left_out_of_means_by_template(load):
    """Three templates in both orders and seven prompts: one template has two, five have one."""
    templates = [
        "Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
        "After [A] and [B] went to the [PLACE], [S] gave a [OBJECT] to",
        "While [A] and [B] were working at the [PLACE], [S] gave a [OBJECT] to",
    ]
    asked = {"n": 7, "options": {"templates": templates}, "pairs": "all", "what": ["a0.h0"]}
    found = find_experiment("ablation")
    model = load("demo-gpt2")
    alone = found.run(found.make_config(asked | {"kinds": ["mean_by_template"]}), model).pairs
    assert len(alone) == 2
    whys = [one.why for one in alone.dropped]
    assert whys.count("no other prompt of its template and length") == 5
    assert len(found.run(found.make_config(asked | {"kinds": ["mean"]}), model).pairs) == 7


def test_python_m_interp_run_is_the_same_program(tmp_path):
    command = [sys.executable, "-m", "interp.run", "logit_lens", "--tag", "x", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "logit_lens" / "x" / "result.json").exists()


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    """Killed after drawing has begun, that is as late as can be arranged from outside."""
    command = [sys.executable, "-m", "interp", "run", "causal_tracing", "--tag", "x", "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = tmp_path / "causal_tracing"
    deadline = time.monotonic() + 120
    while not list(folder.glob(".x.*.unfinished")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "x").exists()
    assert run("show", folder / "x") == 2
    assert run("run", "causal_tracing", "--tag", "x", "--out", tmp_path) == 0
    assert [f.name for f in folder.iterdir()] == ["x"], "the killed run's remains are swept up"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_shipped_configs_are_valid(config):
    values = read_config(config)
    found = find_experiment(values.pop("experiment"))
    assert found.name == config.parent.name
    made = found.make_config(values)
    named = config.stem.removesuffix("-cross-layer")  # another kind for the same model
    assert "model" not in values if named == "any-model" else made.model == named


def test_configs_cover_every_experiment_on_five_models():
    have = {(p.parent.name, p.stem) for p in CONFIGS}
    models = [*MODELS, "gemma-3-270m", "gpt2", "qwen3-0.6b"]
    assert {(e, m) for e in all_experiments() for m in models} <= have


def test_a_toy_experiment_registers_and_runs(tmp_path):
    from dataclasses import dataclass
    from typing import ClassVar

    from interp.provenance import Provenance
    from interp.results import Result

    class ToyConfig(ExperimentConfig):
        text: str = "one two"

    @dataclass(frozen=True, eq=False, kw_only=True)
    class ToyResult(Result):
        kind: ClassVar[str] = "toy"
        lengths: np.ndarray

    @experiment("toy", config=ToyConfig)
    def toy(config: ToyConfig, model) -> ToyResult:
        """Counts tokens."""
        lengths = [model.to_tokens(word).lengths[0] for word in config.text.split()]
        return ToyResult(provenance=Provenance.of(model, seed=config.seed), lengths=np.array(lengths))

    assert all_experiments()["toy"].about == "Counts tokens."
    with pytest.raises(ConfigError, match="already"):
        experiment("toy", config=ToyConfig)(toy)
    assert run("run", "toy", "--tag", "t", "--out", tmp_path, "--set", "text=a b") == 0
    record = json.loads((tmp_path / "toy" / "t" / "result.json").read_text())
    assert record["result"]["lengths"]["shape"] == [2]


def test_override_values():
    assert parse_override("answer= Paris") == ("answer", " Paris")
    assert parse_override('answer=" no"') == ("answer", " no")
    assert parse_override("k=3") == ("k", 3)
    assert parse_override("answer=no") == ("answer", "no")
    assert parse_override("foil=null") == ("foil", None)


def test_numbers_are_text_where_text_is_asked_for(tmp_path):
    """`answer= 7` is the token " 7"; an id is asked for as one, and a bare number in YAML is refused."""
    lens = find_experiment("logit_lens")
    assert {"answer", "prompt", "model", "revision"} <= lens.text_keys
    assert not {"position", "k", "bos", "seed"} & lens.text_keys
    for text in (" 7", "7", "1e3", "true", "1234567"):
        assert parse_override(f"answer={text}", texts=lens.text_keys) == ("answer", text)
    assert parse_override("answer=null", texts=lens.text_keys) == ("answer", None)
    assert parse_override('answer=" 7"', texts=lens.text_keys) == ("answer", " 7")
    assert parse_override("prompt=[1, 2]", texts=lens.text_keys) == ("prompt", [1, 2])
    assert parse_override("position=3", texts=lens.text_keys) == ("position", 3)

    model = interp.load_model("demo-gpt2")
    token = model.labels([99])[0]
    for i, answer in enumerate((token, "<99>")):
        assert run("run", "logit_lens", "--set", f"answer={answer}", "--out", tmp_path, "--tag", f"t{i}") == 0
        assert read_run(tmp_path / "logit_lens" / f"t{i}").result.answer_id == 99
    with pytest.raises(ConfigError, match="as '7', or its id in angle brackets, as <7>"):
        lens.make_config({"answer": 7})
    with pytest.raises(ConfigError, match="<8>"):
        find_experiment("activation_patching").make_config({"answer": [8, 9]})


def test_config_text_round_trip(tmp_path):
    values = {"prompt": " Ünïcode: 'quotes' and\nlines", "answer": " no", "k": 3, "ids": [1, 2], "foil": None}
    file = tmp_path / "c.yaml"
    file.write_text(write_config(values), encoding="utf-8")
    assert read_config(file) == values


def test_a_former_name_works_and_says_the_new_one(tmp_path, capsys):
    assert run("run", "patch_sweep", "--tag", "t", "--out", tmp_path) == 0
    assert (tmp_path / "activation_patching" / "t" / "result.json").exists()
    said = capsys.readouterr().err
    assert said.count("warning: The experiment 'patch_sweep' is called 'activation_patching' now.") == 1


def test_a_configuration_of_a_former_name_runs(tmp_path):
    (tmp_path / "old.yaml").write_text("experiment: patch_sweep\nmodel: demo-gpt2\n")
    assert run("run", "activation_patching", "--config", tmp_path / "old.yaml", "--out", tmp_path) == 0


def test_warnings_of_this_library_alone_reach_the_user(monkeypatch, capsys):
    import warnings

    from interp.errors import InterpWarning

    def warn(*_: object, **__: object) -> None:
        for message in ("Sweeps take the plain, slower way.", "Sweeps take the plain, slower way."):
            warnings.warn(message, InterpWarning, stacklevel=1)
        warnings.warn("somebody else's", UserWarning, stacklevel=1)

    monkeypatch.setattr("interp.runs.perform", lambda *_, **__: warn() or sys.exit(0))
    run("run", "logit_lens")
    said = capsys.readouterr().err
    assert said == "warning: Sweeps take the plain, slower way.\n"


def test_a_former_function_works_and_says_the_new_one():
    import interp
    from interp.errors import InterpDeprecation

    with pytest.warns(
        InterpDeprecation, match=r"interp\.patch_sweep is called interp\.activation_patching now"
    ):
        assert interp.patch_sweep is interp.activation_patching
