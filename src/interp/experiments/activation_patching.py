"""Patching every cell of a site, over one pair of prompts or many, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import model_validator

from interp.experiments.base import ExperimentConfig, experiment
from interp.experiments.on_pairs import PairsConfig
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.patching.results import ActivationPatchingResult, ComparedActivationPatchingResult
    from interp.models.base import Model

Prompts: TypeAlias = (
    str | list[str] | list[int] | list[list[int]]
)  # text or token ids, of one pair or of several
Answers: TypeAlias = str | int | list[str] | list[int]


class ActivationPatchingConfig(ExperimentConfig):
    """See `interp.activation_patching` for what each key means; `compare_exact` sets the exact sweep beside
    an approximation. With a `task` (and its `n`, `options` and `pairs`, see `PairsConfig`) the pairs are
    those of a dataset, instead of clean, corrupted, answer and foil."""

    clean: Prompts | None = "The capital of France is"
    corrupted: Prompts | None = "The capital of Japan is"
    answer: Answers | None = " Paris"
    foil: Answers | None = " Tokyo"
    site: str = "resid_pre"
    by: Literal["position", "head", "neuron", "layer"] = "position"
    direction: Literal["denoising", "noising"] = "denoising"
    metric: MetricKind | None = None
    method: Literal["exact", "attribution", "integrated"] = "exact"
    steps: int = 8
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64
    compare_exact: bool = False
    task: str | None = None
    n: int | None = 20
    options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it
    pairs: Literal["correct", "all"] = "correct"

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A task takes the place of the prompts; what is left over of these would be misleading."""
        given = [key for key in ("clean", "corrupted", "answer", "foil") if values.get(key) is not None]
        if values.get("task") is not None:
            if given:
                raise ValueError(f"has both a task and {', '.join(given)}; leave one of them out")
            return values | dict.fromkeys(("clean", "corrupted", "answer", "foil"))
        return values


@experiment("activation_patching", config=ActivationPatchingConfig)
def run(
    config: ActivationPatchingConfig, model: Model
) -> ActivationPatchingResult | ComparedActivationPatchingResult:
    """Which positions, heads, neurons or layers carry the answer? Patch each, over a pair or many."""
    from interp.methods.patching.activation_patching import activation_patching
    from interp.methods.patching.comparison import compared_activation_patching

    arguments = config.model_dump(
        exclude={*PairsConfig.model_fields, *ExperimentConfig.model_fields, "compare_exact"}
    )
    if config.task is not None:
        wanted = PairsConfig(
            task=config.task, n=config.n, options=config.options, pairs=config.pairs, seed=config.seed
        )
        found = wanted.dataset(model)
        arguments |= {"clean": found.clean, "corrupted": found.corrupted}
        arguments |= {"answer": found.answers, "foil": found.foils}
    patch = compared_activation_patching if config.compare_exact else activation_patching
    return patch(model, **arguments, seed=config.seed)
