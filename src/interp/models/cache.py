"""What one run of a model leaves: the activations that were asked for, and its logits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import SiteError
from interp.models.editing import Key
from interp.showing import Listing, listed
from interp.sites import SITES, Address
from interp.tokens import Tokens

#: A site of which one or all layers are meant, a site in a layer, an address, or a hook name.
SiteSpec = str | tuple[str, int] | Address


class Cache(Mapping[SiteSpec, Tensor]):
    """The activations of one run, only those asked for, and its logits [batch, pos, d_vocab].

    ``cache["resid_post", 9]``, ``cache["embed"]`` and ``cache["blocks.9.attn.hook_z"]`` answer with
    the usual shapes. Values are those after any edit at the same site. Positions past a prompt's
    length (`tokens.lengths`) are padding and mean nothing.
    """

    def __init__(
        self,
        values: dict[Key, Tensor],
        *,
        logits: Float[Tensor, "batch pos d_vocab"] | None,
        tokens: Tokens,
    ) -> None:
        self._values = values
        self._logits = logits
        self.tokens = tokens

    @property
    def logits(self) -> Float[Tensor, "batch pos d_vocab"]:
        """The logits; `SiteError` of a run that was made without them."""
        if self._logits is None:
            raise SiteError("This run was made without logits; run it with logits=True.")
        return self._logits

    def __getitem__(self, key: SiteSpec) -> Tensor:
        if isinstance(key, Address):
            address = key
        elif isinstance(key, tuple):
            address = Address(*key)
        else:
            address = Address.parse(key) if "hook_" in key else Address(key)
        if (address.site, address.layer) not in self._values:
            held = sorted({site for site, _ in self._values})
            raise SiteError(
                f"The cache does not hold {address}; it was asked for: {', '.join(held) or 'nothing'}."
            )
        return self._values[address.site, address.layer]

    def __iter__(self) -> Iterator[SiteSpec]:
        return iter([Address(*key).hook for key in self._values])

    def __len__(self) -> int:
        return len(self._values)

    def row(self, row: int) -> Cache:
        """One prompt of the batch by itself, without padding."""
        tokens = Tokens.pad([self.tokens.row(row)])
        n = tokens.lengths[0]
        values = {}
        for key, value in self._values.items():
            own = value[row : row + 1]
            for axis, name in enumerate(SITES[key[0]].axes):
                own = own.narrow(axis, 0, n) if name in ("pos", "query", "key") else own
            values[key] = own
        logits = None if self._logits is None else self._logits[row : row + 1, :n]
        return Cache(values, logits=logits, tokens=tokens)

    def stack(self, site: str) -> Tensor:
        """All layers of a site that are held, as [layer, ...]."""
        layers = sorted(layer for name, layer in self._values if name == site and layer is not None)
        return torch.stack([self[site, layer] for layer in layers])

    def __repr__(self) -> str:
        layers = Counter(site for site, _ in self._values)
        held = [f"{site} ({n} layers)" if n > 1 else site for site, n in layers.items()]
        logits = "without logits" if self._logits is None else f"logits {list(self._logits.shape)}"
        return (
            f"<Cache of {len(self.tokens)} x {max(self.tokens.lengths)} tokens: {', '.join((*held, logits))}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (
                Address(*key).hook,
                ", ".join(f"{axis} {n}" for axis, n in zip(SITES[key[0]].axes, value.shape, strict=True)),
                str(value.dtype).removeprefix("torch."),
            )
            for key, value in self._values.items()
        ]
        return listed(
            repr(self).strip("<>"), [Listing("Activations", ("cache[...]", "shape", "dtype"), rows)]
        )
