"""What experiments with a trained sparse autoencoder share: which one, loaded for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.saes.dictionary import SAE


class SAEConfig(ExperimentConfig):
    """`sae` is the name of a demo model, a folder, or a place on the Hugging Face hub; see
    `interp.load_sae`."""

    sae: str = "demo-gpt2"

    def dictionary(self, model: Model) -> SAE:
        """The SAE, for `model`."""
        from interp.saes.sources import load_sae

        return load_sae(self.sae, model)
