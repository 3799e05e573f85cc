"""Models for tests: tiny random ones of four architectures, and every model loaded once a session."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

import type_checks

type_checks.install()  # before the first import of interp

import interp
from families import family_model
from interp.cli import main
from interp.provenance import Provenance

pytest_plugins = ["app_pages", "browser", "pages"]

torch.set_num_threads(1)  # the models are small; more threads only wait for each other
os.environ["OMP_NUM_THREADS"] = "1"  # so do those of the programs that tests start

#: The module that each backend needs besides the core's own.
NEEDS = {"transformer_lens": "transformer_lens", "nnsight": "nnsight"}

#: The tiny models that most tests use, by the family that they are of (`families.py` has all).
TINY = {"tiny-gpt2": "gpt2", "tiny-qwen3": "qwen3", "tiny-llama": "llama", "tiny-neox": "gpt_neox"}

PROVENANCE = Provenance(
    model="demo-gpt2",
    revision=None,
    backend="transformers",
    dtype="float32",
    device="cpu",
    bos="<|endoftext|>",
    processing="none",
    self_check="passed",
    seed=3,
    python="3.12.1",
    versions={"interp-workbench": "0.1.0", "torch": "2.13.0"},
    code_revision="0123456789abcdef",
    code_dirty=True,
)


def tiny_model(name: str) -> PreTrainedModel:
    """A tiny model with random weights, norms and biases included; always the same."""
    return family_model(TINY[name])


def run(*arguments: str | Path) -> int:
    """The exit code of the command line."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def n_hooks(module: nn.Module) -> int:
    """How many hooks hang on the parts of a model."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and a token for the beginning of the sequence."""
    vocab = {char: i for i, char in enumerate(sorted(ByteLevel.alphabet()))} | {"<bos>": 256}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<bos>")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real", help="test real weights: the name of a model, such as gpt2")
    parser.addoption("--weights", help="the folder that they are in (default: the local cache)")
    parser.addoption("--figures", help="where the figures of the shipped configurations go")
    parser.addoption("--screenshots", help="where the screenshots of the app go")
    parser.addoption("--write-docs", action="store_true", help="write the tables in docs/ that tests measure")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker ends alone with one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.register_profile("interp", deadline=None)  # how long a test takes is not tested
    hypothesis.settings.load_profile("interp")
    # not in pyproject.toml: pytest would import interp for it, before its types are checked
    config.addinivalue_line("filterwarnings", "error::interp.errors.InterpDeprecation")


@pytest.fixture(scope="session")
def real(pytestconfig: pytest.Config) -> tuple[str, str] | None:
    """The name of the real model that was asked for, and where its weights are; None where none was."""
    name, weights = pytestconfig.getoption("--real"), pytestconfig.getoption("--weights")
    return None if name is None else (name, weights or name)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder, in Hugging Face's format, of a tiny model by its name in `TINY`."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("tiny") / name
            tiny_model(name).save_pretrained(folders[name])
            byte_tokenizer().save_pretrained(folders[name])
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("tiny-gpt2")


@pytest.fixture(scope="session")
def tiny_qwen3(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("tiny-qwen3")


@pytest.fixture(scope="session")
def tiny_llama(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("tiny-llama")


@pytest.fixture(scope="session")
def tiny_neox(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("tiny-neox")


@pytest.fixture(scope="session")
def load(tiny_folder: Callable[[str], Path]) -> Callable[..., interp.Model]:
    """`load(name, backend, **options)`: each loaded once a session; skips where the backend is missing."""
    models: dict[Any, interp.Model] = {}

    def load(name: str, backend: Any = "transformers", **options: Any) -> interp.Model:
        needs_backend(backend)
        key = (name, backend, *sorted(options.items()))
        if key not in models:
            source = tiny_folder(name) if name in TINY else name
            models[key] = interp.load_model(source, backend=backend, device="cpu", **options)
        return models[key]

    return load


def needs_backend(backend: str) -> None:
    """Skip the test, with the reason, where what the backend needs is not installed."""
    module = NEEDS.get(backend)
    if module is not None and importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def hf_model(folder: Path) -> PreTrainedModel:
    """The plain Hugging Face model in a folder, as a user would have it in memory."""
    return AutoModelForCausalLM.from_pretrained(folder).eval()


class Parsed(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data
