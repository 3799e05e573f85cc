"""Activation patching over a dataset of pairs: every layer by position, head, neuron or as a whole.

Two runs of a pair, clean and corrupted; a *donor* activation is carried over into the *base* run (denoising:
clean into corrupted; noising: corrupted into clean), and

    recovery = (patched - corrupted) / (clean - corrupted)

of the metric, per cell; never clipped. Over several pairs it is a ratio of means, the sum of what is brought
back over the sum of the pairs' spans, with its interval: a mean of ratios would be made by the pairs with the
smallest spans. Pairs whose clean run does not favour the answer more than the corrupted one count in the
sums, and are named in ``weak`` of the result; one such pair alone is refused.

Three methods:

- ``exact``: one patched run a cell, computed as branches of one base run (`interp.models.branching`).
- ``attribution``: attribution patching (Nanda 2023; Syed et al. 2023, https://arxiv.org/abs/2310.10348):
  the first-order estimate ``(donor - base) . d metric / d activation`` at the base run, one backward pass
  for all cells. It misleads where the metric is far from linear in the activation: at the first layers, and
  where attention or a softmax saturates.
- ``integrated``: the gradient averaged over ``steps`` runs whose token embeddings go from the base to the
  donor (EAP-IG inputs, Hanna et al. 2024, https://arxiv.org/abs/2403.17806).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import AnswerLike
from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import for_each, one_by_one
from interp.methods.common.intervals import Clusters
from interp.methods.common.over_pairs import Parts, over_pairs
from interp.methods.common.pairs import Direction, check_span
from interp.methods.common.question import (
    Question,
    check_first_order,
    check_metric_and_direction,
    pairs_of,
)
from interp.methods.common.statistics import ratio_estimate
from interp.methods.patching.cells import By, Cells
from interp.methods.patching.results import ActivationPatchingResult
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.models.modes import outside_inference_mode
from interp.parts import Arrays
from interp.provenance import Provenance
from interp.tokens import Prompt

Method = Literal["exact", "attribution", "integrated"]
METHODS: tuple[str, ...] = ("exact", "attribution", "integrated")


@outside_inference_mode
def activation_patching(
    model: Model,
    *,
    clean: Prompt | Sequence[Prompt],
    corrupted: Prompt | Sequence[Prompt],
    answer: AnswerLike | Sequence[AnswerLike],
    foil: AnswerLike | Sequence[AnswerLike] | None = None,
    site: str = "resid_pre",
    by: By = "position",
    direction: Direction = "denoising",
    metric: MetricKind | None = None,
    method: Method = "exact",
    steps: int = 8,
    exact: Exact = "auto",
    batch_size: int = 64,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> ActivationPatchingResult:
    """Patch every cell of a site between clean and corrupted runs.

    Args:
        clean, corrupted: a prompt each (text or token ids), or as many of both; the two of a pair have the
            same number of tokens.
        answer, foil: of each pair, or one for all; of one token or several, in one form or several
            (`interp.answers`). Without a foil the metric is the answer's probability, of several tokens its
            logarithm. The tokens of an answer follow the prompt in the runs that are measured; cells are of
            the prompt, and those of all positions (`by`) take what follows along.
        site: any site in every layer; ``by="head"`` needs one with heads.
        by: ``position`` (a cell is a layer and position; pairs must then be of one length), ``head`` or
            ``neuron`` (an entry of the last axis), at all positions; or ``layer``, all of it.
        direction: ``denoising`` or ``noising``; see `interp.causal_tracing` for what each shows.
        metric: ``logit_diff``, ``prob``, ``log_prob`` or ``kl``.
        method: ``exact``, ``attribution`` or ``integrated`` (with `steps`).
        exact: see `interp.Model.sweep`; the result records in ``path`` how it was computed.
        clusters: a label for each pair, those of one label being drawn together for the interval, such as
            `interp.tasks.base.PairDataset.clusters`: prompts of one template are alike.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were patched before it was stopped are not patched again.

    Raises:
        InputError: prompts that do not align, lists of different lengths, an unknown choice; noising by
            ``attribution`` with ``kl``, which has no gradient at the clean run.
        DegeneratePairError: clean and corrupted values that hardly differ, on average over the pairs, or the
            clean one not above the corrupted one.
    """
    sweep = _Sweep(Cells(site, by), method, steps, exact, batch_size)
    sweep.cells.check(model)
    check_metric_and_direction(metric, direction)
    if sweep.averaged == 1:
        check_first_order(
            metric,
            base_is_clean=direction == "noising",
            instead="method 'exact', or 'integrated' with two steps or more",
        )
    questions = _questions(model, clean, corrupted, answer, foil, metric, direction)
    if by == "position":
        _check_one_length(questions)
    parts = over_pairs(
        len(questions),
        questions.__getitem__,
        sweep.of,
        key=sweep.key,
        describe=lambda number: repr(questions[number].texts[0]),
    )
    return _result(sweep, questions, parts, seed, clusters)


@dataclass(frozen=True)
class _Sweep:
    """How the cells of a pair are patched."""

    cells: Cells
    method: Method
    steps: int
    exact: Exact
    batch_size: int

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        if self.steps < 1:
            raise InputError(f"steps must be at least 1; got {self.steps}.")

    @property
    def averaged(self) -> int:
        """Over how many runs a gradient is averaged; 0 without gradients."""
        return {"exact": 0, "attribution": 1}.get(self.method, self.steps)

    def key(self, question: Question) -> dict[str, Any]:
        """All that the values of a pair depend on."""
        how = [self.cells.site, self.cells.by, self.averaged, str(self.exact)]
        return question.key | {"activation_patching": how}

    def of(self, question: Question) -> Arrays:
        """The metric of a pair after each patch, ``values`` [layer, column], and its ``path``."""
        if self.averaged:
            values, path = _by_gradients(question, self.cells, self.averaged), "gradients"
        else:
            values, path = _exact(question, self)
        return {"values": values.numpy(), "path": np.array(path)}


def _result(
    sweep: _Sweep, questions: Sequence[Question], parts: Parts, seed: int, clusters: Clusters | None
) -> ActivationPatchingResult:
    values = parts.stacked("values")  # [pair, layer, column]
    clean, corrupted = (
        np.array([getattr(question, name) for question in questions])
        for name in ("clean_value", "corrupted_value")
    )
    brought_back = values - corrupted[:, None, None]
    first, cells = questions[0], sweep.cells
    by_position = cells.by == "position"
    tokens, others = (tuple(first.model.labels(run.row(0))) for run in (first.clean, first.corrupted))
    return ActivationPatchingResult(
        provenance=Provenance.of(first.model, seed=seed),
        site=cells.site,
        by=cells.by,
        direction=first.direction,
        method=sweep.method,
        steps=sweep.steps if sweep.method == "integrated" else 0,
        metric=first.metric,
        path=parts.path,
        columns=tokens if by_position else tuple(map(str, range(values.shape[-1]))),
        corrupted_columns=others if by_position else (),
        pairs=pairs_of(questions),
        clean_values=clean,
        corrupted_values=corrupted,
        recovery=ratio_estimate(brought_back, clean - corrupted, seed, clusters),
        aggregation="ratio of means",
    )


# ---- what is asked ----


def _questions(
    model: Model,
    clean: Prompt | Sequence[Prompt],
    corrupted: Prompt | Sequence[Prompt],
    answer: AnswerLike | Sequence[AnswerLike],
    foil: AnswerLike | Sequence[AnswerLike] | None,
    metric: MetricKind | None,
    direction: Direction,
) -> list[Question]:
    """The question of each pair, all checked before the first is patched."""
    cleans, corrupteds = (one_by_one(model.to_tokens(given)) for given in (clean, corrupted))
    if (n := len(cleans)) != len(corrupteds):
        raise InputError(f"There are {n} clean prompts and {len(corrupteds)} corrupted ones.")
    answers, foils = for_each(answer, n, of="pairs"), for_each(foil, n, of="pairs")
    questions = []
    for a, b, right, wrong in zip(cleans, corrupteds, answers, foils, strict=True):
        question = Question.of(
            model, clean=a, corrupted=b, answer=right, foil=wrong, metric=metric, direction=direction
        )
        questions.append(question)
    _check_spans(questions)
    return questions


def _check_spans(questions: Sequence[Question]) -> None:
    """Refuse pairs whose clean and corrupted values hardly differ on average."""
    clean, corrupted, spread = (
        float(np.mean([getattr(question, name) for question in questions]))
        for name in ("clean_value", "corrupted_value", "spread")
    )
    for question in questions:
        if not np.isfinite([question.clean_value, question.corrupted_value]).all():
            question.check_span()
    of = f" (the mean of {len(questions)} pairs)" if len(questions) > 1 else ""
    check_span(clean, corrupted, questions[0].metric, spread=spread, of=of)


def _check_one_length(questions: Sequence[Question]) -> None:
    if len({question.clean.lengths[0] for question in questions}) > 1:
        raise InputError(
            "The pairs have different numbers of tokens, so their positions cannot be averaged; "
            "take pairs of one length, or by='head' or 'layer'."
        )


# ---- the methods ----


def _exact(question: Question, sweep: _Sweep) -> tuple[Float[Tensor, "layer column"], str]:
    """The metric after each patch, and how the runs were computed."""
    model, cells = question.model, sweep.cells
    donor = model.run_with_cache(question.donor_runs, [cells.site], logits=False)
    base = None
    if cells.by == "neuron":
        base = model.run_with_cache(question.base_runs, [cells.site], logits=False)
    found = model.sweep(
        question.base,
        [[edit] for edit in cells.patches(donor, base, n_pos=question.base.lengths[0])],
        question.readout,
        batch_size=sweep.batch_size,
        exact=sweep.exact,
    )
    return found.values.view(model.arch.n_layers, -1), found.path


def _by_gradients(question: Question, cells: Cells, steps: int) -> Float[Tensor, "layer column"]:
    """The first-order estimate of the metric after each patch."""
    model, site = question.model, cells.site
    base, donor = (
        model.run_with_cache(tokens, [site, "embed"], logits=False)
        for tokens in (question.base_runs, question.donor_runs)
    )
    gradients = _mean_gradients(question, site, base["embed"], donor["embed"], steps)
    estimates = []
    for layer, gradient in enumerate(gradients):
        change = (donor[site, layer] - base[site, layer]).double().cpu() * gradient
        estimates.append(question.base_value + cells.summed(change, n_pos=question.base.lengths[0]))
    return torch.stack(estimates)


def _mean_gradients(
    question: Question,
    site: str,
    base: Float[Tensor, "run pos d_model"],
    donor: Float[Tensor, "run pos d_model"],
    steps: int,
) -> list[Float[Tensor, "run ..."]]:
    """The gradient of the metric at a site of each layer, as the mean over runs whose token embeddings go
    from the base's to the donor's; a single step stands at the base."""
    total: list[Tensor] = []
    for step in range(steps):
        share = 0.0 if steps == 1 else (step + 0.5) / steps  # midpoints
        edits = [Edit.set("embed", value=base + share * (donor - base))] if share else []
        found = question.model.gradients(question.base, [site], question.readout, edits)
        total = [g if not total else total[i] + g for i, g in enumerate(found)]
    return [gradient.double().cpu() / steps for gradient in total]
