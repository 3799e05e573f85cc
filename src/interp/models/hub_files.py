"""Files on the Hugging Face hub that are no models: published lenses."""

from __future__ import annotations

import re
from pathlib import Path

from interp.errors import InputError, first_line

_ON_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?:(?P<file>[\w./-]+)")


def hub_file(source: str, *, what: str) -> Path:
    """The file that ``org/repo:file`` or ``org/repo@revision:file`` names, fetched once and found in the
    local cache from then on. `InputError` where `source` is no such place, or the hub does not give it;
    `what` says what it should be."""
    place = _ON_HUB.fullmatch(source)
    if place is None:
        raise InputError(
            f"There is no {what} {source!r}; give a folder, a file, or a place on the hub as org/repo:file."
        )
    from huggingface_hub import hf_hub_download

    try:
        return Path(
            hf_hub_download(place["repo"], place["file"], revision=place["revision"], etag_timeout=10)
        )
    except Exception as error:  # of many kinds: no network, no such repository, revision or file
        raise InputError(
            f"The hub could not give {source!r} ({first_line(error)}), and the local cache does not have it; "
            "check the name and your connection, or give a file."
        ) from error
