"""Datasets by name, so that a configuration can say ``task: indirect_objects, n: 50, corruption: abc``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from interp.errors import InputError, check_choice, nearest
from interp.models.base import Model
from interp.tasks.base import PairDataset
from interp.tasks.known_or_not import KnowledgeDataset
from interp.tasks.labelled import LabelledDataset
from interp.tasks.registry import KNOWN, LABELLED, TASKS


def make_dataset(
    name: str, model: Model, *, n: int | None = None, seed: int = 0, **options: Any
) -> PairDataset:
    """The dataset of the task `name` for `model`; `options` are those of the task's function.

    Without `n`, as many pairs as the task makes by itself. Raises `InputError` for a name or an option that
    does not exist, with the nearest one that does, for an option that is missing, and for all that the task
    refuses.
    """
    check_choice("task", name, TASKS)
    return _made("task", *TASKS[name], name, model, n, seed, options)


def make_labelled(
    name: str, model: Model, *, n: int | None = None, seed: int = 0, **options: Any
) -> LabelledDataset:
    """The labelled prompts `name` (``people``, ``tokens``, ``pairs``, ``sets``,
    ``texts``) for `model`, for probes and
    directions; as `make_dataset` otherwise."""
    check_choice("labelled dataset", name, LABELLED)
    return _made("dataset", *LABELLED[name], name, model, n, seed, options)


def make_known(
    name: str, model: Model, *, n: int | None = None, seed: int = 0, **options: Any
) -> KnowledgeDataset:
    """Questions of what `model` was told and of what it was not (``people``, ``facts``, ``entities``,
    ``texts``), for `interp.knowledge`; as `make_dataset` otherwise."""
    check_choice("dataset of what is known", name, KNOWN)
    return _made("dataset", *KNOWN[name], name, model, n, seed, options)


def _made(
    kind: str,
    module: str,
    function: str,
    name: str,
    model: Model,
    n: int | None,
    seed: int,
    options: dict[str, Any],
) -> Any:
    """What the function of a dataset gives, its options checked by name."""
    make = getattr(import_module(module), function)
    parameters = {k: p for k, p in inspect.signature(make).parameters.items() if k != "model"}
    if n is not None:
        options["n"] = n
    for option in options:
        if option not in parameters:
            raise InputError(f"The {kind} {name!r} has no option {option!r}; {nearest(option, parameters)}")
    if "seed" in parameters:  # a task without one draws nothing
        options["seed"] = seed
    missing = [k for k, p in parameters.items() if p.default is p.empty and k not in options]
    if missing:
        raise InputError(f"The {kind} {name!r} needs {' and '.join(map(repr, missing))}.")
    return make(model, **options)
