"""Patching every cell of a site, over one pair of prompts or many, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    from interp.methods.patch_sweep import PatchSweepResult
    from interp.models.base import Model

Prompts: TypeAlias = (
    str | list[str] | list[int] | list[list[int]]
)  # text or token ids, of one pair or of several
Answers: TypeAlias = str | int | list[str] | list[int]


class PatchSweepConfig(ExperimentConfig):
    """See `interp.patch_sweep` for what each key means; `compare_exact` sets an approximation beside it."""

    clean: Prompts = "The capital of France is"
    corrupted: Prompts = "The capital of Japan is"
    answer: Answers = " Paris"
    foil: Answers | None = " Tokyo"
    site: str = "resid_pre"
    by: Literal["position", "head", "neuron", "layer"] = "position"
    direction: Literal["denoising", "noising"] = "denoising"
    metric: Literal["logit_diff", "prob", "kl"] | None = None
    method: Literal["exact", "attribution", "integrated"] = "exact"
    steps: int = 8
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64
    compare_exact: bool = False


@experiment("patch_sweep", config=PatchSweepConfig, shown_by="interp.figures.patch_sweep")
def run(config: PatchSweepConfig, model: Model) -> PatchSweepResult:
    """Which positions, heads, neurons or layers carry the answer? Patch each, over a pair or many."""
    from interp.methods.patch_sweep import patch_sweep
    from interp.methods.sweep_comparison import compared_sweep

    arguments = config.model_dump(exclude={*ExperimentConfig.model_fields, "compare_exact"})
    sweep = compared_sweep if config.compare_exact else patch_sweep
    return sweep(model, **arguments, seed=config.seed)
