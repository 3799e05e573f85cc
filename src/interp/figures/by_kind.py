"""What a result shows of itself, found by its kind.

It is presented by the module of that name in `interp.figures.views`, or by the one that its class names
(`Result.shown_by`). One that has none is shown as the list of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from interp.figures import fields
from interp.figures.engine.blocks import Words
from interp.figures.engine.frames import frame_of
from interp.figures.engine.notation import count, show_prompt, show_text
from interp.figures.engine.notebook import Printed, embedded
from interp.figures.engine.view import View
from interp.results import Pairs, Result

_VIEWS = "interp.figures.views"
_MOST_CHARS = 150  # of each line
#: Fields that say what a result was measured on, where it has no pairs; the first that it has counts.
_TELLING = (
    "prompt",
    "clean_prompt",
    "prompts",
    "texts",
    "readings",
    "approximate",
    "tokens",
    "clean_tokens",
    "text",
)


def presentation_of(cls: type[Result]) -> ModuleType:
    """The module that presents results of this class: it has `figure`, `table` and `report`."""
    name = module_name(cls)
    return fields if name is None else import_module(name)


def module_name(cls: type[Result]) -> str | None:
    """The name of the module that presents results of this class; None where there is none."""
    name = cls.shown_by or f"{_VIEWS}.{cls.kind}"
    return name if find_spec(name) else None


def view_of(result: Result) -> View:
    """The result's view; of a presentation that has none, the list of its fields."""
    return getattr(presentation_of(type(result)), "view", fields.view)(result)


def figure(result: Result) -> Any:
    """Its figure, as matplotlib draws it; a notebook shows it without ``%matplotlib``."""
    from interp.figures.engine.drawing import png

    drawn = presentation_of(type(result)).figure(result)
    drawn._repr_png_ = partial(png, drawn)
    return drawn


def table(result: Result) -> Printed:
    """Its table."""
    return Printed(presentation_of(type(result)).table(result))


def frame(result: Result, block: str = "") -> Any:
    """The numbers of one block of its view, as a `pandas.DataFrame`."""
    return frame_of(view_of(result), block)


def html(result: Result) -> str:
    """Its report, for the output of a notebook's cell."""
    return embedded(presentation_of(type(result)).report(result))


def text(result: Result) -> str:
    """At most three lines: what it is of, what it says, and what can be asked of it."""
    of = _measured_on(result)
    first = f"{result.kind} of {show_text(result.provenance.model)}{f' on {of}' if of else ''}"
    lines = [_cut(first), *map(_cut, _said(result)), "Next: .figure(), .table(), .to_frame(), .save(folder)"]
    return "\n".join(lines)


def _said(result: Result) -> Iterator[str]:
    """The sentence that its view puts first; nothing where it cannot be drawn, since any value has a repr."""
    if presentation_of(type(result)) is fields:
        return
    try:
        blocks = [block for block in view_of(result).blocks if isinstance(block, Words)]
    except Exception:
        return  # a damaged one is printed too, above all where an error is told
    found = sorted(blocks, key=lambda block: (block.name != "verdict", not block.strong))
    if found:
        yield found[0].text


def _measured_on(result: Result) -> str:
    """The prompt or pairs that it was measured on, in brief; nothing where it does not say."""
    pairs = getattr(result, "pairs", None)
    if isinstance(pairs, Pairs):
        if len(pairs) == 1:
            return _quoted(pairs.prompts[0].removeprefix(result.provenance.bos))
        return count(len(pairs), "pair") + (f" of {pairs.task}" if pairs.task else "")
    for name in _TELLING:
        value = getattr(result, name, None)
        if isinstance(value, Result):
            return _measured_on(value)
        if isinstance(value, str):
            return show_text(value) if name == "text" else _quoted(value)
        if isinstance(value, tuple) and value:
            return _of_several(name, value, bos=result.provenance.bos)
    return ""


def _of_several(name: str, values: tuple[Any, ...], *, bos: str) -> str:
    """Of a tuple of tokens, of prompts, of texts with a prompt each, or of readings of one prompt."""
    first = values[0]
    if name.endswith("tokens"):
        return (
            _quoted(show_prompt(values, bos=bos)) if isinstance(first, str) else count(len(values), "prompt")
        )
    if isinstance(first, Result):
        return _measured_on(first)
    prompts = list(dict.fromkeys(str(getattr(one, "prompt", one)) for one in values))
    return _quoted(prompts[0]) if len(prompts) == 1 else count(len(prompts), "prompt")


def _quoted(text: str) -> str:
    return f"“{show_text(text, max_chars=70)}”"


def _cut(line: str) -> str:
    """The line, its end left out where it is too long."""
    return line if len(line) <= _MOST_CHARS else f"{line[: _MOST_CHARS - 1].rstrip()}…"
