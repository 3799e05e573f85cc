"""What a causal trace shows: the two runs, and what comes back of the answer at each layer and position.

The number in a cell is always the recovery, never clipped.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, measured, probability, show_prompt
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Table, View, Words
from interp.figures.views.pairs_text import clean_doubts, metric_with_tokens
from interp.figures.views.recovery import CARRIED, recovery_map
from interp.methods.patching.results import CausalTracingResult

_NAMED = 6  # positions in a sentence


def view(result: CausalTracingResult) -> View:
    """Both runs, the places that carry the answer, and the map of recovery."""
    differ = "the prompts differ" if result.corruption == "interchange" else "the noise is added"
    return View(
        title=f"Causal tracing: where does {brief(result.answer)} come from?",
        above=(
            *clean_doubts(
                result.metric,
                np.array([result.clean_value]),
                answers=(result.answer,),
                said=() if result.several_tokens else (result.clean_top,),
                foil=result.foil,
            ),
            _setting(result),
            f"Metric: {_metric(result)}.",
        ),
        blocks=(
            Words(_half_of_the_effect(result), strong=True, name="verdict"),
            Words(_strongest(result), name="strongest"),
            _runs(result),
            recovery_map(
                result.recovery,
                direction=result.direction,
                columns=_columns(result),
                peak=result.peak,
                hover=(
                    (_metric(result), result.values),
                    *(() if result.recovery_error is None else (("standard error", result.recovery_error),)),
                ),
            ),
        ),
        below=(f"Recovery {result.meaning} Columns in bold: where {differ}.",),
    )


figure, table, report = presentation(view)


def _setting(result: CausalTracingResult) -> str:
    """Which activations were carried where."""
    layers = "one layer at a time" if result.window == 1 else f"a window of {result.window} layers at a time"
    return (
        f"{result.direction.capitalize()} ({CARRIED[result.direction]}) at {result.site}, {layers}; "
        f"corruption by {result.corruption}."
    )


def _metric(result: CausalTracingResult) -> str:
    return metric_with_tokens(result.metric, result.answer, result.foil, several_tokens=result.several_tokens)


# ---- the two runs ----


def _runs(result: CausalTracingResult) -> Table:
    """What recovery is measured between."""
    return Table(
        ("run", "prompt", "metric", f"p({brief(result.answer)})", "the model says"),
        (
            (
                "clean",
                _quoted(result, "clean"),
                measured(result.clean_value),
                probability(result.clean_answer_prob),
                brief(result.clean_top),
            ),
            (
                "corrupted",
                _corrupted_prompt(result),
                measured(result.corrupted_value),
                probability(result.corrupted_answer_prob),
                brief(result.corrupted_top),
            ),
        ),
        title="Recovery is 1 where the metric is as in the clean run, 0 where as in the corrupted one",
        name="runs",
    )


def _quoted(result: CausalTracingResult, run: Literal["clean", "corrupted"]) -> str:
    tokens, text = (
        (result.clean_tokens, result.clean_prompt)
        if run == "clean"
        else (result.corrupted_tokens, result.corrupted_prompt)
    )
    return f"“{show_prompt(tokens, text, bos=result.provenance.bos)}”"


def _corrupted_prompt(result: CausalTracingResult) -> str:
    """The corrupted prompt, or what noise was put where."""
    if result.corruption == "interchange":
        return _quoted(result, "corrupted")
    noised = " ".join(brief(result.clean_tokens[i]) for i in result.corrupted_positions)
    std = "" if result.noise_std is None else f" of standard deviation {result.noise_std:.3g}"
    if result.noise_norm is not None:
        std += f" ({result.noise_norm:.3g} times the embeddings' norm)"
    error = result.corrupted_error
    sure = "" if error is None else f", standard error of the metric {measured(error)}"
    drawn = count(result.samples, "sample")
    return f"Gaussian noise{std} on the embeddings of {noised}, mean of {drawn}{sure}"


def _columns(result: CausalTracingResult) -> Axis:
    if result.corruption == "interchange":
        return Axis.tokens(result.clean_tokens, others=result.corrupted_tokens)
    return Axis.tokens(result.clean_tokens, notes=dict.fromkeys(result.corrupted_positions, "noised"))


# ---- in words ----


def _strongest(result: CausalTracingResult) -> str:
    """Where the strongest effect is, and how strong."""
    layer, position = result.peak
    layers = f"layer {layer}"
    if result.window > 1:
        first = max(0, layer - result.window // 2)
        last = min(len(result.recovery), layer + (result.window + 1) // 2) - 1
        layers += f" (layers {first} to {last} together)"
    recovery, value = float(result.recovery[layer, position]), float(result.values[layer, position])
    return (
        f"Strongest effect: {layers}, position {position} ({brief(result.clean_tokens[position])}): "
        f"recovery {decimal(recovery)}, metric {measured(value)}."
    )


def _half_of_the_effect(result: CausalTracingResult) -> str:
    """The layers, position by position, at which the effect is at least half of the whole.

    The single strongest cell says little at the residual stream, where the last position of the last
    layers always decides; this says from where and up to which layer the information is carried.
    """
    denoising = result.direction == "denoising"
    strong = result.recovery >= 0.5 if denoising else result.recovery <= 0.5
    places = [
        f"{brief(result.clean_tokens[position])} (position {position}) at {_layers(strong[:, position])}"
        for position in np.flatnonzero(strong.any(0)).tolist()
    ]
    happens = (
        "brings back at least half (recovery ≥ 0.5)" if denoising else "loses at least half (recovery ≤ 0.5)"
    )
    if not places:
        return f"No single place {happens}."
    more = f"; and {count(len(places) - _NAMED, 'further position')}" if len(places) > _NAMED else ""
    centres = "; a layer stands for the window centred on it" if result.window > 1 else ""
    return f"Each of these alone {happens}: {'; '.join(places[:_NAMED])}{more}{centres}."


def _layers(strong: np.ndarray) -> str:
    """``layers 0-3, 7`` of a column of truths."""
    runs: list[list[int]] = []
    for layer in np.flatnonzero(strong).tolist():
        if runs and runs[-1][-1] == layer - 1:
            runs[-1][-1] = layer
        else:
            runs.append([layer, layer])
    named = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"layer{'' if strong.sum() == 1 else 's'} {named}"
