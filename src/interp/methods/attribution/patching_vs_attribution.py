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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from interp.errors import InputError, nearest
from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
from interp.methods.common.pairs import Direction
from interp.methods.common.statistics import bootstrap_interval, pearson, ranks, spearman
from interp.methods.patching.activation_patching import ActivationPatchingResult, activation_patching
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.results import Result

if TYPE_CHECKING:
    from interp.tasks.base import PairDataset

Attribution = Literal["direct", "attribution", "integrated"]
ATTRIBUTIONS: tuple[str, ...] = ("direct", "attribution", "integrated")


@dataclass(frozen=True, eq=False, kw_only=True)
class PatchingVsAttributionResult(Result):
    """Two numbers for each head, in logits, with 95 % bootstrap intervals over pairs, and how they agree."""

    kind: ClassVar[str] = "patching_vs_attribution"
    task: str
    attribution_by: str  # direct | attribution | integrated
    direction: str
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]  # of the dataset: what, and why
    patching: Float[np.ndarray, "layer head"]
    patching_low: Float[np.ndarray, "layer head"]
    patching_high: Float[np.ndarray, "layer head"]
    attribution: Float[np.ndarray, "layer head"]
    attribution_low: Float[np.ndarray, "layer head"]
    attribution_high: Float[np.ndarray, "layer head"]
    pearson: float
    spearman: float

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of all heads, in the order of the flattened arrays."""
        layers, heads = self.patching.shape
        return tuple(f"{layer}.{head}" for layer in range(layers) for head in range(heads))

    @property
    def disagreement(self) -> Float[np.ndarray, "layer head"]:
        """|patching - attribution|, in logits."""
        return np.abs(self.patching - self.attribution)

    def disagreeing(self, n: int) -> tuple[str, ...]:
        """The `n` heads whose two numbers are farthest apart, the farthest first."""
        return self._largest(self.disagreement, n)

    def disagreeing_in_rank(self, n: int) -> tuple[str, ...]:
        """The `n` heads whose ranks by the two are farthest apart: small ones count as large ones do."""
        apart = ranks(self.patching.ravel()) - ranks(self.attribution.ravel())
        return self._largest(np.abs(apart), n)

    def _largest(self, values: np.ndarray, n: int) -> tuple[str, ...]:
        return tuple(self.heads[i] for i in np.argsort(-values.ravel(), kind="stable")[:n])


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
    if attribution not in ATTRIBUTIONS:
        raise InputError(f"Unknown attribution {attribution!r}; {nearest(str(attribution), ATTRIBUTIONS)}")
    asked: dict[str, Any] = {
        "clean": dataset.clean,
        "corrupted": dataset.corrupted,
        "answer": dataset.answers,
        "foil": dataset.foils,
        "site": "z",
        "by": "head",
        "direction": direction,
        "metric": "logit_diff",
        "seed": seed,
    }
    swept = activation_patching(model, **asked, batch_size=batch_size, exact=exact)
    patched = _effects(swept)  # [pair, layer, head]
    if attribution == "direct":
        views: Sequence[Literal["head"]] = ("head",)
        found = direct_logit_attribution(
            model, dataset.clean, dataset.answers, dataset.foils, views=views, seed=seed
        )
        assert found.by_head_each is not None  # it was asked for by name
        attributed = found.by_head_each
    else:
        attributed = _effects(activation_patching(model, **asked, method=attribution, steps=steps))
    x, y = attributed.mean(0), patched.mean(0)
    patching_low, patching_high = bootstrap_interval(patched, seed)
    attribution_low, attribution_high = bootstrap_interval(attributed, seed)
    return PatchingVsAttributionResult(
        provenance=Provenance.of(model, seed=seed),
        task=dataset.name,
        attribution_by=attribution,
        direction=direction,
        prompts=swept.clean,
        answers=swept.answers,
        foils=tuple(model.labels(dataset.foils)),
        dropped=tuple((one.what, one.why) for one in dataset.dropped),
        patching=y,
        patching_low=patching_low,
        patching_high=patching_high,
        attribution=x,
        attribution_low=attribution_low,
        attribution_high=attribution_high,
        pearson=pearson(x.ravel(), y.ravel()),
        spearman=spearman(x.ravel(), y.ravel()),
    )


def _effects(swept: ActivationPatchingResult) -> Float[np.ndarray, "pair layer head"]:
    """What patching each head changes, in logits: recovery, or what it lacks, times the pair's span."""
    span = (swept.clean_values - swept.corrupted_values)[:, None, None]
    return (swept.by_pair if swept.direction == "denoising" else 1 - swept.by_pair) * span
