"""Where a result came from, in enough detail to trust it later."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from interp.architecture import HasArchitecture

_PACKAGES = ("interp-workbench", "torch", "transformers", "transformer-lens", "nnsight", "numpy")


@dataclass(frozen=True)
class Provenance:
    """The model, the seed, and the versions of everything that took part."""

    model: str
    revision: str | None
    backend: str
    dtype: str
    device: str
    bos: str
    processing: str
    self_check: str  # passed | skipped
    seed: int
    python: str
    versions: dict[str, str]
    code_revision: str | None  # the commit of a source checkout; None for an installed package
    code_dirty: bool | None
    quantisation: str | None = None  # what weights were dequantised from (Q4_K_M), or are packed by
    weights: str | None = None  # SHA-256 of the weights of a model in memory, as they were when it was loaded
    post_norms: bool = False  # whether a norm stands behind attention and MLP, as in Gemma 2 and 3

    @classmethod
    def of(cls, model: HasArchitecture, *, seed: int) -> Provenance:
        """The provenance of a result that `model` gives now."""
        identity = model.identity.to_dict()
        commit, dirty = code_state()
        return cls(
            model=identity.pop("name"),
            **identity,
            seed=seed,
            python=platform.python_version(),
            versions=_versions(),
            code_revision=commit,
            code_dirty=dirty,
            post_norms=model.arch.post_norms,
        )

    @classmethod
    def without_model(cls, name: str, *, seed: int) -> Provenance:
        """The provenance of a result that is made of arrays, which this library has not computed."""
        commit, dirty = code_state()
        return cls(
            model=name,
            revision=None,
            backend="none",
            dtype="unknown",
            device="none",
            bos="none",
            processing="none",
            self_check="skipped",
            seed=seed,
            python=platform.python_version(),
            versions=_versions(),
            code_revision=commit,
            code_dirty=dirty,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@lru_cache
def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache
def code_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this file is tracked in, and whether it has uncommitted changes."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)  # not some other repository that we are installed in
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None
