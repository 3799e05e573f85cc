"""Ablation as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.ablation.results import AblationResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class AblationConfig(PairsConfig):
    """See `interp.ablation` for what each key means."""

    what: str | list[str | list[str]] = "heads"
    kinds: list[str] = ["zero", "mean", "resample"]  # noqa: RUF012  # pydantic copies it
    reference: Literal["corrupted", "clean"] = "corrupted"
    metric: MetricKind = "logit_diff"
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64
    include_outliers: bool = False

    def check(self, model: Model, dataset: PairDataset) -> None:
        from interp.methods.ablation.replacement import check_kinds
        from interp.methods.common.components import find_sets

        check_kinds(self.kinds)
        find_sets(model, self.what, dataset.roles)

    @property
    def by_template(self) -> bool:
        return "mean_by_template" in self.kinds


@experiment("ablation", config=AblationConfig)
def run(config: AblationConfig, model: Model) -> AblationResult:
    """What does the model lose without a head, an MLP, a layer, or a set of them?"""
    from interp.methods.ablation.ablation import ablation

    return ablation(model, config.dataset(model), **config.arguments(), seed=config.seed)
