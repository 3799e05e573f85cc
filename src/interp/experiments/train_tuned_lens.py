"""Training a tuned lens as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, experiment

if TYPE_CHECKING:
    import numpy as np

    from interp.methods.lens.results import LensQualityResult
    from interp.methods.lens.tuned_lens import TunedLens
    from interp.models.base import Model


class LensTrainingConfig(ExperimentConfig):
    """What a lens is trained on, and how; see `interp.train_tuned_lens`.

    `text` is "demo" (for the demo models) or a text file; `training` and `held_out` are numbers of sequences
    of `length` tokens.
    """

    text: str = "demo"
    training: int = 400
    held_out: int = 32
    length: int = 128
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
    described = f"{len(held_out)} held-out sequences of {config.length} tokens of {config.text!r}"
    return measure_lens(model, lens, held_out, described=described, losses=losses, seed=config.seed)


def trained(config: LensTrainingConfig, model: Model) -> tuple[TunedLens, np.ndarray, list[list[int]]]:
    """A lens as configured, its losses, and the sequences that were held out."""
    from interp.methods.lens.train_tuned_lens import train_tuned_lens
    from interp.text.sequences import load_text

    text, held_out = load_text(
        model,
        config.text,
        training=config.training,
        held_out=config.held_out,
        length=config.length,
        seed=config.seed,
    )
    lens, losses = train_tuned_lens(
        model,
        text,
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
    )
    return lens, losses, held_out
