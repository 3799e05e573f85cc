"""Head scores as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.heads.results import HeadScoresResult, PromptHeadScoresResult
    from interp.models.base import Model


class HeadScoresConfig(ExperimentConfig):
    """See `interp.head_scores` for what each key means; with `prompts`, which have no use for the others,
    `interp.head_scores_on_prompts`."""

    n: int = 10
    length: int | None = None
    n_ablated: int = 2
    prompts: list[PromptText] | None = None


@experiment("head_scores", config=HeadScoresConfig)
def run(config: HeadScoresConfig, model: Model) -> HeadScoresResult | PromptHeadScoresResult:
    """Which heads are previous-token, duplicate-token and induction heads?"""
    from interp.methods.heads.head_scores import head_scores
    from interp.methods.heads.scores_on_prompts import head_scores_on_prompts

    if config.prompts is not None:
        return head_scores_on_prompts(model, config.prompts, seed=config.seed)
    return head_scores(model, n=config.n, length=config.length, n_ablated=config.n_ablated, seed=config.seed)
