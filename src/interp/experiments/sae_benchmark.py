"""The benchmark of dictionaries on labels that are known, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig, reading_of

if TYPE_CHECKING:
    from interp.methods.features.benchmark_results import SAEBenchmarkResult
    from interp.models.base import Model

_KINDS: list[dict[str, Any]] = [
    {"kind": "topk"},
    {"kind": "batchtopk"},
    {"kind": "jumprelu", "penalty": 0.01},
    {"kind": "standard", "penalty": 0.01},
]


class SAEBenchmarkConfig(TextConfig):
    """See `interp.sae_benchmark`. Each of `settings` is a mapping of keys of `interp.saes.recipe.Recipe`;
    what it leaves out has the values here.

    Features are read on `sequences` other sequences: of the demo corpus, of which every token's labels are
    known; of another text, with labels of what a token looks like (`interp.methods.features.surface_labels`).
    """

    site: str = "resid_post"
    layer: int | None = 4
    training: int = 600
    held_out: int = 16
    settings: list[dict[str, Any]] = _KINDS
    n_features: int = 768
    k: int = 20
    steps: int = 400
    learning_rate: float = 3e-3
    batch_size: int = 1024
    seeds: int = 3
    sequences: int = 256
    probe: int = 5


@experiment("sae_benchmark", config=SAEBenchmarkConfig)
def run(config: SAEBenchmarkConfig, model: Model) -> SAEBenchmarkResult:
    """Which kind of dictionary says best what the tokens are, by labels that are known?"""
    from interp.errors import ConfigError
    from interp.methods.features.sae_benchmark import sae_benchmark
    from interp.methods.features.surface_labels import with_surface_labels
    from interp.saes.dictionary import check_address
    from interp.saes.recipe import Recipe
    from interp.sites import Address

    check_address(model, Address(config.site, config.layer))
    shared = config.model_dump(include={"n_features", "k", "steps", "learning_rate"})
    recipes = []
    for setting in config.settings:
        try:
            recipes.append(Recipe(**{**shared, **setting}))
        except TypeError:
            raise ConfigError(
                f"A setting has keys of a recipe (kind, n_features, k, penalty, steps, ...), not {setting!r}."
            ) from None
    reading = reading_of(config, model)
    if not reading.label_names:
        reading = with_surface_labels(model, reading)
    text, held_out = config.load_text(model)
    return sae_benchmark(
        model,
        config.site,
        config.layer,
        text,
        held_out,
        reading,
        recipes,
        seeds=config.seeds,
        k=config.probe,
        batch_size=config.batch_size,
        described=(
            f"{config.training} sequences of {config.length} tokens of {config.text!r}",
            config.held_out_text,
        ),
        seed=config.seed,
    )
