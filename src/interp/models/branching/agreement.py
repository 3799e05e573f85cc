"""Whether branching computes what plain forward passes give: asked once a model, before it is used."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence

from interp.edits import Edit
from interp.errors import first_line
from interp.models.branching.base_run import BaseRun
from interp.models.branching.single_layer import run_layer
from interp.models.branching.sweep import sweep
from interp.models.editing import Taps
from interp.models.hooked import HookedModel
from interp.models.self_check import allowed_rounding
from interp.progress import listening
from interp.readout import Readout
from interp.sites import Address
from interp.tokens import Tokens

TOKENS_COMPARED = 256  # of branches together, but one branch at least: plain passes of long prompts take long
READ = 32  # positions whose logits are compared, evenly over the prompt

#: What a layer of another make raises where it takes no packed batch, or cannot be called by itself.
_REFUSALS = (RuntimeError, TypeError, ValueError, IndexError)


def sweeps_agree(model: HookedModel, tokens: Tokens, branches: Sequence[Sequence[Edit]]) -> bool:
    """Whether some branches, chosen at random, give the logits of plain forward passes; warns where not."""
    n_pos = tokens.lengths[0]
    n = min(max(1, TOKENS_COMPARED // n_pos), 4, len(branches))
    chosen = random.Random(0).sample(list(branches), n)
    if not chosen:
        return True
    n_read = min(READ, n_pos)
    everything = Readout.logits([(i + 1) * n_pos // n_read - 1 for i in range(n_read)])
    try:
        with listening(lambda *_: None):  # these few are no progress of the sweep itself
            ours = sweep(model, tokens, chosen, everything).cpu()
    except _REFUSALS as error:
        why = first_line(error)
    else:
        with listening(lambda *_: None):
            plain = model.sweep(tokens, chosen, everything, exact=True).values
        off = ((ours - plain).abs().max() / plain.abs().max()).item()
        if off <= allowed_rounding(model):
            return True
        why = f"off by {off:.1g} of the largest logit"
    warnings.warn(
        f"{model.identity.name}: branches differ from plain forward passes ({why}); "
        "its sweeps take the plain, slower way.",
        stacklevel=2,
    )
    return False


def layers_agree(model: HookedModel, tokens: Tokens) -> bool:
    """Whether each layer, called by itself on two copies of what it read, writes what it wrote in the run of
    the whole model; warns where not."""
    base = BaseRun(model, Tokens(tokens.ids[:1], tokens.lengths[:1]), ())
    why, worst = "", 0.0
    for layer in range(model.arch.n_layers):
        taps = Taps([Address("resid_post", layer)], (), tokens.lengths[:1] * 2)
        try:
            run_layer(base, layer, taps, 2)
        except _REFUSALS as error:
            why = first_line(error)
            break
        wrote, expected = taps.values["resid_post", layer], base.resid[layer + 1]
        worst = max(worst, ((wrote - expected).abs().max() / expected.abs().max()).item())
    if not why and worst <= allowed_rounding(model):
        return True
    warnings.warn(
        f"{model.identity.name}: a layer by itself differs from the whole model "
        f"({why or f'off by {worst:.1g} of the largest entry'}); layers are run in whole forward passes.",
        stacklevel=2,
    )
    return False
