"""Copying scores as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.copying_scores import CopyingScoresResult
    from interp.models.base import Model


class CopyingScoresConfig(ExperimentConfig):
    """See `interp.copying_scores` for what each key means; `options` are those of the task."""

    task: str = "indirect_objects"
    n: int | None = 60
    options: dict[str, Any] = {}
    roles: list[str] = ["IO", "S1", "S2"]
    k: int = 5


@experiment("copying_scores", config=CopyingScoresConfig, shown_by="interp.figures.copying_scores")
def run(config: CopyingScoresConfig, model: Model) -> CopyingScoresResult:
    """Which heads copy the name that they look at (the name movers' test)?"""
    from interp.methods.copying_scores import copying_scores
    from interp.tasks.registry import make_dataset

    dataset = make_dataset(config.task, model, n=config.n, seed=config.seed, **config.options)
    return copying_scores(model, dataset, roles=config.roles, k=config.k, seed=config.seed)
