"""Exercises that check themselves.

The right answer stands nowhere: neither in a notebook nor here. It is computed anew when somebody answers,
on the model that the reader has, by the function of the exercise in `interp.course.exercises`. So it is right
for any model, and stays right when the weights change. A wrong answer is told a hint, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from interp.course.kinds import Kind
from interp.errors import InputError, nearest
from interp.models.base import Model


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What is asked for, how the right answer is computed on a model, and what helps one who missed it."""

    asks: Kind
    answer: Callable[[Model], Any]
    hint: str


@dataclass(frozen=True)
class Verdict:
    """What `check` says: `right` is None where nothing was answered yet."""

    right: bool | None
    text: str

    def __repr__(self) -> str:
        return self.text


def check(answer: Any, exercise: str, model: Model) -> Verdict:
    """Check the answer to an exercise, such as ``"01.2"`` (lesson 01, the second), on the reader's model.

    None is no answer yet, and nothing is computed. Raises `InputError` for an exercise that is not there.
    """
    found = find_exercise(exercise)
    if answer is None:
        return Verdict(None, f"{exercise}: not answered yet. It asks for {found.asks.asked}.")
    given = found.asks.read(answer)
    if given is None:
        return Verdict(False, f"{exercise}: this asks for {found.asks.asked}.")
    right = found.answer(model)
    if not found.asks.same(given, right):
        return Verdict(False, f"{exercise}: not yet. Hint: {found.hint}")
    return Verdict(True, f"{exercise}: right, it is {found.asks.shown(right)} in {model.identity.name}.")


def find_exercise(name: str) -> Exercise:
    """The exercise of this name; `InputError` with the nearest one where there is none."""
    lesson = re.fullmatch(r"(\d\d)\.\d", name)
    of_lesson = exercises_of(lesson[1]) if lesson else {}
    if name not in of_lesson:
        raise InputError(f"There is no exercise {name!r}; {nearest(name, of_lesson or ['00.1'])}")
    return of_lesson[name]


def exercises_of(lesson: str) -> Mapping[str, Exercise]:
    """The exercises of a lesson, such as ``"01"``, by name; none where the lesson has none."""
    module = f"interp.course.exercises.lesson_{lesson}"
    if find_spec(module) is None:
        return {}
    found = import_module(module).EXERCISES
    return {f"{lesson}.{number}": exercise for number, exercise in enumerate(found, start=1)}
