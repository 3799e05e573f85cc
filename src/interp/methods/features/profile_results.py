"""What features are about, as a result: a profile of each, of values that say what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import numpy as np

from interp.errors import InputError
from interp.results import Dropped, Result, Stored
from interp.saes.results import SAEIdentity


class Bar(NamedTuple):
    """One bin of a histogram."""

    low: float
    high: float
    number: int


@dataclass(frozen=True, kw_only=True)
class Histogram(Stored):
    """How many of some numbers lie in each of equal bins."""

    kind: ClassVar[str] = "histogram"
    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def bars(self) -> tuple[Bar, ...]:
        edges = np.linspace(self.low, self.high, len(self.counts) + 1).tolist()
        return tuple(map(Bar, edges[:-1], edges[1:], self.counts))


@dataclass(frozen=True, kw_only=True)
class Context(Stored):
    """A stretch of the text around a token at which the feature is active."""

    kind: ClassVar[str] = "context"
    sequence: int
    position: int  # of the marked token in its sequence
    marked: int  # its place among `tokens`
    tokens: tuple[str, ...]
    active: tuple[int, ...]  # the places of the tokens at which the feature is active
    strengths: tuple[float, ...]  # of the feature there

    @property
    def values(self) -> tuple[float, ...]:
        """The feature at each token; 0 at the first position of a sequence."""
        at = dict(zip(self.active, self.strengths, strict=True))
        return tuple(at.get(place, 0.0) for place in range(len(self.tokens)))


class TokenLogit(NamedTuple):
    token: str
    logit: float


@dataclass(frozen=True, kw_only=True)
class TokenLogits(Stored):
    """What a feature adds to the logits of some tokens."""

    kind: ClassVar[str] = "token_logits"
    tokens: tuple[str, ...]
    logits: tuple[float, ...]

    @property
    def rows(self) -> tuple[TokenLogit, ...]:
        return tuple(map(TokenLogit, self.tokens, self.logits))


class Neighbour(NamedTuple):
    feature: int
    cosine: float


@dataclass(frozen=True, kw_only=True)
class Neighbours(Stored):
    """The features whose decoder directions are nearest, the nearest first."""

    kind: ClassVar[str] = "neighbours"
    features: tuple[int, ...]
    cosines: tuple[float, ...]

    @property
    def rows(self) -> tuple[Neighbour, ...]:
        return tuple(map(Neighbour, self.features, self.cosines))


class Writer(NamedTuple):
    sender: str
    part: float


@dataclass(frozen=True, kw_only=True)
class Writers(Stored):
    """What each sender gives to a feature's pre-activation, in the order in which they write; at last the
    constant."""

    kind: ClassVar[str] = "writers"
    senders: tuple[str, ...]
    parts: tuple[float, ...]

    @property
    def rows(self) -> tuple[Writer, ...]:
        return tuple(map(Writer, self.senders, self.parts))


class LabelScore(NamedTuple):
    """How well a feature says a label."""

    label: str
    n_with_label: int  # tokens of the held-out half
    chosen_f1: float  # at the threshold, on the half on which that was chosen
    threshold: float  # the one with the best F1 there
    precision: float  # above 0, held out; as the two below
    recall: float
    f1: float
    best_precision: float  # at the threshold, held out; as the two below
    best_recall: float
    best_f1: float


@dataclass(frozen=True)
class LabelScores(Stored):
    """How well a feature says each label, the best first by the half on which thresholds were chosen. The
    columns are those of a `LabelScore`."""

    kind: ClassVar[str] = "label_scores"
    labels: tuple[str, ...]
    n_with_label: tuple[int, ...]
    chosen_f1: tuple[float, ...]
    threshold: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    best_precision: tuple[float, ...]
    best_recall: tuple[float, ...]
    best_f1: tuple[float, ...]

    @classmethod
    def of(cls, rows: Sequence[LabelScore]) -> LabelScores:
        """The columns of these rows."""
        return cls(*zip(*rows, strict=True)) if rows else cls(*[()] * len(fields(cls)))

    @property
    def rows(self) -> tuple[LabelScore, ...]:
        columns = (getattr(self, column.name) for column in fields(self))
        return tuple(map(LabelScore, *columns))


@dataclass(frozen=True, kw_only=True)
class FeatureProfile(Stored):
    """What one feature is about. A feature that is nowhere active has no contexts, logits or writers."""

    kind: ClassVar[str] = "feature_profile"
    feature: int
    n_active: int  # tokens at which it is active
    n_tokens: int  # of the text, that are counted
    strongest: float
    histogram: Histogram  # of its activations above 0, from 0 to the strongest
    contexts: tuple[Context, ...]  # the strongest first
    lower: tuple[Context, ...]  # from further down the feature's range
    raised: TokenLogits  # the largest first
    lowered: TokenLogits  # the lowest first
    logit_histogram: Histogram  # of what it adds to every token's logit
    neighbours: Neighbours
    writers: Writers
    labels: LabelScores
    link: str | None  # its page at Neuronpedia
    name: str | None = None  # what it is called in the SAE's folder

    @property
    def density(self) -> float:
        """The share of tokens at which it is active."""
        return self.n_active / self.n_tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureProfilesResult(Result):
    """What some features of an SAE are about.

    Logits are what the feature adds directly at its strongest context, less the mean over the vocabulary,
    with the final norm's scale frozen there. Writers are means over the four strongest contexts, in units of
    the feature's pre-activation. What this model or site cannot give is empty; `left_out` says why.
    """

    kind: ClassVar[str] = "feature_profiles"
    text: str
    excluded: str
    n_tokens: int  # counted
    n_sequences: int
    sequence_length: int  # of the longest
    sae: SAEIdentity
    neuronpedia: str | None  # the SAE's id there, such as gpt2-small/8-res-jb
    profiles: tuple[FeatureProfile, ...]
    left_out: tuple[Dropped, ...]  # parts of the profiles

    @property
    def features(self) -> tuple[int, ...]:
        """The numbers of the features, in the order of their profiles."""
        return tuple(profile.feature for profile in self.profiles)

    def of(self, feature: int) -> FeatureProfile:
        """The profile of a feature; `InputError` where it was not asked for."""
        for profile in self.profiles:
            if profile.feature == feature:
                return profile
        shown = ", ".join(map(str, self.features[:8]))
        more = f" and {len(self.profiles) - 8} more" if len(self.profiles) > 8 else ""
        raise InputError(f"Feature {feature} was not asked for; there are {shown}{more}.")
