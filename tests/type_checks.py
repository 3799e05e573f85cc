"""Types and shapes of what interp's functions take and return, checked while the tests run.

jaxtyping's import hook decorates every function and dataclass of interp; `conftest.py` installs it before
anything of interp is imported. beartype checks, and jaxtyping's context holds the axes of a call together.
What a function refuses with an error of its own, which many tests are about, is no fault of its annotations.

Not checked are functions inside functions, which are made anew at every call, generators, which begin in the
middle of another call, and what an annotation names that its module imports for type checkers alone
(experiments/, app/ and the command line must stay light).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.door import die_if_unbearable
from beartype.roar import BeartypeCallHintParamViolation

#: ``CHECK_TYPES=0 pytest`` leaves the checks out, which is quicker.
CHECK_TYPES = os.environ.get("CHECK_TYPES", "1") != "0"
_CONFIGURATION = BeartypeConf(is_pep484_tower=True)  # a whole number will do for a float, as for mypy
_axes_of_a_call = jaxtyping.jaxtyped
_AXES = re.compile(r"\b(Float|Int|Bool|Shaped|Num|Integer|UInt)\d*\[")


def install() -> None:
    """Check whatever of interp is imported from here on."""
    if CHECK_TYPES:
        # jaxtyping's own decorator binds the arguments anew at every call, which doubled the tests' time
        jaxtyping.jaxtyped = lambda *, typechecker: typechecker
        jaxtyping.install_import_hook("interp", f"{__name__}.checked")


def checked(what: Any) -> Any:
    """A function or class, checked; made ready at its first call, when all that it names is there."""
    if inspect.isclass(what):
        return _checked_dataclass(what) if dataclasses.is_dataclass(what) else what
    return what if "<locals>" in what.__qualname__ else _checked_function(what)


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    ready: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        if not ready:
            ready.append(_ready(function))
        try:
            return ready[0](*args, **kwargs)
        except BeartypeCallHintParamViolation as violation:
            if not hasattr(violation, "of"):
                violation.of = function  # once, and not by those who called it
                function(*args, **kwargs)
            raise

    return call


def _ready(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as beartype checks it, in a context of its own where its annotations name axes."""
    if inspect.isgeneratorfunction(function):
        return function
    function.__annotations__ = _hints(function.__annotations__, function.__globals__)
    has_axes = any(_AXES.search(str(hint)) for hint in function.__annotations__.values())  # names resolved
    by_beartype = beartype(conf=_CONFIGURATION)(function)

    def in_context(*args: Any, **kwargs: Any) -> Any:
        with _axes_of_a_call("context"):
            return by_beartype(*args, **kwargs)

    return in_context if has_axes else by_beartype


def _checked_dataclass(cls: type) -> type:
    made = cls.__init__
    ready: dict[str, Any] = {}

    @functools.wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        if jaxtyping.config.jaxtyping_disable or type(self) is not cls:
            return
        if not ready:
            for base in reversed(cls.__mro__):
                names = vars(sys.modules[base.__module__])
                ready.update(_hints(vars(base).get("__annotations__", {}), names))
        with _axes_of_a_call("context"):
            for field in dataclasses.fields(cls):
                die_if_unbearable(getattr(self, field.name), ready[field.name], conf=_CONFIGURATION)

    cls.__init__ = init  # type: ignore[misc]
    return cls


def _hints(annotations: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Annotations as types; `Any` where they name what is there for type checkers alone."""
    found = {}
    for name, hint in annotations.items():
        try:
            hint = eval(hint, names) if isinstance(hint, str) else hint
        except (NameError, AttributeError):
            hint = Any
        found[name] = Any if hint is Self or get_origin(hint) is ClassVar else hint
    return found


@contextmanager
def unchecked() -> Iterator[None]:
    """For a test that makes values of wrong types on purpose, as a context or a decorator of the test."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
