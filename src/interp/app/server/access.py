"""What the app may open: the folders that it was given, and only what its user has asked for.

A link can be made by anybody. What it names beyond what comes with the app (a folder, a file, a hub id) is
opened when the user agrees; what the user types or picks needs no second question.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from interp.app.server import settings
from interp.errors import InputError
from interp.files import check_file
from interp.zoo import NAMES

LARGEST_TEXT = 100e6  # bytes of a text that features are read on
LARGEST_PART = 100e6  # bytes of a file of a model or SAE that is no weights: configuration, vocabulary
MOST_FILES = 2000  # of a folder of a model or SAE
_WEIGHTS = {".safetensors", ".gguf", ".bin", ".pt"}
_LIKE_A_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]")  # how a path begins that is no hub id


def check_source(source: str) -> None:
    """`InputError` where a model, SAE or text is a path outside the folders that may be read, or leads to
    what is no ordinary file or folder of files. The names of models and ids of the hub pass."""
    if source in NAMES or source == settings.first_model():
        return
    _check_path(source)
    before, pattern, _ = source.partition("{layer}")
    if pattern:  # of layers' folders (`interp.load_transcoders`): the folder that holds them all
        _check_path(str(Path(f"{before}0").parent))


def _check_path(source: str) -> None:
    path = Path(source).expanduser() if source.startswith("~") else Path(source)
    try:
        place = path.resolve()
        allowed = any(place.is_relative_to(folder) for folder in settings.files_folders())
        is_path = bool(_LIKE_A_PATH.match(source)) or ".." in path.parts or path.exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or links in a circle
        raise InputError(f"{source!r} is no path that can be read; check it.") from None
    if not is_path:
        return
    if not allowed:
        folders = ", ".join(map(str, settings.files_folders()))
        raise InputError(
            f"{source!r} lies outside the folders that the app may read ({folders}); start it with --files "
            "FOLDER to allow another."
        )
    if place.is_dir():
        _check_folder(place)
    elif place.exists():
        largest = float("inf") if place.suffix in _WEIGHTS else LARGEST_TEXT
        check_file(place, place.stat(), largest=largest, error=InputError)


def _check_folder(folder: Path) -> None:
    """`InputError` where a folder holds what is neither file nor folder, or files of an absurd size."""
    for number, path in enumerate(folder.iterdir()):
        if number >= MOST_FILES:
            raise InputError(f"{str(folder)!r} holds over {MOST_FILES} files, so it is no model or SAE.")
        try:
            status = path.stat()
        except OSError:  # a link that leads nowhere
            continue
        if not stat.S_ISDIR(status.st_mode):
            largest = float("inf") if path.suffix in _WEIGHTS else LARGEST_PART
            check_file(path, status, largest=largest, error=InputError)


class Permissions:
    """What the user of this server has asked for, so that a link to it needs no question any more."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def allow(self, source: str) -> None:
        self._given.add(source)

    def are_given(self, source: str) -> bool:
        """Whether it may be opened: it is the package's or the command line's, or the user asked for it."""
        return source in self._given or source in ("", "demo", *NAMES, settings.first_model())


@cache
def permissions() -> Permissions:
    """Those of this process."""
    return Permissions()


def folders_of(given: Sequence[Path]) -> list[Path]:
    """The folders of the command line, by their real paths; `InputError` where one is not there."""
    for folder in given:
        if not folder.is_dir():
            raise InputError(f"There is no folder {str(folder)!r} to read files from; check --files.")
    return [folder.resolve() for folder in given]
