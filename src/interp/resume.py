"""Parts of a long computation kept on disk as they are made, so that it goes on from where it was stopped.

A method asks for each part of its work through `kept`; a front end says where the parts go:

    with resuming("outputs/.my-sweep.parts"):
        interp.activation_patching(...)  # stopped, and called again: no pair is computed twice

Without `resuming` nothing is kept. A part is found again by the whole question that it answers, so that parts
of another question (another model, prompt or option) are never taken for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from interp.errors import RunError

_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def resuming(folder: str | Path) -> Iterator[None]:
    """Keep parts in `folder`, and take those that are there, for as long as the context lasts."""
    token = _folder.set(Path(folder))
    try:
        yield
    finally:
        _folder.reset(token)


def kept(question: Mapping[str, Any], make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `make` computes, or those that it computed for the same question before.

    `question` holds everything that the answer depends on, as JSON values. Raises `RunError` where the folder
    cannot be written.
    """
    folder = _folder.get()
    if folder is None:
        return make()
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    path = folder / f"{digest[:32]}.npz"
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, BadZipFile):
            pass  # damaged: computed again
    made = make()
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **made)
        unfinished.replace(path)
    except OSError as error:
        raise RunError(f"Cannot keep parts in {str(folder)!r} ({error.strerror}); choose another.") from None
    return made
