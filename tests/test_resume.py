"""A sweep over several pairs goes on from where it was stopped, and never takes parts of another question."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.errors import RunError
from interp.methods.patching import activation_patching as activation_patching
from interp.models.base import Model

Load = Callable[..., Model]
COUNTRIES = ["France", "Italy", "Spain"]
PAIRS: dict[str, Any] = {
    "clean": [f"The capital of {country} is" for country in COUNTRIES],
    "corrupted": ["The capital of Japan is"] * 3,
    "answer": [" Paris", " Rome", " Madrid"],
    "foil": " Tokyo",
}


def stopped_after(n: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let exact sweeps be interrupted at the n-th; the list grows by one for each that began."""
    begun: list[int] = []
    real = activation_patching._exact

    def exact(*arguments: Any) -> Any:
        begun.append(len(begun))
        if len(begun) > n:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(activation_patching, "_exact", exact)
    return begun


def test_it_goes_on_from_where_it_was_stopped(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("demo-gpt2")
    whole = interp.activation_patching(model, **PAIRS)
    with monkeypatch.context() as patched, interp.resuming(tmp_path / "parts"):
        stopped_after(2, patched)
        with pytest.raises(KeyboardInterrupt):
            interp.activation_patching(model, **PAIRS)
    with monkeypatch.context() as patched, interp.resuming(tmp_path / "parts"):
        begun = stopped_after(9, patched)
        found = interp.activation_patching(model, **PAIRS)
        assert len(begun) == 1, "two of the three pairs were there"
        assert found.path == "branching"
        np.testing.assert_array_equal(found.recovery.each, whole.recovery.each)
        interp.activation_patching(model, **PAIRS, direction="noising")
        assert len(begun) == 4, "another question"
    assert not list((tmp_path / "parts").glob("*.unfinished"))


def test_other_weights_are_another_question(load: Load, tmp_path: Path) -> None:
    """The same folder name, the same prompts, and one norm of the model changed."""
    import torch

    model = interp.load_model("demo-gpt2", device="cpu")
    with interp.resuming(tmp_path):
        before = interp.activation_patching(model, **PAIRS)
        with torch.no_grad():
            model.hf_model.transformer.h[3].ln_2.weight.mul_(0.9)  # type: ignore[union-attr, operator]
        after = interp.activation_patching(model, **PAIRS)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    assert np.abs(before.recovery.each - after.recovery.each).max() > 1e-3


def test_a_damaged_part_is_computed_again(load: Load, tmp_path: Path) -> None:
    model = load("demo-gpt2")
    with interp.resuming(tmp_path):
        before = interp.activation_patching(model, **PAIRS)
        for part in tmp_path.glob("*.npz"):
            part.write_bytes(part.read_bytes()[:50])
        after = interp.activation_patching(model, **PAIRS)
    np.testing.assert_array_equal(before.recovery.each, after.recovery.each)


def test_a_place_that_cannot_be_written_is_said(load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with interp.resuming(tmp_path / "file" / "parts"), pytest.raises(RunError, match="choose another"):
        interp.activation_patching(load("demo-gpt2"), **PAIRS)


def test_ctrl_c_on_the_command_line_and_the_same_again(tmp_path: Path) -> None:
    """Stopped once some pairs are done: exit code 130, no run, a word on how to go on; then it goes on."""
    others = ["Japan", "Germany"]
    pairs = [(i, other) for other in others for i in range(3)]
    config: dict[str, Any] = {
        "clean": [PAIRS["clean"][i] for i, _ in pairs],
        "corrupted": [f"The capital of {other} is" for _, other in pairs],
        "answer": [PAIRS["answer"][i] for i, _ in pairs],
        "metric": "prob",
        "site": "mlp_act",
        "by": "neuron",
        "self_check": False,
    }
    (tmp_path / "many.yaml").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "interp",
        "run",
        "activation_patching",
        "--config",
        "many.yaml",
        "--tag",
        "many",
    ]
    parts = tmp_path / "outputs" / "activation_patching" / ".many.parts"

    def heed() -> None:  # where the tests run in the background, Ctrl-C is ignored, which is inherited
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed)

    started = start()
    while len(list(parts.glob("*.npz"))) < 2:
        assert started.poll() is None, started.communicate()
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    printed, complaint = started.communicate(timeout=120)
    assert (started.returncode, complaint) == (130, "")
    assert "--tag many to go on" in printed
    assert not (parts.parent / "many").exists()

    done = {part: part.stat().st_mtime_ns for part in parts.glob("*.npz")}
    assert 2 <= len(done) < len(config["clean"])
    again = start()
    while not (parts.parent / "many").exists() and again.poll() is None:
        for part, when in done.items():
            assert not part.exists() or part.stat().st_mtime_ns == when, "a pair was swept again"
        time.sleep(0.01)
    _, complaint = again.communicate(timeout=120)
    assert (again.returncode, complaint) == (0, "")
    assert not parts.exists()
    record = json.loads((parts.parent / "many" / "result.json").read_text())
    assert record["result"]["recovery"]["each"]["shape"][0] == len(config["clean"])
