"""What a user can get wrong: each ends in one sentence that says what was wrong and what to do.

At the command line: exit code 2, one line on stderr, no run folder. From Python: an `InterpError`, and the
model as usable as before.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import interp
from conftest import byte_tokenizer, run, tiny_model
from interp import Edit
from interp.errors import InterpError, ModelLoadError, NonFiniteError
from interp.models.base import Model

LENS, TRACE = ("run", "logit_lens"), ("run", "causal_tracing")
NOISE = ("--set", "corruption=noise", "corrupted=null")


def one_clear_sentence(error: str, says: str) -> None:
    """One line, with the word that the case is about, and no sign of a program that broke."""
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert says in error
    assert "Traceback" not in error
    assert len(error) < 900


# ---- the command line ----

COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown command": (("bogus",), "bogus"),
    "unknown flag": ((*LENS, "--bogus", "1"), "bogus"),
    "no experiment": (("run",), "EXPERIMENT"),
    "unknown experiment": (("run", "logit_len"), "did you mean 'logit_lens'"),
    # models, devices
    "unknown model": ((*LENS, "--model", "demo-gpt3"), "did you mean 'demo-gpt2'"),
    "missing folder": ((*LENS, "--model", "./nowhere"), "no folder"),
    "hub out of reach": ((*LENS, "--model", "nobody/nothing"), "not in the local cache"),
    "a name that is a path": ((*LENS, "--model", "../../etc/passwd"), "no folder"),
    "an empty model": ((*LENS, "--model", ""), "model"),
    "unknown backend": ((*LENS, "--backend", "jax"), "'backend'"),
    "unknown dtype": ((*LENS, "--dtype", "int8"), "'dtype'"),
    "unknown device": ((*LENS, "--device", "tpu9"), "not available"),
    "a device that is not there": ((*LENS, "--device", "cuda:7"), "not available"),
    "a device without numbers": ((*LENS, "--device", "meta"), "holds no numbers"),
    "folded on transformers": ((*LENS, "--set", "processing=folded"), "transformer_lens"),
    "a BOS that does not exist": ((*LENS, "--model", "demo-qwen3", "--set", "bos=true"), "beginning-of-seq"),
    "checking an unknown model": (("models", "--check", "demo-gpt3"), "did you mean 'demo-gpt2'"),
    # keys and values
    "unknown key": ((*LENS, "--set", "promt=x"), "did you mean 'prompt'"),
    "wrong type": ((*LENS, "--set", "k=many"), "valid integer"),
    "an answer of yes or no": ((*LENS, "--set", "answer=true"), "'true'"),
    "a prompt that is a mapping": ((*LENS, "--set", 'prompt={"a": 1}'), "'prompt'"),
    "not key=value": ((*LENS, "--set", "k"), "key=value"),
    "no key": ((*LENS, "--set", "=3"), "key=value"),
    "bad seed": ((*LENS, "--seed", "x"), "seed"),
    "no top tokens": ((*LENS, "--set", "k=0"), "between 1 and"),
    "more top tokens than there are": ((*LENS, "--set", "k=999999"), "between 1 and"),
    "missing config": ((*LENS, "--config", "none.yaml"), "no configuration file"),
    # tags and folders
    "tag with ..": ((*LENS, "--tag", "../x"), "tag"),
    "absolute tag": ((*LENS, "--tag", "/tmp/x"), "tag"),
    "hidden tag": ((*LENS, "--tag", ".x"), "tag"),
    "empty tag": ((*LENS, "--tag", ""), "tag"),
    "overlong tag": ((*LENS, "--tag", "x" * 101), "tag"),
    "tag with a line break": ((*LENS, "--tag", "x\ny"), "tag"),
    "nothing to show": (("show", "nowhere"), "no finished run"),
    # prompts and answers
    "empty prompt": ((*LENS, "--set", 'prompt=""'), "empty"),
    "blank prompt": ((*LENS, "--set", "prompt=  "), "empty"),
    "prompt of line breaks": ((*LENS, "--set", 'prompt="\\n\\t\\n"'), "empty"),
    "overlong prompt": ((*LENS, "--set", "prompt=a" + " b a" * 300), "at most"),
    "half a character": ((*LENS, "--set", 'prompt="The \\ud800 capital"'), "lone surrogate"),
    "no ids": ((*LENS, "--set", "prompt=[]"), "no prompt"),
    "ids out of range": ((*LENS, "--set", "prompt=[1, 999999]"), "between 0 and"),
    "negative ids": ((*LENS, "--set", "prompt=[1, -4]"), "between 0 and"),
    "answer that counts itself twice": ((*LENS, "--set", "answer= Paris| Paris is"), "begins with"),
    "answer of no forms": ((*LENS, "--set", 'answer={"any": []}'), "'any'"),
    "answer of another key": ((*LENS, "--set", 'answer={"all": [" Paris"]}'), "'answer'"),
    "answer without its space": ((*LENS, "--set", "answer=Paris"), "' Paris'"),
    "no answer": ((*LENS, "--set", 'answer=""'), "answer is empty"),
    "answer id too large": ((*LENS, "--set", "answer=<999999>"), "999999"),
    "position out of range": ((*LENS, "--set", "position=99"), "out of range"),
    "position out of range from the end": ((*LENS, "--set", "position=-99"), "out of range"),
    "unknown lens site": ((*LENS, "--set", "site=resid_prr"), "'site'"),
    # pairs
    "misaligned pair": ((*TRACE, "--set", "corrupted=The capital of the town is"), "same number"),
    "identical pair": ((*TRACE, "--set", "corrupted=The capital of France is"), "are the same"),
    "no corrupted prompt": ((*TRACE, "--set", "corrupted=null"), "corrupted prompt"),
    "no foil": ((*TRACE, "--set", "foil=null", "metric=logit_diff"), "foil"),
    "foil is the answer": ((*TRACE, "--set", "foil= Paris"), "same token"),
    "foil that goes on from the answer": ((*TRACE, "--set", "foil= Paris is"), "begins with the other"),
    "unknown site": ((*TRACE, "--set", "site=resid"), "'site'"),
    "unknown direction": ((*TRACE, "--set", "direction=both"), "'direction'"),
    "unknown metric": ((*TRACE, "--set", "metric=loss"), "'metric'"),
    "window too wide": ((*TRACE, "--set", "site=mlp_out", "window=99"), "window"),
    "no window": ((*TRACE, "--set", "site=mlp_out", "window=0"), "window"),
    "no batch": ((*TRACE, "--set", "batch_size=0"), "batch_size"),
    "noise without subject": ((*TRACE, *NOISE), "subject"),
    "noise and a second prompt": (
        (*TRACE, "--set", "corruption=noise", "subject=France"),
        "corrupted prompt",
    ),
    "subject not in the prompt": ((*TRACE, *NOISE, "subject= Narnia"), "does not occur"),
    "subject that occurs twice": ((*TRACE, *NOISE, "subject=i"), "occurs"),
    "subject position out of range": ((*TRACE, *NOISE, "subject=[77]"), "77"),
    "noise that changes nothing": ((*TRACE, *NOISE, "subject=France", "sigma=0"), "hardly differ"),
    "negative noise": ((*TRACE, *NOISE, "subject=France", "sigma=-1"), "sigma"),
    "no samples": ((*TRACE, *NOISE, "subject=France", "samples=0"), "at least one sample"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command(case: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    arguments, says = COMMANDS[case]
    assert run(*arguments) == 2
    one_clear_sentence(capsys.readouterr().err.strip(), says)
    assert not list(tmp_path.glob("outputs/*/*")), "nothing half-written"


# ---- configuration files ----

CONFIGS: dict[str, tuple[str | bytes, str]] = {
    "a key twice": ("prompt: a\nprompt: b\n", "given twice"),
    "unknown key": ("promt: a\n", "did you mean 'prompt'"),
    "unclosed": ("prompt: [unclosed", "not valid YAML"),
    "a list": ("- a list\n", "key: value"),
    "nothing": ("", "key: value"),
    "a number as key": ("1: a\n", "key: value"),
    "code in a tag": ("prompt: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    "an object in a tag": ("prompt: !!python/object:interp.Edit {}\n", "not valid YAML"),
    "aliases without end": ("a: &a [x, x]\nb: &b [*a, *a]\nprompt: [*b, *b]\n", "Aliases"),
    "of another experiment": ("experiment: causal_tracing\n", "configuration of 'causal_tracing'"),
    "no as an answer": ("answer: no\n", "in quotes"),
    "a date as prompt": ("prompt: 2020-01-01\n", "'prompt'"),
    "infinity": ("k: .inf\n", "'k'"),
    "deeply nested": ("prompt: " + "[" * 40_000 + "\n", "nested too deeply"),
    "10 MB of nesting": ("prompt: " + "[" * 10_000_000 + "\n", "too large"),
    "not text": (b"\xff\xfe\x00\x01", "cannot be read"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration(case: str, tmp_path: Path, capsys: Any) -> None:
    text, says = CONFIGS[case]
    file = tmp_path / "bad.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run(*LENS, "--config", file, "--out", tmp_path / "out") == 2
    one_clear_sentence(capsys.readouterr().err.strip(), says)
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_a_folder(tmp_path: Path, capsys: Any) -> None:
    assert run(*LENS, "--config", tmp_path) == 2
    one_clear_sentence(capsys.readouterr().err.strip(), "cannot be read")


# ---- folders that are no model, or a damaged one ----


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the stored tensors."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def remove(folder: Path, *names: str) -> None:
    for name in names:
        for file in folder.glob(name):
            file.unlink()


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def pickle_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    remove(folder, "model.safetensors")


def put(name: str, value: float) -> Callable[[Path], None]:
    """Make one entry of one tensor NaN or infinite."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[0] = value

    return lambda folder: weights(folder, change)


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: weights(folder, lambda tensors: tensors.__delitem__(name))


FFN = "transformer.h.1.mlp.c_fc.weight"
FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "an empty folder": (lambda f: remove(f, "*"), "config.json"),
    "no weights": (lambda f: remove(f, "model.safetensors"), "could not be loaded"),
    "truncated weights": (truncate, "could not be loaded"),
    "weights that are text": (
        lambda f: (f / "model.safetensors").write_text("hello") and None,
        "could not be",
    ),
    "pickled weights": (pickle_weights, "safetensors"),
    "a tensor of another shape": (
        lambda f: weights(f, lambda t: t.update({FFN: torch.zeros(3, 3)})),
        "could not be loaded",
    ),
    "a tensor that is missing": (drop(FFN), "lack 1 of the model's tensors"),
    "NaN in a weight": (put(FFN, float("nan")), "finite"),
    "infinity in a weight": (put(FFN, float("inf")), "finite"),
    "NaN in a token's embedding": (put("transformer.wte.weight", float("nan")), "transformer.wte.weight"),
    "a config that is no JSON": (
        lambda f: (f / "config.json").write_text("{") and None,
        "could not be loaded",
    ),
    "a config of no model": (lambda f: (f / "config.json").write_text("{}") and None, "could not be loaded"),
    "an unknown architecture": (lambda f: config(f, model_type="gpt9"), "gpt9"),
    "an encoder": (lambda f: config(f, model_type="t5", architectures=["T5"]), "could not be loaded"),
    "heads that do not divide the width": (lambda f: config(f, n_head=5, num_attention_heads=5), "could not"),
    "more layers than weights": (lambda f: config(f, n_layer=5, num_hidden_layers=5), "lack"),
    "no tokenizer": (lambda f: remove(f, "tokenizer*", "special*"), "no tokenizer"),
    "a damaged tokenizer": (lambda f: (f / "tokenizer.json").write_text("{") and None, "no tokenizer"),
    "code of its own": (
        lambda f: config(
            f, model_type="own", auto_map={"AutoModelForCausalLM": "own.Own", "AutoConfig": "own.C"}
        ),
        "trust_remote_code=True",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder(case: str, tiny_gpt2: Path, tmp_path: Path, capsys: Any) -> None:
    spoil, says = FOLDERS[case]
    folder = tmp_path / "model"
    shutil.copytree(tiny_gpt2, folder)
    spoil(folder)
    assert run(*LENS, "--model", folder, "--out", tmp_path / "out", "--set", "answer=a") == 2
    one_clear_sentence(capsys.readouterr().err.strip(), says)
    assert not list(tmp_path.glob("out/*/*"))


def test_pickled_weights_are_read_when_asked_for(tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_gpt2, folder)
    pickle_weights(folder)
    assert interp.load_model(folder, allow_pickle=True, device="cpu").arch.n_layers == 3


def test_activations_that_overflow(tiny_gpt2: Path) -> None:
    """A prompt that goes wrong where no check on loading looked is still an error, not a number."""
    hf = tiny_model("tiny-gpt2")
    hf.transformer.wpe.weight.data[20] = float("nan")  # a position that only long prompts reach
    model = interp.load_model(hf, byte_tokenizer(), device="cpu", self_check=False)
    assert interp.logit_lens(model, "ac", "d").provenance.self_check == "skipped"
    with pytest.raises(NonFiniteError, match="NaN or infinity"):
        interp.logit_lens(model, "a" * 30, "d")


# ---- output folders ----


def test_an_output_that_is_a_file(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run(*LENS, "--out", tmp_path / "file") == 2
    one_clear_sentence(capsys.readouterr().err.strip(), "is a file")


def test_an_output_that_cannot_be_made(capsys: Any) -> None:
    assert run(*LENS, "--out", "/proc/interp") == 2
    one_clear_sentence(capsys.readouterr().err.strip(), "/proc")


def test_a_full_disk(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """The report is what no longer fits: nothing of the run is left."""
    real = Path.write_text

    def write_text(self: Path, text: str, **options: Any) -> int:
        if self.name == "report.html":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, text, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    assert run(*LENS, "--tag", "x", "--out", tmp_path) == 2
    one_clear_sentence(capsys.readouterr().err.strip(), "No space left")
    assert not list((tmp_path / "logit_lens").iterdir())


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """A real limit of the operating system, on the size of a file, while the run is written."""
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        # What is compiled is written before.
        "import interp.figures.engine.html, interp.figures.views.logit_lens; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
        f"from interp.cli import main; main(['run', 'logit_lens', '--tag', 'x', '--out', {str(tmp_path)!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr
    one_clear_sentence(done.stderr.strip(), "File too large")
    assert not list((tmp_path / "logit_lens").iterdir())


def result(**changes: Any) -> dict[str, str]:
    """A result.json with these keys in place of the usual ones."""
    whole = {
        "format": 1,
        "experiment": "logit_lens",
        "config": {},
        "result": {"kind": "logit_lens"},
    } | changes
    return {"result.json": json.dumps({key: value for key, value in whole.items() if value is not None})}


HALF: dict[str, tuple[dict[str, str], str]] = {
    "an empty folder": ({}, "no finished run"),
    "only its configuration": ({"config.yaml": "experiment: logit_lens\n"}, "no finished run"),
    "half a result": ({"result.json": '{"format": 1, "experi'}, "cannot be read"),
    "another format": (result(format=99), "this version"),
    "a list": ({"result.json": "[1, 2]"}, "this version"),
    "no numbers": (result(result=None), "lacks its result"),
    "an unknown experiment": (result(experiment="x"), "Unknown experiment"),
    "an unknown result": (result(result={"kind": "x"}), "Unknown kind"),
    "an incomplete result": (result(), "damaged"),
    "a result that is none": (result(result=3), "damaged"),
}


@pytest.mark.parametrize("case", HALF)
def test_a_run_folder_half_there(case: str, tmp_path: Path, capsys: Any) -> None:
    files, says = HALF[case]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert run("show", tmp_path) == 2
    one_clear_sentence(capsys.readouterr().err.strip(), says)


# ---- from Python ----

IDS = [5, 17, 80, 3]
CALLS: dict[str, tuple[Callable[[Model], Any], str]] = {
    "a number as prompt": (lambda m: m.forward(3.5), "text or a list of token ids"),  # type: ignore[arg-type]
    "None as prompt": (lambda m: m.forward(None), "text or a list of token ids"),  # type: ignore[arg-type]
    "floats as ids": (lambda m: m.forward([[1.5, 2.0]]), "integers"),  # type: ignore[list-item]
    "no prompts": (lambda m: m.forward([]), "no prompt"),
    "a batch without a mask": (lambda m: m.forward({"input_ids": [[1]]}), "attention_mask"),
    "a mask with a gap": (
        lambda m: m.forward({"input_ids": [[1, 2, 3]], "attention_mask": [[1, 0, 1]]}),
        "one stretch",
    ),
    "a mask of padding alone": (
        lambda m: m.forward({"input_ids": [[1, 2]], "attention_mask": [[0, 0]]}),
        "one stretch",
    ),
    "a mask of another shape": (
        lambda m: m.forward({"input_ids": [[1, 2]], "attention_mask": [[1]]}),
        "[batch, pos]",
    ),
    "ids out of range in a padded batch": (
        lambda m: m.forward({"input_ids": [[0, 9999]], "attention_mask": [[0, 1]]}),
        "between 0 and",
    ),
    "an unknown site": (lambda m: m.run_with_cache(IDS, ["resid_prr"]), "did you mean 'resid_pre'"),
    "an unknown hook": (lambda m: m.run_with_cache(IDS, ["blocks.0.hook_x"]), "Unknown hook name"),
    "a layer out of range": (lambda m: m.run_with_cache(IDS, [("z", 99)]), "Layer 99"),
    "a negative layer": (lambda m: m.run_with_cache(IDS, [("z", -1)]), "Layer -1"),
    "a layer that is text": (lambda m: m.run_with_cache(IDS, [("z", "1")]), "whole number"),  # type: ignore[list-item]
    "a head out of range": (lambda m: m.forward(IDS, [Edit.zero("z", 0, heads=4)]), "Head 4"),
    "a key-value head out of range": (lambda m: m.forward(IDS, [Edit.zero("k", 0, heads=-5)]), "Head -5"),
    "a position out of range": (lambda m: m.forward(IDS, [Edit.zero("z", 0, positions=4)]), "Position 4"),
    "a position beyond the shorter prompt": (
        lambda m: m.forward([IDS, IDS[:2]], [Edit.zero("z", 0, positions=3)]),
        "Position 3",
    ),
    "a row out of range": (lambda m: m.forward(IDS, [Edit.zero("z", 0, rows=1)]), "Row 1"),
    "half a position": (lambda m: m.forward(IDS, [Edit.zero("z", 0, positions=1.5)]), "whole numbers"),
    "heads where there are none": (lambda m: Edit.zero("mlp_out", 0, heads=1), "has no heads"),
    "NaN in an edit": (lambda m: m.forward(IDS, [Edit.add("z", 0, value=float("nan"))]), "NaN or infinity"),
    "a value that does not fit": (
        lambda m: m.forward(IDS, [Edit.set("resid_pre", 0, value=torch.zeros(7))]),
        "does not broadcast",
    ),
    "a direction of length zero": (
        lambda m: m.forward(IDS, [Edit.project_out("resid_pre", 0, value=torch.zeros(32))]),
        "is zero",
    ),
    "unembedding another width": (lambda m: m.unembed(torch.zeros(3, 5)), "width 32"),
    "asking the cache for what it does not hold": (
        lambda m: m.run_with_cache(IDS, ["z"])["attn_out", 0],
        "does not hold",
    ),
    "an answer that is a list": (lambda m: m.to_single_token([1]), "text or a token id"),  # type: ignore[arg-type]
    "an answer of yes": (lambda m: m.to_single_token(True), "text or a token id"),
    "a span beyond the prompt": (lambda m: m.positions_of("abc", span=(2, 9)), "no part of the prompt"),
    "an empty span": (lambda m: m.positions_of("abc", span=(2, 2)), "no part of the prompt"),
    "a token that does not occur": (lambda m: m.positions_of("abc", token="z"), "does not occur"),
    "a place said in two ways": (lambda m: m.positions_of("abc", "a", token="b"), "one way"),
    "several prompts for one": (lambda m: interp.logit_lens(m, ["ab", "cd"]), "single prompt"),  # type: ignore[arg-type]
    "an unknown backend": (lambda m: interp.load_model("demo-gpt2", backend="jax"), "backend"),  # type: ignore[arg-type]
    "a model that is none": (lambda m: interp.load_model(torch.nn.Linear(2, 2)), "causal language model"),  # type: ignore[arg-type]
    "another dtype than the model's": (lambda m: interp.load_model(m.hf_model, dtype="float16"), "float32"),
    "a layout with a wrong path": (
        lambda m: interp.load_model(m.hf_model, layout=interp.Layout(layers="transformer.h")),
        "does not fit",
    ),
    "a layout with no layers": (
        lambda m: interp.load_model(m.hf_model, layout=interp.Layout(layers="nowhere")),
        "no layers",
    ),
}


@pytest.fixture(scope="module")
def model(tiny_gpt2: Path) -> Model:
    return interp.load_model(tiny_gpt2, device="cpu")


@pytest.mark.parametrize("case", CALLS)
def test_a_call(case: str, model: Model) -> None:
    call, says = CALLS[case]
    before = model.forward(IDS)
    with pytest.raises(InterpError) as caught:
        call(model)
    sentence = str(caught.value)
    assert says in sentence
    assert len(sentence.splitlines()) == 1
    assert torch.equal(model.forward(IDS), before), "the model is as usable as before"


def test_there_are_at_least_eighty() -> None:
    assert sum(map(len, (COMMANDS, CONFIGS, FOLDERS, HALF, CALLS))) >= 80


def test_a_dtype_that_the_device_lacks(monkeypatch: Any) -> None:
    """As on Apple's MPS, which has no float64."""
    real = torch.ones

    def ones(*size: int, dtype: Any = None, **options: Any) -> Any:
        if dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return real(*size, dtype=dtype, **options)

    monkeypatch.setattr(torch, "ones", ones)
    with pytest.raises(ModelLoadError, match="cannot compute in float64; use float32"):
        interp.load_model("demo-gpt2", dtype="float64", device="cpu")
