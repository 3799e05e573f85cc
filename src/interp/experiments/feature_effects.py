"""Effects of the features of a sparse autoencoder, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig
from interp.experiments.on_saes import SAEConfig
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.features.results import FeatureEffectsResult
    from interp.models.base import Model


class FeatureEffectsConfig(SAEConfig):
    """See `interp.feature_effects` for what each key means. With a `task` (and its `n`, `options` and
    `pairs`, see `PairsConfig`) the prompts are those of a dataset, instead of prompt, answer, foil and
    corrupted."""

    prompt: str | list[int] | None = "The capital of France is"
    answer: str | int | None = " Paris"
    foil: str | int | None = " Tokyo"
    corrupted: str | list[int] | None = None
    change: Literal["ablate", "noising", "denoising"] = "ablate"
    roles: list[str] | None = None
    metric: MetricKind | None = None
    steps: int = 8
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64
    task: str | None = None
    n: int | None = 20
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    pairs: Literal["correct", "all"] = "correct"

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A task takes the place of the prompt; what is left over of it would be misleading."""
        keys = ("prompt", "answer", "foil", "corrupted")
        given = [key for key in keys if values.get(key) is not None]
        if values.get("task") is not None:
            if given:
                raise ValueError(f"has both a task and {', '.join(given)}; leave one of them out")
            return values | dict.fromkeys(keys)
        return values


@experiment("feature_effects", config=FeatureEffectsConfig)
def run(config: FeatureEffectsConfig, model: Model) -> FeatureEffectsResult:
    """Which features of an SAE carry the answer? Change each alone, over a prompt or a dataset."""
    from interp.methods.features.feature_effects import feature_effects

    of_data = {"prompt", "task", "n", "options", "pairs"}
    arguments = config.model_dump(exclude={*SAEConfig.model_fields, *of_data})
    data: Any = config.prompt
    if config.task is not None:
        data = PairsConfig(
            task=config.task, n=config.n, options=config.options, pairs=config.pairs, seed=config.seed
        ).dataset(model)
    return feature_effects(model, config.dictionary(model), data, **arguments, seed=config.seed)
