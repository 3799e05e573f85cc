"""Ablation as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.ablation.ablation import AblationResult
    from interp.models.base import Model


class AblationConfig(PairsConfig):
    """See `interp.ablate` for what each key means."""

    what: str | list[str | list[str]] = "heads"
    kinds: list[str] = ["zero", "mean", "resample"]  # noqa: RUF012  # pydantic copies it
    reference: Literal["corrupted", "clean"] = "corrupted"
    metric: Literal["logit_diff", "prob", "kl"] = "logit_diff"
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64


@experiment("ablation", config=AblationConfig, shown_by="interp.figures.views.ablation")
def run(config: AblationConfig, model: Model) -> AblationResult:
    """What does the model lose without a head, an MLP, a layer, or a set of them?"""
    from interp.methods.ablation.ablation import ablate

    return ablate(model, config.dataset(model), **config.arguments(), seed=config.seed)
