"""The result of the benchmark of dictionaries, without what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from interp.results import Dropped, Estimate, Result

MEASURES = (
    "L0",
    "explained variance",
    "CE recovered",
    "precision",
    "recall",
    "F1",
    "F1 of k features",
    "absorption",
    "splitting",
    "dead",
    "duplicates",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class SAEBenchmarkResult(Result):
    """Dictionaries measured against labels that are known; a row for each setting, with an interval over
    seeds. `interp.methods.features.label_benchmark` says what each measure is; those of labels are means over
    the labels. CE recovered is against the mean activation."""

    kind: ClassVar[str] = "sae_benchmark"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"measures"})
    site: str  # the hook name
    trained_on: str
    text: str
    held_out: str
    settings: tuple[str, ...]  # one a row, in words
    n_features: Int[np.ndarray, " row"]
    k: int
    seeds: int
    measures: Estimate  # [row, measure], as `MEASURES` names them
    labels: tuple[str, ...]
    n_with_label: Int[np.ndarray, " label"]  # tokens of the half that is measured
    f1: Float[np.ndarray, "row label"]  # of the best feature, the mean over seeds
    left_out: tuple[Dropped, ...]  # labels that are on too few tokens
