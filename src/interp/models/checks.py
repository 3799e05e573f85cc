"""What is refused before anything runs: places that a model or a prompt does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from torch import Tensor

from interp.architecture import Architecture, Identity
from interp.errors import InputError, SiteError
from interp.readout import AnyReadout
from interp.sites import SITES, Address


def check_readout(readout: AnyReadout, *, n_pos: int, d_vocab: int) -> None:
    """`InputError` for a readout that looks where a prompt of so many tokens has nothing."""
    if not isinstance(readout, AnyReadout):
        raise InputError(
            f"A readout is an interp.Readout, not {type(readout).__name__}; "
            "make one with Readout.logit_diff, Readout.log_prob, Readout.logits or Readout.kl."
        )
    for part in readout.parts:
        n = n_pos + len(part.continuation)
        for position in part.positions:
            if not -n <= position < n:
                raise InputError(f"The readout's position {position} is not in the prompt's {n} tokens.")
        for column in part.columns or ():
            if not 0 <= column < d_vocab:
                raise InputError(f"The readout's token {column} is none of the model's {d_vocab} tokens.")


def check_ranges(address: Address, arch: Architecture, lengths: Sequence[int]) -> None:
    """`SiteError` for a layer, head, row or position that is not there, of prompts of these lengths."""
    if address.layer is not None:
        _check_range("layer", [address.layer], arch.n_layers, address, negative=False)
    if address.heads is not None:
        kv = "kv_head" in SITES[address.site].axes
        _check_range("head", address.heads, arch.n_kv_heads if kv else arch.n_heads, address)
    if address.rows is not None:
        _check_range("row", address.rows, len(lengths), address, negative=False)
    if address.positions is not None:
        rows = address.rows if address.rows is not None else range(len(lengths))
        _check_range("position", address.positions, min(lengths[row] for row in rows), address)


def refuse_site(
    site: str, identity: Identity, arch: Architecture, *, why: str | None, sites: Sequence[str]
) -> NoReturn:
    """Raise `SiteError` for a site that the architecture does not have (`why` not), or the backend not
    reach."""
    choose = f"choose one of {', '.join(sites)}."
    if why is not None:
        raise SiteError(f"{identity.name} {why}, so it has no {site!r}; {choose}")
    elsewhere = "" if identity.backend == "transformers" else "load the model with backend='transformers' or "
    raise SiteError(
        f"The {identity.backend} backend does not reach {site!r} in {arch.family} models; {elsewhere}{choose}"
    )


def check_residual_streams(resid: Tensor, *, n_pos: int, d_model: int) -> None:
    """`InputError` for what are not residual streams [row, pos, d_model] of a prompt of so many tokens."""
    if resid.ndim != 3 or not len(resid) or tuple(resid.shape[1:]) != (n_pos, d_model):
        raise InputError(
            f"A layer runs on residual streams [row, pos, d_model] of the prompt, [row, {n_pos}, {d_model}], "
            f"not of shape {list(resid.shape)}."
        )


def _check_range(
    kind: str, values: Sequence[int], n: int, address: Address, *, negative: bool = True
) -> None:
    for value in values:
        if not (-n if negative else 0) <= value < n:
            raise SiteError(
                f"{kind.capitalize()} {value} in {address} is out of range; there are {n}, from 0."
            )
