"""Where something can be read and edited inside a model: sites and addresses.

A *site* is a kind of activation, named as the field names it. An *address* is a site in a layer,
perhaps only at some positions, heads or batch rows; it prints and parses as the TransformerLens
hook name. What an edit does at an address says `interp.edits`.

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
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex

from interp.errors import SiteError, nearest, refuse_unknown_keywords

#: Positions, heads or rows of an address: one, several, or None for all.
Indices = int | Sequence[int] | None


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


@dataclass(frozen=True, init=False)
class Address:
    """A place in a model: a site, its layer, and optionally some positions, heads and batch rows.

    Positions and heads may be negative, counted from the end of each prompt (padding excluded) and
    from the last head. None means all; one number and several are taken alike. Prints and parses as a
    TransformerLens hook name, with the selection in brackets where there is one:
    ``blocks.9.attn.hook_z[pos=-1 head=6,9]``.
    """

    site: str
    layer: int | None
    positions: tuple[int, ...] | None
    heads: tuple[int, ...] | None
    rows: tuple[int, ...] | None

    @refuse_unknown_keywords(SiteError)
    def __init__(
        self,
        site: str,
        layer: int | None = None,
        positions: Indices = None,
        heads: Indices = None,
        rows: Indices = None,
    ) -> None:
        found = find_site(site)
        if found.per_layer and layer is None:
            raise SiteError(f"Site {site!r} is in every layer; say which, as in layer=0.")
        if layer is not None and (isinstance(layer, bool) or not isinstance(layer, int)):
            raise SiteError(f"A layer is a whole number, not {layer!r}.")
        if not found.per_layer and layer is not None:
            raise SiteError(f"Site {site!r} belongs to no layer; leave the layer out.")
        if heads is not None and not found.per_head:
            per_head = ", ".join(name for name, other in SITES.items() if other.per_head)
            raise SiteError(f"Site {site!r} has no heads; sites with heads: {per_head}.")
        fields = {
            "site": site,
            "layer": layer,
            "positions": _indices("positions", positions),
            "heads": _indices("heads", heads),
            "rows": _indices("rows", rows),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)  # as a frozen dataclass does it

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
        selection: dict[str, tuple[int, ...]] = {}
        for part in (match["where"] or "").split():
            key, _, numbers = part.partition("=")
            if key not in ("pos", "head", "row") or not re.fullmatch(r"-?\d+(,-?\d+)*", numbers):
                raise SiteError(f"Cannot read {part!r} in {text!r}; write it as in 'pos=-1' or 'head=6,9'.")
            selection[{"pos": "positions", "head": "heads", "row": "rows"}[key]] = tuple(
                int(n) for n in numbers.split(",")
            )
        return cls(_SITE_OF_HOOK[template], int(layer[1]) if layer else None, **selection)


def _indices(name: str, value: Indices) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        indices = (index(value),) if isinstance(value, SupportsIndex) else tuple(map(index, value))
    except TypeError:
        raise SiteError(f"The {name} of an address are whole numbers, not {value!r}.") from None
    if not indices:
        raise SiteError(f"An address with an empty list of {name} matches nothing; leave it out to mean all.")
    if len(set(indices)) != len(indices):
        raise SiteError(f"The {name} {list(indices)} name the same one twice; give each once.")
    return indices


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
