"""Ablation as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.ablation import AblationResult
    from interp.models.base import Model


class AblationConfig(ExperimentConfig):
    """See `interp.ablate` for what each key means; `options` are those of the task."""

    task: str = "indirect_objects"
    n: int | None = 20
    options: dict[str, Any] = {}
    what: str | list[str | list[str]] = "heads"
    kinds: list[str] = ["zero", "mean", "resample"]
    reference: Literal["corrupted", "clean"] = "corrupted"
    metric: Literal["logit_diff", "prob", "kl"] = "logit_diff"
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64


@experiment("ablation", config=AblationConfig, shown_by="interp.figures.ablation")
def run(config: AblationConfig, model: Model) -> AblationResult:
    """What does the model lose without a head, an MLP, a layer, or a set of them?"""
    from interp.methods.ablation import ablate
    from interp.tasks.registry import make_dataset

    dataset = make_dataset(config.task, model, n=config.n, seed=config.seed, **config.options)
    return ablate(
        model,
        dataset,
        config.what,
        kinds=config.kinds,
        reference=config.reference,
        metric=config.metric,
        exact=config.exact,
        batch_size=config.batch_size,
        seed=config.seed,
    )
