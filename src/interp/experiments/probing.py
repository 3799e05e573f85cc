"""Linear probes, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_labels import LabelledConfig

if TYPE_CHECKING:
    from interp.methods.probing.results import ProbingResult
    from interp.models.base import Model


class ProbingConfig(LabelledConfig):
    """See `interp.probing` for what each key means, and `LabelledConfig` for the prompts."""

    site: str = "resid_post"
    layers: list[int] | None = None
    roles: list[str] = ["END"]  # noqa: RUF012  # pydantic copies it
    folds: int = 5
    n_shuffled: int = 3
    selectivity: bool = True
    untrained: bool = True


@experiment("probing", config=ProbingConfig)
def run(config: ProbingConfig, model: Model) -> ProbingResult:
    """Where can a label be read off the activations, and could it be read without them?"""
    from interp.methods.probing.probing import probing

    arguments = config.model_dump(exclude={*LabelledConfig.model_fields})
    return probing(model, config.labelled(model), **arguments, seed=config.seed)
