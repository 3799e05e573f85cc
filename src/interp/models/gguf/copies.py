"""Converted copies of GGUF files, kept as safetensors in the user's cache folder.

A copy is found by the hash of the file that it was made of (`interp.models.gguf.conversion`), and removed by
``interp cache --remove``. Light: nothing here loads torch or transformers.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from interp.errors import ModelLoadError

#: What a copy says of itself, written last: a folder without it is no copy.
ABOUT = "interp.json"


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A converted copy on disk."""

    folder: Path
    source: str  # the file that it was made of
    sha256: str  # of that file
    architecture: str
    quantisation: str

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(file.stat().st_size for file in self.folder.iterdir())


def copies_folder() -> Path:
    """Where converted copies are kept: ``$INTERP_CACHE/gguf``, by default in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("INTERP_CACHE") or cache / "interp") / "gguf"


def copy_of(digest: str) -> Copy | None:
    """The copy of the file with this hash, where there is one."""
    folder = copies_folder() / digest[:16]
    return read_copy(folder) if (folder / ABOUT).is_file() else None


def all_copies() -> list[Copy]:
    """Every converted copy on this disk."""
    return [read_copy(about.parent) for about in sorted(copies_folder().glob(f"*/{ABOUT}"))]


def remove(copy: Copy) -> None:
    """Take a copy off the disk."""
    shutil.rmtree(copy.folder)


def read_copy(folder: Path) -> Copy:
    """The copy in a folder; `ModelLoadError` where it is damaged."""
    try:
        return Copy(folder=folder, **json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ModelLoadError(
            f"The converted copy in {str(folder)!r} is damaged; remove the folder."
        ) from None
