"""The course: what its notebooks hold, that they are those of their sources, and its exercises."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import interp
from conftest import Parsed
from interp.course import Expected, check, checking, exercises
from interp.course.checking import exercises_of, find_exercise
from interp.course.kinds import Heads, Number, Text, YesOrNo
from interp.errors import InputError

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = [path for path in sorted(NOTEBOOKS.glob("*.py")) if path.name != "build.py"]
LESSONS = [path for path in SOURCES if path.name[0].isdigit()]
EXECUTED = [path for path in SOURCES if path.with_suffix(".ipynb").exists()]
EXERCISES = [
    name
    for module in pkgutil.iter_modules(exercises.__path__)
    for name in exercises_of(module.name.removeprefix("lesson_"))
]
LARGEST, LARGEST_OF_ALL = 1_000_000, 6_000_000  # bytes, in the repository

#: The right answers on demo-gpt2, as they were found by going through the notebooks by hand.
ANSWERS: dict[str, Any] = {
    "00.1": 0.999,
    "00.2": 11.8,
    "00.3": 16,
    "01.1": 33,
    "01.2": 2,
    "01.3": 0.76,
    "02.1": 0.21,
    "02.2": 34.9,
    "02.3": True,
    "03.1": 4.1,
    "03.2": "0.5",
    "03.3": "0.5",
    "04.1": "5.2",
    "04.2": 0.95,
    "04.3": True,
    "05.1": "0.5",
    "05.2": "0.4",
    "05.3": 0.01,
    "06.1": 43,
    "06.2": -3.2,
    "06.3": True,
    "07.1": 0.21,
    "07.2": 0.56,
    "07.3": False,
    "08.1": 20,
    "08.2": 362,
    "08.3": -0.7,
    "09.1": 30,
    "09.2": 0.43,
    "10.1": 1.00,
    "10.2": 2,
    "11.1": 8,
    "11.2": 22.5,
}


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    """The cells of a kind of an executed notebook."""
    found = json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def programs(path: Path) -> list[str]:
    """The code cells of a source."""
    parts = re.split(r"^# %%(.*)$", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    return [
        text.strip() for kind, text in zip(parts[::2], parts[1::2], strict=True) if "markdown" not in kind
    ]


# ---- the notebooks ----


def test_there_is_a_course() -> None:
    assert [path.name[:2] for path in LESSONS] == [f"{i:02}" for i in range(len(LESSONS))]
    assert LESSONS
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in SOURCES}


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
@pytest.mark.skipif(importlib.util.find_spec("jupytext") is None, reason="needs jupytext")
def test_a_notebook_is_that_of_its_source(path: Path) -> None:
    import jupytext

    source = jupytext.read(path, fmt="py:percent")
    built = json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))
    expected = [(cell.cell_type, cell.source) for cell in source.cells]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in built["cells"]] == expected


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jupytext", "nbclient")), reason="needs jupytext"
)
def test_a_notebook_is_for_any_model_by_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(NOTEBOOKS)
    build = importlib.import_module("build")
    assert path in build.sources()
    text = "\n".join(cell.source for cell in build.read(path, "mine").cells)
    assert re.findall(r"^MODEL = ([^#\n]+?)(?:  #.*)?$", text, re.M) == ['"mine"']


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_a_notebook_is_executed_without_an_error_and_small(path: Path) -> None:
    found = cells(path, "code")
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    outputs = [output for cell in found for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = path.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert not re.search(r"/(?:home|root|work|tmp|Users)/|\\u001b", text)


def test_all_notebooks_together_are_small() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS.glob("*.ipynb")) < LARGEST_OF_ALL


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_asks_before_it_shows_and_can_be_broken(path: Path) -> None:
    text, program = path.read_text(encoding="utf-8"), "\n\n".join(programs(path))
    assert re.findall(r'^MODEL = "([\w-]+)"', text, flags=re.M) == ["demo-gpt2"]
    assert text.count("## Break it on purpose") == 1
    asked = [cell for cell in programs(path) if re.search(r"^\w+ = None\b", cell, re.M)]
    assert len(asked) >= 5  # predictions, and exercises
    assert text.count("**Predict") >= 2
    rows = re.findall(r"expected\.row\(\s*f?\"[^\"]+\",\s*([\w.]+)", program)
    assert len([prediction for prediction in rows if prediction != "None"]) >= 2
    assert len(re.findall(r"published=", program)) >= 1 or path.name.startswith(("08", "09"))
    used = re.findall(r'check\(answer, "([\d.]+)", model\)', program)
    assert used == list(exercises_of(path.name[:2]))
    assert len(used) >= 2
    first_prediction, first_row = program.index("= None"), program.index("expected.row(")
    assert first_prediction < first_row


def test_links_between_notebooks_lead_somewhere() -> None:
    for path in SOURCES:
        for target in re.findall(r"\]\(([\w./-]+\.(?:ipynb|md|py))\)", path.read_text(encoding="utf-8")):
            assert (NOTEBOOKS / target).exists(), f"{path.name}: {target}"


# ---- exercises ----


def wrong(right: Any) -> Any:
    """An answer of the same kind that is another."""
    if isinstance(right, bool):
        return not right
    if isinstance(right, str):
        return "0.0" if right != "0.0" else "0.1"
    return right + 1


def _quick_or_slow(name: str) -> Any:
    return name if name < "03" else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", map(_quick_or_slow, EXERCISES))
def test_the_right_answer_passes_and_a_wrong_one_gets_the_hint_alone(
    name: str, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, right = load("demo-gpt2"), ANSWERS[name]
    exercise = find_exercise(name)
    computed = exercise.answer(model)  # once, for all that is asked below
    known = dataclasses.replace(exercise, answer=lambda _: computed)
    monkeypatch.setattr(checking, "find_exercise", lambda _: known)
    assert check(right, name, model).right
    missed = check(wrong(right), name, model)
    assert missed.right is False
    assert missed.text == f"{name}: not yet. Hint: {exercise.hint}"
    value = exercise.asks.shown(computed)
    assert not re.search(rf"(?<![\w.]){re.escape(value)}(?![\w])", exercise.hint)
    nothing = check(None, name, model)
    assert nothing.right is None
    assert nothing.text == f"{name}: not answered yet. It asks for {exercise.asks.asked}."
    assert check(object(), name, model).text == f"{name}: this asks for {exercise.asks.asked}."


@pytest.mark.parametrize(("name", "right"), [("00.1", 1.0), ("01.1", 54), ("02.1", 0.98)])
def test_on_another_model_another_answer_is_right(name: str, right: Any, load: Any) -> None:
    """As the lessons show them on that model."""
    model = load("demo-qwen3")
    assert check(right, name, model).right
    assert check(ANSWERS[name], name, model).right is False


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_answer_does_not_stand_in_its_notebook(path: Path) -> None:
    outputs = json.dumps([cell["outputs"] for cell in cells(path, "code")])
    assert ": right, it is" not in outputs
    assert len(re.findall(r"not answered yet", outputs)) == len(exercises_of(path.name[:2]))


def test_every_exercise_is_of_a_lesson() -> None:
    assert {name[:2] for name in EXERCISES} == {path.name[:2] for path in LESSONS}
    assert ANSWERS.keys() == set(EXERCISES)


def test_an_exercise_that_is_not_there(load: Any) -> None:
    with pytest.raises(InputError, match=r"There is no exercise '00\.9'"):
        check(1, "00.9", load("demo-gpt2"))
    with pytest.raises(InputError, match="There is no exercise"):
        check(1, "99.1", load("demo-gpt2"))


def test_numbers_are_right_to_the_decimals_that_are_asked_for() -> None:
    two = Number(2)
    assert two.same(3.17, 3.1738)
    assert two.same(3.1738, 3.1738)
    assert two.same(0.85, 0.845)
    assert two.same(0.84, 0.845)  # on the edge, either way
    assert not two.same(3.18, 3.1738)
    assert two.read("3.17") is None
    assert two.read(True) is None
    assert two.read(float("nan")) is None
    assert Number(0).same(7, 7)
    assert not Number(0).same(8, 7)
    assert (two.asked, Number(1).asked) == ("a number, to 2 decimals", "a number, to 1 decimal")


def test_heads_texts_and_truths_are_compared_as_they_are_meant() -> None:
    assert all(Heads().same(Heads().read(one), (4, 1)) for one in ("4.1", "a4.h1", (4, 1), ["4.1"]))
    assert Heads(several=True).same(Heads().read([(0, 5), "0.2"]), ["0.2", "0.5"])
    assert not Heads().same(Heads().read("4.2"), (4, 1))
    assert Heads().read("four") is None
    assert Heads().read(4) is None
    assert Text().same(Text().read(" Paris"), "Paris")
    assert YesOrNo().read(1) is None
    assert YesOrNo().same(True, True)


# ---- expected against observed ----


def test_predictions_stand_beside_what_was_seen(load: Any) -> None:
    table = Expected(load("demo-gpt2"))
    table.row("difference", 3, 11.25, published="+3.17").row("head", "4.1", "4.2").row("any", None, True)
    assert table.columns[2] == "observed in demo-gpt2"
    assert table.rows == [
        ("difference", "3", "11.25", "8.25", "+3.17"),
        ("head", "4.1", "4.2", "another", "–"),
        ("any", "–", "yes", "–", "–"),
    ]
    table.row("head", "4.2", "4.2")  # asked again
    assert table.rows[1] == ("head", "4.2", "4.2", "as expected", "–")
    shown = Parsed(table._repr_html_())
    assert "Expected against observed" in shown.text
    assert shown.tags.count("script") == 0
    assert repr(table).splitlines()[0] == "difference: expected 3, observed 11.25 (published +3.17)"
    assert "img" not in Parsed(table.row("<img src=x>", "<b>", "<i>")._repr_html_()).tags


def test_the_course_is_not_loaded_with_the_library() -> None:
    assert not hasattr(interp, "course") or "course" not in interp.__all__
