"""Training a sparse autoencoder as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    import numpy as np

    from interp.models.base import Model
    from interp.saes.dictionary import SAE
    from interp.saes.results import SAEQualityResult


class TrainSAEConfig(TextConfig):
    """What a dictionary is trained on, and how; see `TextConfig` for the text, and for the rest
    `interp.train_sae` and `interp.saes.recipe.Recipe`.

    The dictionary has `expansion` features for each dimension of the site. `save_to` is a new folder for it,
    in SAELens's layout and in `save_dtype`; what is kept is measured.
    """

    site: str = "resid_post"
    layer: int | None = 4
    training: int = 4000
    held_out: int = 64
    kind: Literal["topk", "batchtopk", "jumprelu", "standard"] = "topk"
    expansion: int = 8
    k: int = 32
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


_RECIPE = {"kind", "k", "penalty", "steps", "learning_rate", "warm_up", "decay", "auxiliary", "silent_after"}
_RECORDED = _RECIPE | {"text", "training", "length", "batch_size", "seed"}


@experiment("train_sae", config=TrainSAEConfig)
def run(config: TrainSAEConfig, model: Model) -> SAEQualityResult:
    """Train a sparse autoencoder, keep it, and measure it on text that it did not see."""
    import torch

    from interp.saes.dictionary import check_address
    from interp.saes.files import check_new, write_sae
    from interp.saes.metrics import EXCLUDED, measure_sae
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
        training = {**config.model_dump(include=_RECORDED), "excluded": EXCLUDED}
        write_sae(config.save_to, sae, density=result.density, training=training)
    return result


def _trained(config: TrainSAEConfig, model: Model) -> tuple[SAE, np.ndarray, list[list[int]]]:
    """A dictionary as configured, its losses, and the sequences that were held out."""
    from interp.saes.dictionary import width
    from interp.saes.recipe import Recipe
    from interp.saes.training import train_sae

    recipe = Recipe(
        n_features=config.expansion * width(model, config.site),
        seed=config.seed,
        **config.model_dump(include=_RECIPE),
    )
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
