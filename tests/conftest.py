"""Models for tests: tiny random ones of four architectures, and every model loaded once a session."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

import interp

torch.set_num_threads(1)  # the models are small; more threads only wait for each other

#: The module that each backend needs besides the core's own.
NEEDS = {"transformer_lens": "transformer_lens", "nnsight": "nnsight"}

_COMMON = {
    "vocab_size": 257,  # the bytes, and the beginning of the sequence
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 256,
    "eos_token_id": 256,
    "initializer_range": 0.2,  # large, so that every part of the model matters to the logits
}
_GROUPED = {"num_key_value_heads": 2, "intermediate_size": 48}

TINY: dict[str, Callable[[], PreTrainedModel]] = {
    "tiny-gpt2": lambda: GPT2LMHeadModel(GPT2Config(**_COMMON)),
    "tiny-qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_COMMON, **_GROUPED, head_dim=16)),
    "tiny-llama": lambda: LlamaForCausalLM(LlamaConfig(**_COMMON, **_GROUPED)),
    "tiny-neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**_COMMON, intermediate_size=48)),
}


def tiny_model(name: str) -> PreTrainedModel:
    """A tiny model with random weights, norms and biases included; always the same."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = TINY[name]()
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and a token for the beginning of the sequence."""
    vocab = {char: i for i, char in enumerate(sorted(ByteLevel.alphabet()))} | {"<bos>": 256}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<bos>")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real", help="test real weights: the name of a model, such as gpt2")
    parser.addoption("--weights", help="the folder that they are in (default: the local cache)")
    parser.addoption("--figures", help="where the figures of the shipped configurations go")
    parser.addoption("--write-docs", action="store_true", help="write the tables in docs/ that tests measure")


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
