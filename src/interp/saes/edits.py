"""Edits in feature space: some features of an activation changed, and everything else kept.

    x' = x + (f' - f) @ W_dec        (times the size by which the SAE normalises x, where it does)

where f are the features of x as it is when the edit is carried out (after edits below, and earlier ones at
the same site), and f' what becomes of them. What the SAE does not reconstruct of x stays as it was, and so
does what the other features stand for; an edit that changes no feature changes nothing.

When it misleads: features overlap, so that x' encoded again need not have the features f'; to change
several at once, name them in one edit, not in several, of which each sees what the one before has left. And
an activation with a feature set far beyond what text brings about is one that the model has never seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary, WeakSet

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Change, Edit, Editable
from interp.errors import EditError, nearest
from interp.saes.activations import JumpReLU, TopK
from interp.saes.dictionary import SAE, activations_for
from interp.sites import Address

FeatureOp = Literal["ablate", "set", "scale", "add"]
FEATURE_OPS: tuple[str, ...] = ("ablate", "set", "scale", "add")

#: The models that each SAE was found to be for: to compare unembeddings takes longer than a short run.
_FITTING: WeakKeyDictionary[SAE, WeakSet[Editable]] = WeakKeyDictionary()


def feature_edit(
    sae: SAE,
    op: FeatureOp,
    features: int | Sequence[int],
    *,
    value: Float[Tensor, "*row_pos_feature"] | float | None = None,
    positions: int | Sequence[int] | None = None,
    rows: int | Sequence[int] | None = None,
) -> Edit:
    """An edit of some features of `sae`, at its site: like any other, for `Model.forward`, `Model.sweep` and
    wherever else edits go.

    Args:
        op: ``ablate`` sets the features to 0, ``set`` to `value`, ``scale`` multiplies them by `value`, and
            ``add`` adds `value`, to those that are not active too. Values may be below 0.
        features: their numbers.
        value: a number, or a tensor that broadcasts to [row, position, feature], in the order of `features`;
            in the SAE's units of activation. Nothing for ``ablate``.
        positions, rows: as of any address; None means all, the first position included, at which an SAE is
            not trained.

    Raises:
        EditError: an unknown operation, a value that is missing, not wanted or not finite, a feature that is
            not there or named twice.
        SiteError: positions or rows that are no whole numbers.
    """
    if op not in FEATURE_OPS:
        raise EditError(f"Unknown operation {op!r} on features; {nearest(str(op), FEATURE_OPS)}")
    if (value is None) != (op == "ablate"):
        raise EditError(
            f"The operation {op!r} on features {'needs a value' if value is None else 'takes no value'}."
        )
    chosen = _numbers(features, sae.n_features)
    if value is not None and not torch.isfinite(torch.as_tensor(value)).all():
        raise EditError(f"The value of the {op} edit of features holds NaN or infinity.")
    at = Address(sae.address.site, sae.address.layer, positions, None, rows)
    return Edit("features", at, FeatureChange(sae, op, chosen, value))


@dataclass(frozen=True, eq=False)
class FeatureChange(Change):
    """What `feature_edit` makes an edit with."""

    sae: SAE = field(repr=False)
    op: FeatureOp
    features: tuple[int, ...]
    value: Tensor | float | None = None
    by_position: ClassVar[bool] = True

    def of_rows(self, rows: Sequence[int]) -> FeatureChange:
        """With what a value that differs by row has for these."""
        if not isinstance(self.value, Tensor) or self.value.ndim < 3 or len(self.value) == 1:
            return self
        return replace(self, value=self.value[list(rows)])

    def check(self, model: Editable) -> None:
        """Raise `InputError` or `SiteError` where the SAE is not for this model."""
        fitting = _FITTING.setdefault(self.sae, WeakSet())
        if model not in fitting:
            self.sae.check_fits(model)
            fitting.add(model)

    def __call__(self, block: Float[Tensor, "row pos *width"]) -> Float[Tensor, "row pos *width"]:
        x = activations_for(self.sae, block)
        change = self._change(features_of(self.sae, x, self.features))  # [row, pos, feature]
        added = activation_change(self.sae, x, change, self.features)
        return block + added.reshape(block.shape).to(block.dtype)

    def _change(self, features: Tensor) -> Tensor:
        """f' - f, of the features that are edited."""
        if self.op == "ablate":
            return -features
        value = torch.as_tensor(self.value, dtype=features.dtype, device=features.device)
        try:
            value = value.expand_as(features)
        except RuntimeError:
            raise EditError(
                f"The value of the {self.op} edit of features has shape {list(value.shape)}, which does not "
                f"broadcast to [row, position, feature], {list(features.shape)}."
            ) from None
        if self.op == "set":
            return value - features
        return features * (value - 1) if self.op == "scale" else value

    def to_dict(self) -> dict[str, Any]:
        """The operation, and of which SAE, without its weights."""
        value = self.value.tolist() if isinstance(self.value, Tensor) else self.value
        return {
            "op": self.op,
            "features": list(self.features),
            "value": value,
            "sae": {"model": self.sae.model, "site": str(self.sae.address), "features": self.sae.n_features},
        }


def features_of(
    sae: SAE, x: Float[Tensor, "*any d_in"], features: Sequence[int]
) -> Float[Tensor, "*any feature"]:
    """Some features of activations: as `SAE.encode`, which computes all.

    Only of TopK, where a feature is active or not by what the others are, all must be computed here too.
    """
    chosen = list(features)
    if isinstance(sae.activation, TopK):
        return sae.encode(x)[..., chosen]
    activation = sae.activation
    if isinstance(activation, JumpReLU):
        activation = JumpReLU(activation.threshold[chosen])
    part = replace(
        sae,
        W_enc=sae.W_enc[:, chosen],
        b_enc=sae.b_enc[chosen],
        W_dec=sae.W_dec[chosen],
        activation=activation,
    )
    return part.encode(x)


def activation_change(
    sae: SAE, x: Float[Tensor, "*any d_in"], change: Float[Tensor, "*any feature"], features: Sequence[int]
) -> Float[Tensor, "*any d_in"]:
    """What a `change` of some features changes in the activations `x`: (f' - f) @ W_dec, times their size."""
    _, size = sae.coordinates(x)
    return change @ sae.W_dec[list(features)].to(change) * size


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """The features of one prompt's run: many changes of them are made without encoding anew, as a `TopK` SAE
    must, where `feature_edit` does it for each."""

    sae: SAE
    raw: Float[Tensor, "one pos *width"]  # the activations of the site
    x: Float[Tensor, "pos d_in"]  # the same as the SAE encodes them
    features: Float[Tensor, "pos feature"]

    @classmethod
    def of(cls, sae: SAE, raw: Float[Tensor, "one pos *width"]) -> KnownFeatures:
        x = activations_for(sae, raw)[0]
        return cls(sae, raw, x, sae.encode(x))

    def activation_change(
        self,
        change: Float[Tensor, "some_pos some_feature"],
        features: Sequence[int],
        positions: Sequence[int],
    ) -> Float[Tensor, "one some_pos *width"]:
        """What a change of some features at some positions changes in the activations there."""
        added = activation_change(self.sae, self.x[list(positions)], change, features)
        return added.reshape(1, len(positions), *self.raw.shape[2:])

    def edit(self, change: Float[Tensor, "one some_pos *width"], positions: Sequence[int]) -> Edit:
        """The edit that makes a change of the activations."""
        address = self.sae.address
        return Edit.add(address.site, address.layer, value=change, positions=positions)

    def feature_gradient(self, gradient: Float[Tensor, "one pos *width"]) -> Float[Tensor, "pos feature"]:
        """The gradient with respect to each feature, of the one with respect to the activations."""
        _, size = self.sae.coordinates(self.x)
        own = gradient.reshape(self.x.shape).to(self.x)
        return (own * size) @ self.sae.W_dec.to(self.x).T


def _numbers(features: int | Sequence[int], n: int) -> tuple[int, ...]:
    try:
        chosen = tuple(map(index, features if isinstance(features, Iterable) else [features]))
    except TypeError:
        raise EditError(f"Features are named by whole numbers, not {features!r}.") from None
    if not chosen:
        raise EditError("An edit of no feature changes nothing; name one at least.")
    for feature in chosen:
        if not 0 <= feature < n:
            raise EditError(f"There is no feature {feature}; this SAE has {n}, from 0.")
    if len(set(chosen)) != len(chosen):
        raise EditError("A feature is named twice in one edit; name each once.")
    return chosen
