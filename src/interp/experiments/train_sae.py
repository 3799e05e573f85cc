"""Training sparse autoencoders as an experiment: one, or one for each of several layers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interp.experiments.base import experiment
from interp.experiments.dictionary_training import DictionaryTrainingConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.saes.results import SAEQualitiesResult, SAEQualityResult
    from interp.sites import Address


class TrainSAEConfig(DictionaryTrainingConfig):
    """What a dictionary is trained on, and how; see `interp.train_sae`, and for the recipe and the text
    `DictionaryTrainingConfig`. It has `expansion` features for each dimension of the site.

    With `layers`, a list or "all", there is a dictionary for each of them in place of the one of `layer`, all
    from one stream of activations, and each in a folder of its own in `save_to`, named as its hook. `shards`
    is a folder in which activations are kept (`interp.saes.shards`)."""

    site: str = "resid_post"
    layer: int | None = 4
    layers: list[int] | Literal["all"] | None = None
    held_out: int = 64
    expansion: int = 8
    shards: str | None = None

    def addresses(self, model: Model) -> list[Address]:
        """The sites that dictionaries are trained for."""
        from interp.sites import Address

        layers = list(range(model.arch.n_layers)) if self.layers == "all" else self.layers
        return [Address(self.site, layer) for layer in ([self.layer] if layers is None else layers)]

    def folder(self, address: Address) -> Path | None:
        """Where the dictionary of a site is kept."""
        if self.save_to is None:
            return None
        return Path(self.save_to) if self.layers is None else Path(self.save_to) / str(address)


@experiment("train_sae", config=TrainSAEConfig)
def run(config: TrainSAEConfig, model: Model) -> SAEQualityResult | SAEQualitiesResult:
    """Train a sparse autoencoder, keep it, and measure it on text that it did not see."""
    import torch

    from interp.saes.dictionary import check_address, width
    from interp.saes.files import check_new, write_sae
    from interp.saes.metrics import measure_sae
    from interp.saes.results import SAEQualitiesResult
    from interp.saes.trainer import LOSSES
    from interp.saes.training import train_saes

    addresses = config.addresses(model)
    for address in addresses:
        check_address(model, address)
        if (folder := config.folder(address)) is not None:
            check_new(folder)
    recipe = config.recipe(config.expansion * width(model, config.site))
    text, held_out = config.load_text(model)
    options = {"batch_size": config.batch_size, "buffered": config.buffered}
    results = []
    for sae, losses in train_saes(model, addresses, text, recipe, **options, shards=config.shards):
        folder = config.folder(sae.address)
        if folder is not None:
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
        if folder is not None:
            write_sae(folder, sae, density=result.density, training=config.recorded())
        results.append(result)
    if config.layers is None:
        return results[0]
    return SAEQualitiesResult(provenance=results[0].provenance, saes=tuple(results))
