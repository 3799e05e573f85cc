"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import interp
from test_robust import own_architecture

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: What stands before a block says where it goes; the last path named counts.
BLOCK = re.compile(r"```python\n(?P<code>.*?)```", re.S)
FILE = re.compile(r"`(src/interp/[\w/]+\.py)`")
TABLE = re.compile(r"line in `(\w+)` of `(src/interp/[\w/]+\.py)`")


def blocks() -> list[tuple[str, str]]:
    """Each block of Python, with the sentence before it."""
    found, end = [], 0
    for match in BLOCK.finditer(TEXT):
        before = TEXT[end : match.start()].strip().split("\n\n")[-1].replace("\n", " ")
        found.append((before, match["code"]))
        end = match.end()
    return found


def add_line(file: Path, table: str, line: str) -> None:
    """Put a line at the top of a table, as one does by hand."""
    text = file.read_text()
    head = re.search(rf"^{table}\b[^\n]*{{\n", text, re.M)
    assert head, f"{file.name} has no table {table}"
    file.write_text(text[: head.end()] + line + text[head.end() :])


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in which every recipe was followed."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(interp.__file__).parent, root / "src" / "interp")
    for before, code in blocks():
        table = TABLE.search(before)
        if table:
            add_line(root / table[2], table[1], code)
        elif paths := FILE.findall(before):
            file = root / paths[-1]
            if "At the end of" in before:
                file.write_text(file.read_text() + code)
            else:
                assert not file.exists(), f"{file} is there already"
                file.write_text(code)
    main = root / "src" / "interp" / "app" / "main.py"
    (line,) = re.findall(r"its import there: `(from [^`]+)`", TEXT)
    main.write_text(main.read_text().replace("\nPAGES = {", f"\n{line}\n\nPAGES = {{", 1))
    return root


def follow(copy: Path, program: str, *arguments: str) -> str:
    """What a program prints, with the copy as the package."""
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=copy, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_has_a_place():
    places = [bool(TABLE.search(before) or FILE.findall(before)) for before, _ in blocks()]
    assert sum(places) == 12
    assert len(places) == 13  # the other one is the call with a layout


def test_the_method_and_its_experiment(copy):
    program = "import sys; from interp.cli import main; main(sys.argv[1:])"
    follow(copy, program, "run", "surprisal", "--tag", "t", "--set", "prompt=Water is made of hydrogen and")
    assert {"result.json", "surprisal.png", "report.html"} <= {
        file.name for file in (copy / "outputs" / "surprisal" / "t").iterdir()
    }
    assert "How surprised is the model?" in follow(copy, program, "show", "surprisal/t")
    call = "import interp; print(interp.surprisal(interp.load_model('demo-gpt2'), 'Water is').tokens)"
    assert follow(copy, call).strip() == "('W', 'at', 'er', ' is')"


def test_the_page(copy):
    pytest.importorskip("streamlit")
    program = (
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('src/interp/app/main.py', default_timeout=120)\n"
        "app.query_params['page'] = 'Surprisal'\n"
        "app.run()\n"
        "assert not app.exception, app.exception\n"
        "print([title.value for title in app.title], [error.value for error in app.error])\n"
    )
    assert "['How surprised is the model?'] []" in follow(copy, program)


def test_the_task(copy):
    program = "import interp; print(len(interp.make_dataset('capitals', interp.load_model('demo-gpt2'))))"
    assert follow(copy, program).strip() == "2"


def test_the_architecture():
    (line,) = [code for _, code in blocks() if code.startswith("model = interp.load_model(folder")]
    found: dict[str, object] = {"interp": interp, "folder": own_architecture()}
    exec(line, found)
    assert isinstance(found["model"], interp.Model)


def test_the_backend(copy):
    program = (
        "import interp\n"
        "from interp import Edit\n"
        "ours, theirs = (interp.load_model('demo-gpt2', backend=b) for b in ('stream', 'transformers'))\n"
        "edits = [Edit.scale('resid_pre', 2, value=0.5, positions=-1)]\n"
        "a, b = (m.forward('The capital of France is', edits) for m in (ours, theirs))\n"
        "print(float((a - b).abs().max()) < 1e-4)\n"
    )
    assert follow(copy, program).strip() == "True"
