"""Training transcoders of all MLPs as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    import numpy as np

    from interp.models.base import Model
    from interp.saes.results import TranscoderQualityResult
    from interp.saes.transcoder import Transcoders


class TrainTranscodersConfig(TextConfig):
    """What they are trained on, and how; see `TextConfig` for the text, and for the rest
    `interp.train_transcoders` and `interp.saes.recipe.Recipe`.

    Each has `n_features`, and with `skip` a linear map beside them. `save_to` is a new folder for them, in
    SAELens's layout and in `save_dtype`; what is kept is measured.
    """

    training: int = 4000
    held_out: int = 32
    kind: Literal["topk", "batchtopk", "jumprelu", "standard"] = "batchtopk"
    n_features: int = 512
    skip: bool = False
    k: int = 16
    penalty: float = 1e-3
    steps: int = 2000
    batch_size: int = 1024
    buffered: int = 256
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    decay: float = 0.2
    auxiliary: float = 1 / 32
    silent_after: int = 100
    save_to: str | None = None
    save_dtype: Literal["float32", "float16"] = "float32"


_RECIPE = {"kind", "n_features", "k", "penalty", "steps", "learning_rate", "warm_up", "decay", "auxiliary"}
_RECIPE |= {"silent_after", "seed"}
_RECORDED = _RECIPE | {"text", "training", "length", "batch_size", "buffered"}


@experiment("train_transcoders", config=TrainTranscodersConfig)
def run(config: TrainTranscodersConfig, model: Model) -> TranscoderQualityResult:
    """Train a transcoder for every MLP, keep them, and measure them on text that they did not see."""
    import torch

    from interp.saes.metrics import EXCLUDED
    from interp.saes.trainer import LOSSES
    from interp.saes.transcoder_files import check_new_transcoders, write_transcoders
    from interp.saes.transcoder_metrics import measure_transcoders

    if config.save_to is not None:
        check_new_transcoders(config.save_to)
    transcoders, losses, held_out = _trained(config, model)
    if config.save_to is not None:
        transcoders = transcoders.to(getattr(torch, config.save_dtype))
    result = measure_transcoders(
        model,
        transcoders,
        held_out,
        described=config.held_out_text,
        losses=losses,
        loss_names=LOSSES,
        seed=config.seed,
    )
    if config.save_to is not None:
        training = {**config.model_dump(include=_RECORDED), "excluded": EXCLUDED}
        write_transcoders(config.save_to, transcoders, density=result.density, training=training)
    return result


def _trained(config: TrainTranscodersConfig, model: Model) -> tuple[Transcoders, np.ndarray, list[list[int]]]:
    """Transcoders as configured, their losses, and the sequences that were held out."""
    from interp.saes.recipe import Recipe
    from interp.saes.train_transcoders import check_trainable, train_transcoders

    check_trainable(model)
    recipe = Recipe(**config.model_dump(include=_RECIPE))
    text, held_out = config.load_text(model)
    transcoders, losses = train_transcoders(
        model, text, recipe, skip=config.skip, batch_size=config.batch_size, buffered=config.buffered
    )
    return transcoders, losses, held_out
