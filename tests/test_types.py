"""Every annotation of what is public resolves: no name in it is there for type checkers alone."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation, BeartypeDoorHintViolation
from jaxtyping import Float
from torch import Tensor

import interp
from interp.methods.common.statistics import ranks
from type_checks import CHECK_TYPES, checked

#: The rooms whose modules import at run time whatever their annotations name. (The experiments, the app and
#: the command line must open at once, so they may leave that to the type checker.)
ROOMS = ("methods", "tasks", "saes", "text", "models", "zoo", "figures")
VOCABULARY = ("architecture", "edits", "errors", "metrics", "progress", "provenance", "readout", "results")


def modules() -> list[str]:
    found = [f"interp.{name}" for name in (*VOCABULARY, "resume", "sites", "tokens")]
    for room in ROOMS:
        package = importlib.import_module(f"interp.{room}")
        found += [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return found


def public_things(module: Any) -> Iterator[tuple[str, Any]]:
    """The functions and classes that a module defines, and the functions of its classes."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            yield name, thing
            for part, function in methods(thing):
                yield f"{name}.{part}", function
        elif inspect.isfunction(thing):
            yield name, thing


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, member in vars(cls).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        made = name == "__init__" and getattr(cls, "__dataclass_params__", None)  # of the fields
        if inspect.isfunction(function) and not made and (name == "__init__" or not name.startswith("_")):
            yield name, function


@pytest.mark.parametrize("name", modules())
def test_annotations_resolve(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("interp"):
            raise
        pytest.skip(f"{error.name} is not installed")
    wrong = {}
    for what, thing in public_things(module):
        try:
            typing.get_type_hints(thing)
        except (NameError, TypeError, AttributeError, SyntaxError) as error:
            wrong[what] = str(error)
    assert not wrong


@pytest.mark.parametrize("name", sorted(interp.__all__))
def test_annotations_of_the_public_names_resolve(name: str) -> None:
    thing = getattr(interp, name)
    if callable(thing):
        typing.get_type_hints(thing)


@checked
def first(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The first of two tensors of one length."""
    return x if len(x) != 3 else x[:2]


@pytest.mark.skipif(not CHECK_TYPES, reason="the types are not checked")
def test_wrong_types_and_shapes_are_seen() -> None:
    first(torch.zeros(4), torch.zeros(4))
    for x, y in [(4, 5), (3, 3)]:  # arguments of two lengths; a result of another length
        with pytest.raises(BeartypeCallHintViolation):
            first(torch.zeros(x), torch.zeros(y))
    with pytest.raises(BeartypeCallHintViolation):
        ranks([2.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(BeartypeDoorHintViolation):
        interp.Readout(lambda logits: logits, positions="all")  # type: ignore[arg-type]


@checked
def steps(x: Float[Tensor, " n"]) -> Iterator[int]:
    """A generator: its arguments are its own, whoever asks it for its steps."""
    yield from range(len(x))


@checked
def taken(x: Float[Tensor, " n"], found: Iterator[int]) -> list[int]:
    """The steps of a generator, in a function with an `n` of its own."""
    return list(found)


def test_a_generator_has_no_axes_of_who_takes_its_steps() -> None:
    assert taken(torch.zeros(2), steps(torch.zeros(3))) == [0, 1, 2]


@pytest.mark.skipif(not CHECK_TYPES, reason="the types are not checked")
def test_what_a_function_refuses_itself_is_said_in_its_own_words() -> None:
    with pytest.raises(interp.errors.EditError, match="heads"):
        interp.Edit.zero("z", 4, head=2)  # type: ignore[call-arg]
