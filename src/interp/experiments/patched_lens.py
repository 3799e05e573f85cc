"""Patching by hand as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import AnswerText, ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.lens.results import PatchedLensResult
    from interp.models.base import Model


class PatchedLensConfig(ExperimentConfig):
    """See `interp.patched_lens` for what each key means, and `interp.load_lens` for what names a lens."""

    MAY_BE_LEFT_OUT = ("answer",)  # then it is what the model says after the source

    source: PromptText = "The capital of France is"
    target: PromptText = "The capital of Japan is"
    source_cell: list[int] = [0, -2]  # noqa: RUF012  # pydantic copies it
    target_cell: list[int] = [0, -2]  # noqa: RUF012
    answer: AnswerText | None = None
    source_positions: list[int] | Literal["all"] = "all"
    target_positions: list[int] | Literal["all"] = "all"
    k: int = 5
    lens: str = "logit"


@experiment("patched_lens", config=PatchedLensConfig)
def run(config: PatchedLensConfig, model: Model) -> PatchedLensResult:
    """What does a cell of one prompt's lens do in another prompt?"""
    from interp.methods.lens.patched_lens import patched_lens

    return patched_lens(
        model,
        config.source,
        config.target,
        source_cell=config.source_cell,
        target_cell=config.target_cell,
        answer=config.answer,
        source_positions=config.source_positions,
        target_positions=config.target_positions,
        k=config.k,
        lens=config.lens,
        seed=config.seed,
    )
