"""Types and shapes of what interp's functions take and return, checked while the tests run.

jaxtyping's import hook decorates every function and dataclass of interp with `checked`; `conftest.py`
installs it before anything of interp is imported. A call is checked when it returns: what a function refuses
with an error of its own, which many tests are about, is no fault of its annotations.

Not checked is what an annotation names that its module imports for type checkers alone (experiments/, app/
and the command line must stay light), and the class itself in the annotations of its own methods.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import jaxtyping
from beartype import BeartypeConf, beartype

#: ``CHECK_TYPES=0 pytest`` leaves the checks out, which is quicker.
CHECK_TYPES = os.environ.get("CHECK_TYPES", "1") != "0"
_CONFIGURATION = BeartypeConf(is_pep484_tower=True)  # a whole number will do for a float, as for mypy
_RETURNED = re.compile(r"ret\d+")  # jaxtyping's name of the argument that is what the function has returned


def install() -> None:
    """Check whatever of interp is imported from here on."""
    if CHECK_TYPES:
        jaxtyping.install_import_hook("interp", f"{__name__}.checked")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """What jaxtyping calls to check arguments: it makes one function for before a call, one for after it."""
    if not any(map(_RETURNED.fullmatch, inspect.signature(function).parameters)):
        return function
    for name, hint in function.__annotations__.items():
        if hint is Self:  # beartype knows it in classes that it decorates as a whole, and nowhere else
            function.__annotations__[name] = Any
    return beartype(conf=_CONFIGURATION)(function)


@contextmanager
def unchecked() -> Iterator[None]:
    """For a test that makes values of wrong types on purpose, as a context or a decorator of the test."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
