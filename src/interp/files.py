"""Files that a stranger may have made: read only where they are files, and no larger than is expected."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from interp.errors import InterpError


def read_text(path: Path, *, largest: float, error: type[InterpError]) -> str:
    """The text of a regular file in UTF-8, of at most `largest` bytes.

    A pipe or a device, which may never end, is refused before a byte is read, as is a large file; either as
    an `error`. `FileNotFoundError` where there is nothing.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # else opening a pipe waits for who writes to it
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as problem:  # a name that no file can have is a ValueError
        raise error(f"{str(path)!r} cannot be read ({problem}).") from None
    try:
        check_file(path, os.fstat(descriptor), largest=largest, error=error)
    except BaseException:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(int(largest) + 1)  # a file can grow
    if len(content) > largest:
        raise error(f"{str(path)!r} grows while it is read; try again.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{str(path)!r} cannot be read ({problem}).") from None


def check_file(path: Path, status: os.stat_result, *, largest: float, error: type[InterpError]) -> None:
    """An `error` where a path leads to no regular file, or to one of more than `largest` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise error(f"{str(path)!r} is a folder and cannot be read as a file; check the path.")
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{str(path)!r} is a pipe or a device and no file; give a file.")
    if status.st_size > largest:
        raise error(
            f"{str(path)!r} is {status.st_size / 1e6:,.1f} MB, too large to be read here (at most "
            f"{largest / 1e6:,.1f} MB); check the path."
        )
