"""A model on another machine: the same numbers, few requests, and sentences for what goes wrong.

Requests go through nnsight's own simulation of a server, which hides this library from what was sent, and
(the slow tests) to a server in a process of its own, which speaks NDIF's protocol and does not have it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from conftest import byte_tokenizer
from interp.edits import Edit
from interp.errors import EditError, InputError, InterpError, ModelLoadError, RunError, SiteError
from interp.experiments.base import find_experiment, load_for
from interp.progress import listening
from interp.readout import Readout

nnsight = pytest.importorskip("nnsight")
pytestmark = pytest.mark.nnsight

Load = Callable[..., interp.Model]
KEY = "0a1b2c3d-secret"
PAIR: dict[str, Any] = {"clean": "the cat", "corrupted": "the dog", "answer": "s", "metric": "kl"}


@pytest.fixture(scope="module", params=["tiny-gpt2", "tiny-qwen3"])
def both(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> tuple[Any, interp.Model]:
    """A model that is asked by requests, and the same one here."""
    folder = tiny_folder(request.param)
    given: dict[str, Any] = {"tokenizer": byte_tokenizer(), "self_check": False}
    return (
        interp.load_model(folder, backend="nnsight", remote="local", **given),
        interp.load_model(folder, device="cpu", **given),
    )


def requests_of(model: Any, work: Callable[[], Any]) -> tuple[Any, int]:
    before = model.service.n_requests
    return work(), model.service.n_requests - before


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a.float(), b.float(), atol=1e-4, rtol=1e-4)


def test_nothing_is_here_but_what_the_model_is_like(both: tuple[Any, interp.Model]) -> None:
    there, here = both
    assert {p.device.type for p in there.hf_model.parameters()} == {"meta"}
    assert there.arch == here.arch
    assert there.identity.backend == "nnsight"
    assert (there.identity.device, there.identity.dtype) == ("remote (simulated)", "float32")


def test_activations_are_the_same_in_one_request(both: tuple[Any, interp.Model]) -> None:
    """Residual stream, attn_out, mlp_out and z of all layers, of prompts of two lengths, with an edit."""
    there, here = both
    prompts, edits = ["the cat", "a mouse!"], [Edit.zero("attn_out", 0, positions=-1)]
    sites = ["embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_act", "z"]
    found, n = requests_of(there, lambda: there.run_with_cache(prompts, sites, edits))
    right = here.run_with_cache(prompts, sites, edits)
    assert n == 1
    assert list(found) == list(right)
    for row, length in enumerate(right.tokens.lengths):  # past it, padding, which is anything
        same(found.logits[row, :length], right.logits[row, :length])
        for key in right:
            same(found[key][row, :length], right[key][row, :length])


@pytest.mark.parametrize(
    "edit",
    [
        lambda x: Edit.set("resid_pre", 1, value=x, positions=[2, -1]),
        lambda x: Edit.add("resid_mid", 0, value=x),
        lambda x: Edit.scale("mlp_out", 1, value=-0.5, positions=1),
        lambda x: Edit.mean("z", 1, heads=[0], positions=3),
        lambda x: Edit.zero("z", 0, heads=1),
        lambda x: Edit.project_out("resid_post", 0, value=x),
    ],
)
def test_edits_are_what_they_are_here(both: tuple[Any, interp.Model], edit: Callable[..., Edit]) -> None:
    there, here = both
    one = edit(torch.linspace(-1, 1, here.arch.d_model))
    same(there.forward("the cat", [one]), here.forward("the cat", [one]))


def test_a_sweep_is_one_request(both: tuple[Any, interp.Model]) -> None:
    """Branches of several passes, and what is read of each, with a continuation of the prompt, too."""
    there, here = both
    branches = [[Edit.zero("attn_out", layer, positions=p)] for layer in range(2) for p in range(4)]
    readout = Readout.logit_diff(70, 80)
    swept, n = requests_of(there, lambda: there.sweep("the cat", branches, readout, batch_size=3))
    assert n == 1
    assert swept.path == "plain"
    same(swept.values, here.sweep("the cat", branches, readout).values)


def test_a_lens_takes_two_requests_and_a_trace_three(both: tuple[Any, interp.Model]) -> None:
    there, here = both
    lens, n = requests_of(there, lambda: interp.logit_lens(there, "the cat", "s"))
    assert n == 2, "the streams, and what they say"
    same(torch.tensor(lens.answer_prob), torch.tensor(interp.logit_lens(here, "the cat", "s").answer_prob))
    trace, n = requests_of(there, lambda: interp.causal_tracing(there, **PAIR))
    assert n == 3, "the clean run, the corrupted run, and all patched ones"
    same(torch.tensor(trace.values), torch.tensor(interp.causal_tracing(here, **PAIR).values))
    assert trace.provenance.device == "remote (simulated)"


def test_what_there_is_not_is_said_before_anything_is_sent(both: tuple[Any, interp.Model]) -> None:
    there, _ = both

    def refused() -> None:
        with pytest.raises(SiteError, match=r"The weights of .* are on another machine"):
            _ = there.W_U
        with pytest.raises(InputError, match="does not give gradients"):
            there.gradients("the cat", ["resid_pre"], Readout.logit_diff(1, 2))
        with pytest.raises(InputError, match="does not give text"):
            there.generate("the cat")
        with pytest.raises(SiteError, match="pattern"):
            there.run_with_cache("the cat", ["pattern"])
        with pytest.raises(EditError, match="does not broadcast"):
            there.forward("the cat", [Edit.set("resid_pre", 0, value=torch.ones(3))])

    assert requests_of(there, refused)[1] == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"backend": "transformers"}, "remote goes with backend='nnsight'"),
        ({"device": "cpu"}, "With remote, device is the server's to choose"),
        ({"remote": True}, "NDIF needs a key, and there is none"),
        ({"remote": "https://here"}, "another server than NDIF's is named by NDIF_HOST"),
    ],
)
def test_what_does_not_go_with_it(
    given: dict[str, Any], sentence: str, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NDIF_API_KEY", "NDIF_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(nnsight.CONFIG.API, "HOST", "https://api.ndif.us")
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", None)
    with pytest.raises(ModelLoadError, match=sentence):
        interp.load_model(
            tiny_gpt2,
            byte_tokenizer(),
            **{"backend": "nnsight", "remote": "local", "self_check": False} | given,
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_demo_models(name: str, load: Load) -> None:
    """From a configuration: the self-check of loading, by requests; a lens and a trace as here."""
    config = find_experiment("logit_lens").make_config(
        {"model": name, "backend": "nnsight", "remote": "local"}
    )
    there, here = load_for(config), load(name)
    assert there.identity.self_check == "passed"
    prompt, pair = "The capital of France is", {"answer": " Paris", "foil": " Rome"}
    lenses = [interp.logit_lens(m, prompt, " Paris", position="all") for m in (there, here)]
    same(*(torch.tensor(one.answer_prob) for one in lenses))
    traces = [
        interp.causal_tracing(m, clean=prompt, corrupted="The capital of Italy is", **pair)
        for m in (there, here)
    ]
    same(*(torch.tensor(one.values) for one in traces))


# ---- a server ----

ID = "somebody/tiny"


@pytest.fixture(scope="module")
def folders(
    tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A model with its weights, and what there is of it here: configuration and tokenizer."""
    whole, here = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("here")
    for file in tiny_folder("tiny-gpt2").iterdir():
        (whole / file.name).write_bytes(file.read_bytes())
    byte_tokenizer().save_pretrained(whole)
    for file in whole.iterdir():
        if file.suffix == ".json":
            (here / file.name).write_bytes(file.read_bytes())
    return whole, here


@pytest.fixture
def known(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder without weights, of which nnsight shall believe that it has an id on the hub."""
    from nnsight.modeling import huggingface

    monkeypatch.setitem(huggingface._ID_CACHE, str(folders[1]), ID)
    monkeypatch.setenv("NDIF_API_KEY", KEY)
    return folders[1]


@pytest.fixture
def server(started: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NDIF_HOST", started)
    return started


@pytest.fixture(scope="module")
def started(folders: tuple[Path, Path]) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).parent / "ndif_server.py"), str(folders[0]), ID]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def test_a_server_that_is_not_there(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NDIF_HOST", "http://127.0.0.1:1")
    with pytest.raises(ModelLoadError, match=r"http://127\.0\.0\.1:1 could not be reached"):
        interp.load_model(known, backend="nnsight", remote=True)


@pytest.mark.slow
def test_the_same_from_a_server(
    known: Path, server: str, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without weights here; the queue is progress; the key is nowhere."""
    here = interp.load_model(folders[0], device="cpu")
    seen: list[str] = []
    with listening(lambda task, *_: seen.append(task)):
        there = interp.load_model(known, backend="nnsight", remote=True)
        assert there.identity.self_check == "passed"
        before = there.service.n_requests  # type: ignore[attr-defined]
        trace = interp.causal_tracing(there, **PAIR)
    assert there.service.n_requests - before == 3  # type: ignore[attr-defined]
    same(torch.tensor(trace.values), torch.tensor(interp.causal_tracing(here, **PAIR).values))
    lens = interp.logit_lens(there, "the cat", "s")
    same(torch.tensor(lens.answer_prob), torch.tensor(interp.logit_lens(here, "the cat", "s").answer_prob))
    assert {"remote, queued", "remote, running", "remote, completed"} <= set(seen)
    written = capsys.readouterr()
    assert written.out == "", "nnsight's own line is not printed"
    assert KEY not in f"{trace.to_dict()} {there.loaded_from} {there} {written} {seen}"
    assert trace.provenance.device == f"remote ({server})"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("wrong", r"does not take this key \(.*Invalid API key\)"),
        ("echo", r"Invalid API key format: '\.\.\.'"),
        ("old", r"have different versions \(.*below the minimum supported 9\.0\)"),
        ("slow", r"for its time \(.*execution timeout of 60\.0s\).*fewer branches"),
    ],
)
def test_what_a_server_says_is_a_sentence(
    key: str, sentence: str, known: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NDIF_API_KEY", key)
    with pytest.raises(ModelLoadError, match=sentence):
        interp.load_model(known, backend="nnsight", remote=True)


@pytest.mark.slow
def test_a_model_that_is_not_there(known: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnsight.modeling import huggingface

    monkeypatch.setitem(huggingface._ID_CACHE, str(known), "somebody/other")
    with pytest.raises(ModelLoadError, match=rf"does not run .*Could not deploy.*it runs {ID}"):
        interp.load_model(known, backend="nnsight", remote=True)


def test_what_a_server_sends_is_not_run() -> None:
    """Of a pickle that would call a function, nothing is called; what is asked for is read."""
    import io

    from nnsight.schema.response import ResponseModel, Status

    from interp.models.remote.service import Request

    class Evil:
        def __reduce__(self) -> Any:
            return os.putenv, ("OWNED", "1")

    written = io.BytesIO()
    torch.save({"found": Evil()}, written)
    request = Request("a:b", host="http://127.0.0.1:1")
    request.compress = False
    with pytest.raises(RunError, match="which is not read"):
        request.finalize(written.getvalue())
    with pytest.raises(AttributeError, match="load"):  # a format of long ago
        request.finalize(pickle.dumps(Evil()))
    assert "OWNED" not in os.environ
    message = ResponseModel(id="1", status=Status.COMPLETED, data=written.getvalue()).pickle()
    assert Request.parse(message).data == written.getvalue()
    message = ResponseModel(id="1", status=Status.COMPLETED, data=Evil()).pickle()
    with pytest.raises(RunError, match="which is not read"):
        Request.parse(message)


@pytest.mark.slow
def test_a_server_that_says_nothing(known: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from interp.models.remote import service

    there = interp.load_model(known, backend="nnsight", remote=True, self_check=False)
    monkeypatch.setattr(service, "PATIENCE", 0.0)
    monkeypatch.setenv("NDIF_API_KEY", "mute")
    with pytest.raises(RunError, match="has said nothing for 0 seconds"):
        there.forward("the cat")


@pytest.mark.slow
def test_who_waits_can_leave(known: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = interp.load_model(known, backend="nnsight", remote=True, self_check=False)
    monkeypatch.setenv("NDIF_API_KEY", "mute")

    class Left(InterpError):
        pass

    def leave(*_: Any) -> None:
        raise Left("gone")

    with listening(leave), pytest.raises(Left):
        there.forward("the cat")
