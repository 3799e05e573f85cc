"""Head scores as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.heads.results import HeadScoresResult
    from interp.models.base import Model


class HeadScoresConfig(ExperimentConfig):
    """See `interp.head_scores` for what each key means."""

    n: int = 10
    length: int = 25


@experiment("head_scores", config=HeadScoresConfig)
def run(config: HeadScoresConfig, model: Model) -> HeadScoresResult:
    """Which heads are previous-token, duplicate-token and induction heads?"""
    from interp.methods.heads.head_scores import head_scores

    return head_scores(model, n=config.n, length=config.length, seed=config.seed)
