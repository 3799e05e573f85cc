"""Discovery of a circuit as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig
from interp.methods.attribution.results import EdgeMethod
from interp.methods.circuits.results import Construction
from interp.methods.common.graph import Level
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.circuits.results import CircuitDiscoveryResult
    from interp.models.base import Model


class CircuitDiscoveryConfig(PairsConfig):
    """See `interp.circuit_discovery` and `interp.edge_attribution` for what each key means."""

    n_members: int = 50  # edges or nodes of the circuit, before pruning
    level: Level = "edge"
    construction: Construction = "greedy"
    absolute: bool = True
    method: EdgeMethod = "exact"
    steps: int = 5
    direction: Literal["denoising", "noising"] = "noising"
    metric: MetricKind = "logit_diff"
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64


@experiment("circuit_discovery", config=CircuitDiscoveryConfig)
def run(config: CircuitDiscoveryConfig, model: Model) -> CircuitDiscoveryResult:
    """Which edges or nodes make up the circuit of a behaviour? Score all of them, and build it."""
    from interp.methods.circuits.circuit_discovery import circuit_discovery

    arguments = config.arguments("n_members")
    return circuit_discovery(model, config.dataset(model), n=config.n_members, **arguments, seed=config.seed)
