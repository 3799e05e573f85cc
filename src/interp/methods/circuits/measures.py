"""What measures of a circuit share: what is never ablated, the two ends of the scale, and faithfulness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.answers import Answer
from interp.errors import DegeneratePairError, InputError, NonFiniteError
from interp.methods.common.circuit import Circuit
from interp.methods.common.pairs import metric_spread
from interp.metrics import LEAST_SPAN, METRICS
from interp.models.base import Model
from interp.tasks.base import PairDataset


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
    model: Model,
    dataset: PairDataset,
    full: Float[np.ndarray, " pair"],
    empty: Float[np.ndarray, " pair"],
    metric: str,
    ablation: str,
) -> None:
    """Raise `DegeneratePairError` where faithfulness would divide by nearly nothing: less than `LEAST_SPAN`
    of the metric's spread. `NonFiniteError` for NaN."""
    values, known = (float(full.mean()), float(empty.mean())), METRICS[metric]
    if not np.isfinite(values).all():
        raise NonFiniteError("The model's logits are NaN or infinite on these prompts; check its weights.")
    spread = _mean_spread(model, dataset, metric, values)
    measured = f"{known.description} is {values[0]:.4g} and {values[1]:.4g} on average"
    if abs(values[0] - values[1]) <= LEAST_SPAN * spread:
        raise DegeneratePairError(
            f"The full and the empty circuit hardly differ by {ablation} ablation: {measured}, less than "
            f"{LEAST_SPAN:.0%} of {known.spread} ({spread:.3g}) apart, so faithfulness would divide by "
            "nearly nothing; choose another corruption, ablation or metric."
        )


def _mean_spread(model: Model, dataset: PairDataset, metric: str, values: Sequence[float]) -> float:
    """The metric's spread, the mean over the clean prompts."""
    spreads = []
    for pair in dataset:
        last = model.forward(model.to_tokens([pair.clean]))[0, -1]
        at_once = Answer.of(pair.answer).at_once and Answer.of(pair.foil).at_once
        spreads.append(metric_spread(metric, last, values=values, at_once=at_once))
    return float(np.mean(spreads))
