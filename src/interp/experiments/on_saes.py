"""What experiments with a trained sparse autoencoder share: which one, loaded for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.saes.dictionary import SAE


class SAEConfig(ExperimentConfig):
    """`sae` is a folder that holds one; see `interp.read_sae`."""

    sae: str

    def dictionary(self, model: Model) -> SAE:
        """The SAE, for `model`."""
        from interp.saes.files import read_sae

        return read_sae(self.sae, model)
