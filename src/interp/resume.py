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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np

from interp.errors import RunError
from interp.parts import Arrays


@runtime_checkable
class Store(Protocol):
    """Where parts are kept, by the digest of their question."""

    def kept(self, digest: str, make: Callable[[], Arrays]) -> Arrays:
        """The part that is there, or the one that `make` computes, kept from now on."""
        ...


@dataclass(frozen=True)
class Folder:
    """Parts in a folder, a file each. `RunError` where it cannot be written."""

    path: Path

    def kept(self, digest: str, make: Callable[[], Arrays]) -> Arrays:
        found = self.find(digest)
        if found is None:
            self.keep(digest, found := make())
        return found

    def find(self, digest: str) -> Arrays | None:
        """A part that was kept; None where there is none, or it is damaged."""
        try:
            with np.load(self._file(digest), allow_pickle=False) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None  # computed again

    def keep(self, digest: str, arrays: Arrays) -> None:
        """Write a part, in one step."""
        path = self._file(digest)
        unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            unfinished.replace(path)
        except OSError as error:
            raise RunError(
                f"Cannot keep parts in {str(self.path)!r} ({error.strerror}); choose another."
            ) from None

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}.npz"


_store: ContextVar[Store | None] = ContextVar("store", default=None)


@contextmanager
def resuming(folder: str | Path | Store) -> Iterator[None]:
    """Keep parts in `folder`, and take those that are there, for as long as the context lasts."""
    token = _store.set(Folder(Path(folder)) if isinstance(folder, str | Path) else folder)
    try:
        yield
    finally:
        _store.reset(token)


def store() -> Store | None:
    """Where parts are kept now; None: nowhere."""
    return _store.get()


def kept(question: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` computes, or those that it computed for the same question before.

    `question` holds everything that the answer depends on, as JSON values. Raises `RunError` where the folder
    cannot be written.
    """
    place = _store.get()
    if place is None:
        return make()
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return place.kept(digest[:32], make)
