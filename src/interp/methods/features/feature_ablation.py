"""What a model loses without the features that carry a task, and without others that are as active.

1. The prompts of the task are divided in two halves.
2. On the first half, every feature that is active in a prompt is knocked out alone, at all its positions, and
   the mean change of logit(answer) - logit(foil) is its effect. The features that the task loses most without
   come first.
3. On the second half, the first 1, 2, 4, ... of them are knocked out together; and, for comparison, as many
   others: for each, one drawn from the `NEAREST` that are most nearly as active on the first half.
4. The same sets are knocked out in the prompts of other tasks and in running text.

A knock-out sets features to 0 and keeps what the SAE does not reconstruct (`interp.feature_edit`). The first
position of each sequence is left out, as an SAE is not trained there.

When it misleads: what is left of a task without its features may be carried by the SAE's error. A set of the
strongest alone is not the strongest set. And a feature that is far more active than all others has none to be
compared with.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.common.statistics import bootstrap_interval
from interp.methods.features.feature_effects import feature_effects
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout
from interp.results import Result
from interp.saes.dictionary import SAE
from interp.saes.edits import feature_edit
from interp.saes.metrics import EXCLUDED
from interp.tasks.base import PairDataset
from interp.tokens import Tokens

SETS = ("chosen", "as active")
NEAREST = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureAblationResult(Result):
    """Logit differences, accuracies and losses with more and more features knocked out: those that were
    chosen, and others as active (`SETS`). Intervals are 95 %, bootstrap over prompts or sequences."""

    kind: ClassVar[str] = "feature_ablation"
    tasks: tuple[str, ...]  # the one that features were chosen on, then the others
    n_chosen_on: int  # prompts
    n_prompts: tuple[int, ...]  # that are measured, of each task
    n_sequences: int  # of the text
    n_random: int
    excluded: str
    sae_model: str
    site: str
    n_features: int
    chosen: tuple[int, ...]
    effects: Float[np.ndarray, " chosen"]  # of each alone, where they were chosen; logits
    sizes: tuple[int, ...]  # of the sets; 0 first
    logit_diff: Float[np.ndarray, "task set size"]
    logit_diff_low: Float[np.ndarray, "task set size"]
    logit_diff_high: Float[np.ndarray, "task set size"]
    accuracy: Float[np.ndarray, "task set size"]  # the share with the answer above the foil
    loss: Float[np.ndarray, "set size"]  # of the text's next tokens, nats
    loss_change_low: Float[np.ndarray, "set size"]  # of the loss less that with nothing knocked out
    loss_change_high: Float[np.ndarray, "set size"]


def feature_ablation(
    model: Model,
    sae: SAE,
    dataset: PairDataset,
    text: Sequence[Sequence[int]],
    *,
    others: Sequence[PairDataset] = (),
    sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    n_random: int = 3,
    exact: Exact = "auto",
    batch_size: int = 16,
    seed: int = 0,
) -> FeatureAblationResult:
    """Knock out the features that `dataset` rests on; what does that do to it, to `others` and to `text`?

    Args:
        text: sequences of token ids of one length, three or more, which the model was not asked about.
        sizes: how many features are knocked out together, rising.
        n_random: how many sets of features as active are drawn.
        exact: see `interp.Model.sweep`.
        batch_size: sequences of text in one forward pass.
        seed: of the division, the draws and the bootstrap.

    Raises:
        InputError: an SAE of another model; fewer than two prompts, or fewer features than the sizes ask for;
            text of several lengths.
        SiteError: the model does not have the SAE's site.
    """
    sae.check_fits(model)
    sizes = tuple(sizes)
    if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)) or n_random < 1:
        raise InputError("sizes are rising numbers from 1, and n_random is at least 1.")
    if len(dataset) < 2:
        raise InputError(
            "Features are chosen on half of the prompts and measured on the rest; give two or more."
        )
    if len({len(ids) for ids in text}) != 1 or len(text[0]) < 3:
        raise InputError("The text must be sequences of one length, of three tokens or more.")
    order = random.Random(f"halves {seed}").sample(range(len(dataset)), len(dataset))
    first, second = (
        replace(dataset, pairs=tuple(dataset[i] for i in sorted(half)))
        for half in (order[: len(order) // 2], order[len(order) // 2 :])
    )
    chosen, effects, activity = _chosen(model, sae, first, sizes[-1], exact, seed)
    sets = [[chosen[:n] for n in sizes]]
    sets += [
        [drawn[:n] for n in sizes]
        for drawn in (_as_active(chosen, activity, f"random {seed} {i}") for i in range(n_random))
    ]
    tasks = [second, *others]
    diffs = [_logit_diffs(model, sae, task, sets, exact) for task in tasks]
    losses = _losses(model, sae, text, sets, batch_size)
    spread = [[bootstrap_interval(values, seed) for values in _both(diff)] for diff in diffs]
    of_loss = [bootstrap_interval(values, seed) for values in _both(losses - losses[..., :1])]
    return FeatureAblationResult(
        provenance=Provenance.of(model, seed=seed),
        tasks=tuple(task.name for task in tasks),
        n_chosen_on=len(first),
        n_prompts=tuple(len(task) for task in tasks),
        n_sequences=len(text),
        n_random=n_random,
        excluded=EXCLUDED,
        sae_model=sae.model,
        site=str(sae.address),
        n_features=sae.n_features,
        chosen=tuple(chosen),
        effects=effects,
        sizes=(0, *sizes),
        logit_diff=np.array([[values.mean(0) for values in _both(diff)] for diff in diffs]),
        logit_diff_low=np.array([[low for low, _ in one] for one in spread]),
        logit_diff_high=np.array([[high for _, high in one] for one in spread]),
        accuracy=np.array([[values.mean(0) for values in _both(diff > 0)] for diff in diffs]),
        loss=np.array([values.mean(0) for values in _both(losses)]),
        loss_change_low=np.array([low for low, _ in of_loss]),
        loss_change_high=np.array([high for _, high in of_loss]),
    )


# ---- which features ----


def _chosen(
    model: Model, sae: SAE, dataset: PairDataset, n: int, exact: Exact, seed: int
) -> tuple[list[int], Float[np.ndarray, " chosen"], Float[np.ndarray, " feature"]]:
    """The `n` features that the task loses most without, their effects, and how active every one is there."""
    everywhere = replace(
        dataset,
        pairs=tuple(replace(pair, positions={"everywhere": tuple(range(len(pair)))}) for pair in dataset),
    )
    found = feature_effects(model, sae, everywhere, steps=1, exact=exact, seed=seed)
    activity = np.bincount(found.entry_feature, weights=found.activation, minlength=sae.n_features)
    if n > len(found.mean) // 2:
        raise InputError(
            f"{len(found.mean)} features are active in the prompts, too few to set {n} beside {n} others; "
            "ask for smaller sizes."
        )
    order = np.argsort(found.mean, kind="stable")[:n]
    return found.cell_feature[order].tolist(), found.mean[order], activity


def _as_active(chosen: Sequence[int], activity: Float[np.ndarray, " feature"], seed: str) -> list[int]:
    """For each of the chosen features another one, most nearly as active."""
    rng = random.Random(seed)
    free = [feature for feature in np.flatnonzero(activity).tolist() if feature not in chosen]
    drawn = []
    for feature in chosen:
        free.sort(key=lambda other: abs(np.log(activity[other] / activity[feature])))
        drawn.append(free.pop(rng.randrange(min(NEAREST, len(free)))))
    return drawn


# ---- what is left without them ----


def _knocked_out(sae: SAE, features: Sequence[int], n_pos: int) -> list[Edit]:
    return [feature_edit(sae, "ablate", features, positions=range(1, n_pos))]


def _logit_diffs(
    model: Model, sae: SAE, dataset: PairDataset, sets: Sequence[Sequence[Sequence[int]]], exact: Exact
) -> Float[np.ndarray, "prompt draw size"]:
    """logit(answer) - logit(foil) without each set; draw 0 is the chosen one, size 0 no set at all."""
    found = []
    for number, pair in enumerate(dataset):
        report(dataset.name, number, len(dataset))
        branches = [_knocked_out(sae, features, len(pair)) for draw in sets for features in draw]
        readout = Readout.logit_diff(pair.answer, pair.foil)
        values = model.sweep(pair.clean, [[], *branches], readout, exact=exact).values
        found.append(_with_none(values.double().numpy(), len(sets)))
    report(dataset.name, len(dataset), len(dataset))
    return np.stack(found)


def _losses(
    model: Model, sae: SAE, text: Sequence[Sequence[int]], sets: Sequence[Sequence[Sequence[int]]], batch: int
) -> Float[np.ndarray, "sequence draw size"]:
    """The mean loss of each sequence's next tokens, from the second on, without each set."""
    edits = [[], *(_knocked_out(sae, features, len(text[0])) for draw in sets for features in draw)]
    found = []
    for start in range(0, len(text), batch):
        report("text", start, len(text))
        tokens = Tokens.pad(text[start : start + batch])
        following = tokens.ids[:, 2:, None]
        losses = []
        for one in edits:
            said = model.forward(tokens, one)[:, 1:-1].cpu().double().log_softmax(-1)  # [row, pos, d_vocab]
            losses.append(-said.gather(-1, following)[..., 0].mean(-1))
        found += [_with_none(row.numpy(), len(sets)) for row in torch.stack(losses, dim=1)]
    report("text", len(text), len(text))
    return np.stack(found)


def _with_none(values: Float[np.ndarray, " one_and_sets"], n_draws: int) -> Float[np.ndarray, "draw size"]:
    """The value without any set, the same for every draw, before those of its sets."""
    each = values[1:].reshape(n_draws, -1)
    return np.concatenate([np.full((n_draws, 1), values[0]), each], axis=1)


def _both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[row, size] of the chosen sets, and of the mean over the others."""
    return values[:, 0], values[:, 1:].mean(1)
