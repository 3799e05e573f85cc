"""`interp doctor`: what is here is named, what is broken is a sentence, and nothing asks the network."""

from __future__ import annotations

import json
import re
import socket
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from conftest import NEEDS, needs_backend, run
from interp import __version__, doctor
from interp.errors import how_to_install
from interp.models import registry
from interp.models.base import Model
from interp.models.gguf.copies import ABOUT
from interp.models.plain_sweep import Sweep
from interp.models.transformers_backend import TransformersModel

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever asks for an address or opens a connection fails the test, whatever is made of the error."""
    asked: list[Any] = []

    def refuse(*where: Any, **more: Any) -> None:
        asked.append(where)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert asked == []


def here() -> dict[str, str]:
    """What is found of the surroundings, by name; nothing is wrong with it."""
    found = list(doctor.surroundings())
    assert [finding for finding in found if finding.problem] == []
    return {finding.what: finding.here for finding in found}


def other_versions(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """As if these versions of packages were installed; None: not at all."""

    def version(name: str) -> str:
        key = name.replace("-", "_")
        found = versions[key] if key in versions else metadata.version(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    seen = SimpleNamespace(**vars(metadata) | {"version": version})
    monkeypatch.setattr(doctor, "metadata", seen)  # nobody else's, who may keep what they are told


def test_it_names_the_versions_the_machine_and_the_models(no_network: None) -> None:
    found = here()
    assert found["interp-workbench"].startswith(__version__)
    assert f"torch {torch.__version__}" in found["packages"]
    assert f"transformers {transformers.__version__}" in found["packages"]
    assert re.search(r"cores: \d+, threads of torch: 1; has (no )?bfloat16 instructions", found["CPU"])
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GB are free", found["memory"])
    assert found["backends"].startswith("transformers")
    assert {"demo-gpt2", "demo-qwen3"} <= set(found["models"].split(", "))


def test_models_in_the_cache_of_the_hub_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert here()["in the hub's cache"] == "none"
    for name in ("models--Qwen--Qwen3-0.6B", "models--gpt2", "datasets--some--thing", "models--half"):
        (tmp_path / name / "snapshots" / "0123").mkdir(parents=True)
        if name != "models--half":
            (tmp_path / name / "snapshots" / "0123" / "config.json").write_text("{}")
    assert here()["in the hub's cache"] == "Qwen/Qwen3-0.6B, gpt2"


def test_every_extra_for_users_is_listed_with_what_it_installs() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {name: list(extra.needs) for name, extra in doctor.EXTRAS.items()} == {
        name: needs for name, needs in extras.items() if name not in ("bench", "docs", "dev")
    }


def test_an_extra_that_is_missing_says_how_to_install_it_and_is_no_fault(monkeypatch: Any) -> None:
    other_versions(monkeypatch, streamlit=None, nnsight=None)
    assert doctor.examine_extra("app") == doctor.Finding("app", f"no; {how_to_install('app')}")
    assert "nnsight" not in here()["backends"]


def test_versions_that_do_not_fit_are_faults_that_say_what_to_do(monkeypatch: Any) -> None:
    other_versions(monkeypatch, nnsight="0.9.1", transformers="4.57.0", psutil=None)
    found = doctor.examine_extra("nnsight")
    assert found.here == "nnsight 0.9.1"
    assert found.problem == f"nnsight 0.9.1 does not fit <0.9,>=0.8; run: {how_to_install('nnsight')}."
    (packages,) = (finding for finding in doctor.software() if finding.what == "packages")
    assert "psutil is missing" in packages.problem
    assert "transformers 4.57.0 does not fit <6,>=5.0" in packages.problem
    assert "pip install -c constraints.txt ." in packages.problem


def test_converted_copies_are_named_without_their_folders(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path))
    assert here()["converted copies"] == "none"
    folder = tmp_path / "gguf" / "0123"
    folder.mkdir(parents=True)
    about = {
        "source": "/home/me/tiny.gguf",
        "sha256": "0123",
        "architecture": "llama",
        "quantisation": "Q8_0",
    }
    (folder / ABOUT).write_text(json.dumps(about))
    assert here()["converted copies"] == "tiny.gguf (llama, Q8_0, 0.00 GB)"
    (folder / ABOUT).write_text("{")
    (last,) = (finding for finding in doctor.surroundings() if finding.what == "converted copies")
    assert last.here == "cannot be examined"
    assert "is damaged; remove the folder" in last.problem


def test_a_torch_that_cannot_be_imported_is_a_sentence_and_holds_up_nothing(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = {finding.what: finding for finding in doctor.surroundings()}
    assert found["devices"].here == "cannot be examined"
    assert "torch" in found["devices"].problem
    assert "demo-gpt2" in found["models"].here


@pytest.mark.parametrize("backend", ["transformers", *NEEDS])
def test_the_self_test_passes_on_every_backend(backend: str, no_network: None) -> None:
    needs_backend(backend)
    doctor.try_backend(backend)


def test_without_time_the_other_backends_are_not_tried_and_it_says_so(monkeypatch: Any) -> None:
    monkeypatch.setattr(doctor, "_installed_backends", lambda: ["transformers", "nnsight"])
    first, second = doctor.self_test(seconds=0)
    assert first.here.startswith("ok: ")
    assert second == doctor.Finding(
        "nnsight", "not tried, as the time is up; `interp models --check demo-gpt2 --backend nnsight` does"
    )


def test_the_command_prints_all_of_it(no_network: None, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(doctor, "_installed_backends", lambda: ["transformers"])
    other_versions(monkeypatch, streamlit=None)
    assert run("doctor") == 0
    printed = " ".join(capsys.readouterr().out.split())
    for text in ("interp-workbench", "linear probes", "'.[app]'", "ok: self-check, lens and sweep"):
        assert text in printed
    assert printed.endswith("Nothing is wrong.")
    assert run("doctor", "--no-test") == 0
    assert "Self-test" not in capsys.readouterr().out


def wrong_sweep(self: Model, prompt: Any, branches: Any, readout: Any, **more: Any) -> Sweep:
    values = torch.cat([self.forward(prompt, branch)[:, -1:] for branch in branches])
    return Sweep(values.roll(1, 0), "branching")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (("sweep", wrong_sweep), r"A sweep of demo-gpt2 is off by .* give exact=True to sweeps"),
        (
            ("_unembed", lambda self, resid, columns=None: -resid @ self.W_U),
            "demo-gpt2 failed its self-check",
        ),
    ],
)
def test_a_self_test_that_fails_is_one_sentence_and_exit_code_1(
    fault: tuple[str, Any], sentence: str, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(doctor, "_installed_backends", lambda: ["transformers"])
    monkeypatch.setattr(TransformersModel, *fault)
    assert run("doctor") == 1
    shown = capsys.readouterr()
    assert "FAILED" in shown.out
    assert "Nothing is wrong" not in shown.out
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("error: transformers: ")
    assert re.search(sentence, line)


def test_a_lens_that_ends_elsewhere_is_a_fault(monkeypatch: Any) -> None:
    monkeypatch.setattr(doctor, "PROMPT", "The capital of Japan is")
    (found, *_) = doctor.self_test(seconds=0)
    assert found.here == "FAILED"
    assert "ends in ' Tokyo' where it must end in ' Paris'" in found.problem


def test_what_another_library_raises_is_told_with_its_kind(monkeypatch: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("libcudart.so.12: cannot open shared object file\nand more")

    monkeypatch.setattr(registry, "load_model", broken)
    (found, *_) = doctor.self_test(seconds=0)
    assert found.problem == "OSError: libcudart.so.12: cannot open shared object file."
