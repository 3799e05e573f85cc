"""Training a tuned lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    from interp.methods.lens.results import LensQualityResult
    from interp.models.base import Model


class TrainTunedLensConfig(TextConfig):
    """See `interp.train_tuned_lens`, and `TextConfig` for the text. `save_to` is a new folder for the lens
    and its card; with `pickled`, the tuned-lens library can read it too."""

    steps: int = 200
    batch_size: int = 8
    learning_rate: float = 2.0
    save_to: str | None = None
    pickled: bool = False


@experiment("train_tuned_lens", config=TrainTunedLensConfig)
def run(config: TrainTunedLensConfig, model: Model) -> LensQualityResult:
    """Train a tuned lens, keep it, and measure it beside the logit lens on text that it did not see."""
    from interp.methods.lens.cards import write_card
    from interp.methods.lens.measure_lens import measure_lens
    from interp.methods.lens.train_tuned_lens import train_tuned_lens

    text, held_out = config.load_text(model)
    lens, losses = train_tuned_lens(
        model,
        text,
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
    )
    if config.save_to is not None:
        lens.save(config.save_to, pickled=config.pickled)
    result = measure_lens(
        model, lens, held_out, described=config.held_out_text, losses=losses, seed=config.seed
    )
    if config.save_to is not None:
        write_card(config.save_to, result.card)
    return result
