"""Completeness and minimality as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_circuits import OWN, CircuitConfig

if TYPE_CHECKING:
    from interp.methods.circuits.results import CompletenessResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class CompletenessConfig(CircuitConfig):
    """See `interp.completeness` for what each key means."""

    groups: dict[str, list[str]] = {}  # noqa: RUF012  # pydantic copies it
    keep_mlps: bool = False
    include_outliers: bool = False
    n_random: int = 3
    n_greedy: int = 2
    most_members: int = 100

    def check(self, model: Model, dataset: PairDataset) -> None:
        from interp.methods.circuits.completeness import named_parts
        from interp.methods.circuits.measures import MeasuredCircuit

        named_parts(MeasuredCircuit.of(self.read(model), keep_mlps=self.keep_mlps), self.groups)


@experiment("completeness", config=CompletenessConfig)
def run(config: CompletenessConfig, model: Model) -> CompletenessResult:
    """Does a circuit have all that it needs, and nothing else? Completeness and minimality."""
    from interp.methods.circuits.completeness import completeness

    dataset, circuit = config.dataset(model), config.read(model)
    return completeness(model, dataset, circuit, **config.arguments(*OWN), seed=config.seed)
