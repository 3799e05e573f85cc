"""Faithfulness as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_circuits import OWN, CircuitConfig
from interp.methods.circuits.results import Ablation

if TYPE_CHECKING:
    from interp.methods.circuits.results import FaithfulnessResult
    from interp.models.base import Model


class FaithfulnessConfig(CircuitConfig):
    """See `interp.faithfulness` for what each key means."""

    compare: Literal["all"] | list[Ablation] = "all"
    keep_mlps: bool = False
    include_outliers: bool = False
    n_random: int = 5


@experiment("faithfulness", config=FaithfulnessConfig)
def run(config: FaithfulnessConfig, model: Model) -> FaithfulnessResult:
    """Does a circuit do what the model does? Faithfulness, beside random circuits and other ablations."""
    from interp.methods.circuits.faithfulness import faithfulness

    dataset, circuit = config.dataset(model), config.read(model)
    return faithfulness(model, dataset, circuit, **config.arguments(*OWN), seed=config.seed)
