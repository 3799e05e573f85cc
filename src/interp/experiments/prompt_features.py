"""The features of a prompt and what they are about, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import PromptText, experiment
from interp.experiments.on_saes import SAEConfig
from interp.experiments.on_text import reading_of

if TYPE_CHECKING:
    from interp.methods.features.results import PromptFeaturesResult
    from interp.models.base import Model


class PromptFeaturesConfig(SAEConfig):
    """`features` are those to profile (null: the `n` strongest of the prompt, and the best of each label);
    `text` is "demo" (for the demo models), a file or a dataset, of which `sequences` of `length` tokens are
    read. See `interp.prompt_features`."""

    prompt: PromptText = "When Mary and John went to the store, John gave a drink to"
    features: list[int] | None = None
    n: int = 20
    top: int = 10
    text: str = "demo"
    field: str = "text"  # of JSON lines, tables and datasets
    sequences: int = 256
    length: int = 128


@experiment("prompt_features", config=PromptFeaturesConfig)
def run(config: PromptFeaturesConfig, model: Model) -> PromptFeaturesResult:
    """Which features are active in a prompt, and what are they about? Contexts, logits, writers, labels."""
    from interp.methods.features.prompt_features import prompt_features
    from interp.saes.neuronpedia import neuronpedia_id
    from interp.saes.sources import sae_folder

    sae = config.dictionary(model)
    text = reading_of(config, model)
    return prompt_features(
        model,
        sae,
        config.prompt,
        text,
        features=config.features,
        n=config.n,
        top=config.top,
        neuronpedia=neuronpedia_id(sae.identity, config.sae, folder=sae_folder(config.sae)),
        seed=config.seed,
    )
