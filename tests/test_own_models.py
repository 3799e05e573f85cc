"""Models of one's own: what they are called and how their weights are told apart, layouts and code of their
own as keys of a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import dynamic_module_utils

import interp
import interp.runs
from conftest import byte_tokenizer, run, tiny_model
from interp.errors import ModelLoadError
from interp.figures.engine.html import provenance_table
from interp.figures.engine.notation import model_line

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
    lens += ["--set", "prompt=[5,9,33,9]", "--set", "answer=4"]
    assert run(*lens) == 2
    assert "trust_remote_code" in capsys.readouterr().err
    assert run(*lens, "--set", "trust_remote_code=true") == 2
    assert "'mine' is not in the layout table" in " ".join(capsys.readouterr().err.split())
    layout = {"layers": "model.layers", "parallel": []}
    assert run(*lens, "--set", "trust_remote_code=true", "--set", f"layout={json.dumps(layout)}") == 0
    result = json.loads((tmp_path / "logit_lens" / "own" / "result.json").read_text())
    assert result["config"]["layout"] == layout
    reference = interp.logit_lens(interp.load_model(tiny_model("tiny-llama"), device="cpu"), IDS, 4)
    assert interp.runs.read_run(tmp_path / "logit_lens" / "own").result.layers == reference.layers


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
