"""Copying scores as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.heads.results import CopyingScoresResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class CopyingScoresConfig(PairsConfig):
    """See `interp.copying_scores` for what each key means."""

    n: int | None = 60
    roles: list[str] = ["IO", "S1", "S2"]  # noqa: RUF012  # pydantic copies it
    k: int = 5

    def check(self, model: Model, dataset: PairDataset) -> None:
        model.check_site("v")
        for role in self.roles:
            dataset.positions(role)


@experiment("copying_scores", config=CopyingScoresConfig)
def run(config: CopyingScoresConfig, model: Model) -> CopyingScoresResult:
    """Which heads copy the name that they look at (the name movers' test)?"""
    from interp.methods.heads.copying_scores import copying_scores

    return copying_scores(model, config.dataset(model), **config.arguments(), seed=config.seed)
