"""What is left without the features of a task: of it, of other tasks, and of running text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import count, decimal, show_text
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Lines, Series, Table, View, Words

if TYPE_CHECKING:
    from interp.methods.features.feature_ablation import FeatureAblationResult

_LISTED = 12
_SETS = ("chosen", "as active")


def view(result: FeatureAblationResult) -> View:
    """The verdict, the three curves, and which features they are."""
    measured = ", ".join(
        f"{show_text(task)} ({count(n, 'prompt')})"
        for task, n in zip(result.tasks, result.n_prompts, strict=True)
    )
    return View(
        title="What is lost without the features that a task rests on?",
        above=(
            f"Features: those of {result.n_features} of an SAE at {result.site} of "
            f"{show_text(result.sae_model)} without which {show_text(result.tasks[0])} loses most, chosen on "
            f"{count(result.n_chosen_on, 'prompt')}; set to 0 together, the SAE's error kept.",
            f"Measured on others: {measured}, and {count(result.n_sequences, 'sequence')} of text. "
            f"Beside them, {count(result.n_random, 'draw')} of other features most nearly as active. "
            f"Left out: {result.excluded}.",
        ),
        blocks=(
            Words(_verdict(result), strong=True, name="verdict"),
            _logit_diff(result),
            _accuracy(result),
            _loss(result),
            _features(result),
        ),
        below=(
            "Bands: 95 %, bootstrap over prompts or sequences. What is left may be carried by what the SAE "
            "does not reconstruct.",
        ),
    )


figure, table, report = presented(view)


def _verdict(result: FeatureAblationResult) -> str:
    n = result.sizes[-1]
    said = []
    for i, task in enumerate(result.tasks):
        before, chosen, other = result.logit_diff[i, 0, 0], *result.logit_diff[i, :, -1]
        accuracy = result.accuracy[i]
        said.append(
            f"{show_text(task)}: {decimal(before)} logits ({_percent(accuracy[0, 0])} right) become "
            f"{decimal(chosen)} ({_percent(accuracy[0, -1])}), without others {decimal(other)} "
            f"({_percent(accuracy[1, -1])})"
        )
    loss = result.loss
    return (
        f"Without {count(n, 'feature')} - {'; '.join(said)}; the loss of the text, {decimal(loss[0, 0])} "
        f"nats, becomes {decimal(loss[0, -1])}, without others {decimal(loss[1, -1])}."
    )


def _percent(share: float) -> str:
    return f"{decimal(100 * share, 0)} %"


def _ticks(result: FeatureAblationResult) -> tuple[tuple[float, str], ...]:
    return tuple((float(i), str(size)) for i, size in enumerate(result.sizes))


def _series(
    result: FeatureAblationResult, name: str, values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Series:
    x = tuple(float(i) for i in range(len(result.sizes)))
    return Series(name, x, tuple(values.tolist()), low=tuple(low.tolist()), high=tuple(high.tolist()))


def _logit_diff(result: FeatureAblationResult) -> Lines:
    arrays = (result.logit_diff, result.logit_diff_low, result.logit_diff_high)
    return Lines(
        name="logit_diff",
        series=tuple(
            _series(result, f"{task}: {name}", *(array[i, j] for array in arrays))
            for i, task in enumerate(result.tasks)
            for j, name in enumerate(_SETS)
        ),
        x_title="features knocked out",
        y_title="logit(answer) - logit(foil)",
        title="The logit difference",
        ticks=_ticks(result),
        levels=((0.0, "answer and foil alike"),),
    )


def _accuracy(result: FeatureAblationResult) -> Lines:
    x = tuple(float(i) for i in range(len(result.sizes)))
    return Lines(
        name="accuracy",
        series=tuple(
            Series(f"{task}: {name}", x, tuple(result.accuracy[i, j].tolist()))
            for i, task in enumerate(result.tasks)
            for j, name in enumerate(_SETS)
        ),
        x_title="features knocked out",
        y_title="share with the answer above the foil",
        title="Accuracy",
        ticks=_ticks(result),
    )


def _loss(result: FeatureAblationResult) -> Lines:
    change = result.loss - result.loss[:, :1]
    return Lines(
        name="loss",
        series=tuple(
            _series(result, name, change[j], result.loss_change_low[j], result.loss_change_high[j])
            for j, name in enumerate(_SETS)
        ),
        x_title="features knocked out",
        y_title="change of the next token's loss, nats",
        title="Running text",
        ticks=_ticks(result),
        note=f"With nothing knocked out the loss is {decimal(result.loss[0, 0])} nats.",
    )


def _features(result: FeatureAblationResult) -> Table:
    rows = tuple(
        (str(feature), decimal(effect))
        for feature, effect in zip(result.chosen[:_LISTED], result.effects.tolist(), strict=False)
    )
    first = f": the first {len(rows)} of {len(result.chosen)}" if len(rows) < len(result.chosen) else ""
    columns = ("feature", "change when it is knocked out alone")
    return Table(columns, rows, title=f"The chosen features, in logits{first}", name="features")
