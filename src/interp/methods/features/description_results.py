"""The result of naming features, without what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from interp.results import Dropped, Result
from interp.saes.descriptions import FeatureDescription
from interp.saes.results import SAEIdentity


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureDescriptionsResult(Result):
    """What features are called, and how well one tells by that name where they are active.
    `interp.methods.features.describe_features` says how it is scored."""

    kind: ClassVar[str] = "describe_features"
    text: str  # in words
    excluded: str
    sae: SAEIdentity
    by: str
    descriptions: tuple[FeatureDescription, ...]
    left_out: tuple[Dropped, ...]  # features that are active at too few tokens
