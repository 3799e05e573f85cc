"""Pages of the app as Streamlit runs them, without a browser, for tests.

The fixtures are there for all tests, as `conftest.py` names this file as a plugin. Where Streamlit is not
installed, the tests that use them are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import interp
from interp.app.views.questions import LibraryQuestion, as_command, as_python
from interp.results import Result

MAIN = Path(interp.__file__).parent / "app" / "main.py"
DEMOS = ("demo-gpt2", "demo-qwen3")

#: Prompts that would act if they were read as HTML, Markdown or a direction of writing.
HOSTILE = ("<script>alert(1)</script>", "![x](http://127.0.0.1/x.png)", "שלום 👋🏽")


@pytest.fixture
def open_page() -> Callable[..., Any]:
    """`open_page("Trace", model="demo-qwen3")`: a page with these parameters in its URL, to be run."""
    if importlib.util.find_spec("streamlit") is None:
        pytest.skip("needs Streamlit, the extra 'app'")
    from streamlit.testing.v1 import AppTest

    def open_page(name: str, **parameters: str) -> Any:
        page = AppTest.from_file(str(MAIN), default_timeout=120)
        for key, value in {"page": name, **parameters}.items():
            page.query_params[key] = value
        return page

    return open_page


def run_without_errors(page: Any) -> None:
    """Run a page, or the page of an input that was set: it shows no error."""
    shown = page.run()
    assert not shown.exception
    assert not shown.error


def field(page: Any, key: str) -> Any:
    """The input of a key, of one line or of several."""
    lines = any(area.key == key for area in page.text_area)
    return page.text_area(key=key) if lines else page.text_input(key=key)


def error_of(page: Any) -> str:
    """Run a page, or the page of an input that was set: the one error that it shows, a sentence and no
    exception, without Markdown's backslashes."""
    shown = page.run()
    assert not shown.exception
    assert len(shown.error) == 1
    return shown.error[0].value.replace("\\", "")


def texts(page: Any) -> str:
    """Every text of a page, tables included, without Markdown's backslashes."""
    shown = [part.value for part in (*page.caption, *page.markdown, *page.code, *page.subheader)]
    shown += [part.proto.body for part in page.get("html")]
    return "\n".join(map(str, shown)).replace("\\", "")


def without_provenance(result: Result) -> dict[str, Any]:
    """A result as JSON reads it back, but for where it comes from."""
    values = json.loads(json.dumps(result.to_dict()))
    return {key: value for key, value in values.items() if key != "provenance"}


def same_numbers(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two results are the same but for where they come from, numbers to six digits: what was kept of another
    prompt with the same beginning was computed in a product of other sizes."""
    one, other = (json.loads(json.dumps(result | {"provenance": None})) for result in (one, other))
    _nearly_same(one, other, "result")


def _nearly_same(one: Any, other: Any, where: str) -> None:
    if isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key, value in other.items():
            _nearly_same(one[key], value, f"{where}.{key}")
    elif isinstance(other, list):
        assert len(one) == len(other), where
        for i, value in enumerate(other):
            _nearly_same(one[i], value, f"{where}[{i}]")
    elif isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6), where
    else:
        assert one == other, where


def run_copied_program(question: LibraryQuestion, model: str = "demo-gpt2") -> Result:
    """The result of the program that the app offers to copy."""
    names: dict[str, Any] = {}
    exec(as_python(model, question), names)
    return names["result"]


def run_copied_command(question: LibraryQuestion, out: Path, model: str = "demo-gpt2") -> Path:
    """The run folder of the command that the app offers to copy."""
    from conftest import run

    words = shlex.split(as_command(model, question))
    assert run(*words[1:], "--out", out, "--tag", "t") == 0
    return out / question.method / "t"
