"""Patching against attribution as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig

if TYPE_CHECKING:
    from interp.methods.attribution.results import PatchingVsAttributionResult
    from interp.models.base import Model


class PatchingVsAttributionConfig(PairsConfig):
    """See `interp.patching_vs_attribution` for what each key means."""

    attribution: Literal["direct", "attribution", "integrated"] = "direct"
    direction: Literal["denoising", "noising"] = "denoising"
    steps: int = 8
    batch_size: int = 64
    exact: bool | Literal["auto"] = "auto"


@experiment("patching_vs_attribution", config=PatchingVsAttributionConfig)
def run(config: PatchingVsAttributionConfig, model: Model) -> PatchingVsAttributionResult:
    """Do patching and attribution find the same heads? Every head by both, and where they disagree."""
    from interp.methods.attribution.patching_vs_attribution import patching_vs_attribution

    return patching_vs_attribution(model, config.dataset(model), **config.arguments(), seed=config.seed)
