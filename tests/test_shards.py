"""A model cut over two processes, real ones that torchrun starts: read, edited and swept as in one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import interp
from interp.errors import ConfigError, ModelLoadError
from interp.experiments.base import find_experiment
from interp.runs import perform, read_run

#: Each process reads and edits every site of the model in both ways, and writes down what it found.
_PROGRAM = '''
import hashlib, json, os, sys
import numpy as np, torch, torch.distributed as dist
import interp

name, out, *options = sys.argv[1:]
rank = os.environ["RANK"]
cut, one = interp.load_model(name, tp_plan="auto"), interp.load_model(name, device="cpu")
prompt, last = "The capital of France is", one.arch.n_layers - 1
pair = {"clean": prompt, "corrupted": "The capital of Japan is", "answer": " Paris", "foil": " Tokyo"}
found, heard = {}, []


def off(name, ours, theirs, size=None):
    """The largest difference, as a share of a size, by default the largest entry."""
    ours, theirs = (torch.as_tensor(np.asarray(x)).double() for x in (ours, theirs))
    assert ours.shape == theirs.shape, name
    found[name] = ((ours - theirs).abs().max() / (size or theirs.abs().max())).item()
    heard.append(hashlib.sha256(ours.numpy().tobytes()).hexdigest())


ours, theirs = (model.run_with_cache(prompt) for model in (cut, one))
for site in one.sites:
    off(site, *(cache["embed"] if site == "embed" else cache.stack(site) for cache in (ours, theirs)))
off("logits", ours.logits, theirs.logits)
edits = [
    interp.Edit.scale("pattern", 1, value=0.5, heads=1),
    interp.Edit.zero("k", 0, heads=0),
    interp.Edit.scale("mlp_act", last, value=0.5),
]
off("edited", cut.forward(prompt, edits), one.forward(prompt, edits))
ways = [{"site": s, "by": "head"} for s in ("q", "v", "pattern", "z")]
ways += [{"site": s} for s in ("resid_pre", "mlp_act")]
ways += [{"site": s, "method": "attribution"} for s in ("q", "pattern", "z", "mlp_act", "resid_pre")]
for way in ways if one.arch.n_layers < 10 else ways[2::4]:
    ours, theirs = (interp.activation_patching(model, **pair, **way) for model in (cut, one))
    assert ours.path == theirs.path == ("gradients" if "method" in way else "branching")
    off(str(way), ours.recovery.mean, theirs.recovery.mean, size=1.0)
for weights in (lambda m: m.W_O(last), lambda m: m.W_out(last), lambda m: m.W_U, lambda m: m.W_E):
    off(f"weights {len(found)}", weights(cut), weights(one))
assert cut.generate(prompt, n_tokens=4).said == one.generate(prompt, n_tokens=4).said
local = cut.layers[0].mlp.down_proj.weight.to_local().shape
result = {"off": found, "heard": heard, "mlp": list(local)}
result |= {"device": cut.identity.device, "memory": cut.memory}
with open(f"{out}.{rank}", "w") as file:
    json.dump(result, file)
dist.destroy_process_group()
'''


def together(command: list[str], folder: Path, n: int = 2) -> subprocess.CompletedProcess[str]:
    """A command in `n` processes that know of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(n)]
    where = ["--master-addr", "127.0.0.1", "--master-port", port]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*torchrun, *where, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def both_processes(name: str, folder: Path) -> list[dict]:
    (folder / "program.py").write_text(_PROGRAM)
    ended = together(["program.py", name, "found"], folder)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads((folder / f"found.{rank}").read_text()) for rank in range(2)]


def test_every_site_is_that_of_one_process(tmp_path: Path) -> None:
    first, second = both_processes("demo-qwen3", tmp_path)
    assert first["mlp"] == [192, 256], "half of the neurons of an MLP are here"
    assert {*interp.load_model("demo-qwen3").sites, "edited"} <= first["off"].keys()
    assert max(first["off"].values()) < 1e-5, first["off"]
    assert first["heard"] == second["heard"], "every process has the same numbers, to the last bit"
    assert first["memory"] == second["memory"]
    assert first["device"] == "cpu, in 2 processes"


@pytest.mark.slow
def test_where_heads_do_not_divide_the_mlps_are_cut(tmp_path: Path) -> None:
    """Gemma 3 270M has one head of keys and values: attention is whole in both processes."""
    try:
        interp.load_model("gemma-3-270m", self_check=False)
    except ModelLoadError:
        pytest.skip("Gemma 3 270M is not installed")
    first, second = both_processes("gemma-3-270m", tmp_path)
    assert first["mlp"] == [640, 1024]
    assert max(first["off"].values()) < 1e-5, first["off"]
    assert first["heard"] == second["heard"]


def test_the_command_line_writes_once(tmp_path: Path) -> None:
    """Parts are looked for and kept by one process, and the others hear what it found."""
    options = [
        "-m",
        "interp",
        "run",
        "path_patching",
        "--model",
        "demo-qwen3",
        "--tag",
        "cut",
        "--set",
        "n=2",
    ]
    ended = together([*options, "--set", "tp_plan=auto"], tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    folder = tmp_path / "outputs" / "path_patching"
    assert [path.name for path in folder.iterdir()] == ["cut"]
    assert ended.stdout.count("result.json") == 1, "one process says so"
    found = find_experiment("path_patching")
    one = perform(found, found.make_config({"model": "demo-qwen3", "n": 2}), tmp_path / "one")
    ours, theirs = (run.result.direct.mean for run in (read_run(folder / "cut"), one))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_what_cannot_be_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for options, sentence in (
        ({}, "there is one; start them with torchrun"),
        ({"tp_plan": "even"}, "is no choice"),
        ({"device_map": "auto"}, "not both"),
        ({"device": "cpu"}, "not both"),
        ({"backend": "nnsight"}, "goes with backend='transformers'"),
    ):
        with pytest.raises(ModelLoadError, match=sentence):
            interp.load_model("demo-qwen3", **{"tp_plan": "auto", **options})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ModelLoadError, match="no plan to cut a gpt2 model"):
        interp.load_model("demo-gpt2", tp_plan="auto")
    monkeypatch.setenv("WORLD_SIZE", "7")
    with pytest.raises(ModelLoadError, match="divide by 7 processes"):
        interp.load_model("demo-qwen3", tp_plan="auto")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    found = find_experiment("logit_lens")
    with pytest.raises(ConfigError, match="each would do the same"):
        perform(found, found.make_config({}), tmp_path / "run")
