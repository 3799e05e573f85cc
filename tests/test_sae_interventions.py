"""Interventions on features as experiments: run from the command line, kept, and drawn again."""

from __future__ import annotations

import json

import pytest

from conftest import run
from interp.runs import read_run
from interp.saes.activations import TopK
from interp.saes.files import write_sae
from test_saes import make

#: Each experiment, made small.
SMALL = {
    "feature_ablation": [
        ["n=4", "sizes=[1,3]", "sequences=2", "length=16"],
        ["task=facts", "n=4", "others=[]", "sizes=[2]", "n_random=1", "sequences=2", "length=16"],
    ],
    "feature_effects": [
        ["steps=1"],
        ["task=facts", "n=3", "steps=1", 'roles=["subject","END"]'],
        ["change=noising", "corrupted=The capital of Japan is", "steps=1"],
    ],
    "steering": [
        ["n_tokens=2", "strengths=[-10.0,0.0,10.0]", 'track=[" Paris"]'],
        [
            'prompts=["The capital of Japan is","Oh my"]',
            "op=set",
            "positions=[-1]",
            "n_tokens=0",
            "feature=3",
        ],
    ],
}
CASES = [(name, settings) for name, several in SMALL.items() for settings in several]


@pytest.fixture(scope="module")
def sae_folder(load, tmp_path_factory):
    """A dictionary with random weights for demo-gpt2."""
    folder = tmp_path_factory.mktemp("saes") / "random"
    write_sae(folder, make(load("demo-gpt2"), "resid_post", 3, activation=TopK(3)))
    return folder


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value)[:40])
def test_an_experiment_is_kept_and_drawn_again(sae_folder, tmp_path, capsys, name, settings):
    arguments = [part for one in [f"sae={sae_folder}", *settings] for part in ("--set", one)]
    assert run("run", name, "--tag", "x", "--out", tmp_path, *arguments) == 0, capsys.readouterr().err
    folder = tmp_path / name / "x"
    assert {f.name for f in folder.iterdir()} == {"result.json", "config.yaml", f"{name}.png", "report.html"}
    stored = json.loads((folder / "result.json").read_text())["result"]
    assert read_run(folder).result.to_dict() == stored
    before = (folder / f"{name}.png").read_bytes()
    assert run("show", folder, "--redraw") == 0
    assert (folder / f"{name}.png").read_bytes() == before


@pytest.mark.parametrize("name", SMALL)
def test_bad_input_is_one_sentence_and_leaves_nothing(sae_folder, tmp_path, capsys, name):
    for setting, said in (
        (f"sae={tmp_path / 'none'}", "no SAE"),
        ("model=demo-qwen3", "another unembedding"),
        ("feature=40", "no feature 40") if name == "steering" else ("task=fact", "did you mean 'facts'"),
    ):
        given = [f"sae={sae_folder}", setting]
        arguments = [part for one in given for part in ("--set", one)]
        assert run("run", name, "--tag", "x", "--out", tmp_path / "out", *arguments) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out" / name / "x").exists()
