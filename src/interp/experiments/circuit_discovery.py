"""Discovery of a circuit as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.circuits.circuit_discovery import DiscoveryResult
    from interp.models.base import Model


class DiscoveryConfig(PairsConfig):
    """See `interp.discover` and `interp.edge_scores` for what each key means."""

    n_members: int = 50  # edges or nodes of the circuit, before pruning
    level: Literal["edge", "node"] = "edge"
    construction: Literal["greedy", "top"] = "greedy"
    absolute: bool = True
    method: Literal["exact", "eap", "eap-ig-inputs", "eap-ig-activations"] = "exact"
    steps: int = 5
    direction: Literal["denoising", "noising"] = "noising"
    metric: Literal["logit_diff", "prob", "kl"] = "logit_diff"
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64


@experiment("discovery", config=DiscoveryConfig, shown_by="interp.figures.views.circuit_discovery")
def run(config: DiscoveryConfig, model: Model) -> DiscoveryResult:
    """Which edges or nodes make up the circuit of a behaviour? Score all of them, and build it."""
    from interp.methods.circuits.circuit_discovery import discover

    arguments = config.arguments("n_members")
    return discover(model, config.dataset(model), n=config.n_members, **arguments, seed=config.seed)
