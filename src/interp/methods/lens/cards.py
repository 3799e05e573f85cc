"""A lens's card on disk: ``card.json`` in the folder of a saved lens says how good it is on held-out text."""

from __future__ import annotations

import json
from pathlib import Path

from interp.errors import InputError, first_line
from interp.files import read_text
from interp.methods.lens.results import LensCard

CARD = "card.json"
_LARGEST = 1e6  # bytes


def write_card(folder: str | Path, card: LensCard | None) -> None:
    """Write a lens's card into its folder; nothing where there is none."""
    if card is None:
        return
    try:
        (Path(folder) / CARD).write_text(json.dumps(card.to_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"The card cannot be written to {str(folder)!r} ({first_line(error)}).") from None


def read_card(folder: str | Path) -> LensCard | None:
    """The card in a lens's folder; None where there is none. `InputError` where it cannot be read."""
    path = Path(folder) / CARD
    if not path.exists():
        return None
    try:
        return LensCard.from_dict(json.loads(read_text(path, largest=_LARGEST, error=InputError)))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The card {str(path)!r} cannot be read ({first_line(error)}); measure the lens anew."
        ) from None
