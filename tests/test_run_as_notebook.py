"""A run and an answer of the app as notebooks: they are valid, run, and hold the result to its numbers."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from conftest import PROVENANCE, run
from interp.app.views import attention, explore, features, generate, lens
from interp.app.views.downloads import downloads
from interp.app.views.questions import as_python
from interp.errors import RunError
from interp.notebooks import MOST, compare, notebook, notebook_of, numbers_of
from interp.runs import read_run

STORED = Path(__file__).parent / "format_1"
NAMES = sorted(path.name.split(".")[0] for path in STORED.glob("*.json.gz"))
#: What had other keys than it has now.
FORMER = {"tuned_lens"}
PROMPT = "The capital of France is"
needs_jupyter = pytest.mark.skipif(
    importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
    reason="needs nbclient and ipykernel",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Path:
    """A run, made by a command."""
    out = tmp_path_factory.mktemp("outputs")
    settings = ("prompt=The capital of France is", "answer= Paris")
    words = [word for setting in settings for word in ("--set", setting)]
    assert run("run", "logit_lens", *words, "--out", out, "--tag", "mine") == 0
    return out / "logit_lens" / "mine"


def sources(text: str) -> list[str]:
    """The code of a notebook's cells."""
    return [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]


def said_when_run(text: str, capsys: Any) -> str:
    """What its cells print, run one after another."""
    names: dict[str, Any] = {}
    capsys.readouterr()
    for source in sources(text):
        exec(source, names)
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("name", NAMES)
def test_every_stored_run_is_a_valid_notebook(name: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(gzip.decompress((STORED / f"{name}.json.gz").read_bytes()))
    found = read_run(tmp_path)
    if name in FORMER:
        with pytest.raises(RunError, match="was made by a configuration that this version does not take"):
            notebook_of(found)
        return
    text = notebook_of(found)
    program, _, check = sources(text)
    for source in (program, check):
        compile(source, "cell", "exec")
    names: dict[str, Any] = {}
    exec(
        check.replace("print(", "said = (").replace("compare(result", "compare(of"),
        names | {"of": found.result},
    )
    recorded = numbers_of(found.result)
    assert recorded
    assert sum(map(len, recorded.values())) <= 2 * MOST
    assert compare(found.result, recorded).startswith("All ")
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.reads(text, as_version=4))


@needs_jupyter
def test_the_notebook_of_a_run_runs_and_has_its_numbers(made: Path, tmp_path: Path, capsys: Any) -> None:
    import nbformat
    from nbclient import NotebookClient

    assert run("notebook", made) == 0
    path = made / "logit_lens.ipynb"
    assert capsys.readouterr().out.strip() == str(path)
    held = nbformat.read(path, as_version=4)
    before = [cell.outputs for cell in held.cells if cell.cell_type == "code"]
    NotebookClient(held, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    _, shown, said = [cell.outputs for cell in held.cells if cell.cell_type == "code"]
    assert said[0].text.startswith("All ")
    assert said[0].text == before[2][0].text
    assert '<div class="interp-view' in shown[0].data["text/html"]
    assert shown[0].data["text/plain"] == before[1][0].data["text/plain"]


def test_a_notebook_that_is_there_is_not_replaced(made: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "mine.ipynb"
    out.write_text("my notes")
    assert run("notebook", made, "--out", out) == 2
    assert "already; give another --out or --force" in capsys.readouterr().err
    assert out.read_text() == "my notes"
    assert run("notebook", made, "--out", out, "--force") == 0
    assert sources(out.read_text())
    assert run("notebook", made, "--out", tmp_path / "no" / "folder.ipynb") == 2


QUESTIONS = [
    lens.LogitLens(PROMPT, " Paris"),
    attention.AttentionPatterns(PROMPT, ("4.1", "5.0")),
    explore.DirectLogitAttribution(prompt=PROMPT, answer=" Paris", position=-1),
    generate.Generate(PROMPT, 3, generate.Change("MLP", "3", 0.5)),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.method)
def test_an_answer_of_the_app_as_a_notebook_gives_its_numbers(load: Any, question: Any, capsys: Any) -> None:
    result = question(load("demo-gpt2"))
    program = (generate.as_python if isinstance(question, generate.Generate) else as_python)(
        "demo-gpt2", question
    )
    for python in (program, ""):  # the function, and the experiment of its name
        *_, file = downloads("demo-gpt2", question, lambda: result, python=python)
        assert (file.label, file.name) == ("Download as notebook", f"{question.method}.ipynb")
        text = str(file.make())
        assert (sources(text)[0] == python.strip()) is bool(python)
        assert said_when_run(text, capsys).startswith("All ")


def test_the_features_of_a_prompt_have_a_notebook(load: Any) -> None:
    question = features.PromptFeatures("demo-gpt2", PROMPT, (839,), "")
    *_, file = downloads("demo-gpt2", question, lambda: load_stored("sae_features"))
    assert "find_experiment('prompt_features')" in sources(str(file.make()))[0]


def load_stored(name: str) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "result.json").write_bytes(gzip.decompress((STORED / f"{name}.json.gz").read_bytes()))
        return read_run(Path(folder)).result


def test_numbers_that_differ_are_told_with_the_one_furthest_off() -> None:
    arrays = {"here": np.array([1.0, 2.0, np.nan]), "there": np.array([100.0, 50.0])}
    recorded = numbers_of(arrays)
    assert recorded == {"['here']": [1.0, 2.0, None], "['there']": [100.0, 50.0]}
    assert (
        compare(arrays, recorded) == "All 5 numbers are those recorded, to 0.1% of the largest of their kind."
    )
    near = arrays | {"there": np.array([100.0, 50.09])}
    assert compare(near, recorded).startswith("All 5")
    far = arrays | {"there": np.array([100.0, 50.2]), "here": np.array([1.0, 3.0, 4.0])}
    said = compare(far, recorded)
    assert said == "3 of 5 numbers differ, most in ['here']: none was recorded, and 4 found."
    assert "another shape" in compare({"here": np.zeros(2)}, recorded)


def test_of_large_arrays_some_numbers_are_kept_from_first_to_last() -> None:
    kept = numbers_of({"large": np.arange(10_000.0)})["['large']"]
    assert len(kept) == MOST
    assert (kept[0], kept[-1]) == (0.0, 9999.0)


def test_a_run_without_a_configuration_says_so(load: Any, tmp_path: Path) -> None:
    folder = interp.logit_lens(load("demo-gpt2"), PROMPT).save(tmp_path / "kept")
    with pytest.raises(RunError, match="without a configuration"):
        notebook_of(read_run(folder))


def test_a_hostile_name_is_text(load: Any) -> None:
    import dataclasses

    hostile = dataclasses.replace(PROVENANCE, model="<img src=x onerror=alert(1)> [a](javascript:x) `$x$`")
    result = dataclasses.replace(interp.logit_lens(load("demo-gpt2"), PROMPT), provenance=hostile)
    text = notebook("result = 1", result, title="Lens", about="What?")
    heading = json.loads(text)["cells"][0]["source"]
    assert "<img" not in heading.replace("\\<", "")
    assert "[a](" not in heading
