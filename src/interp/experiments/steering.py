"""Steering by a feature of a sparse autoencoder, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import Message, experiment
from interp.experiments.on_saes import SAEConfig

if TYPE_CHECKING:
    from interp.methods.steering.results import SteeringResult
    from interp.models.base import Model


class SteeringConfig(SAEConfig):
    """See `interp.steering` for what each key means."""

    prompts: str | list[str] | list[Message] | list[list[Message]] = "The capital of France is"
    feature: int = 0
    strengths: list[float] = [-200.0, -100.0, -50.0, 0.0, 50.0, 100.0, 200.0]  # noqa: RUF012  # pydantic copies it
    op: Literal["add", "set"] = "add"
    unit: Literal["own", "norm"] = "own"
    positions: list[int] | None = None
    track: list[str] = []  # noqa: RUF012
    n_tokens: int = 12
    k: int = 5


@experiment("steering", config=SteeringConfig)
def run(config: SteeringConfig, model: Model) -> SteeringResult:
    """What does the model say as a feature of an SAE is added in more and more strength?"""
    from interp.methods.steering.steering import steering

    arguments = config.model_dump(exclude={*SAEConfig.model_fields, "prompts", "strengths"})
    return steering(
        model,
        config.prompts,
        config.strengths,
        sae=config.dictionary(model),
        **arguments,
        seed=config.seed,
    )
