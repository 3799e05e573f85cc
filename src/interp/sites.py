"""What can be read and edited inside a model: sites, addresses and edits.

A *site* is a kind of activation, named as the field names it. An *address* is a site in a layer,
perhaps only at some positions, heads or batch rows; it prints and parses as the TransformerLens
hook name. An *edit* is a plain value, an operation at an address, that every backend can carry out.

Conventions, the same on every backend:

- ``embed`` is the token embedding alone, before any position embedding.
- ``q``, ``k`` and ``v`` are what the attention product sees: after any q/k norm and after the rotary
  step. (TransformerLens calls that ``hook_rot_q`` and ``hook_rot_k`` on rotary models; here it is
  ``hook_q`` and ``hook_k`` on all of them, and the ``rot`` names parse to the same site.)
  ``k`` and ``v`` are per key-value head where queries are grouped.
- ``z`` is each head's output before the output projection.
- ``pattern`` is the attention after the softmax; positions of an address are its query positions.
- ``mlp_act`` is what the MLP's output projection reads (for a gated MLP: the gated product).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any, Literal

from interp.errors import EditError, SiteError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from interp.models.base import Model

Op = Literal["set", "add", "scale", "zero", "mean", "project_out", "features"]
#: All but ``features``, which is made by `interp.feature_edit`.
OPS: tuple[str, ...] = ("set", "add", "scale", "zero", "mean", "project_out")


@dataclass(frozen=True)
class Site:
    """A kind of activation: its name, its TransformerLens hook name, and its axes."""

    name: str
    hook: str
    axes: tuple[str, ...]

    @property
    def per_layer(self) -> bool:
        return "{layer}" in self.hook

    @property
    def per_head(self) -> bool:
        return "head" in self.axes or "kv_head" in self.axes


_RESIDUAL = ("batch", "pos", "d_model")
_HEAD = ("batch", "pos", "head", "d_head")
_KV_HEAD = ("batch", "pos", "kv_head", "d_head")

# In the order in which a forward pass reaches them.
SITES: dict[str, Site] = {
    site.name: site
    for site in (
        Site("embed", "hook_embed", _RESIDUAL),
        Site("resid_pre", "blocks.{layer}.hook_resid_pre", _RESIDUAL),
        Site("q", "blocks.{layer}.attn.hook_q", _HEAD),
        Site("k", "blocks.{layer}.attn.hook_k", _KV_HEAD),
        Site("v", "blocks.{layer}.attn.hook_v", _KV_HEAD),
        Site("pattern", "blocks.{layer}.attn.hook_pattern", ("batch", "head", "query", "key")),
        Site("z", "blocks.{layer}.attn.hook_z", _HEAD),
        Site("attn_out", "blocks.{layer}.hook_attn_out", _RESIDUAL),
        Site("resid_mid", "blocks.{layer}.hook_resid_mid", _RESIDUAL),
        Site("mlp_act", "blocks.{layer}.mlp.hook_post", ("batch", "pos", "d_mlp")),
        Site("mlp_out", "blocks.{layer}.hook_mlp_out", _RESIDUAL),
        Site("resid_post", "blocks.{layer}.hook_resid_post", _RESIDUAL),
    )
}

_ALIASES = {"hook_rot_q": "hook_q", "hook_rot_k": "hook_k"}
_SITE_OF_HOOK = {site.hook: name for name, site in SITES.items()}
_ADDRESS = re.compile(r"(?P<hook>[\w.]+?)(?:\[(?P<where>[^\]]*)\])?")


def find_site(name: str) -> Site:
    """The site of this name; `SiteError` with the nearest valid name otherwise."""
    if name not in SITES:
        raise SiteError(f"Unknown site {name!r}; {nearest(name, SITES)}")
    return SITES[name]


@dataclass(frozen=True)
class Address:
    """A place in a model: a site, its layer, and optionally some positions, heads and batch rows.

    Positions and heads may be negative, counted from the end of each prompt (padding excluded) and
    from the last head. None means all. Prints and parses as a TransformerLens hook name, with the
    selection in brackets where there is one: ``blocks.9.attn.hook_z[pos=-1 head=6,9]``.
    """

    site: str
    layer: int | None = None
    positions: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        site = find_site(self.site)
        if site.per_layer and self.layer is None:
            raise SiteError(f"Site {self.site!r} is in every layer; say which, as in layer=0.")
        if self.layer is not None and (isinstance(self.layer, bool) or not isinstance(self.layer, int)):
            raise SiteError(f"A layer is a whole number, not {self.layer!r}.")
        if not site.per_layer and self.layer is not None:
            raise SiteError(f"Site {self.site!r} belongs to no layer; leave the layer out.")
        if self.heads is not None and not site.per_head:
            per_head = ", ".join(name for name, site in SITES.items() if site.per_head)
            raise SiteError(f"Site {self.site!r} has no heads; sites with heads: {per_head}.")
        for name in ("positions", "heads", "rows"):
            object.__setattr__(self, name, _indices(name, getattr(self, name)))

    @property
    def hook(self) -> str:
        """The TransformerLens hook name, without positions, heads or rows."""
        return SITES[self.site].hook.format(layer=self.layer)

    def __str__(self) -> str:
        selection = {"pos": self.positions, "head": self.heads, "row": self.rows}
        where = " ".join(f"{k}={','.join(map(str, v))}" for k, v in selection.items() if v is not None)
        return f"{self.hook}[{where}]" if where else self.hook

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that prints as `text`; `SiteError` where there is none."""
        match = _ADDRESS.fullmatch(text.strip())
        if match is None:
            raise SiteError(
                f"{text!r} is not an address; write it as in 'blocks.9.attn.hook_z[pos=-1 head=6]'."
            )
        hook = match["hook"]
        layer = re.match(r"blocks\.(\d+)\.", hook)
        template = re.sub(r"^blocks\.\d+\.", "blocks.{layer}.", hook)
        for alias, name in _ALIASES.items():
            template = template.replace(alias, name)
        if template not in _SITE_OF_HOOK:
            raise SiteError(f"Unknown hook name {hook!r}; {nearest(template, _SITE_OF_HOOK)}")
        selection: dict[str, Any] = {}
        for part in (match["where"] or "").split():
            key, _, numbers = part.partition("=")
            if key not in ("pos", "head", "row") or not re.fullmatch(r"-?\d+(,-?\d+)*", numbers):
                raise SiteError(f"Cannot read {part!r} in {text!r}; write it as in 'pos=-1' or 'head=6,9'.")
            selection[{"pos": "positions", "head": "heads", "row": "rows"}[key]] = tuple(
                int(n) for n in numbers.split(",")
            )
        return cls(_SITE_OF_HOOK[template], int(layer[1]) if layer else None, **selection)


def _indices(name: str, value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        indices = (index(value),) if hasattr(value, "__index__") else tuple(index(i) for i in value)
    except TypeError:
        raise SiteError(f"The {name} of an address are whole numbers, not {value!r}.") from None
    if not indices:
        raise SiteError(f"An address with an empty list of {name} matches nothing; leave it out to mean all.")
    if len(set(indices)) != len(indices):
        raise SiteError(f"The {name} {list(indices)} name the same one twice; give each once.")
    return indices


class Change(ABC):
    """The value of an edit whose effect depends on what the activation is when it is carried out: a change of
    its features (`interp.feature_edit`)."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise `InterpError` for what this model, or any, cannot carry out."""

    @abstractmethod
    def __call__(self, block: Tensor) -> Tensor:
        """The selected block of the activation after the change."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What it says, without large weights, for JSON."""


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

    @classmethod
    def set(cls, site: str, layer: int | None = None, *, value: Tensor | float, **where: Any) -> Edit:
        """Replace the activation by `value` (activation patching; mean ablation with a dataset's mean)."""
        return cls("set", Address(site, layer, **where), value)

    @classmethod
    def add(cls, site: str, layer: int | None = None, *, value: Tensor | float, **where: Any) -> Edit:
        """Add `value` (steering; noise)."""
        return cls("add", Address(site, layer, **where), value)

    @classmethod
    def scale(cls, site: str, layer: int | None = None, *, value: Tensor | float, **where: Any) -> Edit:
        """Multiply by `value`."""
        return cls("scale", Address(site, layer, **where), value)

    @classmethod
    def zero(cls, site: str, layer: int | None = None, **where: Any) -> Edit:
        """Replace by zeros (zero ablation)."""
        return cls("zero", Address(site, layer, **where))

    @classmethod
    def mean(cls, site: str, layer: int | None = None, **where: Any) -> Edit:
        """Replace by the activation's mean over the positions of the same prompt (padding excluded)."""
        return cls("mean", Address(site, layer, **where))

    @classmethod
    def project_out(cls, site: str, layer: int | None = None, *, value: Tensor, **where: Any) -> Edit:
        """Remove the component along the direction `value` (directional ablation; any length but zero)."""
        return cls("project_out", Address(site, layer, **where), value)

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
            import torch

            value = torch.tensor(value)
        return cls(data["op"], Address.parse(data["at"]), value)


def parse_sites(wanted: Sequence[str | tuple[str, int] | Address], n_layers: int) -> list[Address]:
    """The addresses that `wanted` names, without repeats.

    Each item is a site name ("resid_post": every layer), a (site, layer) pair, an `Address`, or a
    TransformerLens hook name.
    """
    if isinstance(wanted, str):
        wanted = [wanted]
    addresses: dict[Address, None] = {}
    for item in wanted:
        if isinstance(item, Address):
            found = [item]
        elif isinstance(item, tuple):
            found = [Address(*item)]
        elif "hook_" in item:
            found = [Address.parse(item)]
        elif find_site(item).per_layer:
            found = [Address(item, layer) for layer in range(n_layers)]
        else:
            found = [Address(item)]
        addresses |= dict.fromkeys(found)
    return list(addresses)
