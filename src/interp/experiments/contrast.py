"""A contrast of two prompts as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.lens.results import ContrastResult
    from interp.models.base import Model


class ContrastConfig(ExperimentConfig):
    """See `interp.contrast` for what each key means; `lens` is the folder of a tuned lens."""

    first: PromptText = "The capital of France is"
    second: PromptText = "The capital of Japan is"
    target: str | int = " Paris"
    competitor: str | int = " Tokyo"
    margin: float = 1.0
    position: int = -1
    lens: str | None = None


@experiment("contrast", config=ContrastConfig)
def run(config: ContrastConfig, model: Model) -> ContrastResult:
    """Where do two prompts part? Their lens traces side by side, and who is ahead at each layer."""
    from interp.methods.lens.contrast import contrast
    from interp.methods.lens.tuned_lens import TunedLens

    return contrast(
        model,
        config.first,
        config.second,
        target=config.target,
        competitor=config.competitor,
        margin=config.margin,
        position=config.position,
        lens=None if config.lens is None else TunedLens.load(config.lens, model),
        seed=config.seed,
    )
