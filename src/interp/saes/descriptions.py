"""What features are called, kept in the folder of their dictionary: ``descriptions.json``.

A dictionary that is loaded from the folder knows the names (`SAE.names`), so that results say them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from interp.errors import InputError, first_line
from interp.files import read_text
from interp.results import Stored

FILE = "descriptions.json"
_LARGEST = 1e8  # bytes


@dataclass(frozen=True, kw_only=True)
class FeatureDescription(Stored):
    """What a feature is called, and how well one tells by that name where it is active.

    A score is a balanced accuracy: the mean of the share of contexts where the feature is active that are
    told, and of the share of the others that are not. 0.5 is chance.
    """

    kind: ClassVar[str] = "feature_description"
    feature: int
    label: str
    by: str  # who named it: the labels of the text, or a model
    score: float | None  # None: the answer could not be read
    shuffled: float | None  # with the name of another feature; None: there is none
    n_contexts: int  # that it was scored on


def write_descriptions(folder: str | Path, descriptions: Iterable[FeatureDescription]) -> None:
    """Keep descriptions in a dictionary's folder, beside those of other features that are there. `InputError`
    where it cannot be written."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is no folder; keep an SAE in one to keep descriptions beside it.")
    found = read_descriptions(folder) | {one.feature: one for one in descriptions}
    listed = [found[feature].to_dict() for feature in sorted(found)]
    try:
        (folder / FILE).write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The descriptions cannot be kept in {str(folder)!r} ({first_line(error)})."
        ) from None


def read_names(folder: str | Path) -> dict[int, str]:
    """What features are called in a dictionary's folder. `InputError` as `read_descriptions`."""
    return {feature: one.label for feature, one in read_descriptions(folder).items()}


def read_descriptions(folder: str | Path) -> dict[int, FeatureDescription]:
    """The descriptions in a dictionary's folder by feature; none where it has none. `InputError` where they
    cannot be read."""
    file = Path(folder) / FILE
    if not file.is_file():
        return {}
    try:
        listed = json.loads(read_text(file, largest=_LARGEST, error=InputError))
        found = [FeatureDescription.from_dict(one) for one in listed]
        if not all(isinstance(one.feature, int) and isinstance(one.label, str) for one in found):
            raise ValueError("a feature is a number, and its label a text")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{str(file)!r} cannot be read ({first_line(error)}).") from None
    return {one.feature: one for one in found}
