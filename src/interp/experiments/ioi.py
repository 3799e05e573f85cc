"""Indirect objects from end to end, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.studies.results import IOIResult
    from interp.models.base import Model


class IOIConfig(ExperimentConfig):
    """See `interp.ioi` for what each key means."""

    n: int = 60
    templates: str | list[str] = "paper"
    names: list[str] = ["John", "Mary"]  # noqa: RUF012  # pydantic copies it
    least: float = 0.02
    attends: float = 0.2
    n_random: int = 5
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64


@experiment("ioi", config=IOIConfig)
def run(config: IOIConfig, model: Model) -> IOIResult:
    """Which heads find the indirect object, and how? Wang et al.'s analysis, step by step, on any model."""
    from interp.methods.studies.ioi import ioi

    arguments = config.model_dump(exclude={*ExperimentConfig.model_fields, "names"})
    first, second = config.names
    return ioi(model, **arguments, names=(first, second), seed=config.seed)
