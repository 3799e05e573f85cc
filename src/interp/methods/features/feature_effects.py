"""What each feature does to an answer: exactly, by changing it alone, and by two estimates from gradients.

A cell is a feature at a place: a position of one prompt, or, over a dataset, the positions of a role. The
effect of a cell is

    metric after the change - metric of the run as it is

and a change is one of

- ``ablate``: in the clean run, the feature is set to 0;
- ``noising``: in the clean run, it is set to what it is in the corrupted run, position by position;
- ``denoising``: the other way round.

All that it changes is the feature, as an edit of it does (`interp.feature_edit`). Cells of which the feature
is the same before and after have no effect and are left out; in means over prompts they count as 0.

Three numbers for each cell:

- **exact**: one edited run, computed as a branch of the run as it is (`interp.Model.sweep`);
- **attribution**: ``(f' - f) * (W_dec @ gradient)``, the first-order estimate, one backward pass for all
  cells (Nanda 2023; for features, Marks et al. 2024, https://arxiv.org/abs/2403.19647);
- **integrated**: the same with the gradient averaged over `steps` runs, midpoints of the way on which all
  features go together from f to f' (as the code of Marks et al. goes it).

When they mislead: attribution where the metric is far from linear, as behind a saturated softmax. The
integrated estimates add up to the effect of changing all features at once, as far as steps allow, which is
not what each does alone. And an exact effect is that of one feature with all others in place: of two that
say the same, neither may matter.

The first position of each prompt is left out, as an SAE is not trained there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from interp.answers import AnswerLike
from interp.errors import InputError
from interp.methods.common.intervals import Clusters, mean_interval
from interp.methods.common.over_pairs import Parts, over_pairs
from interp.methods.common.statistics import pearson, spearman
from interp.methods.features.cell_effects import OF_CELL, Options, base_run, cell_effects, sae_digest
from interp.methods.features.feature_questions import FeatureChangeKind, ask
from interp.methods.features.results import (
    EstimateAgreement,
    FeatureCells,
    FeatureEffectsResult,
    FeatureEntries,
)
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.saes.dictionary import SAE
from interp.saes.metrics import EXCLUDED
from interp.tasks.base import PairDataset
from interp.tokens import Prompt

ESTIMATES = ("attribution", "integrated")


@outside_inference_mode
def feature_effects(
    model: Model,
    sae: SAE,
    data: PairDataset | Prompt,
    *,
    answer: AnswerLike | None = None,
    foil: AnswerLike | None = None,
    corrupted: Prompt | None = None,
    change: FeatureChangeKind = "ablate",
    roles: Sequence[str] | None = None,
    metric: MetricKind | None = None,
    steps: int = 8,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> FeatureEffectsResult:
    """Change each feature that is active in a prompt, or in each prompt of a dataset, alone, and see what
    becomes of the answer; with the two estimates beside.

    Args:
        data: a dataset; or one prompt (text or token ids), with its `answer`, a `foil` unless the metric
            does without, and a `corrupted` prompt of as many tokens unless the change is ``ablate``.
        change: ``ablate``, ``noising`` or ``denoising``; see above.
        roles: the places to look at in a dataset; None: every role that all its pairs have. Of a single
            prompt, every position is one.
        metric: ``logit_diff``, ``prob`` or ``kl``, at the last position; by default the first where there is
            a foil, else the second.
        steps: of the integrated estimate.
        exact, batch_size: see `interp.Model.sweep`; ``path`` in the result says how it was computed.
        seed: of the bootstrap.

    Within `interp.resuming`, prompts that were done before it was stopped are not done again.

    Raises:
        InputError: an SAE of another model, an unknown choice or role, prompts that do not align, an answer
            that is missing, and where no feature changes anywhere.
        SiteError: the model does not have the SAE's site.
    """
    sae.check_fits(model)
    if steps < 1:
        raise InputError(f"steps must be at least 1; got {steps}.")
    asked = ask(
        model,
        data,
        answer=answer,
        foil=foil,
        corrupted=corrupted,
        change=change,
        roles=roles,
        metric=metric,
    )
    options = Options(steps, exact, batch_size)
    digest = sae_digest(sae)
    parts = over_pairs(
        len(asked.each),
        lambda number: base_run(sae, asked.each[number]),
        partial(cell_effects, options=options),
        key=lambda run: run.key(digest, options),
        describe=lambda number: repr(asked.pairs.prompts[number]),
        task="prompts",
    )
    entries = _entries(parts)
    cells = _cells(entries, len(asked.each), seed, asked.clusters)
    return FeatureEffectsResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=asked.pairs,
        change=change,
        metric=asked.metric,
        steps=steps,
        path=parts.path,
        excluded=EXCLUDED,
        sae=sae.naming(cells.feature.tolist()),
        places=asked.places,
        before=np.array([float(part["before"]) for part in parts.each]),
        entries=entries,
        cells=cells,
        agreement=tuple(_agreement(entries, estimate) for estimate in ESTIMATES),
    )


# ---- over prompts ----


def _entries(parts: Parts) -> FeatureEntries:
    """The cells of all prompts, one after the other; `InputError` where there are none."""
    sizes = [len(part["feature"]) for part in parts.each]
    if not sum(sizes):
        raise InputError(
            "No feature of this SAE changes at any of these places, so there is nothing to measure."
        )
    columns = {name: np.concatenate([part[name] for part in parts.each]) for name in OF_CELL}
    return FeatureEntries(prompt=np.repeat(np.arange(len(sizes)), sizes), **columns)


def _cells(entries: FeatureEntries, n_prompts: int, seed: int, clusters: Clusters | None) -> FeatureCells:
    """Each cell over all prompts: 0 where it does not change."""
    cells, index = np.unique(
        np.stack([entries.place, entries.feature]), axis=1, return_inverse=True
    )  # [2, cell], [entry]

    def dense(values: Float[np.ndarray, " entry"]) -> Float[np.ndarray, "prompt cell"]:
        filled = np.zeros((n_prompts, cells.shape[1]))
        filled[entries.prompt, index] = values
        return filled

    return FeatureCells(
        place=cells[0],
        feature=cells[1],
        share=np.bincount(index, minlength=cells.shape[1]) / n_prompts,
        exact=mean_interval(dense(entries.exact), seed, clusters),
        attribution=dense(entries.attribution).mean(0),
        integrated=dense(entries.integrated).mean(0),
    )


def _agreement(entries: FeatureEntries, estimate: str) -> EstimateAgreement:
    """How well an estimate foretells the exact effects."""
    values = {"attribution": entries.attribution, "integrated": entries.integrated}[estimate]
    found = [_correlation(kind, values, entries.exact) for kind in (pearson, spearman)]
    return EstimateAgreement(estimate=estimate, pearson=found[0], spearman=found[1])


def _correlation(
    kind: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray
) -> float | None:
    try:
        return kind(x, y)
    except InputError:
        return None
