"""Effects of the features of a sparse autoencoder, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.experiments.base import PromptText, experiment
from interp.experiments.on_pairs import PromptsOrTaskConfig
from interp.experiments.on_saes import SAEConfig
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.features.results import FeatureEffectsResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class FeatureEffectsConfig(SAEConfig, PromptsOrTaskConfig):
    """See `interp.feature_effects` for what each key means. With a `task` the prompts are those of a
    dataset."""

    OWN_PROMPTS = ("prompt", "answer", "foil", "corrupted")

    prompt: PromptText | None = "The capital of France is"
    answer: str | int | None = " Paris"
    foil: str | int | None = " Tokyo"
    corrupted: PromptText | None = None
    change: Literal["ablate", "noising", "denoising"] = "ablate"
    roles: list[str] | None = None
    metric: MetricKind | None = None
    steps: int = 8
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64

    def check(self, model: Model, dataset: PairDataset) -> None:
        for role in self.roles or ():
            dataset.positions(role)


@experiment("feature_effects", config=FeatureEffectsConfig)
def run(config: FeatureEffectsConfig, model: Model) -> FeatureEffectsResult:
    """Which features of an SAE carry the answer? Change each alone, over a prompt or a dataset."""
    from interp.methods.features.feature_effects import feature_effects

    shared = {*SAEConfig.model_fields, *PromptsOrTaskConfig.model_fields, "prompt"}
    sae = config.dictionary(model)
    data: Any = config.dataset(model) or config.prompt
    return feature_effects(model, sae, data, **config.model_dump(exclude=shared), seed=config.seed)
