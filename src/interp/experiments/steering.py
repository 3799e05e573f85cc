"""Steering by a feature of a sparse autoencoder or along a direction, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from interp.experiments.base import Message, experiment
from interp.experiments.on_saes import SAEConfig
from interp.experiments.on_text import reading_of

if TYPE_CHECKING:
    from interp.methods.steering.results import SteeringResult
    from interp.models.base import Model


class SteeringConfig(SAEConfig):
    """See `interp.steering` for what each key means. By a feature of an SAE; or, with `directions`, a file of
    `interp.write_directions`, along its direction of the number `direction`. The cost is measured on
    `sequences` of `length` tokens of `text` (`interp.reading_text`; null: not at all)."""

    prompts: str | list[str] | list[Message] | list[list[Message]] = "The capital of France is"
    feature: int = 0
    directions: str | None = None
    direction: int = 0
    strengths: list[float] = [-200.0, -100.0, -50.0, 0.0, 50.0, 100.0, 200.0]  # noqa: RUF012  # pydantic copies it
    op: Literal["add", "set"] = "add"
    unit: Literal["own", "norm"] = "own"
    positions: list[int] | None = None
    track: list[str] = []  # noqa: RUF012
    n_tokens: int = 12
    k: int = 5
    text: str | None = None
    sequences: int = 8
    length: int = 64

    @model_validator(mode="before")
    @classmethod
    def _one_thing(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A direction takes the place of a feature."""
        if values.get("directions") is not None and (given := sorted({"sae", "feature"} & set(values))):
            raise ValueError(f"has both directions and {' and '.join(given)}; steer by one of them")
        return values


@experiment("steering", config=SteeringConfig)
def run(config: SteeringConfig, model: Model) -> SteeringResult:
    """What does the model say as a feature, or a direction, is added in more and more strength?"""
    from interp.experiments.edit_text import chosen_direction
    from interp.methods.common.direction import read_directions
    from interp.methods.steering.steering import steering

    by: dict[str, Any]
    if config.directions is None:
        by = {"sae": config.dictionary(model), "feature": config.feature}
    else:
        by = {"direction": chosen_direction(read_directions(config.directions, model), config.direction)}
    text: tuple[tuple[int, ...], ...] = ()
    if config.text is not None:
        text = reading_of(config, model).sequences
    others = {"prompts", "strengths", "feature", "directions", "direction", "text", "sequences", "length"}
    arguments = config.model_dump(exclude={*SAEConfig.model_fields, *others})
    return steering(model, config.prompts, config.strengths, **by, **arguments, text=text, seed=config.seed)
