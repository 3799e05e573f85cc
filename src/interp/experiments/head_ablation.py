"""Head ablation on one prompt and on text as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.ablation.results import HeadAblationResult
    from interp.models.base import Model


class HeadAblationConfig(ExperimentConfig):
    """See `interp.head_ablation` for what each key means."""

    prompt: PromptText = "When Mary and John went to the store, John gave a drink to"
    heads: list[str | list[int]] = ["0.0"]  # noqa: RUF012  # pydantic copies it
    answer: AnswerText = " Mary"
    foil: AnswerText | None = " John"
    kinds: list[str] = ["zero", "mean", "resample"]  # noqa: RUF012  # pydantic copies it
    n_random: int = 3
    n_reference: int = 12
    n_donors: int = 2
    n_texts: int = 2
    text_length: int = 64
    copy_length: int = 25
    include_outliers: bool = False


@experiment("head_ablation", config=HeadAblationConfig)
def run(config: HeadAblationConfig, model: Model) -> HeadAblationResult:
    """What do a prompt and text lose without some heads, and without as many random ones?"""
    from interp.methods.ablation.head_ablation import head_ablation

    own = config.model_dump(exclude=set(ExperimentConfig.model_fields))
    return head_ablation(model, own.pop("prompt"), own.pop("heads"), **own, seed=config.seed)
