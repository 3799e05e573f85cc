"""Who writes a feature, and which logits it writes: both exact, on one run, with every norm's scale frozen.

Writers. What a feature of the residual stream reads is linear in what each part of the model wrote:

    pre-activation = sum over senders (their output @ the encoder's direction) + constant

The senders are those of `interp.methods.common.graph` that wrote before the site: the input, heads (``z @
W_O``; where a norm stands behind attention, what `interp.methods.common.senders` says) and MLPs. The constant
has the attention biases (where a norm stands behind attention, the heads have them) and the SAE's own biases.
Where the SAE normalises its input, mean and size are those of this run. Of a dictionary of attn_out or z, the
senders are the heads of its layer.

Logits. What the feature adds to the residual stream here (its strength times its decoder direction), through
the final norm with its scale frozen at this run's (as in `interp.direct_logit_attribution`) and the
unembedding, less the mean over the vocabulary: what moves all logits alike moves no prediction. These are
direct effects; what later layers make of the feature is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import SiteError
from interp.methods.attribution.frozen_readout import before_cap, frozen_readout
from interp.methods.common.senders import frozen_factor, head_outputs
from interp.models.base import Cache, Model, SiteSpec
from interp.saes.dictionary import EPS, SAE, flat
from interp.sites import Address
from interp.tokens import Tokens

_STREAM = ("resid_pre", "resid_mid", "resid_post")
_ADDED = (*_STREAM, "attn_out", "mlp_out")  # what is, or is added to, the residual stream
_BEFORE_NORMS = {"z": "attn_out", "mlp_act": "mlp_out"}  # what is added to it only behind a projection


@dataclass(frozen=True, eq=False)
class PreActivationParts:
    """What each sender, and all that is constant, gives to a feature's pre-activation."""

    names: tuple[str, ...]  # at last "constant"
    parts: Float[Tensor, " sender"]  # float64, on the CPU


def check_writers(model: Model, address: Address) -> None:
    """Raise `SiteError` where the senders of a site cannot be told apart."""
    if address.site not in (*_STREAM, "attn_out", "z"):
        raise SiteError(
            f"Senders write to the residual stream, attn_out and z; those of a feature of {address} are not "
            "told apart."
        )
    if address.site != "z":
        model.post_norm("attn_out", 0)  # an error where heads have no parts of their own
    for site in {site for site, _ in writer_sites(model, address)}:
        model.check_site(site)


def writer_sites(model: Model, address: Address) -> list[tuple[str, int]]:
    """The sites that a cache must hold for `feature_writers`, beside the SAE's own."""
    layer = address.layer or 0
    if address.site not in _STREAM:
        return [("z", layer)]
    whole = [(site, before) for before in range(layer) for site in ("z", "mlp_out")]
    own = {"resid_pre": [], "resid_mid": [("z", layer)], "resid_post": [("z", layer), ("mlp_out", layer)]}
    return [("resid_pre", 0), *whole, *own[address.site]]


def feature_writers(model: Model, sae: SAE, feature: int, cache: Cache, position: int) -> PreActivationParts:
    """The parts of a feature's pre-activation at a position of a run (row 0 of `cache`)."""
    address = sae.address
    names, outputs = _written(model, address, cache, position)  # [sender, d_in]
    x = flat(address.site, cache[address])[0, position].double().cpu()
    direction = sae.W_enc[:, feature].double().cpu()
    middle, size = sae.coordinates(x)
    if sae.takes_off_mean:  # the mean is a sum over senders, too
        outputs = outputs - outputs.mean(-1, keepdim=True)
    if sae.normalise == "layer_norm":
        size = size + EPS
    parts = outputs @ direction / size
    b_dec = sae.b_dec.double().cpu() if sae.apply_b_dec_to_input else torch.zeros_like(x)
    whole = ((x - middle) / size - b_dec) @ direction + sae.b_enc[feature].double().cpu()
    return PreActivationParts((*names, "constant"), torch.cat([parts, whole - parts.sum(0, keepdim=True)]))


def _written(
    model: Model, address: Address, cache: Cache, at: int
) -> tuple[list[str], Float[Tensor, "sender d_in"]]:
    """What each sender wrote at a position, in the coordinates of the site."""
    if address.site == "z":
        z = cache[address][0, at].double().cpu()  # [head, d_head]
        apart = torch.block_diag(*z[:, None])  # [head, head * d_head]: each head's own entries, else 0
        return [f"a{address.layer}.h{h}" for h in range(len(z))], apart
    names, outputs = [], []
    for site, layer in writer_sites(model, address):
        own = cache[site, layer][0, at : at + 1]
        if site == "z":
            outputs.append(head_outputs(model, layer, own)[:, 0])  # [head, d_model]
            names += [f"a{layer}.h{h}" for h in range(own.shape[1])]
        else:
            outputs.append(own)
            names.append("input" if site == "resid_pre" else f"m{layer}")
    return names, torch.cat([out.double().cpu() for out in outputs])


def check_logits(model: Model, address: Address) -> None:
    """Raise `SiteError` where a feature does not write to the residual stream directly."""
    if address.site not in (*_ADDED, "z", "mlp_act"):
        raise SiteError(f"A feature of {address} writes to no logit directly.")
    if address.site in _BEFORE_NORMS:
        model.post_norm(_BEFORE_NORMS[address.site], 0)  # an error where features have no parts of their own


def feature_logits(
    model: Model, sae: SAE, feature: int, cache: Cache, position: int
) -> Float[Tensor, " d_vocab"]:
    """What a feature adds to each logit at a position of a run, less the mean over the vocabulary.

    `cache` (row 0) must hold the SAE's site and the last ``resid_post``. Raises `DecompositionError` where
    the final norm cannot be decomposed in this precision.
    """
    address = sae.address
    x = flat(address.site, cache[address])[0, position].float()
    features = sae.encode(x)
    only = torch.zeros_like(features)
    only[feature] = features[feature]
    change = sae.decode(only, x) - sae.decode(torch.zeros_like(only), x)
    written = _to_stream(model, address, change, cache[address][0, position].float())
    # A norm divides a linear map by a scale: up to one factor, this is what any stream gains by `written`.
    cap = model.arch.logit_soft_cap
    zero = torch.zeros_like(written)
    read, nothing = (before_cap(model.unembed(v).double().cpu(), cap) for v in (written, zero))
    gained = read - nothing  # [d_vocab]
    token = int(gained.abs().argmax())
    last = cache["resid_post", model.arch.n_layers - 1][0, position]
    readout = frozen_readout(model, last, cache.logits[0, position], token)
    factor = float(written.double().cpu() @ readout.direction) / float(gained[token])
    return (gained - gained.mean()) * factor


def _to_stream(
    model: Model, address: Address, change: Float[Tensor, " d_in"], activation: Float[Tensor, ...]
) -> Float[Tensor, " d_model"]:
    """What a change of the site's activation adds to the residual stream directly; the scale of a norm behind
    the site is that of the activation."""
    layer = address.layer or 0
    if address.site not in _BEFORE_NORMS:
        return change
    rows = model.W_O(layer).flatten(0, 1) if address.site == "z" else model.W_out(layer)  # [d_in, d_model]
    factor = frozen_factor(model, _BEFORE_NORMS[address.site], layer, activation)
    return change @ rows.to(change) * (1.0 if factor is None else factor)


def run_for(model: Model, sae: SAE, ids: list[int], *, writers: bool) -> Cache:
    """One run of a context with all that the two functions need."""
    sites: list[SiteSpec] = [sae.address, ("resid_post", model.arch.n_layers - 1)]
    return model.run_with_cache(
        Tokens.pad([ids]), [*sites, *(writer_sites(model, sae.address) if writers else [])]
    )
