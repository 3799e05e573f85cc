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
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped

from interp.answers import Answer, check_at_once
from interp.edits import Edit
from interp.errors import InputError
from interp.methods.common.intervals import mean_interval
from interp.methods.common.over_pairs import likeliest, over_pairs, pair_key
from interp.methods.features.cell_effects import sae_digest
from interp.methods.features.feature_effects import feature_effects
from interp.methods.features.results import FeatureAblationResult, TaskAblation, TextAblation
from interp.models.base import Exact, Model
from interp.parts import Arrays
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout
from interp.saes.dictionary import SAE
from interp.saes.edits import feature_edit
from interp.saes.metrics import EXCLUDED
from interp.tasks.base import Pair, PairDataset
from interp.tokens import Tokens

NEAREST = 10

#: The features that are knocked out together, of each draw and each size; draw 0 is the chosen one.
Sets = Sequence[Sequence[Sequence[int]]]


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
    check_sizes(sizes, n_random)
    _check(dataset, text)
    first, second = _halves(dataset, seed)
    chosen = _choose(model, sae, first, sizes[-1], exact, seed)
    sets = [[chosen.features[:n] for n in sizes]]
    for i in range(n_random):
        others_as_active = _as_active(chosen.features, chosen.activity, f"random {seed} {i}")
        sets.append([others_as_active[:n] for n in sizes])
    return FeatureAblationResult(
        provenance=Provenance.of(model, seed=seed),
        excluded=EXCLUDED,
        sae=sae.naming(chosen.features),
        n_chosen_on=len(first),
        n_random=n_random,
        chosen=tuple(chosen.features),
        effects=chosen.effects,
        sizes=(0, *sizes),
        tasks=tuple(_without_in_task(model, sae, task, sets, exact, seed) for task in (second, *others)),
        text=_without_in_text(model, sae, text, sets, batch_size, seed),
    )


def check_sizes(sizes: Sequence[int], n_random: int) -> None:
    """`InputError` for sizes that do not rise from 1, and for no random set."""
    if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)) or n_random < 1:
        raise InputError("sizes are rising numbers from 1, and n_random is at least 1.")


def _check(dataset: PairDataset, text: Sequence[Sequence[int]]) -> None:
    if len(dataset) < 2:
        raise InputError(
            "Features are chosen on half of the prompts and measured on the rest; give two or more."
        )
    if len({len(ids) for ids in text}) != 1 or len(text[0]) < 3:
        raise InputError("The text must be sequences of one length, of three tokens or more.")


def _halves(dataset: PairDataset, seed: int) -> tuple[PairDataset, PairDataset]:
    """The pairs that features are chosen on, and those that are measured; drawn, each in its old order."""
    order = random.Random(f"halves {seed}").sample(range(len(dataset)), len(dataset))
    middle = len(order) // 2
    first, second = (
        replace(dataset, pairs=tuple(dataset[i] for i in sorted(half)))
        for half in (order[:middle], order[middle:])
    )
    return first, second


# ---- which features ----


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The features that a task loses most without, the one of the lowest effect first."""

    features: list[int]
    effects: Float[np.ndarray, " chosen"]  # of each alone
    activity: Float[np.ndarray, " feature"]  # how active every feature is in the task


def _choose(model: Model, sae: SAE, dataset: PairDataset, n: int, exact: Exact, seed: int) -> _Chosen:
    """The `n` features of the lowest effects, each alone at all positions of the prompts."""
    everywhere = replace(
        dataset,
        pairs=tuple(replace(pair, positions={"everywhere": tuple(range(len(pair)))}) for pair in dataset),
    )
    found = feature_effects(model, sae, everywhere, steps=1, exact=exact, seed=seed)
    effects = found.cells.exact.value
    if n > len(effects) // 2:
        raise InputError(
            f"{len(effects)} features are active in the prompts, too few to set {n} beside {n} others; "
            "ask for smaller sizes."
        )
    order = np.argsort(effects, kind="stable")[:n]
    entries = found.entries
    return _Chosen(
        features=found.cells.feature[order].tolist(),
        effects=effects[order],
        activity=np.bincount(entries.feature, weights=entries.activation, minlength=sae.n_features),
    )


def _as_active(chosen: Sequence[int], activity: Float[np.ndarray, " feature"], seed: str) -> list[int]:
    """For each of the chosen features another one, most nearly as active."""
    rng = random.Random(seed)
    free = [feature for feature in np.flatnonzero(activity).tolist() if feature not in chosen]
    others = []
    for feature in chosen:
        free.sort(key=lambda other: abs(np.log(activity[other] / activity[feature])))
        others.append(free.pop(rng.randrange(min(NEAREST, len(free)))))
    return others


# ---- what is left without them ----


def _without_in_task(
    model: Model, sae: SAE, dataset: PairDataset, sets: Sets, exact: Exact, seed: int
) -> TaskAblation:
    """The logit differences and accuracies of a task without each set."""

    for pair in dataset:
        check_at_once(Answer.of(pair.answer), Answer.of(pair.foil), what="Ablations of features")

    def logit_diffs(pair: Pair) -> Arrays:
        branches = [_knocked_out(sae, features, len(pair)) for draw in sets for features in draw]
        readout = Readout.logit_diff(pair.answer, pair.foil)
        values = model.sweep(pair.clean, [[], *branches], readout, exact=exact).values
        return {"logit_diff": _draws_and_sizes(values.double().numpy(), len(sets))}

    digest = sae_digest(sae)

    def key(pair: Pair) -> dict[str, Any]:
        how = [digest, [list(map(list, draw)) for draw in sets], str(exact)]
        return {"feature_ablation": how, "pair": pair_key(pair), **likeliest(model, pair.clean)}

    parts = over_pairs(
        len(dataset),
        dataset.__getitem__,
        logit_diffs,
        key=key,
        describe=lambda number: repr(dataset[number].text),
        task=dataset.name,
    )
    diffs = parts.stacked("logit_diff")  # [prompt, draw, size]
    return TaskAblation(
        task=dataset.name,
        n_prompts=len(dataset),
        logit_diff=mean_interval(_chosen_and_others(diffs), seed, dataset.clusters),
        accuracy=_chosen_and_others(diffs > 0).mean(0),
    )


def _without_in_text(
    model: Model, sae: SAE, text: Sequence[Sequence[int]], sets: Sets, batch_size: int, seed: int
) -> TextAblation:
    """The loss of a text without each set."""
    losses = _losses(model, sae, text, sets, batch_size)  # [sequence, draw, size]
    change = mean_interval(_chosen_and_others(losses - losses[..., :1]), seed)
    return TextAblation(
        n_sequences=len(text),
        loss=_chosen_and_others(losses).mean(0),
        change_low=change.low,
        change_high=change.high,
    )


def _losses(
    model: Model, sae: SAE, text: Sequence[Sequence[int]], sets: Sets, batch_size: int
) -> Float[np.ndarray, "sequence draw size"]:
    """The mean loss of each sequence's next tokens, from the second on, without each set."""
    edits = [[], *(_knocked_out(sae, features, len(text[0])) for draw in sets for features in draw)]
    found = []
    for start in range(0, len(text), batch_size):
        report("text", start, len(text))
        tokens = Tokens.pad(text[start : start + batch_size])
        following = tokens.ids[:, 2:, None]
        losses = []
        for of_set in edits:
            logits = model.forward(tokens, of_set)[:, 1:-1].cpu().double()  # [row, pos, d_vocab]
            losses.append(-logits.log_softmax(-1).gather(-1, following)[..., 0].mean(-1))
        found += [_draws_and_sizes(row.numpy(), len(sets)) for row in torch.stack(losses, dim=1)]
    report("text", len(text), len(text))
    return np.stack(found)


def _knocked_out(sae: SAE, features: Sequence[int], n_pos: int) -> list[Edit]:
    return [feature_edit(sae, "ablate", features, positions=range(1, n_pos))]


def _draws_and_sizes(
    values: Float[np.ndarray, " none_and_sets"], n_draws: int
) -> Float[np.ndarray, "draw size"]:
    """The value without any set, the same for every draw, before those of its sets."""
    each = values[1:].reshape(n_draws, -1)
    return np.concatenate([np.full((n_draws, 1), values[0]), each], axis=1)


def _chosen_and_others(values: Shaped[np.ndarray, "row draw size"]) -> Float[np.ndarray, "row set size"]:
    """The chosen sets, and the means over the draws of others (`SETS`)."""
    return np.stack([values[:, 0], values[:, 1:].mean(1)], axis=1)
