"""What a causal trace shows, in words: the same in its figure, its table and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, measured, probability, show_prompt

if TYPE_CHECKING:
    from interp.methods.patching.results import CausalTracingResult


def title(result: CausalTracingResult) -> str:
    """The question that the trace answers."""
    return f"Causal tracing: where does {brief(result.answer)} come from?"


def setting(result: CausalTracingResult) -> str:
    """Which activations were carried where."""
    carried = {
        "denoising": "clean activations into the corrupted run",
        "noising": "corrupted activations into the clean run",
    }[result.direction]
    layers = "one layer at a time" if result.window == 1 else f"a window of {result.window} layers at a time"
    return (
        f"{result.direction.capitalize()} ({carried}) at {result.site}, {layers}; "
        f"corruption by {result.corruption}."
    )


def metric(result: CausalTracingResult) -> str:
    """The metric, with the answer and the foil by name."""
    answer = brief(result.answer)
    names = {
        "logit_diff": f"logit({answer}) - logit({brief(result.foil or '')})",
        "prob": f"probability of {answer}",
        "kl": "KL divergence from the clean prediction (nats)",
    }
    return names.get(result.metric, result.metric)


def clean_prompt(result: CausalTracingResult, *, max_chars: int | None = None) -> str:
    """The clean prompt, in quotes."""
    return f"“{show_prompt(result.clean_tokens, bos=result.provenance.bos, max_chars=max_chars)}”"


def corrupted_prompt(result: CausalTracingResult, *, max_chars: int | None = None) -> str:
    """The corrupted prompt in quotes, or what noise was put where."""
    if result.corruption == "interchange":
        return f"“{show_prompt(result.corrupted_tokens, bos=result.provenance.bos, max_chars=max_chars)}”"
    noised = " ".join(brief(result.clean_tokens[i]) for i in result.corrupted_positions)
    std = "" if result.noise_std is None else f" of standard deviation {result.noise_std:.3g}"
    return f"Gaussian noise{std} on the embeddings of {noised}, mean of {count(result.samples, 'sample')}."


def baselines(result: CausalTracingResult) -> list[str]:
    """The metric, and both runs by it: what the recovery is measured between."""

    def line(name: str, value: float, top: str, prob: float, prompt: str) -> str:
        said = f"the model says {brief(top)}; probability of {brief(result.answer)}"
        return f"{name}: {measured(value)}, {said} is {probability(prob)}. {prompt}"

    clean = line(
        "Clean",
        result.clean_value,
        result.clean_top,
        result.clean_answer_prob,
        clean_prompt(result, max_chars=120),
    )
    corrupted = line(
        "Corrupted",
        result.corrupted_value,
        result.corrupted_top,
        result.corrupted_answer_prob,
        corrupted_prompt(result, max_chars=120),
    )
    return [f"Metric: {metric(result)}.", clean, corrupted]


def meaning(result: CausalTracingResult) -> str:
    """What a recovery of 0 and of 1 says in this direction."""
    return "Recovery " + result.meaning


def sign(result: CausalTracingResult) -> str:
    """What the two arms of the colour scale say in this direction."""
    if result.direction == "denoising":
        return "warm: towards the clean answer; blue: away from it"
    return "blue: the clean answer is harmed; warm: it is favoured beyond the clean run"


def peak(result: CausalTracingResult) -> str:
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


def reach(result: CausalTracingResult) -> str:
    """The layers, position by position, at which the effect is at least half of the whole.

    The single strongest cell says little at the residual stream, where the last position of the last
    layers always decides; this says from where and up to which layer the information is carried.
    """
    denoising = result.direction == "denoising"
    strong = result.recovery >= 0.5 if denoising else result.recovery <= 0.5
    found = [
        f"{brief(result.clean_tokens[position])} (position {position}) at {_layers(strong[:, position])}"
        for position in np.flatnonzero(strong.any(0)).tolist()
    ]
    happens = (
        "brings back at least half (recovery ≥ 0.5)" if denoising else "loses at least half (recovery ≤ 0.5)"
    )
    if not found:
        return f"No single place {happens}."
    more = f"; and {count(len(found) - 6, 'further position')}" if len(found) > 6 else ""
    centres = "; a layer stands for the window centred on it" if result.window > 1 else ""
    return f"Each of these alone {happens}: {'; '.join(found[:6])}{more}{centres}."


def _layers(strong: np.ndarray) -> str:
    """``layers 0-3, 7`` of a column of truths."""
    runs: list[list[int]] = []
    for layer in np.flatnonzero(strong).tolist():
        if runs and runs[-1][-1] == layer - 1:
            runs[-1][-1] = layer
        else:
            runs.append([layer, layer])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"layer{'' if strong.sum() == 1 else 's'} {shown}"


def differs(result: CausalTracingResult, position: int) -> bool:
    """Whether the two runs differ at this position of the input."""
    return position in result.corrupted_positions


def other_token(result: CausalTracingResult, position: int) -> str | None:
    """The corrupted prompt's token, where it is another one; None under noise."""
    if result.corruption == "interchange" and differs(result, position):
        return result.corrupted_tokens[position]
    return None


def no_effect(result: CausalTracingResult) -> float:
    """The recovery of a patch that changes nothing: that of the run which is patched."""
    return 0.0 if result.direction == "denoising" else 1.0
