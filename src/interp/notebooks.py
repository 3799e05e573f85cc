"""A run, or an answer of the app, as a notebook that makes it again and holds it to its numbers.

The notebook has the program, what the result showed when the notebook was written, and some of its numbers;
the last cell says whether they came out again. It is written as JSON of nbformat 4, so that no package of
Jupyter is needed to make one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from interp.errors import ConfigError, RunError
from interp.figures import by_kind
from interp.figures.engine.notation import count, measured, show_text
from interp.results import Result, Stored

if TYPE_CHECKING:
    from interp.experiments.base import Experiment
    from interp.runs import Run

Numbers = dict[str, list[float | None]]
#: About how many numbers of a result a notebook holds, evenly spread over each of its arrays.
MOST = 300
#: How far a number may be from the recorded one, as a share of the largest of its array: rounding on another
#: machine is far less, in float32.
TOLERANCE = 1e-3
SMALL = 1e-3  # where all of an array are smaller, the share is of this


def notebook_of(run: Run) -> str:
    """The notebook of a run, as JSON. `RunError` for one that was saved without its configuration, or whose
    configuration is none any more."""
    if not run.config:
        raise RunError(
            f"{str(run.path)!r} was saved from Python without a configuration, so that nothing says how "
            "it was made; run the experiment with interp run."
        )
    try:
        code = program(run.experiment, run.config)
    except ConfigError as error:
        raise RunError(
            f"{str(run.path)!r} was made by a configuration that this version does not take ({error})"
        ) from None
    return notebook(code, run.result, title=title_of(run.experiment), about=run.experiment.about)


def title_of(experiment: Experiment) -> str:
    """The experiment's name as a heading."""
    return experiment.name.replace("_", " ").capitalize()


def notebook(code: str, result: Any, *, title: str, about: str) -> str:
    """A notebook, as JSON, of a program that gives `result`: a `Result`, or a mapping of arrays."""
    held = numbers_of(result)
    check = f"recorded = {_literal(held)}\nprint(compare(result, recorded))"
    check = f"from interp.notebooks import compare\n\n{check}"
    by = f" by {result.provenance.model}" if isinstance(result, Result) else ""
    cells = [
        _markdown(
            f"# {_plain(title)}\n\n{_plain(about)}\n\nAnswered{_plain(by)}; run all cells to ask again."
        ),
        _code(code.strip(), 1),
        _code("result", 2, _shown(result)),
        _markdown("Does it come out as it did? Some of the numbers, as they were:"),
        _code(check, 3, {"name": "stdout", "output_type": "stream", "text": f"{compare(result, held)}\n"}),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def program(experiment: Experiment, config: Mapping[str, Any]) -> str:
    """A program whose `result` is what an experiment gives with a configuration. Keys of all experiments that
    are at their defaults are left out."""
    from interp.experiments.base import ExperimentConfig

    resolved = experiment.make_config(dict(config)).model_dump(mode="json")
    common = {name: field.default for name, field in ExperimentConfig.model_fields.items()}
    asked = {
        key: value
        for key, value in resolved.items()
        if key in ("model", "seed") or key not in common or value != common[key]
    }
    lines = "".join(f"        {key!r}: {value!r},\n" for key, value in asked.items())
    return (
        "from interp.experiments.base import find_experiment\nfrom interp.runs import load_for\n\n"
        f"experiment = find_experiment({experiment.name!r})\n"
        f"config = experiment.make_config(\n    {{\n{lines}    }}\n)\n"
        "model = load_for(config)\nresult = experiment.run(config, model)"
    )


def compare(result: Any, recorded: Mapping[str, list[float | None]]) -> str:
    """A sentence: whether a result has the numbers that a notebook recorded, and where it is furthest off."""
    found, total = numbers_of(result), 0
    off: list[tuple[float, str, float | None, float | None]] = []
    for name, were in recorded.items():
        now = found.get(name, [])
        if len(now) != len(were):
            return f"{name} has another shape than it had; the configuration is another one."
        total += len(were)
        largest = max([SMALL, *(abs(x) for x in were if x is not None)])
        for value, was in zip(now, were, strict=True):
            apart = _apart(value, was) / largest
            if apart > TOLERANCE:
                off.append((apart, name, was, value))
    if not off:
        return f"All {total} numbers are those recorded, to {TOLERANCE:.1%} of the largest of their kind."
    _, name, was, value = max(off, key=lambda one: one[0])
    words = [("none" if x is None else measured(x)) for x in (was, value)]
    differ = f"{len(off)} of {count(total, 'number')} differ, most in {name}"
    return f"{differ}: {words[0]} was recorded, and {words[1]} found."


def _apart(value: float | None, was: float | None) -> float:
    """How far a number is from what it was; infinitely far where only one of them is none."""
    if value is None or was is None:
        return 0.0 if value is was else math.inf
    return abs(value - was)


def numbers_of(result: Any) -> Numbers:
    """The numbers of a result by the name of their field, or of a mapping of arrays; of larger arrays some,
    evenly spread. None stands for NaN."""
    arrays = list(_arrays("", result))
    most = max(1, MOST // max(1, len(arrays)))
    return {name: _some(values, most) for name, values in arrays[:MOST]}


def _arrays(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Every array of floats, and every float, that a stored value holds, with its place."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size:
            yield name, value.ravel()
    elif isinstance(value, float):
        yield name, np.array([value])
    elif isinstance(value, Stored):
        for field in fields(value):  # type: ignore[arg-type]
            yield from _arrays(f"{name}.{field.name}".lstrip("."), getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _arrays(f"{name}[{key!r}]", one)
    elif isinstance(value, tuple) and value and all(isinstance(one, float) for one in value):
        yield name, np.array(value)
    elif isinstance(value, tuple):
        for place, one in enumerate(value):
            yield from _arrays(f"{name}[{place}]", one)


def _some(values: np.ndarray, most: int) -> list[float | None]:
    """At most so many of the values, from the first to the last, to six digits."""
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [None if math.isnan(x) else float(f"{x:.6g}") for x in values[places].tolist()]


def _shown(result: Any) -> dict[str, Any]:
    """The output of the cell that ends in `result`."""
    data = {"text/plain": repr(result)}
    if isinstance(result, Result):
        data["text/html"] = by_kind.html(result)
    return {"output_type": "execute_result", "execution_count": 2, "metadata": {}, "data": data}


def _literal(recorded: Numbers) -> str:
    lines = "".join(f"    {name!r}: {values!r},\n" for name, values in recorded.items())
    return f"{{\n{lines}}}"


def _plain(text: str) -> str:
    """A text in Markdown that stays text."""
    shown = show_text(text)
    return "".join(
        f"\\{character}" if character in r"\`*_{}[]<>()#+!|~$&" else character for character in shown
    )


def _markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source: str, number: int, *outputs: dict[str, Any]) -> dict[str, Any]:
    cell = {"cell_type": "code", "execution_count": number, "metadata": {}, "source": source}
    return cell | {"outputs": list(outputs)}
