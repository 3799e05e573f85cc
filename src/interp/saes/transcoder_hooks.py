"""What the files of transcoders say that they read and write, as sites and norms here.

What is read is named as in TransformerLens, within a layer: ``ln2.hook_normalized``, the residual stream
behind the norm, without its gain and bias; ``mlp.hook_in``, with them, which are folded into the encoder; and
``hook_resid_mid``, ``hook_mlp_in``, the residual stream before the norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interp.errors import InputError
from interp.models.base import Model
from interp.saes.transcoder import InputNorm, Transcoder, mlp_norm

READ = ("ln2.hook_normalized", "mlp.hook_in", "hook_resid_mid", "hook_mlp_in")
WRITTEN = ("hook_mlp_out", "mlp.hook_out")


def check_hooks(read: str, written: str, model: Model, layer: int) -> None:
    """Raise `InputError` where these are not what an MLP of `model` reads, and what it adds to the stream."""
    if read not in READ or written not in WRITTEN:
        raise InputError(
            f"This is from {read!r} to {written!r}; only those from what an MLP reads to what it writes are "
            "supported."
        )
    if written == "mlp.hook_out" and model.post_norm("mlp_out", layer) is not None:
        raise InputError(
            f"This is for what an MLP of {model.identity.name} gives before the norm behind it "
            "('mlp.hook_out'), which is no site here; take one for 'hook_mlp_out'."
        )


def with_norm(
    found: Transcoder, hook: str, model: Model, recorded: Mapping[str, Any] | None = None
) -> Transcoder:
    """A transcoder whose weights are for what `hook` names, as one that reads the residual stream through the
    norm; the norm is the model's own where none is `recorded`."""
    if hook in ("hook_resid_mid", "hook_mlp_in"):
        return found
    if recorded is not None and hook == "ln2.hook_normalized":
        return replace(found, norm=InputNorm(**recorded))
    norm = mlp_norm(model, found.layer)
    if hook == "ln2.hook_normalized":
        return replace(found, norm=norm.norm)
    W_skip, b_dec = found.W_skip, found.b_dec
    if W_skip is not None:
        W_skip, b_dec = W_skip * norm.gain[:, None], b_dec + norm.bias @ W_skip
    return replace(
        found,
        norm=norm.norm,
        W_enc=found.W_enc * norm.gain[:, None],
        b_enc=found.b_enc + norm.bias @ found.W_enc,
        W_skip=W_skip,
        b_dec=b_dec,
    )
