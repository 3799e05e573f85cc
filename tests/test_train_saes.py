"""Several dictionaries from one stream of activations, and activations that are kept on disk."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

import interp
from conftest import run
from interp.errors import InputError
from interp.progress import listening
from interp.runs import read_run
from interp.saes import memory, shards
from interp.saes.recipe import Recipe
from interp.saes.stream import ActivationStreams
from interp.sites import Address
from test_saes import sequences

WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")
OPTIONS = {"batch_size": 32, "buffered": 4}
RECIPE = Recipe(kind="batchtopk", n_features=30, k=4, steps=20, silent_after=3, seed=5)
ADDRESSES = [Address("resid_post", 0), Address("z", 1), Address("mlp_out", 1)]
ROOM = namedtuple("usage", "total used free")


def same(one, other) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in WEIGHTS)


def test_each_of_several_is_what_it_is_alone(load, monkeypatch):
    model = load("tiny-qwen3")
    text = sequences(model)
    runs = []
    real = model.run_with_cache

    def run_with_cache(*arguments, **options):
        runs.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(model, "run_with_cache", run_with_cache)
    together = interp.train_saes(model, ADDRESSES, text, RECIPE, **OPTIONS)
    passes = len(runs)
    for address, (sae, losses) in zip(ADDRESSES, together, strict=True):
        del runs[:]
        alone, losses_alone = interp.train_sae(model, address.site, address.layer, text, RECIPE, **OPTIONS)
        assert len(runs) == passes, "the model runs as often for one as for all"
        assert sae.address == alone.address == address
        assert same(sae, alone)
        assert sae.activation == alone.activation
        assert np.array_equal(losses, losses_alone)
    for wrong in ([], [ADDRESSES[0]] * 2):
        with pytest.raises(InputError, match="each once"):
            interp.train_saes(model, wrong, text, RECIPE, **OPTIONS)


SMALL = ("training=24", "held_out=4", "length=64", "batch_size=128", "expansion=2", "k=8", "steps=12")


def test_the_experiment_keeps_a_folder_for_each_layer(load, tmp_path, capsys):
    arguments = ["--set", *SMALL, "layers=[1,4]", f"save_to={tmp_path / 'saes'}", "--out", tmp_path]
    assert run("run", "train_sae", *arguments, "--tag", "x") == 0
    assert "GB of memory beside the model" in capsys.readouterr().err
    result = read_run(tmp_path / "train_sae" / "x").result
    assert [one.sae.site for one in result.saes] == ["blocks.1.hook_resid_post", "blocks.4.hook_resid_post"]
    model = load("demo-gpt2")
    for one in result.saes:
        sae = interp.load_sae(tmp_path / "saes" / one.sae.site, model)
        assert str(sae.address) == one.sae.site
        assert one.losses.shape[0] == 12
    alone = ["--set", *SMALL, "layer=4", f"save_to={tmp_path / 'alone'}", "--tag", "y", "--out", tmp_path]
    assert run("run", "train_sae", *alone) == 0
    weights = "sae_weights.safetensors"
    both = (tmp_path / "saes" / "blocks.4.hook_resid_post", tmp_path / "alone")
    assert len({(folder / weights).read_bytes() for folder in both}) == 1
    assert (
        replace(result.saes[1], losses=None).explained_variance
        == read_run(tmp_path / "train_sae" / "y").result.explained_variance
    )
    assert run("run", "train_sae", *arguments, "--tag", "z") == 2, "a folder that is taken"
    assert "another folder" in capsys.readouterr().err


def test_from_shards_it_is_the_same(load, tmp_path, monkeypatch):
    model = load("tiny-qwen3")
    monkeypatch.setattr(shards, "PER_SHARD", 16)
    text = sequences(model, n=40)
    options = {"batch_size": 32, "buffered": 40}
    plain = interp.train_saes(model, ADDRESSES, text, RECIPE, **options)
    told = []
    with listening(lambda *_: None, None, told.append):
        kept = interp.train_saes(model, ADDRESSES, text, RECIPE, **options, shards=tmp_path / "kept")
    assert all(same(one, other) for (one, _), (other, _) in zip(plain, kept, strict=True))
    tokens = 40 * (len(text[0]) - 1)
    files = sorted((tmp_path / "kept").glob("*.safetensors"))
    assert len(files) == 3
    with safe_open(files[-1], framework="pt") as last:
        sizes = {name: tuple(last.get_tensor(name).shape) for name in last.keys()}  # noqa: SIM118
    widths = {str(address): sae.d_in for address, (sae, _) in zip(ADDRESSES, plain, strict=True)}
    assert sizes == {site: (8, len(text[0]) - 1, width) for site, width in widths.items()}
    size = tokens * sum(widths.values()) * 4
    assert f"{size / 1e9:,.3g} GB of the disk" in told[0], "told before anything is written"

    def refuse(*_, **__):
        raise AssertionError("the model runs no more")

    monkeypatch.setattr(model, "run_with_cache", refuse)
    again = interp.train_saes(model, ADDRESSES, text, RECIPE, **options, shards=tmp_path / "kept")
    assert all(same(one, other) for (one, _), (other, _) in zip(plain, again, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shards_serve_what_the_stream_serves(load, tmp_path, dtype):
    model = interp.load_model("demo-gpt2", device="cpu", dtype=dtype)
    text = [ids[:17] for ids in sequences(model, n=40, length=17)]
    address = [Address("resid_post", 2)]
    options = {"batch_size": 64, "buffered": 12}
    streams = [
        ActivationStreams(model, address, text, **options, shards=at) for at in (None, tmp_path / "kept")
    ]
    for step in (0, 4, 9):  # of several buffers
        (plain,), (kept,) = (stream(step) for stream in streams)
        assert kept.dtype == torch.float32
        error = (plain - kept).norm() / plain.norm()
        assert error < (1e-6 if dtype == "float32" else 1e-2), "but for the rounding of another pass"


def test_a_stopped_writing_goes_on(load, tmp_path, monkeypatch):
    model = load("tiny-qwen3")
    monkeypatch.setattr(shards, "PER_SHARD", 16)
    text = sequences(model, n=40)

    class KilledError(Exception):
        pass

    def kill(task: str, done: int, total: int) -> None:
        if (task, done) == ("shards", 2):
            raise KilledError

    make = lambda: ActivationStreams(model, ADDRESSES[:1], text, batch_size=32, shards=tmp_path)  # noqa: E731
    with pytest.raises(KilledError), listening(kill):
        make()(0)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 2
    when = [file.stat().st_mtime_ns for file in files]
    made = []
    with listening(lambda task, done, total: made.append((done, total))):
        make()(0)
    assert made[-1] == (3, 3)
    assert [file.stat().st_mtime_ns for file in files] == when
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def test_what_shards_refuse(load, tmp_path, monkeypatch):
    model = load("tiny-qwen3")
    text = sequences(model, n=8)
    options = {"batch_size": 32, "shards": tmp_path / "kept"}
    usage = ROOM(10**9, 0, 1000)
    with monkeypatch.context() as small:
        small.setattr(shutil, "disk_usage", lambda place: usage)
        with pytest.raises(InputError, match="another disk"):
            ActivationStreams(model, ADDRESSES, text, **options)
    assert not (tmp_path / "kept").exists(), "nothing is written"
    ActivationStreams(model, ADDRESSES, text, **options)(0)
    with pytest.raises(InputError, match="as the text says"):
        ActivationStreams(model, ADDRESSES, text[::-1], **options)
    with pytest.raises(InputError, match="as the sites says"):
        ActivationStreams(model, ADDRESSES[:1], text, **options)
    with pytest.raises(InputError, match="as the model says"):
        ActivationStreams(load("tiny-gpt2"), ADDRESSES, sequences(load("tiny-gpt2"), n=8), **options)
    streams = ActivationStreams(model, ADDRESSES, text, **options)
    (tmp_path / "kept" / "shard-00000.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="remove the damaged shard"):
        streams(0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="empty folder"):
        ActivationStreams(model, ADDRESSES, text, batch_size=32, shards=tmp_path / "other")


def test_more_than_memory_has_is_refused_before_the_model_runs(load, monkeypatch):
    model = load("tiny-qwen3")
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10_000)
    monkeypatch.setattr(model, "run_with_cache", None)
    with pytest.raises(InputError, match="buffer fewer sequences"):
        interp.train_saes(model, ADDRESSES, sequences(model), RECIPE, **OPTIONS)


def test_documentation_is_gathered(tmp_path, monkeypatch, capsys):
    from interp.text import documentation as gathering

    library = tmp_path / "library"
    (library / "site-packages").mkdir(parents=True)
    long = "What this does, at length. " * 30
    said = (
        f'"""Of the module. {long}"""\nclass A:\n    """{long}"""\n    def f(self):\n        """{long}"""\n'
    )
    (library / "one.py").write_text(said + "raise RuntimeError('it is never run')\n")
    (library / "short.py").write_text('"""Short."""\n')
    (library / "broken.py").write_text('"""Not Python."""\n(')
    (library / "site-packages" / "two.md").write_text("A page. " * 100)
    paths = {"stdlib": str(library), "purelib": str(library / "site-packages")}
    paths["platlib"] = paths["purelib"]
    monkeypatch.setattr(gathering.sysconfig, "get_paths", lambda: paths)
    found = dict(gathering.documentation())
    assert found["python/one.py"] == f"Of the module. {long.strip()}\n\n{long.strip()}", (
        "what is said twice is kept once"
    )
    assert found["packages/two.md"] == ("A page. " * 100).strip()
    assert not {"python/short.py", "python/broken.py", "python/site-packages/two.md"} & set(found)
    assert any(name.startswith("help/") for name in found)
    assert list(found) == list(dict(gathering.documentation())), "in the same order again"

    file = tmp_path / "text.jsonl"
    assert run("gather-documentation", file, "--megabytes", "0.2") == 0
    assert 200_000 <= file.stat().st_size < 400_000
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["from"] for record in records] == list(found)[: len(records)]
    assert f"{len(records)} documents" in capsys.readouterr().out
    for wrong, size, words in (
        (file, "1", "another file"),
        (tmp_path / "text.txt", "1", "ends in .jsonl"),
        (tmp_path / "other.jsonl", "5000", "ask for less"),
    ):
        assert run("gather-documentation", wrong, "--megabytes", size) == 2
        assert words in " ".join(capsys.readouterr().err.split())
    assert {one.name for one in tmp_path.glob("*.*")} == {"text.jsonl"}, "nothing is left of what failed"
