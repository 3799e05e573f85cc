"""Views that were saved: an address of the app, with a name and a note, kept beside the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from interp.errors import InputError
from interp.files import read_text

FILE = "saved-views.json"
MOST, MOST_CHARS = 500, 2000  # views; characters of a name or note
LARGEST = 16e6  # bytes of the file
_writing = Lock()


@dataclass(frozen=True)
class SavedView:
    """A view of the app by its address."""

    name: str
    note: str
    address: str  # the query of the URL, with its question mark
    saved: str  # when, as YYYY-MM-DD HH:MM


def address_of(parameters: Mapping[str, Sequence[str]]) -> str:
    """The address of a view from the parameters of its URL."""
    return f"?{urlencode(parameters, doseq=True)}"


def read_views(out: Path) -> list[SavedView]:
    """The views that were saved beside the runs in a folder, the newest first. `InputError` where the file is
    damaged."""
    file = out / FILE
    if not file.exists():
        return []
    try:
        found = json.loads(read_text(file, largest=LARGEST, error=InputError))
        return [_read(one) for one in found]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(
            f"The saved views in {str(file)!r} cannot be read; mend the file, or move it away."
        ) from None


def _read(one: Any) -> SavedView:
    view = SavedView(**{key: str(one[key]) for key in ("name", "note", "address", "saved")})
    if not view.address.startswith("?"):
        raise ValueError("an address of another page")
    return view


def save_view(out: Path, name: str, note: str, address: str) -> SavedView:
    """Save a view. `InputError` without a name, where one is too long, where there are too many, or where it
    cannot be written."""
    name, note = name.strip(), note.strip()
    if not name:
        raise InputError("Give the view a name.")
    if max(len(name), len(note), len(address) / 10) > MOST_CHARS:
        raise InputError(f"Names and notes have up to {MOST_CHARS:,} characters; shorten it.")
    view = SavedView(name, note, address, f"{datetime.now():%Y-%m-%d %H:%M}")
    with _writing:
        others = read_views(out)
        if len(others) >= MOST:
            raise InputError(f"There are {MOST} saved views; forget one first.")
        _write(out, [view, *others])
    return view


def forget_view(out: Path, view: SavedView) -> None:
    """Take a view out of those that were saved."""
    with _writing:
        _write(out, [one for one in read_views(out) if one != view])


def _write(out: Path, views: Sequence[SavedView]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        unfinished = out / f".{FILE}"
        unfinished.write_text(json.dumps([asdict(one) for one in views], indent=1), encoding="utf-8")
        unfinished.replace(out / FILE)
    except OSError as error:
        raise InputError(f"The view cannot be saved in {str(out)!r} ({error.strerror}).") from None
