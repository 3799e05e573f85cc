"""Training a dictionary from the command line: its text, its files, a kill, and what is refused."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import interp
from conftest import run
from interp import zoo
from interp.errors import InputError, how_to_install
from interp.figures.engine.curves import Curves, sparkline
from interp.runs import read_run
from interp.saes.activations import BatchTopK, JumpReLU
from interp.saes.layout import read_density
from interp.saes.sources import sae_folder
from interp.text.sequences import load_text
from interp.text.sources import documents
from interp.zoo.making.sae_card import measure, write_card
from test_saes import make

SMALL = ("training=24", "held_out=4", "length=64", "batch_size=128", "expansion=2", "k=8", "layer=2")
STORIES = ["The capital of France is Paris. " * 9, "The capital of Italy is Rome. " * 9]


def train_sae(tmp_path: Path, *settings: str, tag: str = "x") -> int:
    arguments = ["--set", *SMALL, *settings, "--tag", tag, "--out", tmp_path]
    return run("run", "train_sae", *arguments)


def test_what_is_kept_is_what_was_measured(load, tmp_path):
    folder = tmp_path / "sae"
    assert train_sae(tmp_path, "steps=30", f"save_to={folder}", "save_dtype=float16") == 0
    result = read_run(tmp_path / "train_sae" / "x").result
    assert result.explained_variance > 0.3
    assert result.excluded == "the first position of each sequence and padding"
    assert result.losses.shape == (30, len(result.loss_names))
    model = load("demo-gpt2")
    _, held_out = load_text(model, "demo", training=24, held_out=4, length=64)
    again = interp.measure_sae(model, interp.load_sae(folder, model), held_out)
    for name in ("explained_variance", "l0", "ce_sae", "ce_zero"):
        assert getattr(again, name) == pytest.approx(getattr(result, name), rel=1e-6), name
    np.testing.assert_allclose(read_density(folder), result.density, atol=1e-6)
    made = json.loads((folder / "cfg.json").read_text())["metadata"]["training"]
    assert (made["text"], made["steps"], made["k"], made["seed"]) == ("demo", 30, 8, 0)


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    settings = ("steps=60", "silent_after=5", f"save_to={tmp_path / 'sae'}")
    command = [sys.executable, "-m", "interp", "run", "train_sae", "--set", *SMALL, *settings]
    command += ["--tag", "x", "--out", str(tmp_path)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts = tmp_path / "train_sae" / ".x.parts"
    while len(list(parts.glob("*.npz"))) < 3:
        assert killed.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    kept = {part: part.stat().st_mtime_ns for part in parts.glob("*.npz")}
    assert not (tmp_path / "sae").exists()
    again = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while again.poll() is None:
        for part, when in kept.items():
            try:
                assert part.stat().st_mtime_ns == when, "a part was computed again"
            except FileNotFoundError:
                break  # removed at the end
        time.sleep(0.01)
    assert again.returncode == 0, again.communicate()
    assert train_sae(tmp_path, "steps=60", "silent_after=5", f"save_to={tmp_path / 'whole'}", tag="y") == 0
    names = ("sae_weights.safetensors", "sparsity.safetensors", "cfg.json")
    for name in names:
        assert (tmp_path / "sae" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["layer=9"], "6 layers"),
        (["site=pattern"], "no fixed width"),
        (["site=resid_past"], "did you mean 'resid_post'"),
        (["k=500"], "lower k"),
        (["text={}/empty.jsonl"], "0 sequences"),
        (["text={}/stories.jsonl", "field=content"], "did you mean 'contents'"),
        (["text={}/broken.jsonl"], "Line 2"),
        (["text={}/nothing.parquet"], "cannot be read"),
        (["text={}/list.jsonl"], "named fields"),
        (["save_to={}/taken"], "another folder"),
        (["learning_rate=-1"], "learning rate"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_refused_in_a_sentence(tmp_path, capsys, settings, words):
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "stories.jsonl").write_text(json.dumps({"contents": "x"}) + "\n")
    (tmp_path / "broken.jsonl").write_text('{"text": "x"}\n{"text"\n')
    (tmp_path / "list.jsonl").write_text("[1]\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "cfg.json").write_text("{}")
    assert train_sae(tmp_path, *(setting.format(tmp_path) for setting in settings)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert not (tmp_path / "train_sae" / "x").exists()


def test_text_of_every_kind_of_file_is_the_same(load, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"story": text, "n": 1}) for text in STORIES))
    write_table(pyarrow.table({"story": STORIES, "n": [1, 2]}), tmp_path / "a.parquet")
    found = [list(documents(str(tmp_path / name), "story")) for name in ("a.jsonl", "a.parquet")]
    assert found == [STORIES, STORIES]
    model = load("demo-gpt2")
    text, held_out = load_text(
        model, str(tmp_path / "a.jsonl"), training=3, held_out=2, length=16, field="story"
    )
    ids = [i for sequence in text + held_out for i in sequence[1:]]
    eos = model.tokenizer.eos_token_id
    whole = model.tokenizer(STORIES[0])["input_ids"] + [eos] + model.tokenizer(STORIES[1])["input_ids"]
    assert ids == whole[: len(ids)]
    assert eos in ids, "documents are kept apart"


def test_a_dataset_of_the_hub_is_streamed(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load_dataset(*arguments, **options):
        asked.append((arguments, options))
        return iter([{"text": "a"}, {"text": "b"}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert next(documents("hf:org/stories:small")) == "a"
    assert asked == [(("org/stories", "small"), {"split": "train", "streaming": True})]

    def unreachable(*arguments, **options):
        raise ConnectionError("Couldn't reach the hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(InputError, match=r"'org/stories' could not be fetched \(Couldn't reach the hub\)"):
        next(documents("hf:org/stories"))


@pytest.mark.parametrize(
    ("source", "library"), [("hf:org/stories", "datasets"), ("stories.parquet", "pyarrow")]
)
def test_a_missing_library_is_named(monkeypatch, source, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=re.escape(how_to_install("text"))):
        next(documents(source))


def test_where_an_sae_is_looked_for(load, tmp_path, monkeypatch):
    import huggingface_hub

    model, sae = load("demo-gpt2"), make(load("demo-gpt2"))
    interp.write_sae(tmp_path / "hub" / "blocks.1", sae)
    asked = {}

    def snapshot_download(repo, **options):
        asked.update(options, repo=repo)
        return str(tmp_path / "hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    found = interp.load_sae("org/saes@abc:blocks.1", model)
    assert torch.equal(found.W_enc, sae.W_enc)
    assert asked == {
        "repo": "org/saes",
        "revision": "abc",
        "allow_patterns": ["blocks.1", "blocks.1/*", "config.json"],
        "etag_timeout": 10,
    }
    with pytest.raises(InputError, match=r"gives 'blocks.2' of 'org/saes'.*The local cache has 'blocks.1'"):
        interp.load_sae("org/saes:blocks.2", model)
    with pytest.raises(InputError, match=r"There is no SAE 'blocks'; give a folder"):
        sae_folder("blocks")

    def offline(repo, **options):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError, match=r"could not give 'org/saes' \(no network\)"):
        sae_folder("org/saes")


def test_rounded_weights_compute_as_they_are_kept(load, tmp_path):
    model = load("tiny-gpt2")
    x = torch.randn(5, 32)[:, : make(model).d_in]
    thresholds = torch.linspace(0, 1, 40)
    for activation in (BatchTopK(5, 0.123456), JumpReLU(thresholds)):
        half = make(model, activation=activation).to(torch.float16)
        folder = tmp_path / activation.kind
        interp.write_sae(folder, half)
        again = interp.read_sae(folder, model)
        assert torch.equal(again.encode(x), half.encode(x))
        assert again.encode(x).dtype == torch.float32
        assert read_density(folder) is None


def test_curves_of_any_length_keep_their_shape():
    curves = Curves()
    for step in range(1000):
        curves.add({"falls": 1000.0 - step, "stays": 3.0, "nothing": 0.0})
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(curves)
    falls, stays = console.export_text().splitlines()
    assert [c for c in falls if c in "▁▂▃▄▅▆▇█"] == sorted(
        [c for c in falls if c in "▁▂▃▄▅▆▇█"], reverse=True
    )
    assert 24 <= sum(c in "▁▂▃▄▅▆▇█" for c in falls) <= 48
    assert float(falls.split()[-1]) == pytest.approx(1, abs=32)
    assert stays.split()[-1] == "3"
    assert sparkline([0, 7, 3.5]) == "▁█▅"


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_dictionaries_of_the_package_are_what_their_cards_say(tmp_path, name):
    folder = zoo.path(name) / "sae"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5e6
    figures = json.loads((folder / "quality.json").read_text())
    found = measure(name, sequences=24)
    assert found.explained_variance >= 0.9
    assert found.l0 <= 32
    assert found.recovered_from_zero >= 0.97
    assert found.recovered_from_mean >= 0.97
    assert figures["dead"] < 0.05
    assert found.sae.n_features == figures["n_features"] == 8 * 192
    for figure, within in {
        "l0": 0.5,
        "explained_variance": 0.01,
        "explained_variance_per_token": 0.02,
        "recovered_from_zero": 0.01,
        "recovered_from_mean": 0.01,
    }.items():
        assert getattr(found, figure) == pytest.approx(figures[figure], abs=within), figure
    for file in ("cfg.json", "quality.json"):
        (tmp_path / file).write_text((folder / file).read_text())
    assert write_card(tmp_path).read_text() == (folder / "README.md").read_text()
    other = next(one for one in zoo.NAMES if one != name)
    with pytest.raises(InputError, match="another unembedding"):
        interp.load_sae(other, interp.load_model(name, device="cpu"))
