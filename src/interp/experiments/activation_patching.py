"""Patching every cell of a site, over one pair of prompts or many, as an experiment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from interp.experiments.base import AnswerText, Message, PromptText, experiment
from interp.experiments.on_pairs import PromptsOrTaskConfig
from interp.metrics import MetricKind

if TYPE_CHECKING:
    from interp.methods.patching.results import ActivationPatchingResult, ComparedActivationPatchingResult
    from interp.models.base import Model
    from interp.tasks.base import PairDataset

#: Text, token ids or messages, of one pair or of several.
Prompts: TypeAlias = PromptText | list[str] | list[list[int]] | list[list[Message]]
Answers: TypeAlias = AnswerText | list[AnswerText]


class ActivationPatchingConfig(PromptsOrTaskConfig):
    """See `interp.activation_patching` for what each key means; `compare_exact` sets the exact sweep beside
    an approximation. With a `task` the pairs are those of a dataset."""

    OWN_PROMPTS = ("clean", "corrupted", "answer", "foil")

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

    def check(self, model: Model, dataset: PairDataset) -> None:
        from interp.methods.patching.cells import Cells

        Cells(self.site, self.by).check(model)


@experiment("activation_patching", config=ActivationPatchingConfig)
def run(
    config: ActivationPatchingConfig, model: Model
) -> ActivationPatchingResult | ComparedActivationPatchingResult:
    """Which positions, heads, neurons or layers carry the answer? Patch each, over a pair or many."""
    from interp.methods.patching.activation_patching import activation_patching
    from interp.methods.patching.comparison import check_approximate, compare

    arguments = config.model_dump(exclude={*PromptsOrTaskConfig.model_fields, "compare_exact", "method"})
    if (dataset := config.dataset(model)) is not None:
        arguments |= {"clean": dataset.clean, "corrupted": dataset.corrupted}
        arguments |= {"answer": dataset.answers, "foil": dataset.foils, "clusters": dataset.clusters}
    patch = partial(activation_patching, model, **arguments, seed=config.seed)
    if not config.compare_exact:
        return patch(method=config.method)
    check_approximate(config.method)
    return compare(patch(method=config.method), patch(method="exact"))
