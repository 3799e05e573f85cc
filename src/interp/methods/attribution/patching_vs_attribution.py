"""Do two ways of telling which heads matter agree? Exact patching against attribution, head by head.

Exact patching of a head's z (`interp.activation_patching`) says what the head does in all, directly and
through later heads. On the other side stands one of:

- ``direct``: direct logit attribution of the clean run (`interp.direct_logit_attribution`): what the head
  writes straight into the logit difference, with the final norm's scale.
- ``attribution``: attribution patching: the same question as exact patching, answered to first order.
- ``integrated``: the same with gradients averaged on the way from one prompt to the other.

All are in logits of answer less foil, as means over pairs: patching as what changes when the head is patched,
``patched - corrupted`` (denoising) or ``clean - patched`` (noising), so that a head that helps is positive.

When it misleads: with ``direct``, disagreement is the rule and not an error: a head that acts through others
has an effect and no attribution, and one that others make up for has attribution and little effect. Direct
attribution also counts what the head writes in both prompts alike, which patching does not see. A Pearson
correlation over all heads is made by a few large ones; look at the points.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp.errors import check_choice
from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
from interp.methods.attribution.results import PatchingVsAttributionResult
from interp.methods.common.intervals import mean_interval
from interp.methods.common.pairs import Direction
from interp.methods.common.statistics import pearson, spearman
from interp.methods.patching.activation_patching import activation_patching
from interp.methods.patching.results import ActivationPatchingResult
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, pairs_in_words

Attribution = Literal["direct", "attribution", "integrated"]
ATTRIBUTIONS: tuple[str, ...] = ("direct", "attribution", "integrated")


def patching_vs_attribution(
    model: Model,
    dataset: PairDataset,
    *,
    attribution: Attribution = "direct",
    direction: Direction = "denoising",
    steps: int = 8,
    batch_size: int = 64,
    exact: Exact = "auto",
    seed: int = 0,
) -> PatchingVsAttributionResult:
    """Patch every head exactly, attribute the logit difference to every head, and compare.

    Args:
        attribution: ``direct``, ``attribution`` or ``integrated`` (with `steps`); see above.
        direction: of patching (and of attribution patching): ``denoising`` or ``noising``.
        batch_size, exact: see `interp.activation_patching`.
        seed: of the bootstrap.

    Raises:
        InputError: an unknown choice, and where one of the two is the same for all heads.
        DegeneratePairError: a pair whose clean and corrupted values hardly differ.
        SiteError: heads have no outputs of their own (``direct``).
    """
    check_choice("attribution", attribution, ATTRIBUTIONS)
    patch_heads = partial(
        activation_patching,
        model,
        clean=dataset.clean,
        corrupted=dataset.corrupted,
        answer=dataset.answers,
        foil=dataset.foils,
        site="z",
        by="head",
        direction=direction,
        metric="logit_diff",
        clusters=dataset.clusters,
        seed=seed,
    )
    exactly = patch_heads(batch_size=batch_size, exact=exact)
    patched = _effects(exactly)
    if attribution == "direct":
        attributed = _direct(model, dataset, seed)
    else:
        attributed = _effects(patch_heads(method=attribution, steps=steps))
    x, y = attributed.mean(0).ravel(), patched.mean(0).ravel()
    return PatchingVsAttributionResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=replace(pairs_in_words(model, dataset), said=exactly.pairs.said),
        clean_values=exactly.clean_values,
        attribution_by=attribution,
        direction=direction,
        patching=mean_interval(patched, seed, dataset.clusters),
        attribution=mean_interval(attributed, seed, dataset.clusters),
        pearson=pearson(x, y),
        spearman=spearman(x, y),
    )


def _effects(result: ActivationPatchingResult) -> Float[np.ndarray, "pair layer head"]:
    """What patching each head brings back (denoising) or loses (noising), in logits."""
    return result.effects if result.direction == "denoising" else -result.effects


def _direct(model: Model, dataset: PairDataset, seed: int) -> Float[np.ndarray, "pair layer head"]:
    """What each head writes straight into the logit difference of the clean prompts."""
    found = direct_logit_attribution(
        model, dataset.clean, dataset.answers, dataset.foils, views=("head",), seed=seed
    )
    assert found.by_head is not None  # it was asked for by name
    return found.by_head.each
