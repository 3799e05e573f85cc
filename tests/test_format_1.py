"""Runs that were written in the first format are read today, with the numbers that they held."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interp.results import read_result
from interp.runs import read_run

RUNS = sorted((Path(__file__).parent / "format_1").glob("*.json.gz"))


def numbers(value: object) -> list[float]:
    """Every number of a JSON value, in ascending order, each once."""
    if isinstance(value, dict):
        if value.keys() == {"dtype", "shape", "values"}:
            return numbers(value["values"])
        return sorted({n for item in value.values() for n in numbers(item)})
    if isinstance(value, list):
        return sorted({n for item in value for n in numbers(item)})
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def without_differences(result: dict) -> dict:
    """A result without the numbers that are differences of two that the first format kept (see below), and
    with scores turned back."""
    if result["kind"] == "ablation":
        del result["change"]["each"]
    if result["kind"] == "ioi":
        for one in result["ablations"]:
            del one["change"]["value"]
    if result["kind"] in ("circuit_discovery", "scores"):  # which were changes, and are turned into support
        for part in ("value", "low", "high"):
            array = result["scores"][part]
            array["values"] = [-score for score in array["values"]]
    return result


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name.split(".")[0])
def test_a_run_of_the_first_format_is_read_with_its_numbers(path, tmp_path):
    record = json.loads(gzip.decompress(path.read_bytes()))
    (tmp_path / "result.json").write_text(json.dumps(record))
    run = read_run(tmp_path)
    written = run.result.to_dict()
    assert read_result(json.loads(json.dumps(written))).equals(run.result)
    before, now = numbers(record["result"]), numbers(without_differences(written))
    assert len(now) >= 1
    np.testing.assert_array_equal(np.setdiff1d(now, before), [])  # no number is made up
    assert run.experiment.presentation.table(run.result) is not None
    assert run.experiment.presentation.figure(run.result) is not None
    if hasattr(run.experiment.presentation, "view"):
        assert all(block.name for block in run.experiment.presentation.view(run.result).blocks)


def read_stored(name: str, folder: Path) -> tuple[Any, dict]:
    """A stored run as it is read today, and its numbers in the first format."""
    record = json.loads(gzip.decompress((Path(__file__).parent / f"format_1/{name}.json.gz").read_bytes()))
    (folder / "result.json").write_text(json.dumps(record))
    return read_run(folder).result, record["result"]


def test_the_metric_after_an_ablation_is_that_of_the_first_format(tmp_path):
    result, old = read_stored("ablation", tmp_path)
    after = np.asarray(old["after_by_prompt"]).transpose(2, 0, 1)  # [prompt, kind, set]
    np.testing.assert_allclose(result.after_each, after, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.after, old["after"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.change.each.mean(0), result.change.mean, rtol=0, atol=1e-12)


def test_the_change_without_a_class_of_heads_is_that_of_the_first_format(tmp_path):
    result, old = read_stored("ioi", tmp_path)
    before = np.mean(old["clean_values"])
    assert [one.after for one in result.ablations] == old["after"]
    assert [float(one.change.value) for one in result.ablations] == pytest.approx(
        [after - before for after in old["after"]], abs=1e-12
    )
