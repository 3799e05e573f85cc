"""Attention between roles as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.attention import AttentionByRoleResult
    from interp.models.base import Model


class AttentionByRoleConfig(ExperimentConfig):
    """See `interp.attention_by_role` for what each key means; `options` are those of the task."""

    task: str = "indirect_objects"
    n: int | None = 60
    options: dict[str, Any] = {}
    pairs: list[list[str]] = [["END", "IO"], ["END", "S2"], ["S2", "S1"]]
    side: Literal["clean", "corrupted"] = "clean"


@experiment(
    "attention_by_role", config=AttentionByRoleConfig, shown_by="interp.figures.attention_by_role"
)
def run(config: AttentionByRoleConfig, model: Model) -> AttentionByRoleResult:
    """Which heads look from END to IO, or from any role to another, over a dataset?"""
    from interp.methods.attention import attention_by_role
    from interp.tasks.registry import make_dataset

    dataset = make_dataset(config.task, model, n=config.n, seed=config.seed, **config.options)
    return attention_by_role(model, dataset, pairs=config.pairs, side=config.side, seed=config.seed)
