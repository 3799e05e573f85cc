"""Training transcoders of all MLPs as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from interp.experiments.base import experiment
from interp.experiments.dictionary_training import DictionaryTrainingConfig

if TYPE_CHECKING:
    import numpy as np

    from interp.models.base import Model
    from interp.saes.results import TranscoderQualityResult
    from interp.saes.transcoder import Transcoders


class TrainTranscodersConfig(DictionaryTrainingConfig):
    """What they are trained on, and how; see `interp.train_transcoders`, and for the recipe and the text
    `DictionaryTrainingConfig`. Each has `n_features`, and with `skip` a linear map beside them; with
    `cross_layer` these write to the MLPs above, too (`interp.saes.cross_layer`)."""

    RECORDED: ClassVar[frozenset[str]] = DictionaryTrainingConfig.RECORDED | {"n_features", "buffered"}

    held_out: int = 32
    kind: Literal["topk", "batchtopk", "jumprelu", "standard"] = "batchtopk"
    n_features: int = 512
    skip: bool = False
    cross_layer: bool = False
    k: int = 16


@experiment("train_transcoders", config=TrainTranscodersConfig)
def run(config: TrainTranscodersConfig, model: Model) -> TranscoderQualityResult:
    """Train a transcoder for every MLP, keep them, and measure them on text that they did not see."""
    import torch

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
        write_transcoders(config.save_to, transcoders, density=result.density, training=config.recorded())
    return result


def _trained(config: TrainTranscodersConfig, model: Model) -> tuple[Transcoders, np.ndarray, list[list[int]]]:
    """Transcoders as configured, their losses, and the sequences that were held out."""
    from interp.saes.train_transcoders import check_trainable, train_transcoders

    check_trainable(model)
    text, held_out = config.load_text(model)
    transcoders, losses = train_transcoders(
        model,
        text,
        config.recipe(config.n_features),
        skip=config.skip,
        cross_layer=config.cross_layer,
        batch_size=config.batch_size,
        buffered=config.buffered,
    )
    return transcoders, losses, held_out
