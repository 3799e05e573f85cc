"""Errors for people: one sentence that says what was wrong and what to do.

Everything that a user can cause derives from `InterpError`. The command line prints the sentence
and exits with code 2; a traceback means a fault of the program, not of its user.
"""

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")


class InterpError(Exception):
    """Base of all errors whose message is meant for the user."""


class InterpWarning(UserWarning):
    """Something that a user should know, though the work goes on; the command line prints it."""


class InterpDeprecation(InterpWarning, FutureWarning):
    """A name of this library that is called otherwise now; the old one still works."""


class InputError(InterpError):
    """A prompt, an answer or a pair of prompts that cannot be used as given."""


class ConfigError(InterpError):
    """A configuration file or command-line value that is not valid."""


class ModelLoadError(InterpError):
    """A model that cannot be found, read or understood."""


class SiteError(InterpError):
    """An address that names nothing, or that the model or backend at hand cannot reach."""


class EditError(InterpError):
    """An edit that cannot be applied, or that was never reached by the forward pass."""


class DegeneratePairError(InterpError):
    """A clean and a corrupted run that hardly differ, so that recovery would divide by nothing."""


class NonFiniteError(InterpError):
    """NaN or infinity where a number should be."""


class DecompositionError(InterpError):
    """Parts that must add up to a whole, and do not."""


class RunError(InterpError):
    """A run folder that is missing, unreadable, already taken or cannot be written."""


def how_to_install(extra: str) -> str:
    """The command that installs an extra. The package is not published: it is installed from a checkout."""
    return f"pip install '.[{extra}]' in your checkout of interp"


def first_line(error: BaseException) -> str:
    """What another library's error says, cut to its first line, without a full stop."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for an unknown name: the closest valid one, or all of them where none is close.

    >>> nearest("resid_prr", ["resid_pre", "z"])
    "did you mean 'resid_pre'?"
    """
    valid = list(valid)
    close = get_close_matches(name, valid, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(valid)}."


def check_choice(kind: str, value: object, valid: Iterable[str]) -> None:
    """`InputError` with the nearest valid choice where `value` is none of them."""
    if value not in (valid := list(valid)):
        raise InputError(f"Unknown {kind} {value!r}; {nearest(str(value), valid)}")


def refuse_unknown_keywords(
    error: type[InterpError],
) -> Callable[[Callable[_Arguments, _Returned]], Callable[_Arguments, _Returned]]:
    """Decorate a function that users call, so that a misspelt keyword is an `error` with the nearest right
    one, and not Python's TypeError."""

    def decorate(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
        names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
        known = set(names)

        @wraps(function)
        def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Returned:
            for name in kwargs.keys() - known:
                raise error(f"There is no {name!r} to give here; {nearest(name, names)}")
            return function(*args, **kwargs)

        return checked

    return decorate
