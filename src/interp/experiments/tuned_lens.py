"""The tuned lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import AnswerText, PromptText, experiment
from interp.experiments.train_tuned_lens import LensTrainingConfig, trained

if TYPE_CHECKING:
    from interp.methods.lens.results import TunedLensResult
    from interp.models.base import Model


class TunedLensConfig(LensTrainingConfig):
    """See `interp.tuned_lens`. `lens` is a folder with a lens; without one, it is trained first."""

    MAY_BE_LEFT_OUT = ("answer",)  # then it is the model's own

    prompt: PromptText = "The Eiffel Tower is in the city of"
    answer: AnswerText | None = " Paris"
    position: int = -1
    k: int = 5
    lens: str | None = None
    check_lens: bool = True


@experiment("tuned_lens", config=TunedLensConfig)
def run(config: TunedLensConfig, model: Model) -> TunedLensResult:
    """What does each layer say when it is translated first? A plain and a tuned lens side by side."""
    from interp.methods.lens.logit_lens import positions_to_read
    from interp.methods.lens.tuned_lens import TunedLens, tuned_lens

    positions_to_read(config.position, len(model.to_tokens(config.prompt).repeat(1).row(0)))
    if config.answer is not None:
        model.to_answer(config.answer)  # an error now, not after the training
    if config.lens is None:
        lens = trained(config, model)[0]
    else:
        lens = TunedLens.load(config.lens, model, check=config.check_lens)
    return tuned_lens(
        model,
        config.prompt,
        config.answer,
        lens=lens,
        position=config.position,
        k=config.k,
        seed=config.seed,
    )
