"""A transcoder: what an MLP does, as a sparse sum of directions.

    features = activation(normalise(x) @ W_enc + b_enc)
    mlp_out ~ features @ W_dec + b_dec (+ normalise(x) @ W_skip)

where x is the residual stream that the MLP's norm reads (resid_mid) and normalise is that norm without its
gain and bias, which are in the weights: (x - mean) / std of a LayerNorm, x / rms of an RMSNorm. So with its
scale frozen, a feature's pre-activation is linear in the residual stream.

Dunefsky et al. 2024, https://arxiv.org/abs/2406.11944; with the linear map beside it, Paulo et al. 2025,
https://arxiv.org/abs/2501.18823. `interp.saes.activations` has the kinds.

When it misleads: it is trained to give the same output, not to compute it in the same way; what it leaves
over may be what matters; and with a skip connection much of what the MLP does may be in no feature at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Editable
from interp.errors import InputError
from interp.models.base import Model
from interp.models.evaluation import evaluating
from interp.models.layouts import part
from interp.models.unembedding import check_unembedding
from interp.models.weights import WithWeights
from interp.saes.activations import Activation, JumpReLU, rounded
from interp.saes.dictionary import check_address, width
from interp.saes.results import SAEIdentity
from interp.sites import Address

NormKind = Literal["layer_norm", "rms_norm", "none"]
SOURCE, TARGET = "resid_mid", "mlp_out"
_NORM_ROUNDING = 1e-2  # by how much a norm's output may miss the formula: half precision has few digits


@dataclass(frozen=True, kw_only=True)
class InputNorm:
    """What is done to the residual stream before it is encoded: the MLP's norm without gain and bias.

    ``layer_norm``: ``(x - mean) / sqrt(variance + eps)``; ``rms_norm``: ``x / sqrt(mean of x^2 + eps)``;
    ``none``: x itself.
    """

    kind: NormKind = "none"
    eps: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(NormKind):
            raise InputError(f"{self.kind!r} is no norm; choose one of {', '.join(get_args(NormKind))}.")

    def centred(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The linear part: less the mean, for a LayerNorm. It is its own transpose."""
        return x - x.mean(-1, keepdim=True) if self.kind == "layer_norm" else x

    def scale(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any 1"]:
        """What the linear part is multiplied by: 1 / std or 1 / rms."""
        if self.kind == "none":
            return torch.ones_like(x[..., :1])
        return torch.rsqrt(self.centred(x).square().mean(-1, keepdim=True) + self.eps)

    def __call__(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        return self.centred(x) * self.scale(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Transcoder:
    """A dictionary of `n_features` that stands for the MLP of one layer of one model. Raises `InputError`
    where the weights do not fit together."""

    W_enc: Float[Tensor, "d_in feature"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature d_out"]
    b_dec: Float[Tensor, " d_out"]
    W_skip: Float[Tensor, "d_in d_out"] | None = None
    activation: Activation
    norm: InputNorm
    layer: int
    model: str
    revision: str | None = None
    processing: str = "none"  # of the model's weights
    unembed_sha256: str | None = None  # of the unembedding of that model; None: not recorded
    names: Mapping[int, str] = field(default_factory=dict)  # what features are called in its folder

    def __post_init__(self) -> None:
        d_in, n = self.W_enc.shape if self.W_enc.ndim == 2 else (0, 0)
        d_out = self.b_dec.shape[-1]
        shapes = [tuple(w.shape) for w in (self.W_enc, self.b_enc, self.W_dec, self.b_dec)]
        skip = None if self.W_skip is None else tuple(self.W_skip.shape)
        if shapes != [(d_in, n), (n,), (n, d_out), (d_out,)] or not n or skip not in (None, (d_in, d_out)):
            raise InputError(
                "The weights of a transcoder are W_enc [d_in, feature], b_enc [feature], W_dec [feature, "
                "d_out], b_dec [d_out] and, where it has one, W_skip [d_in, d_out]; these are "
                f"{', '.join(str(list(shape)) for shape in (*shapes, *([skip] if skip else [])))}."
            )
        if isinstance(self.activation, JumpReLU) and tuple(self.activation.threshold.shape) != (n,):
            raise InputError(
                f"This transcoder has {n} features, but thresholds of shape "
                f"{list(self.activation.threshold.shape)}."
            )

    def __repr__(self) -> str:
        skip = ", with a skip connection" if self.W_skip is not None else ""
        return (
            f"<Transcoder of {self.model}, MLP of layer {self.layer}: {self.n_features} features, "
            f"{self.activation.kind}{skip}>"
        )

    @property
    def address(self) -> Address:
        """What it reads."""
        return Address(SOURCE, self.layer)

    @property
    def target(self) -> Address:
        """What it stands for."""
        return Address(TARGET, self.layer)

    @property
    def d_in(self) -> int:
        return self.W_enc.shape[0]

    @property
    def n_features(self) -> int:
        return self.W_dec.shape[0]

    @property
    def identity(self) -> SAEIdentity:
        """Which one it is, for a result."""
        return SAEIdentity(
            model=self.model,
            site=str(self.target),
            n_features=self.n_features,
            activation=self.activation.kind,
        )

    def naming(self, features: Iterable[int]) -> SAEIdentity:
        """Its identity, for a result that speaks of these features, with their names."""
        return self.identity.naming(self.names, features)

    def to(self, dtype: torch.dtype) -> Transcoder:
        """The same with its weights and thresholds rounded to `dtype`; it computes in that of its input."""
        weights = {name: getattr(self, name).to(dtype) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
        W_skip = None if self.W_skip is None else self.W_skip.to(dtype)
        return replace(self, **weights, W_skip=W_skip, activation=rounded(self.activation, dtype))

    def pre_activations(self, x: Float[Tensor, "*any d_in"]) -> Float[Tensor, "*any feature"]:
        """What the activation function is applied to."""
        return self.norm(x) @ self.W_enc.to(x) + self.b_enc.to(x)

    def encode(self, x: Float[Tensor, "*any d_in"]) -> Float[Tensor, "*any feature"]:
        """The features of residual streams before the MLP's norm."""
        return self.activation(self.pre_activations(x))

    def decode(
        self, features: Float[Tensor, "*any feature"], x: Float[Tensor, "*any d_in"]
    ) -> Float[Tensor, "*any d_out"]:
        """The MLP's output that features stand for, with what the skip connection makes of `x`."""
        out = features @ self.W_dec.to(features) + self.b_dec.to(features)
        return out if self.W_skip is None else out + self.norm(x) @ self.W_skip.to(x)

    def replace_mlp(self, x: Float[Tensor, "*any d_in"]) -> Float[Tensor, "*any d_out"]:
        """What stands in the MLP's place, given the residual stream before its norm."""
        return self.decode(self.encode(x), x)

    def check_fits(self, model: Editable) -> None:
        """Raise `InputError` where it is for another model or width, `SiteError` where the model has no such
        sites."""
        for address in (self.address, self.target):
            check_address(model, address)
        if (self.d_in, self.b_dec.shape[0]) != (width(model, SOURCE), width(model, TARGET)):
            raise InputError(
                f"This transcoder (of {self.model}) is from width {self.d_in} to {self.b_dec.shape[0]}, but "
                f"{model.identity.name} has width {width(model, SOURCE)}; train one for it."
            )
        recorded = {"unembed_sha256": self.unembed_sha256}
        check_unembedding(model, recorded, what="transcoder", made_for=self.model)


@dataclass(frozen=True, eq=False)
class Transcoders:
    """A transcoder for every MLP of a model, in the order of layers. Raises `InputError` where one is missing
    or they are of different models."""

    layers: tuple[Transcoder, ...]

    def __post_init__(self) -> None:
        if [one.layer for one in self.layers] != list(range(len(self.layers))) or not self.layers:
            raise InputError(
                "Transcoders are for all layers of a model, in their order; these are for layers "
                f"{[one.layer for one in self.layers]}."
            )
        if len({(one.model, one.unembed_sha256) for one in self.layers}) > 1:
            raise InputError("These transcoders are for different models; take those of one.")

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Transcoder]:
        return iter(self.layers)

    def __getitem__(self, layer: int) -> Transcoder:
        return self.layers[layer]

    def __repr__(self) -> str:
        one = self.layers[0]
        skip = ", with skip connections" if one.W_skip is not None else ""
        return (
            f"<Transcoders of {one.model}: {len(self)} layers of {one.n_features} features, "
            f"{one.activation.kind}{skip}>"
        )

    @property
    def names(self) -> dict[tuple[int, int], str]:
        """What features are called in their folders, by layer and feature."""
        return {(one.layer, f): name for one in self for f, name in one.names.items()}

    def to(self, dtype: torch.dtype) -> Transcoders:
        """As `Transcoder.to`, of each."""
        return Transcoders(tuple(one.to(dtype) for one in self.layers))

    def decoder(self, source: int, target: int) -> Float[Tensor, "feature d_out"] | None:
        """What the features of one layer write to the MLP's output of another; None: nothing."""
        return self.layers[source].W_dec if source == target else None

    def written(
        self, layer: int, features: Sequence[Float[Tensor, "*any feature"]], x: Float[Tensor, "*any d_in"]
    ) -> Float[Tensor, "*any d_out"]:
        """What stands in the place of a layer's MLP, given the features of all layers up to it, and the
        residual stream before its own norm."""
        out = self.layers[layer].decode(features[layer], x)
        for source in range(layer):
            W_dec = self.decoder(source, layer)
            if W_dec is not None:
                out = out + features[source] @ W_dec.to(features[source])
        return out

    def check_fits(self, model: Editable) -> None:
        """As `Transcoder.check_fits`; also `InputError` where the model has another number of layers."""
        if len(self) != model.arch.n_layers:
            raise InputError(
                f"These are transcoders of {len(self)} layers, but {model.identity.name} has "
                f"{model.arch.n_layers}; train some for it."
            )
        for one in self.layers:
            one.check_fits(model)


@dataclass(frozen=True, eq=False)
class MLPNorm:
    """The norm before an MLP: ``norm(x) * gain + bias``."""

    norm: InputNorm
    gain: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"]


def mlp_norm(model: Model, layer: int) -> MLPNorm:
    """The norm before the MLP of a layer, found by what it does to drawn vectors.

    Raises `InputError` where it is neither a LayerNorm nor an RMSNorm, or on a backend that does not show it.
    """
    if not isinstance(model, WithWeights):
        raise InputError(
            f"Transcoders need the norm before the MLP, which the {model.identity.backend} backend does not "
            "show; load the model with backend='transformers'."
        )
    ones = torch.ones(model.arch.d_model)
    if model.layout.mlp_norm == model.layout.mlp or model.layout.mlp_norm == "mlp":
        return MLPNorm(InputNorm(), ones, 0 * ones)  # a family without a norm before its MLP
    module = part(model.layers[layer], model.layout.mlp_norm)
    eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    like = next(module.parameters(), ones)
    x = torch.randn(8, len(ones), generator=torch.Generator().manual_seed(0)).to(like)
    with model._lock, torch.no_grad(), evaluating(module):
        out, bias = module(x).double().cpu(), module(torch.zeros_like(x[0])).double().cpu()
    for kind in get_args(NormKind)[:2]:
        norm = InputNorm(kind=kind, eps=float(eps or 0.0))
        plain = norm(x.double().cpu())
        gain = (plain * (out - bias)).sum(0) / plain.square().sum(0)
        if (plain * gain + bias - out).abs().max() <= _NORM_ROUNDING * (out - bias).abs().max():
            return MLPNorm(norm, gain.float(), bias.float())
    raise InputError(
        f"The norm before the MLP of layer {layer}, {type(module).__name__}, is neither a LayerNorm nor an "
        "RMSNorm, so no transcoder of this MLP is linear in the residual stream; there is none for it."
    )
