"""What the app may open: the folders that it was given, and only what its user has asked for.

A link can be made by anybody. What it names beyond what comes with the app (a folder, a file, a hub id) is
opened when the user agrees; what the user types or picks needs no second question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from interp.app.server import settings
from interp.app.server.model_server import SPARE_BYTES
from interp.errors import InputError
from interp.files import check_file
from interp.models.gguf.packages import GEMMA, is_installed
from interp.zoo import NAMES

LARGEST_TEXT = 100e6  # bytes of a text that features are read on
LARGEST_PART = 100e6  # bytes of a file of a model or SAE that is read as text: configuration, vocabulary
MOST_FILES = 2000  # of a folder of a model or SAE
_WEIGHTS = {".safetensors", ".gguf", ".bin", ".pt", ".pth", ".npz"}
_READ_AS_TEXT = {".json", ".jsonl", ".txt", ".model", ".jinja", ".yaml", ".yml", ""}
#: What is opened that is read whole whatever it is called, so that the ending of weights makes it no larger.
_SMALL = ("text", "file of directions")
_LIKE_A_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]")  # how a path begins that is no hub id


def check_source(source: str, what: str = "model") -> None:
    """`InputError` where `what` is to be opened (a model, an SAE, a text) is a path outside the folders that
    may be read, leads to what is no ordinary file or folder of files, or is larger than there is memory for.
    The names of models and ids of the hub pass; of models, the model server checks the memory."""
    if source in NAMES or source == settings.first_model():
        return
    _check_path(source, what)
    before, pattern, _ = source.partition("{layer}")
    if pattern:  # of layers' folders (`interp.load_transcoders`): the folder that holds them all
        _check_path(str(Path(f"{before}0").parent), what)


def _check_path(source: str, what: str) -> None:
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
        weights = _check_folder(place)
    elif place.exists():
        is_weights = place.suffix in _WEIGHTS and what not in _SMALL
        size = _check_file(place, largest=float("inf") if is_weights else LARGEST_TEXT)
        weights = size if is_weights else 0.0
    else:
        return
    if what != "model":
        _check_memory(source, weights)


def _check_folder(folder: Path) -> float:
    """`InputError` where a folder, or one in it, holds what is neither file nor folder, or a text that is
    far too long. How many bytes its weights have."""
    inside = [one for one in _listed(folder) if not one.name.startswith(".") and one.is_dir()]
    weights = 0.0
    for path in (path for one in (folder, *inside) for path in _listed(one) if not path.is_dir()):
        size = _check_file(path, largest=LARGEST_PART if path.suffix in _READ_AS_TEXT else float("inf"))
        weights += size if path.suffix in _WEIGHTS else 0.0
    return weights


def _listed(folder: Path) -> list[Path]:
    try:
        paths = list(islice(folder.iterdir(), MOST_FILES + 1))
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} cannot be read ({error.strerror}).") from None
    if len(paths) > MOST_FILES:
        raise InputError(f"{str(folder)!r} holds over {MOST_FILES} files, so it is no model or SAE.")
    return paths


def _check_file(path: Path, *, largest: float) -> float:
    """How many bytes a file has; `InputError` where it is none, or larger than that."""
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere
        return 0.0
    check_file(path, status, largest=largest, error=InputError)
    return float(status.st_size)


def _check_memory(source: str, weights: float) -> None:
    """`InputError` where weights of so many bytes do not fit into what is free of memory."""
    if not weights:
        return
    import torch

    from interp.models.devices import free_bytes

    missing = 2 * weights + SPARE_BYTES - free_bytes(torch.device("cpu"))  # they are read, and then float32
    if missing > 0:
        raise InputError(
            f"The weights in {source!r} have {weights / 1e9:.2g} GB, for which {missing / 1e9:.2g} GB of "
            "memory are not free; close what else takes memory, or choose smaller ones."
        )


class Permissions:
    """What the user of this server has asked for, so that a link to it needs no question any more."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def allow(self, source: str) -> None:
        self._given.add(source)

    def are_given(self, source: str) -> bool:
        """Whether it may be opened: it is the package's, the command line's or installed with the app, or the
        user asked for it."""
        known = "", "demo", *NAMES, settings.first_model()
        return source in self._given or source in known or (source == GEMMA.name and is_installed(GEMMA))


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
