"""Positions whose residual stream is far longer than at others: what was measured, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from interp.results import Stored

THRESHOLD = 5.0  # times the typical norm of a layer, from which on a position is an outlier


@dataclass(frozen=True, kw_only=True)
class OutlierPositions(Stored):
    """The positions of each prompt that ablation leaves as they are, unless they were asked for.

    At the beginning of a sequence, and at other tokens that heads attend to where they have nothing to say
    (attention sinks), some models hold activations that are tens or hundreds of times longer than elsewhere.
    Zeros or a mean in their place are nothing that the model has ever seen, and in a mean they outweigh all
    others.
    """

    kind: ClassVar[str] = "outlier_positions"
    threshold: float  # times the typical norm: the median over the prompts' positions, layer by layer
    largest: float  # norm over the typical one, of any position in any layer but the last
    positions: tuple[tuple[int, ...], ...]  # of each prompt
    left_out: bool  # whether they were left as they are, and left out of means

    @property
    def n(self) -> int:
        """How many there are in all prompts."""
        return sum(map(len, self.positions))

    @property
    def at(self) -> tuple[tuple[int, ...], ...]:
        """Those that are left as they are, of each prompt."""
        return self.positions if self.left_out else tuple(() for _ in self.positions)

    @property
    def sentence(self) -> str:
        """What was found and done, for a page."""
        if not self.n:
            return (
                f"No position has an outlying norm (at most {self.largest:.2g} times the typical one of a "
                f"layer; {self.threshold:g} would be)."
            )
        done = "left as they are, and left out of means" if self.left_out else "ablated like all others"
        where = sorted({position for own in self.positions for position in own})
        which = "position 0" if where == [0] else f"positions {', '.join(map(str, where[:6]))}"
        return (
            f"Positions with an outlying norm ({which}; up to {self.largest:.3g} times the typical one of a "
            f"layer, {self.threshold:g} or more count) were {done}."
        )
