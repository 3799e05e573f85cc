"""A contrast of two prompts as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.lens.results import ContrastResult
    from interp.models.base import Model


class ContrastConfig(ExperimentConfig):
    """See `interp.contrast` for what each key means, and `interp.load_lens` for what names a lens."""

    first: PromptText = "The capital of France is"
    second: PromptText = "The capital of Japan is"
    target: str | int = " Paris"
    competitor: str | int = " Tokyo"
    margin: float = 1.0
    position: int = -1
    lens: str | None = "logit"


@experiment("contrast", config=ContrastConfig)
def run(config: ContrastConfig, model: Model) -> ContrastResult:
    """Where do two prompts part? Their lens traces side by side, and who is ahead at each layer."""
    from interp.methods.lens.contrast import contrast

    return contrast(
        model,
        config.first,
        config.second,
        target=config.target,
        competitor=config.competitor,
        margin=config.margin,
        position=config.position,
        lens=config.lens or "logit",
        seed=config.seed,
    )
