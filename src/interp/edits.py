"""Changes to what is inside a model, as plain values: an operation at an address, with what it takes.

Every backend can carry them out (`interp.models.editing` says how), and a result can store them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.architecture import HasArchitecture
from interp.errors import EditError, SiteError, nearest, refuse_unknown_keywords
from interp.sites import Address, Indices

Op = Literal["set", "add", "scale", "zero", "mean", "project_out", "features"]
#: All but ``features``, which is made by `interp.feature_edit`.
OPS: tuple[str, ...] = ("set", "add", "scale", "zero", "mean", "project_out")


@runtime_checkable
class Editable(HasArchitecture, Protocol):
    """A model that edits are for, such as `interp.Model`: what a change of features may ask of it."""

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]: ...

    def check_site(self, site: str) -> None: ...


class Change(ABC):
    """The value of an edit whose effect depends on what the activation is when it is carried out: a change of
    its features (`interp.feature_edit`)."""

    @abstractmethod
    def check(self, model: Editable) -> None:
        """Raise `InterpError` for what this model, or any, cannot carry out."""

    @abstractmethod
    def __call__(self, block: Tensor) -> Tensor:
        """The selected block of the activation after the change."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What it says, without large weights, for JSON."""

    #: Whether what it does at a position depends on the activation at that position alone, so that it does
    #: the same in a run of that position by itself.
    by_position: ClassVar[bool] = False

    def of_rows(self, rows: Sequence[int]) -> Change:
        """The same for some rows of those that it is for."""
        return self


@dataclass(frozen=True, eq=False)
class Edit:
    """A change to one activation: an operation, where, and with what.

    `value` broadcasts to the selected block, whose axes are [row, position, head, width] for sites
    with heads and [row, position, width] for the rest (``pattern``: [row, head, query, key]): those of
    the cached activation, so that a cached value can be set as it is.
    Build one with the class methods, which say what each operation does, or with `interp.feature_edit`.
    """

    op: Op
    address: Address
    value: Tensor | float | Change | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.op == "features") != isinstance(self.value, Change):
            raise EditError("An edit of features is made by interp.feature_edit, and by nothing else.")
        if self.op not in (*OPS, "features"):
            raise EditError(f"Unknown operation {self.op!r}; {nearest(self.op, OPS)}")
        if (self.value is None) != (self.op in ("zero", "mean")):
            need = "takes no value" if self.value is not None else "needs a value"
            raise EditError(f"The operation {self.op!r} {need}.")
        if self.op == "mean" and self.address.site == "pattern":
            raise EditError(
                "A mean over queries would let early ones attend to the future; set the pattern instead."
            )

    def __repr__(self) -> str:
        value = self.value
        what = (
            f" {list(value.shape)}" if isinstance(value, Tensor) else f" {value}" if value is not None else ""
        )
        return f"<Edit: {self.op}{what} at {self.address}>"

    @classmethod
    @refuse_unknown_keywords(EditError)
    def set(
        cls,
        site: str,
        layer: int | None = None,
        *,
        value: Tensor | float,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Replace the activation by `value` (activation patching; mean ablation with a dataset's mean)."""
        return cls("set", Address(site, layer, positions, heads, rows), value)

    @classmethod
    @refuse_unknown_keywords(EditError)
    def add(
        cls,
        site: str,
        layer: int | None = None,
        *,
        value: Tensor | float,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Add `value` (steering; noise)."""
        return cls("add", Address(site, layer, positions, heads, rows), value)

    @classmethod
    @refuse_unknown_keywords(EditError)
    def scale(
        cls,
        site: str,
        layer: int | None = None,
        *,
        value: Tensor | float,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Multiply by `value`."""
        return cls("scale", Address(site, layer, positions, heads, rows), value)

    @classmethod
    @refuse_unknown_keywords(EditError)
    def zero(
        cls,
        site: str,
        layer: int | None = None,
        *,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Replace by zeros (zero ablation)."""
        return cls("zero", Address(site, layer, positions, heads, rows))

    @classmethod
    @refuse_unknown_keywords(EditError)
    def mean(
        cls,
        site: str,
        layer: int | None = None,
        *,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Replace by the activation's mean over the positions of the same prompt (padding excluded)."""
        return cls("mean", Address(site, layer, positions, heads, rows))

    @classmethod
    @refuse_unknown_keywords(EditError)
    def project_out(
        cls,
        site: str,
        layer: int | None = None,
        *,
        value: Tensor,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> Edit:
        """Remove the component along the direction `value` (directional ablation; any length but zero)."""
        return cls("project_out", Address(site, layer, positions, heads, rows), value)

    def to_dict(self) -> dict[str, Any]:
        """A plain form for JSON, read back by `from_dict`, but for an edit of features: its SAE is named in
        it, not kept."""
        value = self.value
        if isinstance(value, Change):
            plain: Any = value.to_dict()
        else:
            plain = value if value is None or isinstance(value, float | int) else value.tolist()
        return {"op": self.op, "at": str(self.address), "value": plain}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Edit:
        """The edit that `to_dict` wrote; list values become float32 tensors. `EditError` for one of
        features."""
        if data["op"] == "features":
            raise EditError(
                "An edit of features is kept without its SAE; load that, and use interp.feature_edit."
            )
        value = data.get("value")
        if isinstance(value, list):
            value = torch.tensor(value)
        return cls(data["op"], Address.parse(data["at"]), value)


def neuron_edit(
    model: HasArchitecture,
    op: Literal["scale", "add"],
    layer: int,
    neurons: int | Sequence[int],
    *,
    value: float,
    positions: Indices = None,
) -> Edit:
    """An edit of some neurons of a layer's MLP: what they give to its output projection (``mlp_act``) is
    multiplied by `value`, or that is added to it; 0 times takes them out.

    Raises `EditError` for another operation, and for neurons that are not there, named twice or none;
    `SiteError` for a model without one MLP in a layer.
    """
    if op not in ("scale", "add"):
        raise EditError(f"Unknown operation {op!r} on neurons; {nearest(op, ('scale', 'add'))}")
    width = model.arch.d_mlp
    if width is None:
        raise SiteError("This model has no neurons that can be numbered: its layers have no one MLP.")
    chosen = [neurons] if isinstance(neurons, int) else list(neurons)
    if not chosen or len(set(chosen)) < len(chosen):
        raise EditError(f"Name each neuron once, and one at least; got {chosen}.")
    for neuron in chosen:
        if isinstance(neuron, bool) or not isinstance(neuron, int) or not 0 <= neuron < width:
            raise EditError(f"There is no neuron {neuron!r}; a layer has {width}, from 0.")
    vector = torch.full((width,), 1.0 if op == "scale" else 0.0)
    vector[chosen] = float(value)
    return Edit(op, Address("mlp_act", layer, positions), vector)


@dataclass(frozen=True, eq=False)
class EditFrom:
    """An edit of a text that is being generated, at every position from `start` on, the generated ones too.

    `start` is a position of the prompt, counted from its end where negative; ``"generated"``: only what is
    generated, not the prompt. (An `Edit` with positions acts on those of the prompt alone, and one without on
    all of the text.) The edit itself names no positions, and its value is one for every position. Raises
    `EditError` otherwise.
    """

    edit: Edit
    start: int | Literal["generated"]

    def __post_init__(self) -> None:
        if self.edit.address.positions is not None:
            raise EditError(
                f"The edit at {self.edit.address} acts from a position on; leave its positions out."
            )
        if self.start != "generated" and (isinstance(self.start, bool) or not isinstance(self.start, int)):
            raise EditError(f"An edit starts at a position or at 'generated', not at {self.start!r}.")
