"""A sparse autoencoder: activations of one site as sparse sums of directions from a dictionary.

    features = activation((normalise(x) - b_dec) @ W_enc + b_enc)
    reconstruction = denormalise(features @ W_dec + b_dec)

Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features. `interp.saes.activations`
has the kinds, `interp.saes.metrics` says how good one is.

When it misleads: what it does not reconstruct (its error) may be what matters; a feature is a direction that
helps to reconstruct, which need not be one that the model uses; and dictionaries of other sizes split
features otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Editable
from interp.errors import InputError
from interp.models.unembedding import check_unembedding, unembed_hashes
from interp.saes.activations import Activation, JumpReLU, rounded
from interp.saes.results import SAEIdentity
from interp.showing import Listing, listed
from interp.sites import SITES, Address

Normalisation = Literal["none", "layer_norm", "constant_norm_rescale"]
#: In layer_norm, added to the standard deviation where it divides, not where it multiplies back (as SAELens).
EPS = 1e-5


@dataclass(frozen=True, eq=False, kw_only=True)
class SAE:
    """A dictionary of `n_features` directions for the activations of one site of one model.

    `normalise` is what is done to each activation before it is encoded, and undone after: ``layer_norm``
    takes off its mean and divides by its standard deviation (unbiased), ``constant_norm_rescale`` makes its
    length sqrt(d_in). With `centred`, the mean is taken off in any case. Raises `InputError` where the
    weights do not fit together.
    """

    W_enc: Float[Tensor, "d_in feature"]
    b_enc: Float[Tensor, " feature"]
    W_dec: Float[Tensor, "feature d_in"]
    b_dec: Float[Tensor, " d_in"]
    activation: Activation
    address: Address  # the site and layer that it is for
    model: str
    revision: str | None = None
    processing: str = "none"  # of the model's weights
    unembed_sha256: str | None = None  # of the unembedding of that model; None: not recorded
    normalise: Normalisation = "none"
    apply_b_dec_to_input: bool = True  # False: b_dec is added behind, but not taken off before
    centred: bool = False  # it was trained on activations less their mean: see `interp.saes.processing`
    names: Mapping[int, str] = field(default_factory=dict)  # what features are called in its folder

    def __post_init__(self) -> None:
        shapes = [tuple(w.shape) for w in (self.W_enc, self.b_enc, self.W_dec, self.b_dec)]
        d_in, n = self.W_enc.shape if self.W_enc.ndim == 2 else (0, 0)
        if shapes != [(d_in, n), (n,), (n, d_in), (d_in,)] or not n:
            raise InputError(
                "The weights of an SAE are W_enc [d_in, feature], b_enc [feature], W_dec [feature, d_in] and "
                f"b_dec [d_in]; these are {', '.join(str(list(shape)) for shape in shapes)}."
            )
        if isinstance(self.activation, JumpReLU) and tuple(self.activation.threshold.shape) != (n,):
            raise InputError(
                f"This SAE has {n} features, but thresholds of shape {list(self.activation.threshold.shape)}."
            )
        if self.normalise not in get_args(Normalisation):
            raise InputError(
                f"{self.normalise!r} is no normalisation; choose one of {', '.join(get_args(Normalisation))}."
            )

    def __repr__(self) -> str:
        of = f"{self.n_features} features of width {self.d_in}, {self.activation.kind}"
        return f"<SAE of {self.model} at {self.address}: {of}>"

    def _repr_html_(self) -> str:
        rows = (
            ("model", self.model),
            ("site", str(self.address)),
            ("features", str(self.n_features)),
            ("width", str(self.d_in)),
            ("activation", self.activation.kind),
            ("normalise", self.normalise),
            ("dtype", str(self.W_dec.dtype).removeprefix("torch.")),
            ("unembedding", self.unembed_sha256 or "not recorded"),
        )
        return listed(repr(self).strip("<>"), [Listing("Facts", ("", ""), rows)])

    @property
    def d_in(self) -> int:
        return self.W_dec.shape[1]

    @property
    def n_features(self) -> int:
        return self.W_dec.shape[0]

    @property
    def identity(self) -> SAEIdentity:
        """Which SAE it is, for a result."""
        return SAEIdentity(
            model=self.model,
            site=str(self.address),
            n_features=self.n_features,
            activation=self.activation.kind,
        )

    def naming(self, features: Iterable[int]) -> SAEIdentity:
        """Its identity, for a result that speaks of these features, with their names."""
        return self.identity.naming(self.names, features)

    def to(self, dtype: torch.dtype) -> SAE:
        """The same with its weights and thresholds rounded to `dtype`; it computes in that of its input."""
        weights = {name: getattr(self, name).to(dtype) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
        return replace(self, **weights, activation=rounded(self.activation, dtype))

    def encode(self, x: Float[Tensor, "*any d_in"]) -> Float[Tensor, "*any feature"]:
        """The features of activations; heads are flattened first (see `flat`)."""
        middle, size = self.coordinates(x)
        x = (x - middle) / (size + (EPS if self.normalise == "layer_norm" else 0.0))
        if self.apply_b_dec_to_input:
            x = x - self.b_dec.to(x)
        return self.activation(x @ self.W_enc.to(x) + self.b_enc.to(x))

    def decode(
        self, features: Float[Tensor, "*any feature"], x: Float[Tensor, "*any d_in"] | None = None
    ) -> Float[Tensor, "*any d_in"]:
        """The activations that `features` stand for.

        Where this SAE normalises or centres, `x`, the activations that were encoded, must be given: their
        mean and size are not in the features. Raises `InputError` without.
        """
        out = features @ self.W_dec.to(features) + self.b_dec.to(features)
        if self.normalise == "none" and not self.centred:
            return out
        if x is None:
            raise InputError(
                "This SAE normalises each activation; give decode the activations that were encoded."
            )
        middle, size = self.coordinates(x)
        return out * size + middle

    def reconstruct(self, x: Float[Tensor, "*any d_in"]) -> Float[Tensor, "*any d_in"]:
        """The activations as this SAE sees them."""
        return self.decode(self.encode(x), x)

    def coordinates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is taken off each activation, and by what it is then divided; both broadcast to `x`."""
        if x.shape[-1] != self.d_in:
            raise InputError(
                f"This SAE encodes activations of width {self.d_in}, not of shape {list(x.shape)}."
            )
        middle = x.mean(-1, keepdim=True) if self.takes_off_mean else torch.zeros_like(x[..., :1])
        if self.normalise == "layer_norm":
            return middle, x.std(-1, keepdim=True)
        if self.normalise == "constant_norm_rescale":
            return middle, (x - middle).norm(dim=-1, keepdim=True) / self.d_in**0.5
        return middle, torch.ones_like(middle)

    @property
    def takes_off_mean(self) -> bool:
        """Whether each activation is encoded less its mean."""
        return self.centred or self.normalise == "layer_norm"

    def check_fits(self, model: Editable) -> None:
        """Raise `InputError` where this SAE is for another model or width, `SiteError` where the model has no
        such site.

        An SAE that records no unembedding is taken where its site and width fit: published ones record none.
        """
        check_address(model, self.address)
        if self.d_in != width(model, self.address.site):
            raise InputError(
                f"This SAE (of {self.model}) is for activations of width {self.d_in}, but {self.address} of "
                f"{model.identity.name} has width {width(model, self.address.site)}; train one for it."
            )
        recorded = {"unembed_sha256": self.unembed_sha256}
        check_unembedding(model, recorded, what="SAE", made_for=self.model)


def check_address(model: Editable, address: Address) -> None:
    """Raise `SiteError` where the model has no such site and layer, `InputError` where a dictionary of it
    makes no sense."""
    model.check_site(address.site)
    if address.site == "pattern":
        raise InputError("Attention patterns have no fixed width, so there is no SAE of them.")
    if (address.positions, address.heads, address.rows) != (None, None, None):
        raise InputError(
            f"An SAE is for all positions and heads of a site; leave the selection out of {address}."
        )
    if address.layer is not None and not 0 <= address.layer < model.arch.n_layers:
        raise InputError(
            f"{model.identity.name} has {model.arch.n_layers} layers, from 0; there is no {address}."
        )


def width(model: Editable, site: str) -> int:
    """How wide the activations of a site are, heads flattened."""
    arch = model.arch
    axes = SITES[site].axes
    if axes[-1] == "d_head":
        return arch.d_head * (arch.n_kv_heads if "kv_head" in axes else arch.n_heads)
    if axes[-1] == "d_mlp":
        assert arch.d_mlp is not None  # check_site refuses it
        return arch.d_mlp
    return arch.d_model


def flat(site: str, x: Float[Tensor, "batch pos *width"]) -> Float[Tensor, "batch pos d_in"]:
    """Activations of a site with the heads, where it has them, side by side."""
    return x.flatten(2) if SITES[site].per_head else x


def activations_for(sae: SAE, raw: Float[Tensor, "batch pos *width"]) -> Float[Tensor, "batch pos d_in"]:
    """Activations of the SAE's site as it encodes them: heads side by side, and in no less than its own
    precision, since half precision has no room for its sums."""
    return flat(sae.address.site, raw).to(torch.promote_types(raw.dtype, sae.W_dec.dtype))


def model_facts(model: Editable) -> dict[str, str | None]:
    """What an SAE records of the model that it is for."""
    return {
        "model": model.identity.name,
        "revision": model.identity.revision,
        "processing": model.identity.processing,
        "unembed_sha256": unembed_hashes(model)["unembed_sha256"],
    }
