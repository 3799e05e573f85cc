"""What was found of circuits: results, read and shown without torch.

m is the metric's mean over pairs, with all but some nodes or edges ablated; C is the circuit, M the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from interp.errors import DegeneratePairError
from interp.methods.attribution.results import ScoresResult
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Level
from interp.methods.common.outlier_positions import OutlierPositions
from interp.metrics import LEAST_SPAN, weak_pairs
from interp.results import Interval, Pairs, Result

Construction = Literal["greedy", "top"]
CONSTRUCTIONS: tuple[Construction, ...] = ("greedy", "top")
#: What takes the place of what lies outside a circuit.
Ablation = Literal["resample", "mean", "mean_by_position", "mean_by_template", "zero"]
ABLATIONS: tuple[Ablation, ...] = ("resample", "mean", "mean_by_position", "mean_by_template", "zero")
BASELINES = ("full", "empty", "circuit")  # the first runs of a `FaithfulnessResult`


@dataclass(frozen=True, eq=False, kw_only=True)
class CircuitDiscoveryResult(ScoresResult):
    """The scores of all edges or nodes, and the circuit that was built from them."""

    kind: ClassVar[str] = "circuit_discovery"
    construction: str  # greedy | top
    n: int  # how many edges or nodes were taken, before pruning
    absolute: bool  # whether scores count by their size, whatever their sign
    members: tuple[str, ...]  # of the circuit, in the graph's order

    @property
    def circuit(self) -> Circuit:
        """The circuit as a value, with the scores of all edges or nodes."""
        return replace(self.scored, members=frozenset(self.members))


@dataclass(frozen=True, eq=False, kw_only=True)
class FaithfulnessResult(Result):
    """How a circuit does, beside the full model, the empty circuit and random circuits of the same size.

    Arrays over runs are in the order of `runs`: full, empty, circuit, random 0, random 1, ... Those over
    ablations begin with the one that was asked for.
    """

    kind: ClassVar[str] = "faithfulness"
    pairs: Pairs
    level: Level
    metric: str
    circuit: tuple[str, ...]  # its members, in the graph's order, without `kept`
    scores: Float[np.ndarray, " member"]  # of its members; empty where they have none
    n_candidates: int  # of how many nodes or edges
    kept: tuple[str, ...]  # nodes that are never ablated, besides the input
    ablations: tuple[str, ...]
    runs: tuple[str, ...]
    values: Float[np.ndarray, "ablation run pair"]  # the metric
    faithfulness: Interval  # [ablation, run], (m(run) - m(empty)) / (m(full) - m(empty))
    gap: Interval  # [ablation, run], |mean of m(full) - m(run)|, in the metric's unit
    left_out: tuple[tuple[str, str], ...]  # (ablation, why it is not here)
    outliers: OutlierPositions | None = None  # of the clean prompts; None: not kept

    @property
    def weak(self) -> tuple[int, ...]:
        """The pairs, by index, whose metric in the whole model is not above that of the empty circuit, by the
        ablation that was asked for."""
        full, empty = self.values[0, :2]
        return weak_pairs(self.metric, full, empty)

    @property
    def random_faithfulness(self) -> Float[np.ndarray, "ablation seed"]:
        """The faithfulness of the random circuits."""
        return self.faithfulness.value[:, len(BASELINES) :]

    @property
    def share(self) -> Float[np.ndarray, " ablation"]:
        """m(C) / m(M), as Wang et al. report it. Raises `DegeneratePairError` where m(M) is nearly 0."""
        full, circuit = self.values[:, 0].mean(-1), self.values[:, 2].mean(-1)
        if (np.abs(full) <= LEAST_SPAN * np.abs(self.values).max()).any():
            raise DegeneratePairError("The full model's metric is nearly 0, so nothing is a share of it.")
        return circuit / full


@dataclass(frozen=True, eq=False, kw_only=True)
class CompletenessResult(Result):
    """What is left of the metric without parts K of a circuit, and without the same parts of the model."""

    kind: ClassVar[str] = "completeness"
    pairs: Pairs
    level: Level
    metric: str
    ablation: str
    circuit: tuple[str, ...]  # its members, in the graph's order, without `kept`
    kept: tuple[str, ...]  # nodes that are never ablated, besides the input
    full_value: float  # m(M); this and all that follows in the metric's unit
    empty_value: float
    parts: tuple[str, ...]  # K: "nothing", names of groups, "random 0", ..., "greedy 1", ...
    part_members: tuple[tuple[str, ...], ...]
    circuit_without: Float[np.ndarray, " part"]  # m(C without K)
    model_without: Float[np.ndarray, " part"]  # m(M without K)
    minimality: Float[np.ndarray, " member"]  # of each of `circuit`, the largest over K
    minimality_part: tuple[str, ...]  # the K by which it is
    minimality_alone: Float[np.ndarray, " member"]  # with nothing as K
    outliers: OutlierPositions | None = None  # of the clean prompts; None: not kept
    #: m(M) of each pair, of which `full_value` is the mean; empty in runs that were stored without.
    full_values: Float[np.ndarray, " pair_or_none"] = field(default_factory=lambda: np.zeros(0))

    @property
    def incompleteness(self) -> Float[np.ndarray, " part"]:
        """|m(C without K) - m(M without K)| for each K, in the metric's unit."""
        return np.abs(self.circuit_without - self.model_without)


@dataclass(frozen=True, eq=False, kw_only=True)
class FaithfulnessCurveResult(Result):
    """Faithfulness of circuits of growing size, and of as large ones by random scores."""

    kind: ClassVar[str] = "faithfulness_curve"
    pairs: Pairs
    level: Level
    metric: str
    ablation: str
    construction: str  # the name of `build`: top | greedy | ...
    absolute: bool  # whether scores count by their size, whatever their sign
    n_scored: int  # edges or nodes
    fractions: Float[np.ndarray, " size"]  # of `n_scored`
    sizes: tuple[int, ...]  # int(fraction * n_scored)
    edges_left: tuple[int, ...]  # after pruning; of nodes, the edges between them
    full_values: Float[np.ndarray, " pair"]  # the metric of the whole model
    empty_values: Float[np.ndarray, " pair"]
    values: Float[np.ndarray, "size pair"]
    faithfulness: Interval  # [size], (m(C) - m(empty)) / (m(full) - m(empty))
    cpr: Interval  # [], the area under faithfulness over fractions
    cmd: Interval  # [], the area under |1 - faithfulness|
    random_faithfulness: Float[np.ndarray, "seed size"]
    random_cpr: Float[np.ndarray, " seed"]
    random_cmd: Float[np.ndarray, " seed"]
    outliers: OutlierPositions | None = None  # of the clean prompts; None: not kept
