"""Grids of runs: every combination once, each as its own run would be, and one table of them all."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import interp
from conftest import run
from interp.errors import ConfigError
from interp.experiments.base import find_experiment
from interp.runs import read_run
from interp.sweeps.grid import cells, measures_of
from interp.sweeps.summary import Row, Summary

COUNTRIES = ["--set", "clean=The capital of France is", "corrupted=The capital of Japan is"]
QUICK = ["--set", "self_check=false", "answer= Paris", "foil= Tokyo", *COUNTRIES[1:]]


def test_every_combination_and_those_of_one_model_beside_each_other() -> None:
    experiment = find_experiment("path_patching")
    over = {"seed": [0, 1], "model": ["demo-gpt2", "demo-qwen3"], "options.order": ["ABBA"]}
    found = cells(experiment, {"n": 4, "options": {"kind": "abc"}}, over)
    assert [(cell.config.model, cell.config.seed) for cell in found] == [
        ("demo-gpt2", 0),
        ("demo-gpt2", 1),
        ("demo-qwen3", 0),
        ("demo-qwen3", 1),
    ]
    assert found[0].tag == "0-demo-gpt2-ABBA"
    assert found[0].config.model_dump()["options"] == {"kind": "abc", "order": "ABBA"}


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({}, "needs lists of values"),
        ({"seed": 3}, "are a list"),
        ({"seed": [1, 1]}, "there twice"),
        ({"sead": [1]}, "did you mean 'seed'"),
        ({"seed": ["one"]}, "will not do"),
        ({"n.order": [1]}, "is no mapping"),
        ({"model": ["a/gpt2", "b/gpt2"]}, "one name"),
        ({"seed": list(range(101)), "n": list(range(1, 101))}, "more than 10000 runs"),
    ],
)
def test_what_is_no_sweep(over: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        cells(find_experiment("path_patching"), {"n": 4}, over)


def test_the_numbers_of_a_result(load) -> None:
    model = load("demo-gpt2")
    result = interp.activation_patching(
        model,
        clean="The capital of France is",
        corrupted="The capital of Japan is",
        answer=" Paris",
        foil=" Tokyo",
    )
    found = measures_of(result.to_dict())
    assert found["recovery.peak"] == max(result.recovery.mean.ravel(), key=abs)
    assert found["clean_values.peak"] == result.clean_values[0]
    assert not any("low" in name or "provenance" in name for name in found)
    assert measures_of(result.to_dict(), named=["recovery.peak"]).keys() == {"recovery.peak"}
    with pytest.raises(ConfigError, match="no number 'recovery'"):
        measures_of(result.to_dict(), named=["recovery"])


def test_means_over_seeds_and_from_least_to_most() -> None:
    rows = [
        Row({"seed": seed, "site": site}, {"x": value})
        for seed, site, value in [(0, "z", 1.0), (1, "z", 3.0), (0, "q", 5.0), (1, "q", 6.0)]
    ]
    (bars,) = (block for block in Summary("ablation", tuple(rows)).view().blocks if block.name == "x")
    assert (bars.labels, bars.values, bars.low, bars.high) == (("z", "q"), (2.0, 5.5), (1.0, 5.0), (3.0, 6.0))


def test_a_sweep_is_its_runs_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two models, two sites and two groupings; a combination that there is not is a row that says so."""
    by = ['site=["resid_pre", "z"]', 'by=["position", "head"]']
    over = ["--over", 'model=["demo-gpt2", "demo-qwen3"]', *by]
    command = ["sweep", "activation_patching", *over, *QUICK, "--tag", "grid", "--out", tmp_path]
    assert run(*command, "--show", "recovery.peak") == 0
    folder = tmp_path / "activation_patching" / "grid"
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    failed = [row for row in rows if row["error"]]
    assert [(row["site"], row["by"]) for row in failed] == [("resid_pre", "head")] * 2
    assert "has no heads" in failed[0]["error"]
    assert (
        run("run", "activation_patching", *QUICK, "site=z", "by=head", "--tag", "1", "--out", tmp_path) == 0
    )
    ours: Any = read_run(folder / "demo-gpt2-z-head").result
    assert ours.equals(read_run(tmp_path / "activation_patching" / "1").result), "the same as by itself"
    (row,) = (r for r in rows if (r["model"], r["site"], r["by"]) == ("demo-gpt2", "z", "head"))
    assert float(row["recovery.peak"]) == max(ours.recovery.mean.ravel(), key=abs)
    assert (folder / "sweep.png").stat().st_size > 5000
    assert "has no heads" in (folder / "report.html").read_text()
    assert "8 runs, 2 of them failed" in " ".join(capsys.readouterr().out.split())
    assert not list(folder.parent.glob(".*")), "no parts are left"
    assert run(*command) == 2, "the tag is taken"


def test_a_sweep_goes_on_from_the_runs_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interp.methods.patching import activation_patching as method

    real, begun = method.activation_patching, []

    def stopped(*args: Any, **kwargs: Any) -> Any:
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    command = ["sweep", "activation_patching", "--over", "seed=[0, 1, 2]", *QUICK]
    command += ["--tag", "s", "--out", str(tmp_path)]
    monkeypatch.setattr(method, "activation_patching", stopped)
    assert run(*command) == 130
    assert run(*command) == 0
    assert len(begun) == 4, "two runs were there"


def test_over_in_a_file(tmp_path: Path) -> None:
    config = {"experiment": "activation_patching", "self_check": False, "over": {"seed": [0, 1]}}
    (tmp_path / "grid.yaml").write_text(json.dumps(config))
    options = ["--config", tmp_path / "grid.yaml", "--tag", "f", "--out", tmp_path]
    assert run("sweep", "activation_patching", *options) == 0
    assert run("sweep", "ablation", *options) == 2


@pytest.mark.slow
def test_processes_give_the_same_table(tmp_path: Path) -> None:
    command = ["sweep", "activation_patching", "--over", 'site=["resid_pre", "z", "mlp_out"]', *QUICK]
    assert run(*command, "--tag", "one", "--out", tmp_path) == 0
    two = ["--tag", "two", "--on", "processes", "--workers", "2"]
    assert run(*command, *two, "--out", tmp_path) == 0
    one, other = (
        (tmp_path / "activation_patching" / tag / "table.csv").read_text() for tag in ("one", "two")
    )
    assert one == other
