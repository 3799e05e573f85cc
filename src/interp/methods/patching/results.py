"""What patching found: results, read and shown without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.methods.common.graph import Node
from interp.results import Estimate, Pairs, Result


@dataclass(frozen=True, eq=False, kw_only=True)
class PathPatchingResult(Result):
    """The direct and the total effect of each sender: the metric patched minus the metric of the base run."""

    kind: ClassVar[str] = "path_patching"
    pairs: Pairs
    direction: str  # noising | denoising
    mlps: str  # frozen | recomputed
    metric: str
    path: str  # branching | plain
    n_layers: int
    n_heads: int
    senders: tuple[str, ...]  # such as a9.h6, or a9.h6+a9.h9 for several at once
    receivers: tuple[str, ...]
    role: str  # of the positions at which receivers are patched; empty: all
    direct: Estimate  # [sender], through the receivers alone; in the metric's unit
    total: Estimate  # [sender], through all who read it
    clean_values: Float[np.ndarray, " pair"]  # the metric, unpatched
    corrupted_values: Float[np.ndarray, " pair"]

    @property
    def base_value(self) -> float:
        """The metric of the base run, the mean over pairs."""
        return float((self.clean_values if self.direction == "noising" else self.corrupted_values).mean())

    def by_head(self, effect: Float[np.ndarray, " sender"]) -> Float[np.ndarray, "layer head"]:
        """Effects of senders, such as `direct.mean`, as a map of heads; NaN where a head is no sender."""
        grid = np.full((self.n_layers, self.n_heads), np.nan)
        for sender, value in zip(self.senders, effect, strict=True):
            node = None if "+" in sender else Node.parse(sender)
            if node is not None and node.kind == "head":
                grid[node.layer, node.head] = value
        return grid
