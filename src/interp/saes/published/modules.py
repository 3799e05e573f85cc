"""Where in a model a dictionary is for, of those that name a module of Hugging Face's.

A module is found by the model's layout (`interp.models.layouts`), which says whose output is added to the
residual stream: in a family with a norm behind its MLP, "mlp" is not that module, and no site is there.
"""

from __future__ import annotations

import re

from interp.errors import InputError
from interp.models.base import Model
from interp.models.weights import WithWeights

_IN_LAYER = re.compile(r"(?:[\w.]+\.)?(?:layers|h|blocks)\.(?P<layer>\d+)(?:\.(?P<rest>[\w.]+))?")
_EMBEDDING = re.compile(r"(?:[\w.]+\.)?(?:embed_tokens|wte|embed_in)")
#: What an MLP reads, with the gain of the norm before it; for transcoders alone.
MLP_IN = "mlp.hook_in"


def hook_of(module: str, model: Model) -> str | None:
    """The hook name of a module's output, or of its input where it ends in ``.input``; None where there is no
    site there."""
    side, module = ("input", module[: -len(".input")]) if module.endswith(".input") else ("output", module)
    module = module.removesuffix(".output")
    if side == "output" and _EMBEDDING.fullmatch(module):
        return "hook_embed"
    found = _IN_LAYER.fullmatch(module)
    if found is None:
        return None
    layer, rest = found["layer"], found["rest"]
    if rest is None:
        return f"blocks.{layer}.hook_resid_{'post' if side == 'output' else 'pre'}"
    if not isinstance(model, WithWeights):
        return None
    layout = model.layout
    names = {
        ("output", layout.mlp_norm): MLP_IN,
        ("input", layout.mlp): MLP_IN,
        ("input", layout.attn_proj): "attn.hook_z",
        ("input", layout.mlp_proj): "mlp.hook_post",
        ("output", layout.attn): "hook_attn_out",
        ("output", layout.mlp): "hook_mlp_out",
    }
    name = names.get((side, rest))
    return None if name is None else f"blocks.{layer}.{name}"


def the_hook(recorded: str | None, given: str | None, *, what: str) -> str:
    """The hook name of a dictionary: as its file has it, or as it was given. `InputError` where neither says
    or both say different things."""
    if recorded is None and given is None:
        raise InputError(
            f"{what} does not say where in a model it is for; give its hook name, as in "
            "hook_name='blocks.6.hook_resid_post'."
        )
    if None not in (recorded, given) and recorded != given:
        raise InputError(f"{what} is for {recorded!r}, not for {given!r}; leave hook_name out.")
    return str(recorded or given)
