"""What measures of a circuit share: what is never ablated, the two ends of the scale, and faithfulness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import DegeneratePairError, InputError, NonFiniteError
from interp.methods.common.circuit import Circuit
from interp.metrics import METRICS


@dataclass(frozen=True, kw_only=True)
class MeasuredCircuit:
    """A circuit that is measured, perhaps with all MLPs kept beside it."""

    circuit: Circuit  # with what is kept
    kept: tuple[str, ...]  # nodes that are never ablated, besides the input

    @classmethod
    def of(cls, circuit: Circuit, *, keep_mlps: bool) -> MeasuredCircuit:
        """`InputError` where MLPs are to be kept beside a circuit of edges."""
        if keep_mlps and circuit.level == "edge":
            raise InputError(
                "keep_mlps is for circuits of nodes; a circuit of edges names the edges of MLPs itself."
            )
        kept = tuple(name for name in circuit.candidates if keep_mlps and name.startswith("m"))
        return cls(circuit=circuit.union(kept), kept=kept)

    @property
    def members(self) -> tuple[str, ...]:
        """Those of the circuit, in the graph's order, without what is kept."""
        return tuple(name for name in self.circuit.names if name not in set(self.kept))

    @property
    def candidates(self) -> tuple[str, ...]:
        """What could be in the circuit, without what is kept."""
        return tuple(name for name in self.circuit.candidates if name not in set(self.kept))

    @property
    def full(self) -> Circuit:
        """The whole model."""
        return self.circuit.full

    @property
    def empty(self) -> Circuit:
        """Nothing but what is kept."""
        return self.circuit.empty.union(self.kept)


def faithfulness_of(
    means: Float[np.ndarray, "*cell"],
    full: Float[np.ndarray, " ..."] | float,
    empty: Float[np.ndarray, " ..."] | float,
) -> Float[np.ndarray, "*cell"]:
    """MIB's definition, of means over pairs: 1 as the full model, 0 as the empty circuit."""
    return (means - empty) / (full - empty)


def check_full_and_empty(
    full: Float[np.ndarray, " pair"], empty: Float[np.ndarray, " pair"], metric: str, ablation: str
) -> None:
    """Raise `DegeneratePairError` where faithfulness would divide by nearly nothing, `NonFiniteError` for
    NaN."""
    values = float(full.mean()), float(empty.mean())
    if not np.isfinite(values).all():
        raise NonFiniteError("The model's logits are NaN or infinite on these prompts; check its weights.")
    if abs(values[0] - values[1]) < METRICS[metric].min_span:
        raise DegeneratePairError(
            f"The full and the empty circuit hardly differ by {ablation} ablation: "
            f"{METRICS[metric].description} is "
            f"{values[0]:.4g} and {values[1]:.4g} on average, less than {METRICS[metric].min_span} apart, so "
            "faithfulness would divide by nearly nothing; choose another corruption, ablation or metric."
        )
