"""Training a sparse autoencoder as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.dictionary_training import DictionaryTrainingConfig

if TYPE_CHECKING:
    import numpy as np

    from interp.models.base import Model
    from interp.saes.dictionary import SAE
    from interp.saes.results import SAEQualityResult


class TrainSAEConfig(DictionaryTrainingConfig):
    """What a dictionary is trained on, and how; see `interp.train_sae`, and for the recipe and the text
    `DictionaryTrainingConfig`. It has `expansion` features for each dimension of the site."""

    site: str = "resid_post"
    layer: int | None = 4
    held_out: int = 64
    expansion: int = 8


@experiment("train_sae", config=TrainSAEConfig)
def run(config: TrainSAEConfig, model: Model) -> SAEQualityResult:
    """Train a sparse autoencoder, keep it, and measure it on text that it did not see."""
    import torch

    from interp.saes.dictionary import check_address
    from interp.saes.files import check_new, write_sae
    from interp.saes.metrics import measure_sae
    from interp.saes.trainer import LOSSES
    from interp.sites import Address

    check_address(model, Address(config.site, config.layer))
    if config.save_to is not None:
        check_new(config.save_to)
    sae, losses, held_out = _trained(config, model)
    if config.save_to is not None:
        sae = sae.to(getattr(torch, config.save_dtype))
    result = measure_sae(
        model,
        sae,
        held_out,
        described=config.held_out_text,
        losses=losses,
        loss_names=LOSSES,
        seed=config.seed,
    )
    if config.save_to is not None:
        write_sae(config.save_to, sae, density=result.density, training=config.recorded())
    return result


def _trained(config: TrainSAEConfig, model: Model) -> tuple[SAE, np.ndarray, list[list[int]]]:
    """A dictionary as configured, its losses, and the sequences that were held out."""
    from interp.saes.dictionary import width
    from interp.saes.training import train_sae

    recipe = config.recipe(config.expansion * width(model, config.site))
    text, held_out = config.load_text(model)
    sae, losses = train_sae(
        model,
        config.site,
        config.layer,
        text,
        recipe,
        batch_size=config.batch_size,
        buffered=config.buffered,
    )
    return sae, losses, held_out
