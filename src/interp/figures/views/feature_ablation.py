"""What is left without the features of a task: of it, of other tasks, and of running text."""

from __future__ import annotations

from interp.figures.engine.notation import count, decimal, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Lines, Series, Table, View, Words
from interp.methods.features.results import SETS, FeatureAblationResult, TaskAblation
from interp.results import Interval

_LISTED = 12
_X_TITLE = "features knocked out"


def view(result: FeatureAblationResult) -> View:
    """The verdict, the three curves, and which features they are."""
    sae, text = result.sae, result.text
    tasks = ", ".join(f"{show_text(of.task)} ({count(of.n_prompts, 'prompt')})" for of in result.tasks)
    return View(
        title="What is lost without the features that a task rests on?",
        above=(
            f"Features: those of {sae.n_features} of an SAE at {sae.site} of {show_text(sae.model)} without "
            f"which {show_text(result.tasks[0].task)} loses most, chosen on "
            f"{count(result.n_chosen_on, 'prompt')}; set to 0 together, the SAE's error kept.",
            f"Measured on others: {tasks}, and {count(text.n_sequences, 'sequence')} of text. "
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
            _bands(result),
            "What is left may be carried by what the SAE does not reconstruct.",
        ),
    )


figure, table, report = presentation(view)


def _bands(result: FeatureAblationResult) -> str:
    """What the intervals are over; runs of before did not keep their clusters."""
    if not all(of.logit_diff.clusters for of in result.tasks):
        return "Bands: 95 % intervals over prompts or sequences."
    over = [f"{count(of.logit_diff.clusters, 'cluster')} of {show_text(of.task)}" for of in result.tasks]
    return (
        f"Bands: 95 % intervals, over {', '.join(over)} (prompts that are alike are drawn together) and "
        f"{count(result.text.n_sequences, 'sequence')} of text."
    )


def _verdict(result: FeatureAblationResult) -> str:
    tasks = []
    for of in result.tasks:
        logits, accuracy = of.logit_diff.value, of.accuracy
        tasks.append(
            f"{show_text(of.task)}: {decimal(logits[0, 0])} logits ({_percent(accuracy[0, 0])} right) become "
            f"{decimal(logits[0, -1])} ({_percent(accuracy[0, -1])}), without others "
            f"{decimal(logits[1, -1])} ({_percent(accuracy[1, -1])})"
        )
    loss = result.text.loss
    return (
        f"Without {count(result.sizes[-1], 'feature')} - {'; '.join(tasks)}; the loss of the text, "
        f"{decimal(loss[0, 0])} nats, becomes {decimal(loss[0, -1])}, without others {decimal(loss[1, -1])}."
    )


def _percent(share: float) -> str:
    return f"{decimal(100 * share, 0)} %"


def _ticks(result: FeatureAblationResult) -> tuple[tuple[float, str], ...]:
    return tuple((float(i), str(size)) for i, size in enumerate(result.sizes))


def _series(name: str, of_set: Interval) -> Series:
    values, low, high = (tuple(end.tolist()) for end in (of_set.value, of_set.low, of_set.high))
    return Series(name, _x(len(values)), values, low=low, high=high)


def _x(n_sizes: int) -> tuple[float, ...]:
    return tuple(map(float, range(n_sizes)))


def _curves(result: FeatureAblationResult) -> list[tuple[str, TaskAblation, int]]:
    """Each task with each set of features: the name of its curve, and where its numbers are."""
    return [(f"{of.task}: {name}", of, i) for of in result.tasks for i, name in enumerate(SETS)]


def _logit_diff(result: FeatureAblationResult) -> Lines:
    return Lines(
        name="logit_diff",
        series=tuple(_series(name, of.logit_diff[i]) for name, of, i in _curves(result)),
        x_title=_X_TITLE,
        y_title="logit(answer) - logit(foil)",
        title="The logit difference",
        ticks=_ticks(result),
        levels=((0.0, "answer and foil alike"),),
    )


def _accuracy(result: FeatureAblationResult) -> Lines:
    x = _x(len(result.sizes))
    return Lines(
        name="accuracy",
        series=tuple(Series(name, x, tuple(of.accuracy[i].tolist())) for name, of, i in _curves(result)),
        x_title=_X_TITLE,
        y_title="share with the answer above the foil",
        title="Accuracy",
        ticks=_ticks(result),
    )


def _loss(result: FeatureAblationResult) -> Lines:
    text = result.text
    return Lines(
        name="loss",
        series=tuple(_series(name, text.change[i]) for i, name in enumerate(SETS)),
        x_title=_X_TITLE,
        y_title="change of the next token's loss, nats",
        title="Running text",
        ticks=_ticks(result),
        note=f"With nothing knocked out the loss is {decimal(text.loss[0, 0])} nats.",
    )


def _features(result: FeatureAblationResult) -> Table:
    rows = tuple(
        (show_text(result.sae.called(feature)), decimal(effect))
        for feature, effect in zip(result.chosen[:_LISTED], result.effects.tolist(), strict=False)
    )
    first = f": the first {len(rows)} of {len(result.chosen)}" if len(rows) < len(result.chosen) else ""
    columns = ("feature", "change when it is knocked out alone")
    return Table(columns, rows, title=f"The chosen features, in logits{first}", name="features")
