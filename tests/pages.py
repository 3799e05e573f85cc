"""The pages of documentation, read: their blocks, run in order, in a folder of the page's own.

A comment in front of a block says what it takes:

    <!-- slow -->                 minutes: it runs with the slow tests
    <!-- checked -->              hours: it is checked to be a command with a valid configuration, not run
    <!-- needs gemma-3-270m -->   a model, a backend or a repository of the hub: it runs where that is here
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import NEEDS, run, tiny_model
from nanogpt import nano_gpt

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
#: The page whose tables are of calls: "there" and "here".
TRANSLATIONS = "docs/coming-from.md"
#: The languages that a block may be in; the first two are run.
KINDS = ("python", "bash", "yaml", "text")
_PART = re.compile(
    r"^(?:<!-- (?P<marks>[^\n]*) -->\n)?```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$"
    r"|^\| (?P<there>`[^\n]*`) \| (?P<here>`[^\n]*`) \|$",
    re.S | re.M,
)


@dataclass(frozen=True)
class Block:
    """A block of a page, or a row of a table that sets a call of another library beside ours."""

    page: str
    line: int
    kind: str  # of KINDS, or "row"
    code: str
    marks: tuple[str, ...] = ()
    there: str = ""

    def __str__(self) -> str:
        return f"{self.page.removeprefix('docs/')}:{self.line}"

    @property
    def is_slow(self) -> bool:
        return bool({"slow", "checked"} & set(self.marks))

    @property
    def needs(self) -> list[str]:
        """What is not installed everywhere, by name."""
        return [name for mark in self.marks if mark.startswith("needs ") for name in mark.split()[1:]]

    @property
    def missing(self) -> list[str]:
        """What it needs and is not here."""
        return [name for name in self.needs if not _is_here(name)]

    @property
    def commands(self) -> list[list[str]]:
        """Of a block of commands, the words of each."""
        lines = self.code.replace("\\\n", " ").splitlines()
        parts = [part for line in lines for part in line.split(" && ")]
        return [words for words in (shlex.split(part, comments=True) for part in parts) if words]


def _is_here(name: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    from interp.models.names import KNOWN, is_local

    if name in KNOWN:
        return is_local(KNOWN[name])
    if "/" in name:
        return (Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}").is_dir()
    return importlib.util.find_spec(NEEDS.get(name, name)) is not None


def blocks(page: str) -> list[Block]:
    """All parts of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _PART.finditer(text):
        if match["there"] and page != TRANSLATIONS:
            continue
        line = text[: match.start()].count("\n") + 1
        if match["there"]:
            found.append(Block(page, line, "row", match["here"], there=match["there"].strip("`")))
        else:
            marks = tuple(filter(None, (match["marks"] or "").split(", ")))
            found.append(Block(page, line, match["kind"], match["code"], marks))
    return found


@dataclass
class Read:
    """A page that is being read: the names that its blocks have made, and the values of its rows."""

    page: str
    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    _done: set[Block] = field(default_factory=set)

    def to(self, block: Block) -> Read:
        """Run a block, after those in front of it that are not slow and need no more than it does."""
        for earlier in blocks(self.page):
            if earlier.line < block.line and not earlier.is_slow and set(earlier.needs) <= set(block.needs):
                self._once(earlier)
        self._once(block)
        return self

    def to_the_end(self) -> Read:
        """Run the whole page, but for what is slow or needs what is not here."""
        for block in blocks(self.page):
            if not block.is_slow and not block.missing:
                self._once(block)
        return self

    def _once(self, block: Block) -> None:
        if block in self._done:
            return
        if block.kind == "python":
            exec(compile(block.code, str(block), "exec"), self.names)
        elif block.kind == "bash":
            for words in filter(is_carried_out, block.commands):
                carry_out(words)
        elif block.kind == "row":
            for code in re.findall(r"`(.+?)`", block.code):
                exec(f"value = {code}", self.names)
                self.rows.setdefault(block.there, []).append(self.names["value"])
        self._done.add(block)


def is_carried_out(words: list[str]) -> bool:
    """Whether a command is run here: those of this program that end. `test_docs.py` checks the others."""
    return words[0] == "interp" and words[1] != "app"


def carry_out(words: list[str]) -> None:
    """Run such a command."""
    more = ["--force"] if words[1] == "run" else []
    assert run(*words[1:], *more) == 0, shlex.join(words)


@pytest.fixture(scope="session")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Read]]:
    """`reading(page)`: the page as far as it has been read, once a session."""
    pages: dict[str, Read] = {}

    def read(page: str) -> Read:
        if page not in pages:
            folder = tmp_path_factory.mktemp(Path(page).stem)
            for name in ("configs", "docs"):
                (folder / name).symlink_to(ROOT / name)
            _PREPARED.get(page, lambda _: None)(folder)
            pages[page] = Read(page, folder)
        return pages[page]

    return read


#: The tokens of nanoGPT's shakespeare_char.
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _own_models(folder: Path) -> None:
    """What docs/your-model.md says that the folder holds."""
    for name in ("out", "data"):
        (folder / name).mkdir()
    state = {f"_orig_mod.{name}": x for name, x in nano_gpt(vocab_size=len(CHARACTERS)).state_dict().items()}
    torch.save({"model": state, "model_args": {"n_head": 4}, "iter_num": 5000}, folder / "out" / "ckpt.pt")
    stoi = {character: i for i, character in enumerate(CHARACTERS)}
    meta = {"vocab_size": len(CHARACTERS), "stoi": stoi}
    (folder / "data" / "meta.json").write_text(json.dumps(meta))
    tiny_model("tiny-gpt2").save_pretrained(folder / "my-model")


_PREPARED: dict[str, Callable[[Path], None]] = {"docs/your-model.md": _own_models}
