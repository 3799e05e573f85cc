"""Faithfulness by size of circuit as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_circuits import OWN, CircuitConfig
from interp.methods.attribution.results import EdgeMethod
from interp.methods.circuits.results import Construction

if TYPE_CHECKING:
    from interp.methods.circuits.results import FaithfulnessCurveResult
    from interp.methods.common.circuit import Circuit
    from interp.models.base import Model


class FaithfulnessCurveConfig(CircuitConfig):
    """See `interp.faithfulness_curve` for what each key means. Without a `circuit`, a file with scores, all
    edges (or nodes, by `level`) are scored first, by `method`, on other pairs than those of the curve:
    seed + 1."""

    circuit: str | None = None  # type: ignore[assignment]  # the others need one
    method: EdgeMethod = "eap-ig-inputs"
    steps: int = 5
    construction: Construction = "top"
    absolute: bool = True
    n_random: int = 3
    include_outliers: bool = False

    def scored(self, model: Model) -> Circuit:
        """The circuit with the scores that make the order."""
        if self.circuit is not None:
            return self.read(model)
        from interp.methods.attribution.edge_attribution import edge_attribution, node_attribution

        others = self.model_copy(update={"seed": self.seed + 1}).dataset(model)
        score = node_attribution if self.level == "node" else edge_attribution
        options = {"method": self.method, "steps": self.steps, "metric": self.metric}
        return score(model, others, **options, batch_size=self.batch_size, seed=self.seed).scored  # type: ignore[arg-type]


@experiment("faithfulness_curve", config=FaithfulnessCurveConfig)
def run(config: FaithfulnessCurveConfig, model: Model) -> FaithfulnessCurveResult:
    """How large must a circuit be? Faithfulness by size, with CPR and CMD, from a file of scores."""
    from interp.methods.circuits.circuit_discovery import greedy
    from interp.methods.circuits.faithfulness_curve import faithfulness_curve
    from interp.methods.common.circuit import Circuit

    dataset, scored = config.dataset(model), config.scored(model)
    build = greedy if config.construction == "greedy" else Circuit.top
    arguments = config.arguments(*OWN, "method", "steps", "construction")
    return faithfulness_curve(model, dataset, scored, build=build, **arguments, seed=config.seed)
