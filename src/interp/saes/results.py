"""How good a sparse autoencoder is, as a result; and which one it is, for all results that used one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.errors import DegeneratePairError
from interp.results import Result, Stored


@dataclass(frozen=True, kw_only=True)
class SAEIdentity(Stored):
    """Which sparse autoencoder it is."""

    kind: ClassVar[str] = "sae"
    model: str  # the one that it was trained for
    site: str  # the hook name
    n_features: int
    activation: str | None  # standard, topk, batchtopk, jumprelu; None: an old run that did not keep it
    #: What features that a result speaks of are called in the SAE's folder (`interp.saes.descriptions`).
    names: tuple[tuple[int, str], ...] = ()

    def naming(self, names: Mapping[int, str], features: Iterable[int]) -> SAEIdentity:
        """The same, with the names of some features, of those that have one."""
        kept = sorted(set(features) & names.keys())
        return replace(self, names=tuple((feature, names[feature]) for feature in kept))

    def called(self, feature: int) -> str:
        """``490 (indirect object)``, or the number alone of a feature without a name."""
        name = dict(self.names).get(feature)
        return str(feature) if name is None else f"{feature} ({name})"


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEQualityResult(Result):
    """How good an SAE is on a text. `interp.saes.metrics` says what each number means."""

    kind: ClassVar[str] = "sae_quality"
    shown_by: ClassVar[str] = "interp.figures.views.train_sae"
    text: str  # what it was measured on, in words
    excluded: str
    n_tokens: int
    sae: SAEIdentity
    l0: float  # features of a token
    explained_variance: float
    explained_variance_per_token: float
    ce_clean: float  # nats, as are the three below
    ce_sae: float
    ce_zero: float
    ce_mean: float
    density: Float[np.ndarray, " feature"]  # the share of tokens
    losses: Float[np.ndarray, "step part"] | None = None  # of the training; None for an SAE that was loaded
    loss_names: tuple[str, ...] = ()

    @property
    def recovered_from_zero(self) -> float:
        """CE recovered, against zeros."""
        return ce_recovered(clean=self.ce_clean, sae=self.ce_sae, ablated=self.ce_zero)

    @property
    def recovered_from_mean(self) -> float:
        """CE recovered, against the mean activation."""
        return ce_recovered(clean=self.ce_clean, sae=self.ce_sae, ablated=self.ce_mean)

    @property
    def dead(self) -> float:
        """The share of features that are never active on this text."""
        return dead_share(self.density)


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEQualitiesResult(Result):
    """How good SAEs of several sites are, that were trained from one stream of activations."""

    kind: ClassVar[str] = "sae_qualities"
    shown_by: ClassVar[str] = "interp.figures.views.train_saes"
    saes: tuple[SAEQualityResult, ...]  # measured on the same text


@dataclass(frozen=True, eq=False, kw_only=True)
class TranscoderQualityResult(Result):
    """How good the transcoders of a model are on a text. `interp.saes.transcoder_metrics` says what each
    number means."""

    kind: ClassVar[str] = "transcoder_quality"
    shown_by: ClassVar[str] = "interp.figures.views.train_transcoders"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"explained_variance"})
    text: str  # what it was measured on, in words
    excluded: str
    n_tokens: int
    transcoders: tuple[SAEIdentity, ...]  # one a layer
    skip: bool  # whether they have a linear map beside their features
    cross_layer: bool = False  # whether features also write to the MLPs above
    l0: Float[np.ndarray, " layer"]  # features of a token
    explained_variance: Float[np.ndarray, " layer"]  # NaN where an MLP writes the same at every token
    ce_clean: float  # nats, as are all below
    ce_layer: Float[np.ndarray, " layer"]  # with the MLP of one layer replaced
    ce_layer_mean: Float[np.ndarray, " layer"]  # with the mean of what it writes in its place
    ce_all: float  # with all MLPs replaced
    ce_all_mean: float  # with the means in the place of all
    density: Float[np.ndarray, "layer feature"]  # the share of tokens
    losses: Float[np.ndarray, "layer step part"] | None = None  # of the training; None for those loaded
    loss_names: tuple[str, ...] = ()

    @property
    def recovered(self) -> float:
        """CE recovered with all MLPs replaced, against their means."""
        return ce_recovered(clean=self.ce_clean, sae=self.ce_all, ablated=self.ce_all_mean)

    @property
    def dead(self) -> Float[np.ndarray, " layer"]:
        """The share of features of each layer that are never active on this text."""
        return (self.density == 0).mean(1)


# ---- metrics that are made of other metrics ----


def ce_recovered(*, clean: float, sae: float, ablated: float) -> float:
    """The share of ablation's cost that the SAE saves; `DegeneratePairError` where it costs nothing."""
    if not ablated - clean > 1e-6:
        raise DegeneratePairError(
            f"Ablating this site does not raise the cross-entropy (from {clean:.6f} to {ablated:.6f}), so "
            "there is nothing to recover; choose another site, or more text."
        )
    return (ablated - sae) / (ablated - clean)


def dead_share(density: Float[np.ndarray, " feature"]) -> float:
    """The share of features that are never above 0."""
    return float((density == 0).mean())


def density_histogram(
    density: Float[np.ndarray, " feature"], *, bins: int = 20
) -> tuple[Float[np.ndarray, " edge"], Int[np.ndarray, " bin"]]:
    """The edges in log10 of the density, from the lowest (-1 or below) to 0, and how many features lie
    between each two, without dead ones."""
    alive = np.log10(density[density > 0])
    counts, edges = np.histogram(alive, bins=bins, range=(float(alive.min(initial=-1.0)), 0.0))
    return edges, counts
