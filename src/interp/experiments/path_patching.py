"""Path patching as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_pairs import PairsConfig
from interp.methods.patching.results import Mlps
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.patching.results import PathPatchingResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset


class PathPatchingConfig(PairsConfig):
    """See `interp.path_patching` for what each key means."""

    receivers: list[str] = ["logits"]  # noqa: RUF012  # pydantic copies it
    senders: list[str | list[str]] | None = None
    direction: Literal["denoising", "noising"] = "noising"
    mlps: Mlps = "frozen"
    role: str | None = None
    metric: MetricKind = "logit_diff"
    totals: bool = True
    exact: bool | Literal["auto"] = "auto"
    batch_size: int = 64

    def check(self, model: Model, dataset: PairDataset) -> None:
        from interp.methods.patching.path_patching import Paths

        Paths.of(
            model, receivers=self.receivers, senders=self.senders, role=self.role, mlps=self.mlps
        ).check_role(dataset)


@experiment("path_patching", config=PathPatchingConfig)
def run(config: PathPatchingConfig, model: Model) -> PathPatchingResult:
    """Which heads act on the logits, or on other heads, directly? With all else frozen."""
    from interp.methods.patching.path_patching import path_patching

    return path_patching(model, config.dataset(model), **config.arguments(), seed=config.seed)
