"""Activation patching over a dataset of pairs: every layer by position, head, neuron or as a whole.

Two runs of a pair, clean and corrupted; a *donor* activation is carried over into the *base* run (denoising:
clean into corrupted; noising: corrupted into clean), and

    recovery = (patched - corrupted) / (clean - corrupted)

of the metric, per cell; never clipped. Over several pairs, the mean, with a bootstrap interval over pairs.

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
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import for_each, one_by_one
from interp.methods.common.over_pairs import Arrays, over_pairs
from interp.methods.common.pairs import Direction, strongest
from interp.methods.common.question import (
    Question,
    check_metric_and_direction,
    default_metric,
    pairs_of,
)
from interp.methods.common.statistics import bootstrap_interval, spearman
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.results import Result
from interp.sites import SITES, find_site
from interp.tokens import Prompt

By = Literal["position", "head", "neuron", "layer"]
Method = Literal["exact", "attribution", "integrated"]
BY: tuple[str, ...] = ("position", "head", "neuron", "layer")
METHODS: tuple[str, ...] = ("exact", "attribution", "integrated")


@dataclass(frozen=True, eq=False, kw_only=True)
class ActivationPatchingResult(Result):
    """Recovery of each cell, [layer, column]: the mean over pairs, its interval, and that of each pair."""

    kind: ClassVar[str] = "activation_patching"
    site: str
    by: str
    direction: str
    method: str
    steps: int  # of integrated gradients; 0 elsewhere
    metric: str
    path: str  # branching | plain | gradients
    columns: tuple[str, ...]  # tokens of the first pair's clean prompt, or numbers of heads or neurons
    corrupted_columns: tuple[str, ...] = ()  # by position: tokens of the first pair's corrupted prompt
    clean: tuple[str, ...]  # the prompts, as text of their tokens
    corrupted: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...] | None
    clean_values: Float[np.ndarray, " pair"]  # the metric, unpatched
    corrupted_values: Float[np.ndarray, " pair"]
    recovery: Float[np.ndarray, "layer column"]
    low: Float[np.ndarray, "layer column"]  # 95 % bootstrap interval over pairs; the mean itself for one pair
    high: Float[np.ndarray, "layer column"]
    by_pair: Float[np.ndarray, "pair layer column"]

    @property
    def peak(self) -> tuple[int, int]:
        """(layer, column) of the strongest effect: highest recovery denoising, lowest noising."""
        return strongest(self.recovery, self.direction)


def activation_patching(
    model: Model,
    *,
    clean: Prompt | Sequence[Prompt],
    corrupted: Prompt | Sequence[Prompt],
    answer: str | int | Sequence[str | int],
    foil: str | int | Sequence[str | int] | None = None,
    site: str = "resid_pre",
    by: By = "position",
    direction: Direction = "denoising",
    metric: MetricKind | None = None,
    method: Method = "exact",
    steps: int = 8,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> ActivationPatchingResult:
    """Patch every cell of a site between clean and corrupted runs.

    Args:
        clean, corrupted: a prompt each (text or token ids), or as many of both; the two of a pair have the
            same number of tokens.
        answer, foil: of each pair, or one for all; exactly one token each. Without a foil the metric is
            the answer's probability.
        site: any site in every layer; ``by="head"`` needs one with heads.
        by: ``position`` (a cell is a layer and position; pairs must then be of one length), ``head`` or
            ``neuron`` (an entry of the last axis), at all positions; or ``layer``, all of it.
        direction: ``denoising`` or ``noising``; see `interp.causal_tracing` for what each shows.
        metric: ``logit_diff``, ``prob`` or ``kl``.
        method: ``exact``, ``attribution`` or ``integrated`` (with `steps`).
        exact: see `interp.Model.sweep`; the result records in ``path`` how it was computed.
        seed: of the bootstrap.

    Within `interp.resume.resuming`, pairs that were swept before it was stopped are not swept again.

    Raises:
        InputError: prompts that do not align, lists of different lengths, an unknown choice.
        DegeneratePairError: a pair whose clean and corrupted values hardly differ.
    """
    metric = metric or default_metric(foil)
    check_metric_and_direction(metric, direction)
    _check_cells(model, site, by)
    check_choice("method", method, METHODS)
    if steps < 1:
        raise InputError(f"steps must be at least 1; got {steps}.")
    questions = _questions(model, clean, corrupted, answer, foil, metric, direction)
    if by == "position" and len({question.clean.lengths[0] for question in questions}) > 1:
        raise InputError(
            "The pairs have different numbers of tokens, so their positions cannot be averaged; "
            "take pairs of one length, or by='head' or 'layer'."
        )
    steps = {"exact": 0, "attribution": 1}.get(method, steps)

    def compute(question: Question) -> Arrays:
        if steps:
            values, path = _by_gradients(question, site, by, steps), "gradients"
        else:
            values, path = _exact(question, site, by, exact, batch_size)
        return {"values": values.numpy(), "path": np.array(path)}

    parts = over_pairs(
        questions,
        compute,
        total=len(questions),
        key=lambda question: question.key | {"activation_patching": [site, by, steps, str(exact)]},
    )
    values = parts.stacked("values")  # [pair, layer, column]
    stacked = np.stack([question.recovery(one) for question, one in zip(questions, values, strict=True)])
    low, high = bootstrap_interval(stacked, seed)
    pairs = pairs_of(questions)
    first, other = (model.labels(tokens.row(0)) for tokens in (questions[0].clean, questions[0].corrupted))
    return ActivationPatchingResult(
        provenance=Provenance.of(model, seed=seed),
        site=site,
        by=by,
        direction=direction,
        method=method,
        steps=steps if method == "integrated" else 0,
        metric=metric,
        path=parts.path,
        columns=tuple(first) if by == "position" else tuple(map(str, range(stacked.shape[-1]))),
        corrupted_columns=tuple(other) if by == "position" else (),
        clean=pairs.prompts,
        corrupted=pairs.corrupted,
        answers=pairs.answers,
        foils=pairs.foils,
        clean_values=np.array([question.clean_value for question in questions]),
        corrupted_values=np.array([question.corrupted_value for question in questions]),
        recovery=stacked.mean(0),
        low=low,
        high=high,
        by_pair=stacked,
    )


# ---- what is asked ----


def _check_cells(model: Model, site: str, by: str) -> None:
    check_choice("grouping", by, BY)
    model.check_site(site)
    if not find_site(site).per_layer:
        raise InputError(f"Site {site!r} belongs to no layer; sweep 'resid_pre' instead.")
    if by == "head" and not SITES[site].per_head:
        heads = ", ".join(name for name, s in SITES.items() if s.per_head)
        raise InputError(f"Site {site!r} has no heads; by='head' takes one of {heads}.")
    if by == "neuron" and SITES[site].per_head:
        raise InputError(f"by='neuron' takes a site without heads, such as 'mlp_act', not {site!r}.")


def _questions(
    model: Model,
    clean: Any,
    corrupted: Any,
    answer: Any,
    foil: Any,
    metric: MetricKind,
    direction: Direction,
) -> list[Question]:
    """The question of each pair, all checked before the first sweep."""
    cleans, corrupteds = (one_by_one(model.to_tokens(given)) for given in (clean, corrupted))
    if len(cleans) != len(corrupteds):
        raise InputError(f"There are {len(cleans)} clean prompts and {len(corrupteds)} corrupted ones.")
    answers, foils = (for_each(given, len(cleans), of="pairs") for given in (answer, foil))
    questions = []
    for a, b, right, wrong in zip(cleans, corrupteds, answers, foils, strict=True):
        question = Question.of(
            model, clean=a, corrupted=b, answer=right, foil=wrong, metric=metric, direction=direction
        )
        texts = question.texts
        question.check_span(of=f" of {texts[0]!r} and {texts[1]!r}" if len(cleans) > 1 else "")
        questions.append(question)
    return questions


# ---- the methods ----


def _exact(question: Question, site: str, by: str, exact: Exact, batch_size: int) -> tuple[Tensor, str]:
    """The metric after each patch, [layer, column], and how the runs were computed."""
    model = question.model
    cache = model.run_with_cache(question.donor, [site])
    layers = range(model.arch.n_layers)
    if by == "neuron":
        own = model.run_with_cache(question.base, [site])
        edits = [edit for n in layers for edit in _neurons(site, n, own[site, n], cache[site, n])]
    else:
        edits = [edit for n in layers for edit in _cells(site, by, n, cache[site, n])]
    branches = [[edit] for edit in edits]
    swept = model.sweep(question.base, branches, question.readout, batch_size=batch_size, exact=exact)
    return swept.values.view(len(layers), -1), swept.path


def _cells(site: str, by: str, layer: int, value: Tensor) -> list[Edit]:
    """The patches of one layer; `value` is the donor's activation, [1, pos, (head,) width] or the pattern."""
    pattern = site == "pattern"  # [1, head, query, key]
    if by == "layer":
        return [Edit.set(site, layer, value=value)]
    if by == "head":
        n_heads = value.shape[1] if pattern else value.shape[2]
        heads = [value[:, h : h + 1] if pattern else value[:, :, h : h + 1] for h in range(n_heads)]
        return [Edit.set(site, layer, value=one, heads=h) for h, one in enumerate(heads)]
    n_pos = value.shape[2] if pattern else value.shape[1]
    at = [value[:, :, p : p + 1] if pattern else value[:, p : p + 1] for p in range(n_pos)]
    return [Edit.set(site, layer, value=one, positions=p) for p, one in enumerate(at)]


def _neurons(site: str, layer: int, own: Tensor, donor: Tensor) -> list[Edit]:
    """One patch for each entry of the last axis; all others keep what the base run has there."""
    edits = []
    for neuron in range(own.shape[-1]):
        value = own.clone()
        value[..., neuron] = donor[..., neuron]
        edits.append(Edit.set(site, layer, value=value))
    return edits


def _by_gradients(question: Question, site: str, by: str, steps: int) -> Tensor:
    """The first-order estimate of the metric after each patch, [layer, column]."""
    model = question.model
    ours, theirs = (
        model.run_with_cache(tokens, [site, "embed"]) for tokens in (question.base, question.donor)
    )
    total: list[Tensor] = []
    for step in range(steps):
        share = 0.0 if steps == 1 else (step + 0.5) / steps  # midpoints; a single step stands at the base
        mixed = ours["embed"] + share * (theirs["embed"] - ours["embed"])
        edits = [Edit.set("embed", value=mixed)] if share else []
        gradients = model.gradients(question.base, [site], question.readout, edits)
        total = [g if not total else total[i] + g for i, g in enumerate(gradients)]
    estimates = []
    for layer, gradient in enumerate(total):
        change = (theirs[site, layer] - ours[site, layer]).double().cpu() * gradient.double().cpu() / steps
        estimates.append(question.base_value + _summed(change[0], site, by))
    return torch.stack(estimates)


def _summed(change: Tensor, site: str, by: str) -> Tensor:
    """The estimated change of each column: summed over all axes but that of the columns."""
    axes = list(SITES[site].axes[1:])  # without the batch
    if by == "layer":
        return change.sum()[None]
    column = {"position": "query" if site == "pattern" else "pos", "neuron": axes[-1]}.get(by)
    keep = (
        axes.index(column)
        if column
        else next(i for i, axis in enumerate(axes) if "head" in axis and "d_" not in axis)
    )
    return change.sum([i for i in range(change.ndim) if i != keep])


# ---- against each other ----


@dataclass(frozen=True)
class Agreement:
    """How an approximate sweep compares with the exact one."""

    rank_correlation: float  # Spearman's, over all cells
    worst_cell: tuple[int, int]  # (layer, column) at which they differ most
    worst_difference: float  # of recovery, there


def compare(approximate: ActivationPatchingResult, exact: ActivationPatchingResult) -> Agreement:
    """An approximate sweep against the exact one of the same question. InputError where they differ in it."""
    same = ("site", "by", "direction", "metric", "clean", "corrupted", "answers", "foils")
    if different := [name for name in same if getattr(approximate, name) != getattr(exact, name)]:
        raise InputError(
            f"The two sweeps differ in {', '.join(different)}; compare two of the same question."
        )
    off = np.abs(approximate.recovery - exact.recovery)
    layer, column = np.unravel_index(off.argmax(), off.shape)
    correlation = spearman(approximate.recovery.ravel(), exact.recovery.ravel())
    return Agreement(correlation, (int(layer), int(column)), float(off.max()))
