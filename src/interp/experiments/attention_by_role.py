"""Attention between roles as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.heads.results import AttentionByRoleResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class AttentionByRoleConfig(PairsConfig):
    """See `interp.attention_by_role` for what each key means."""

    n: int | None = 60
    between: list[list[str]] = [["END", "IO"], ["END", "S2"], ["S2", "S1"]]  # noqa: RUF012  # pydantic copies it
    side: Literal["clean", "corrupted"] = "clean"

    def check(self, model: Model, dataset: PairDataset) -> None:
        model.check_site("pattern")
        for role in (role for pair in self.between for role in pair):
            dataset.positions(role)


@experiment("attention_by_role", config=AttentionByRoleConfig)
def run(config: AttentionByRoleConfig, model: Model) -> AttentionByRoleResult:
    """Which heads look from END to IO, or from any role to another, over a dataset?"""
    from interp.methods.heads.attention_by_role import attention_by_role

    return attention_by_role(model, config.dataset(model), **config.arguments(), seed=config.seed)
