"""The logit lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.lens.results import LogitLensResult
    from interp.models.base import Model


class LogitLensConfig(ExperimentConfig):
    """See `interp.logit_lens` for what each key means, and `interp.load_lens` for what names a lens."""

    MAY_BE_LEFT_OUT = ("answer",)  # then it is the model's own

    prompt: PromptText = "The Eiffel Tower is in the city of"
    answer: AnswerText | None = " Paris"
    position: int | list[int] | Literal["all"] = -1
    site: Literal["resid", "attn_out", "mlp_out"] = "resid"
    k: int = 5
    lens: str = "logit"


@experiment("logit_lens", config=LogitLensConfig)
def run(config: LogitLensConfig, model: Model) -> LogitLensResult:
    """At which layer does the answer form? The prediction read off after every layer."""
    from interp.methods.lens.logit_lens import logit_lens

    return logit_lens(
        model,
        config.prompt,
        config.answer,
        position=config.position,
        site=config.site,
        k=config.k,
        lens=config.lens,
        seed=config.seed,
    )
