"""Every block of code of README.md and docs/, as a reader would run it."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interp import runs
from interp.cli import app, main
from pages import KINDS, PAGES, ROOT, Block, Read, blocks, is_carried_out

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BLOCKS = [
    pytest.param(block, id=str(block), marks=[pytest.mark.slow] if block.is_slow else [])
    for page in PAGES
    for block in blocks(page)
    if block.kind == "python" or (block.kind == "bash" and any(map(is_carried_out, block.commands)))
]
COMMANDS = [
    pytest.param(words, id=f"{block}-{' '.join(words)[:40]}")
    for page in PAGES
    for block in blocks(page)
    if block.kind == "bash"
    for words in block.commands
]


class WouldRun(Exception):
    """A run got as far as its model."""


@pytest.mark.parametrize("block", BLOCKS)
def test_the_block_runs(block: Block, reading: Callable[[str], Read], monkeypatch: Any) -> None:
    if "checked" in block.marks:
        pytest.skip("it takes hours; that it would run is tested below")
    if block.missing:
        pytest.skip(f"{', '.join(block.missing)} is not installed")
    page = reading(block.page)
    monkeypatch.chdir(page.folder)
    page.to(block)


@pytest.mark.parametrize("words", COMMANDS)
def test_the_command_is_one(words: list[str], monkeypatch: Any) -> None:
    """Whether it is run here or not: a run's configuration is valid, `make` has the target, a program its
    options, and an extra is there."""
    monkeypatch.chdir(ROOT)
    if words[0] == "interp":
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
    if words[:2] == ["interp", "run"]:

        def perform(*_: Any, **__: Any) -> None:
            raise WouldRun

        monkeypatch.setattr(runs, "perform", perform)
        with pytest.raises(WouldRun):
            main([*_without_workers(words[1:]), "--force"])
    elif words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    elif words[0] == "python":
        program = (ROOT / words[1]).read_text()
        assert all(f'"{word}"' in program for word in words[2:] if word.startswith("--"))
    elif words[:2] == ["pip", "install"]:
        named = re.findall(r"\.\[(.*?)\]", shlex.join(words))
        assert {name for extras in named for name in extras.split(",")} <= EXTRAS.keys()
    else:
        assert words[0] == "interp" or words[:2] == ["git", "clone"] or words[0] == "cd"


def _without_workers(words: list[str]) -> list[str]:
    """The same run in this process alone."""
    given = [i for i, word in enumerate(words) if word in ("--on", "--workers")]
    return [word for i, word in enumerate(words) if i not in given and i - 1 not in given]


@pytest.mark.parametrize("page", PAGES)
def test_no_code_is_left_out(page: str) -> None:
    """Every block has a language, and a mark that means something; none is indented only."""
    text = Path(ROOT / page).read_text(encoding="utf-8")
    found = [block for block in blocks(page) if block.kind != "row"]
    assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(found)
    assert {block.kind for block in found} <= set(KINDS)
    for block in found:
        meant = [re.fullmatch(r"slow|checked|needs .+", mark) for mark in block.marks]
        assert all(meant), str(block)
        assert block.marks == () or block.kind in ("python", "bash"), str(block)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    assert not re.findall(r"\n\n    \S.*", outside)
    assert not re.findall(r"<!-- (?:slow|checked|needs).*-->\n(?!```)", text)
