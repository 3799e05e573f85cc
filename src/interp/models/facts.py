"""What a notebook shows of a model: its facts, and the sites that can be read and edited on it."""

from __future__ import annotations

from typing import Protocol

from interp.architecture import Architecture, HasArchitecture
from interp.showing import Listing
from interp.sites import SITES


class HasSites(HasArchitecture, Protocol):
    """A model that says which sites it has, such as `interp.Model`."""

    @property
    def sites(self) -> list[str]: ...


def facts(model: HasSites) -> tuple[Listing, Listing]:
    """Which model it is and how it is built; and each of its sites, with the axes of its activations."""
    arch, of = model.arch, model.identity
    rows = (
        ("name", of.name if of.revision is None else f"{of.name} at {of.revision[:12]}"),
        ("backend", f"{of.backend}, {of.dtype} on {of.device}"),
        ("family", arch.family),
        ("layers", str(arch.n_layers)),
        ("heads", _heads(arch)),
        ("d_model, d_head, d_mlp", ", ".join(map(str, (arch.d_model, arch.d_head, arch.d_mlp)))),
        ("vocabulary", f"{arch.d_vocab} tokens"),
        ("context", "no limit known" if arch.n_ctx is None else f"{arch.n_ctx} tokens"),
        ("BOS", of.bos),
        ("weights", "raw" if of.processing == "none" else of.processing),
        ("self-check", of.self_check),
    )
    sizes = {"d_model": arch.d_model, "d_head": arch.d_head, "d_mlp": arch.d_mlp}
    sizes |= {"head": arch.n_heads, "kv_head": arch.n_kv_heads}
    sites = [
        (
            name,
            SITES[name].hook,
            ", ".join(f"{axis} {sizes[axis]}" if sizes.get(axis) else axis for axis in SITES[name].axes),
        )
        for name in model.sites
    ]
    return (
        Listing("Facts", ("", ""), rows),
        Listing("Sites: run_with_cache reads them, edits change them", ("site", "hook", "axes"), sites),
    )


def _heads(arch: Architecture) -> str:
    grouped = "" if arch.n_kv_heads == arch.n_heads else f", {arch.n_kv_heads} of keys and values"
    return f"{arch.n_heads}{grouped}"
