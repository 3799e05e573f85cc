"""Models of one's own: what they are called and how their weights are told apart, layouts and code of their
own as keys of a configuration, and tokens that have names or ids alone."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import dynamic_module_utils

import interp
from app_pages import error_of, run_without_errors, texts
from conftest import byte_tokenizer, run, tiny_model
from interp.app.server.access import permissions
from interp.app.server.settings import FILES
from interp.errors import InputError, ModelLoadError
from interp.figures.engine.html import provenance_table
from interp.figures.engine.notation import model_line
from interp.models.token_names import tokenizer_of
from nanogpt import nano_gpt

IDS = [5, 9, 33, 9]
OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "mine"

class Own(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_results_name_a_model_in_memory_and_its_weights() -> None:
    hf = tiny_model("tiny-llama")
    found = interp.logit_lens(interp.load_model(hf, name="run 7", device="cpu"), IDS, 4).provenance
    again = interp.load_model(tiny_model("tiny-llama"), device="cpu").identity
    assert found.model == "run 7"
    assert found.weights == again.weights
    assert len(again.weights or "") == 64
    assert again.name == "llama in memory"
    assert f"raw weights (SHA-256 {found.weights[:12]})" in model_line(found)
    assert found.weights in provenance_table(found)
    with torch.no_grad():
        hf.model.layers[2].mlp.down_proj.weight[3, 5] += 1e-6
    assert interp.load_model(hf, device="cpu").identity.weights != found.weights
    with pytest.raises(ModelLoadError, match=r"name='mine' is for a model in memory; 'demo-gpt2'"):
        interp.load_model("demo-gpt2", name="mine")


def test_the_hash_tells_apart_what_holds_the_same_bytes() -> None:
    """Two square weights exchanged: the same set of bytes, another model."""
    one, other = tiny_model("tiny-llama"), tiny_model("tiny-llama")
    block = other.model.layers[0].self_attn
    block.q_proj, block.o_proj = block.o_proj, block.q_proj
    hashes = {interp.load_model(hf, device="cpu").identity.weights for hf in (one, other)}
    assert len(hashes) == 2
    half = interp.load_model(one.to(torch.bfloat16), dtype="bfloat16", device="cpu")
    assert half.identity.weights not in hashes


def own_code(folder: Path) -> Path:
    """A model whose folder holds its code, of an architecture that is in no table."""
    tiny_model("tiny-llama").save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    (folder / "own.py").write_text(OWN_CODE)
    file = folder / "config.json"
    auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}
    own = {"model_type": "mine", "architectures": ["Own"], "auto_map": auto_map}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    return folder


def test_a_configuration_may_hold_a_layout_and_trust_code(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = own_code(tmp_path / "model")
    lens = ["run", "logit_lens", "--model", folder, "--out", tmp_path, "--tag", "own"]
    lens += ["--set", "prompt=[5,9,33,9]", "--set", "answer=<4>"]
    assert run(*lens) == 2
    assert "trust_remote_code" in capsys.readouterr().err
    assert run(*lens, "--set", "trust_remote_code=true") == 2
    assert "'mine' is not in the layout table" in " ".join(capsys.readouterr().err.split())
    layout = {"layers": "model.layers", "parallel": []}
    assert run(*lens, "--set", "trust_remote_code=true", "--set", f"layout={json.dumps(layout)}") == 0
    result = json.loads((tmp_path / "logit_lens" / "own" / "result.json").read_text())
    assert result["config"]["layout"] == layout
    reference = interp.logit_lens(interp.load_model(tiny_model("tiny-llama"), device="cpu"), IDS, 4)
    assert result["result"]["answer_rank"]["values"] == reference.answer_rank.tolist()


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ('{"layer": "model.layers"}', "did you mean 'layers'?"),
        ('{"layers": 3}', "'layers' is not 3"),
        ('{"only": "x"}', "'only' is not 'x'"),
        ('"model.layers"', "valid dictionary"),
    ],
)
def test_a_layout_that_is_none_is_refused_before_the_model_is_loaded(
    layout: str, says: str, tmp_path: Path, capsys: Any
) -> None:
    assert run("run", "logit_lens", "--model", "no-such", "--out", tmp_path, "--set", f"layout={layout}") == 2
    assert says in " ".join(capsys.readouterr().err.split())


# ---- folders without a tokenizer, names of tokens, ids written as text ----

#: The tokens of nanoGPT's shakespeare_char.
SHAKESPEARE = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The folder of a model without a tokenizer."""
    tiny_model("tiny-gpt2").save_pretrained(tmp_path / "bare")
    return tmp_path / "bare"


def test_a_folder_without_a_tokenizer_takes_ids(bare: Path) -> None:
    model = interp.load_model(bare, device="cpu")
    assert model.tokenizer is None
    result = interp.logit_lens(model, IDS, 4)
    assert result.tokens == ("<5>", "<9>", "<33>", "<9>")
    for text in ("5 9 33 9", "[5, 9, 33, 9]", " <5> <9> <33> <9>"):
        assert model.to_tokens(text).row(0) == IDS
    assert model.to_single_token("7") == model.to_single_token("<7>") == 7
    for wrong in ("5 9 x", "a", "5.5", "-1"):
        with pytest.raises(InputError, match=r"no tokenizer, so prompts must be token ids, as in '5 9 33'"):
            model.to_tokens(wrong)
    with pytest.raises(InputError, match="between 0 and 256"):
        model.to_tokens("5 257")


def test_at_the_command_line_ids_and_names(bare: Path, tmp_path: Path, capsys: Any) -> None:
    lens = ["run", "logit_lens", "--model", bare, "--out", tmp_path, "--force", "--tag", "own"]

    def result(*settings: str) -> dict[str, Any]:
        assert run(*lens, *settings) == 0
        return json.loads((tmp_path / "logit_lens" / "own" / "result.json").read_text())["result"]

    by_ids = result("--set", "prompt=5 9 33 9", "--set", "answer=4")
    names = tmp_path / "names.json"
    names.write_text(json.dumps([f"w{i}" for i in range(257)]))
    by_names = result("--set", f"token_names={names}", "--set", "prompt=w5 w9 w33 w9", "--set", "answer=w4")
    (bare / "token_names.json").write_text(names.read_text())
    from_the_folder = result("--set", "prompt=w5 w9 w33 w9", "--set", "answer=w4")
    assert by_names["tokens"] == from_the_folder["tokens"] == ["w5", "w9", "w33", "w9"]
    assert by_ids["tokens"] == ["<5>", "<9>", "<33>", "<9>"]
    assert by_ids["top_probs"] == by_names["top_probs"] == from_the_folder["top_probs"]


def test_characters() -> None:
    """The ids are nanoGPT's own encoding of its text."""
    stoi = {character: i for i, character in enumerate(SHAKESPEARE)}
    module = nano_gpt(vocab_size=len(SHAKESPEARE), block_size=40)
    model = interp.load_model(interp.from_nanogpt(module), token_names=stoi, device="cpu")
    text = "First Citizen:\nSpeak, speak.\n"
    assert model.to_tokens(text).row(0) == [stoi[character] for character in text]
    assert model.tokenizer.decode(model.to_tokens(text).row(0)) == text
    assert model.labels(range(len(SHAKESPEARE))) == list(SHAKESPEARE)
    assert model.positions_of(text, "Speak") == [15, 16, 17, 18, 19]
    assert model.to_single_token("\n") == 0
    result = interp.logit_lens(model, "First", " ")
    assert result.tokens == tuple("First")
    with pytest.raises(InputError, match=r"'é' is none of the model's tokens"):
        model.to_tokens("Né")


@pytest.mark.parametrize(
    ("names", "text", "tokens"),
    [
        ([str(i) for i in range(12)] + ["+", "="], "10 + 1 =", ["10", "+", "1", "="]),
        ([*"0123456789+=", "<pad>"], "<pad>10+1=", ["<pad>", *"10+1="]),
        ([" the", " then", " ", "t", "h", "e"], " thenhe the", [" then", "h", "e", " the"]),
        ({"b": 3, "a": 0}, "ab", ["a", "b"]),
        ({"3": "b", "0": "a"}, "ab", ["a", "b"]),
        ([*"\\^$.|?*+()[]{}-# \t\n/"], "[\\]{\n\t}-#.", list("[\\]{\n\t}-#.")),
        (["日", "🙂", "🙂🙂", " "], "🙂🙂🙂日", ["🙂🙂", "🙂", "日"]),
    ],
)
def test_names_of_tokens(names: Any, text: str, tokens: list[str]) -> None:
    tokenizer = tokenizer_of(names)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([i]) for i in ids] == tokens
    assert tokenizer.decode(ids) == text
    ids_of = dict(names) if isinstance(names, dict) else {name: i for i, name in enumerate(names)}
    expected = {name: int(i) for name, i in ids_of.items()} if "b" in ids_of else None
    assert expected is None or ids == [expected[token] for token in tokens]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "b", "a"], "name 'a' is there twice"),
        ({"a": 1, "b": 1}, "id 1 is there twice"),
        (["a", ""], "got '' and 1"),
        (["a", 3], "got 3 and 1"),
        ([], "no names"),
        ({"a": -1}, "got -1 and 'a'"),
        (5, "not int"),
        ("no-such.json", "no file 'no-such.json'"),
        ("meta.pkl", "pickle, which can run anything"),
    ],
)
def test_names_that_are_none(names: Any, says: str) -> None:
    with pytest.raises(ModelLoadError, match=says):
        _tokenizer_of(names)


def _tokenizer_of(names: Any) -> Any:
    """Without the check of types that tests run under: what a user may give."""
    return getattr(tokenizer_of, "__wrapped__", tokenizer_of)(names)


def test_names_of_another_model(bare: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"'w257' of id 257 is named, but the model has 257 tokens"):
        interp.load_model(bare, token_names=[f"w{i}" for i in range(258)], device="cpu")
    with pytest.raises(ModelLoadError, match="give one of them"):
        interp.load_model(bare, byte_tokenizer(), token_names=["a"])
    fewer = interp.load_model(bare, token_names=["a", "b"], device="cpu")
    assert fewer.labels([0, 1, 2]) == ["a", "b", "<2>"]


def test_a_text_file_has_one_name_a_line(tmp_path: Path) -> None:
    file = tmp_path / "token_names.txt"
    file.write_text("the\ncat\nsat\n")
    assert tokenizer_of(file).vocab == {"the": 0, "cat": 1, "sat": 2}


def test_a_pickle_with_names_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"stoi": {"a": 0}}))
    with pytest.raises(ModelLoadError, match=r"json\.dump"):
        tokenizer_of(tmp_path / "meta.pkl")


def test_in_the_app_ids_and_names(bare: Path, open_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a tokenizer on every page that takes prompts, by ids and then by names."""
    monkeypatch.setenv(FILES, str(bare.parent))
    for folder in ("bare", "named"):
        permissions().allow(str(bare.parent / folder))
    page = open_page("Explore", model=str(bare), prompt="5 9 33 9", target="<4>")
    run_without_errors(page)
    assert "5 9 33 9" in texts(page)
    prompts = {"clean": "5 9 33 9", "corrupted": "5 8 33 9"}
    run_without_errors(open_page("Trace", model=str(bare), **prompts, answer="6", foil="4"))
    page = open_page("Explore", model=str(bare), prompt="The Eiffel Tower", target="")
    assert "prompts must be token ids, as in '5 9 33'" in error_of(page)
    named = bare.parent / "named"
    shutil.copytree(bare, named)
    (named / "token_names.json").write_text(json.dumps([f"w{i}" for i in range(257)]))
    page = open_page("Explore", model=str(named), prompt="w5 w9 w33 w9", target="w4")
    run_without_errors(page)
    assert "w5 w9 w33 w9" in texts(page)
