"""Training a tuned lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    import numpy as np

    from interp.methods.lens.results import LensQualityResult
    from interp.methods.lens.tuned_lens import TunedLens
    from interp.models.base import Model


class LensTrainingConfig(TextConfig):
    """How a lens is trained; see `interp.train_tuned_lens`, and `TextConfig` for the text."""

    steps: int = 200
    batch_size: int = 8
    learning_rate: float = 2.0


class TrainTunedLensConfig(LensTrainingConfig):
    """`save_to` is a new folder for the lens; with `pickled`, the tuned-lens library can read it too."""

    save_to: str | None = None
    pickled: bool = False


@experiment("train_tuned_lens", config=TrainTunedLensConfig)
def run(config: TrainTunedLensConfig, model: Model) -> LensQualityResult:
    """Train a tuned lens, keep it, and measure it beside the plain one on text that it did not see."""
    from interp.methods.lens.measure_lens import measure_lens

    lens, losses, held_out = trained(config, model)
    if config.save_to is not None:
        lens.save(config.save_to, pickled=config.pickled)
    return measure_lens(
        model, lens, held_out, described=config.held_out_text, losses=losses, seed=config.seed
    )


def trained(config: LensTrainingConfig, model: Model) -> tuple[TunedLens, np.ndarray, list[list[int]]]:
    """A lens as configured, its losses, and the sequences that were held out."""
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
    return lens, losses, held_out
