"""Results about sparse autoencoders of the first format."""

from __future__ import annotations

from collections.abc import Callable

from interp.format_1 import Fields
from interp.saes.results import SAEIdentity


def sae_identity(values: Fields) -> Fields:
    """The `SAEIdentity` of the old fields sae_model, site, n_features and, in some results, activation."""
    return SAEIdentity(
        model=values.pop("sae_model"),
        site=values.pop("site"),
        n_features=values.pop("n_features"),
        activation=values.pop("activation", None),
    ).to_dict()


def sae_quality(values: Fields) -> Fields:
    """The SAE was four fields among the others."""
    return {"sae": sae_identity(values), **values}


CHANGES: dict[str, Callable[[Fields], Fields]] = {"sae_quality": sae_quality}
