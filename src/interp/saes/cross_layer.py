"""A cross-layer transcoder: transcoders whose features also write to the MLPs above their own.

    features[l] = activation(normalise(x[l]) @ W_enc[l] + b_enc[l])
    mlp_out[m] ~ sum over l <= m of features[l] @ W_dec[l, m] + b_dec[m] (+ normalise(x[m]) @ W_skip[m])

where x[l] is the residual stream that the norm before the MLP of layer l reads. What many layers do one after
the other, such as keeping a direction up, can be one feature, and its paths in a graph one step.

Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html

When it misleads: as transcoders do (`interp.saes.transcoder`); and a feature that writes to layer m stands
for something that layer m may compute from what happens in between. Change what happens there, and the
feature writes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.saes.transcoder import Transcoders


@dataclass(frozen=True, eq=False)
class CrossLayerTranscoder(Transcoders):
    """Transcoders of all MLPs, and what their features write to the MLPs above: `above[l][f, i]` is what
    feature f of layer l adds to the output of MLP l + 1 + i, for every layer but the last.

    Raises `InputError` where these do not fit together.
    """

    above: tuple[Float[Tensor, "feature above d_out"], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        n, d_out = len(self.layers), self.layers[0].b_dec.shape[0]
        wanted = [(one.n_features, n - 1 - layer, d_out) for layer, one in enumerate(self.layers[:-1])]
        found = [tuple(W_dec.shape) for W_dec in self.above]
        if found != wanted:
            raise InputError(
                "What the features of a cross-layer transcoder write above is [feature, layers above, d_out] "
                f"for each layer but the last, here {_shapes(wanted)}; these are {_shapes(found)}."
            )

    def __repr__(self) -> str:
        one = self.layers[0]
        skip = ", with skip connections" if one.W_skip is not None else ""
        return (
            f"<CrossLayerTranscoder of {one.model}: {len(self)} layers of {one.n_features} features, "
            f"{one.activation.kind}{skip}>"
        )

    def to(self, dtype: torch.dtype) -> CrossLayerTranscoder:
        """As `Transcoder.to`."""
        layers = tuple(one.to(dtype) for one in self.layers)
        return CrossLayerTranscoder(layers, tuple(W_dec.to(dtype) for W_dec in self.above))

    def decoder(self, source: int, target: int) -> Float[Tensor, "feature d_out"] | None:
        """What the features of one layer write to the MLP's output of another; None below their own."""
        return (
            self.above[source][:, target - source - 1] if target > source else super().decoder(source, target)
        )


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes) or "none"
