"""Folders of dictionaries on the Hugging Face hub: fetched once, then found in its local cache."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from interp.errors import InputError, first_line
from interp.saes.releases import CANONICAL, Release

_LAYER = "{layer}"  # of a pattern
_MOST_NAMED = 4  # of what is there, in an error


def fetched(repo: str, revision: str | None, folder: str) -> Path:
    """The local copy of a repository's folder (or file), fetched where it is not in the cache; "" is
    all of it. A pattern with ``{layer}`` stays one. `InputError` where there is none, or no answer."""
    from huggingface_hub import snapshot_download

    folder = _named(repo, revision, folder)
    try:
        local = snapshot_download(repo, revision=revision, allow_patterns=_wanted(folder), etag_timeout=10)
    except Exception as error:  # of many kinds: no network, no such repository, no such revision
        raise InputError(
            f"The hub could not give {repo!r} ({first_line(error)}), and the local cache does not have it; "
            "check the name and your connection, or give a folder."
        ) from error
    if folder and not any(Path(local).glob(folder.replace(_LAYER, "*"))):
        raise InputError(
            f"Neither the hub nor its local cache gives {folder!r} of {repo!r}{_offline()}. {_here(repo)}"
        )
    return Path(local) / folder


def cached_folders(repo: str, revision: str | None = None) -> list[str]:
    """The folders of a repository that the local cache has, with files in them; none where it has none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        local = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return []
    return sorted({file.parent.relative_to(local).as_posix() for file in local.rglob("*") if file.is_file()})


def names_here(release: Release) -> list[str]:
    """The names of those of a release's dictionaries that the local cache has."""
    places = [f"{repo}:{folder}" for repo in release.repositories for folder in cached_folders(repo)]
    return [name for place in places if (name := release.name_of(place)) is not None]


def _named(repo: str, revision: str | None, folder: str) -> str:
    """A folder by its own name: the one of a release's dictionaries whose mean L0 is closest to 100, where
    that one is asked for."""
    if PurePosixPath(folder).name != CANONICAL:
        return folder
    from huggingface_hub import HfApi

    above = str(PurePosixPath(folder).parent)
    try:
        paths = [entry.path for entry in HfApi().list_repo_tree(repo, path_in_repo=above, revision=revision)]
    except Exception as error:  # of many kinds
        raise InputError(
            f"Which dictionary of {above!r} has the L0 closest to 100 must be asked of the hub, which gives "
            f"no answer ({first_line(error)}); name one by its L0. {_here(repo)}"
        ) from error
    sizes = {path: int(found[1]) for path in paths if (found := re.search(r"/average_l0_(\d+)$", path))}
    if not sizes:
        raise InputError(f"{repo!r} has no dictionaries in {above!r}. {_here(repo)}")
    return min(sizes, key=lambda path: (abs(sizes[path] - 100), sizes[path]))


def _wanted(folder: str) -> list[str]:
    """What is fetched of a repository: a folder or file, and the configuration of the run beside it, which
    names the model of some formats."""
    if not folder:
        return ["*"]
    every = folder.replace(_LAYER, "*")
    return [every, f"{every}/*", str(PurePosixPath(folder).parent / "config.json")]


def _offline() -> str:
    from huggingface_hub import constants

    return " (HF_HUB_OFFLINE is set, so nothing is fetched)" if constants.HF_HUB_OFFLINE else ""


def _here(repo: str) -> str:
    """What the local cache has of a repository, in a sentence."""
    found = [folder for folder in cached_folders(repo) if folder != "."]
    if not found:
        return "The local cache has none of it."
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"The local cache has {', '.join(map(repr, found[:_MOST_NAMED]))}{more}."
