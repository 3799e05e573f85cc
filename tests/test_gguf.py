"""GGUF files are read as they are, converted once, and refused in a sentence where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

import interp
from conftest import run
from interp import zoo
from interp.app.server.models import weight_bytes
from interp.errors import ModelLoadError
from interp.models.gguf.conversion import check_tokenizer, converted
from interp.models.gguf.copies import all_copies, remove
from interp.models.gguf.files import gguf_file, read_header

pytest.importorskip("gguf")
from gguf_files import write_gguf  # needs gguf

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def plain() -> Qwen3ForCausalLM:
    """A small random Qwen3."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=2304, hidden_size=64, intermediate_size=96, num_hidden_layers=2, head_dim=128,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=0, rope_parameters={"rope_theta": 10000.0, "rope_type": "default"},
    )  # fmt: skip
    return Qwen3ForCausalLM(config).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(zoo.path("demo-qwen3"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path, plain, tokenizer) -> Path:
    path = tmp_path / "blob-without-an-ending"
    write_gguf(path, plain, tokenizer)
    return path


def test_a_file_is_known_by_what_it_holds(file, tmp_path):
    assert gguf_file(str(file)) == file
    (tmp_path / "model.gguf").write_text("not one")
    assert gguf_file(str(tmp_path / "model.gguf")) is None
    header = read_header(file)
    assert (header.architecture, header.quantisation, len(header.tokens)) == ("qwen3", "F32", 2304)


def test_the_copy_has_the_file_s_weights_and_tokenizer(file, plain, tokenizer):
    copy = converted(file)
    model = interp.load_model(copy.folder)
    ids = tokenizer.encode(PROMPT)
    assert model.tokenizer.encode(PROMPT) == ids
    with torch.no_grad():
        expected = plain(torch.tensor([ids])).logits
    torch.testing.assert_close(model.forward([ids]), expected)


def test_it_is_converted_once_and_can_be_removed(file, cache, monkeypatch):
    first = converted(file)
    monkeypatch.setattr("interp.models.gguf.conversion._convert", lambda *_: pytest.fail("converted twice"))
    assert converted(file) == first
    assert all_copies() == [first]
    assert first.size > 100_000
    assert not list((cache / "gguf").glob(".unfinished*"))
    remove(first)
    assert all_copies() == []


def test_nothing_half_written_is_left(file, cache, monkeypatch):
    def fail(*_: object) -> None:
        raise ModelLoadError("stopped")

    monkeypatch.setattr("interp.models.gguf.conversion._convert", fail)
    with pytest.raises(ModelLoadError, match="stopped"):
        converted(file)
    assert list((cache / "gguf").iterdir()) == []


def test_quantised_weights_are_those_that_the_file_has(tmp_path, plain, tokenizer):
    path = tmp_path / "q8.gguf"
    write_gguf(path, plain, tokenizer, quantised=True)
    copy = converted(path)
    assert copy.quantisation == "Q8_0"
    model = interp.load_model(copy.folder)
    ours, theirs = model.hf_model.model.layers[0].mlp.up_proj.weight, plain.model.layers[0].mlp.up_proj.weight
    off = (ours - theirs).abs().max() / theirs.abs().max()
    assert 0 < off < 0.01  # eight bits


def test_the_app_knows_how_much_memory_it_takes(file, plain, tmp_path):
    """Before it is loaded: by its header, and from then on by its copy."""
    in_memory = 4 * plain.num_parameters()
    assert weight_bytes(str(file)) == pytest.approx(in_memory, rel=0.01)
    interp.load_model(str(file))
    assert weight_bytes(str(file)) == pytest.approx(in_memory, rel=0.2)  # with its tokenizer
    (tmp_path / "none.gguf").write_bytes(b"none")
    assert weight_bytes(str(tmp_path / "none.gguf")) == 0.0


def test_an_ollama_model_is_found_by_its_name(tmp_path, file, monkeypatch):
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    blob = tmp_path / "ollama" / "blobs" / "sha256-ab12"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(file.read_bytes())
    manifest = tmp_path / "ollama" / "manifests" / "registry" / "library" / "tiny" / "latest"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:ab12"}
    manifest.write_text(json.dumps({"layers": [{"mediaType": "license", "digest": "x"}, layer]}))
    assert gguf_file("ollama:tiny") == blob
    with pytest.raises(ModelLoadError, match=r"no model 'huge' .* there are: tiny:latest"):
        gguf_file("ollama:huge")
    manifest.write_text("{}")
    with pytest.raises(ModelLoadError, match="names no weights"):
        gguf_file("ollama:tiny")


def test_results_say_what_the_weights_were(tmp_path, plain, tokenizer, capsys):
    path = tmp_path / "q8.gguf"
    write_gguf(path, plain, tokenizer, quantised=True)
    model = interp.load_model(path)
    assert model.identity.quantisation == "Q8_0"
    result = interp.logit_lens(model, PROMPT, " Paris")
    assert result.provenance.quantisation == "Q8_0"
    assert run("cache") == 0
    assert "Q8_0" in capsys.readouterr().out
    assert run("cache", "--remove", "zz") == 2
    assert run("cache", "--remove", "all") == 0
    assert all_copies() == []


def test_a_file_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "weights.bin").write_text("no")
    with pytest.raises(ModelLoadError, match="is a file, and no GGUF file"):
        interp.load_model(tmp_path / "weights.bin")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (b"GGUF" + bytes(40), "no GGUF file that can be read"),
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path, broken, sentence):
    (tmp_path / "x.gguf").write_bytes(broken)
    with pytest.raises(ModelLoadError, match=sentence):
        converted(tmp_path / "x.gguf")


def test_a_tokenizer_read_otherwise_is_refused(tokenizer):
    pieces = tuple(tokenizer.convert_ids_to_tokens(list(range(2304))))
    check_tokenizer(tokenizer, pieces, "x.gguf")
    with pytest.raises(ModelLoadError, match="token 7 is 'other' in the file"):
        check_tokenizer(tokenizer, (*pieces[:7], "other", *pieces[8:]), "x.gguf")
    with pytest.raises(ModelLoadError, match="has no tokenizer"):
        check_tokenizer(tokenizer, (), "x.gguf")
