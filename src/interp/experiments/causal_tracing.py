"""Causal tracing as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.patching.results import CausalTracingResult
    from interp.models.base import Model


class CausalTracingConfig(ExperimentConfig):
    """See `interp.causal_tracing` for what each key means."""

    clean: PromptText = "The capital of France is"
    corrupted: PromptText | None = "The capital of Japan is"
    answer: AnswerText = " Paris"
    foil: AnswerText | None = " Tokyo"
    site: Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"] = "resid_pre"
    window: int = 1
    direction: Literal["denoising", "noising"] = "denoising"
    corruption: Literal["interchange", "noise"] = "interchange"
    subject: str | list[int] | None = None
    sigma: float = 3.0
    samples: int = 10
    most_samples: int = 40
    metric: MetricKind | None = None
    batch_size: int = 64
    exact: bool | Literal["auto"] = "auto"


@experiment("causal_tracing", config=CausalTracingConfig)
def run(config: CausalTracingConfig, model: Model) -> CausalTracingResult:
    """Where does the answer live? Patch every layer and position between a clean and a corrupted run."""
    from interp.methods.patching.causal_tracing import causal_tracing

    arguments = config.model_dump(exclude=set(ExperimentConfig.model_fields))
    return causal_tracing(model, **arguments, seed=config.seed)
