"""Every block of code of docs/your-model.md, in its order, as a reader would run them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import run, tiny_model
from hooked_toys import needs_hooked_transformers
from nanogpt import nano_gpt

PAGE = (Path(__file__).parents[1] / "docs" / "your-model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", PAGE, re.S)
#: The tokens of nanoGPT's shakespeare_char.
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.tl
def test_every_block_runs(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    needs_hooked_transformers()
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for kind, code in BLOCKS:
        if kind == "python":
            exec(code, names)
            continue
        for line in code.strip().splitlines():
            command = shlex.split(line)
            assert command[0] == "interp"
            assert run(*command[1:], "--force", "--tag", "one") == 0, capsys.readouterr().err
    assert names["lens"].tokens == ("<5>", "<9>", "<33>", "<9>")
    assert names["attribution"].components[0] == "embed"
    assert "pos_embed" not in names["attribution"].components
    assert names["trace"].recovery.shape == (2, 3)
    result = json.loads((tmp_path / "outputs" / "logit_lens" / "one" / "result.json").read_text())["result"]
    assert result["tokens"] == ["w5", "w9", "w33", "w9"]


def prepare(folder: Path) -> None:
    """What the page says that the folder holds."""
    for name in ("out", "data"):
        (folder / name).mkdir()
    state = {f"_orig_mod.{name}": x for name, x in nano_gpt(vocab_size=len(CHARACTERS)).state_dict().items()}
    torch.save({"model": state, "model_args": {"n_head": 4}, "iter_num": 5000}, folder / "out" / "ckpt.pt")
    stoi = {character: i for i, character in enumerate(CHARACTERS)}
    meta = {"vocab_size": len(CHARACTERS), "stoi": stoi}
    (folder / "data" / "meta.json").write_text(json.dumps(meta))
    tiny_model("tiny-gpt2").save_pretrained(folder / "my-model")


def test_there_are_blocks_of_both_kinds() -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert (kinds.count("python"), kinds.count("bash")) == (9, 4)
    assert len(re.findall("```", PAGE)) == 2 * (len(BLOCKS) + 1)  # the other one is what nanoGPT's user runs
