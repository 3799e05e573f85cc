"""The presentation of a direct logit attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, measured, show_prompt
from interp.figures.engine.presented import presented
from interp.figures.engine.view import Arrays, Axis, Bars, Block, Grid, Lines, Series, View, Words

if TYPE_CHECKING:
    from interp.methods.attribution.direct_logit_attribution import DirectLogitAttributionResult

_NAMED = 4  # parts named in the sentence
_HEADS = 8  # heads whose source positions are shown
_FRAMED = 3


def view(result: DirectLogitAttributionResult) -> View:
    """The parts by component, accumulated over layers, by head, by source position and by neuron."""
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _components(result),
        _accumulated(result),
    ]
    if result.by_head is not None:
        blocks.append(_heads(result, result.by_head))
    if result.by_source is not None:
        blocks.append(_sources(result, result.by_source))
    if result.by_neuron is not None:
        blocks.append(_neurons(result, result.by_neuron))
    return View(
        title=f"Which parts of the model write {_what(result)}?",
        above=tuple(_asked(result)),
        blocks=tuple(blocks),
        below=(
            "Direct effects alone: what a part does through later parts is counted as theirs. The final "
            "norm's scale is that of this run.",
            *(f"No view by {name}: {reason}" for name, reason in result.left_out),
        ),
    )


def _what(result: DirectLogitAttributionResult) -> str:
    answers, foils = set(result.answers), set(result.foils or ())
    if len(answers) > 1 or len(foils) > 1:
        return "the answer" + (" rather than the foil" if foils else "")
    foil = f" rather than {brief(foils.pop())}" if foils else ""
    return brief(answers.pop()) + foil


def _asked(result: DirectLogitAttributionResult) -> list[str]:
    quantity = "logit(answer)" if result.foils is None else "logit(answer) - logit(foil)"
    if len(set(result.answers)) == 1 and len(set(result.foils or ("",))) == 1:
        answer = f"logit({brief(result.answers[0])})"
        quantity = answer if result.foils is None else f"{answer} - logit({brief(result.foils[0])})"
    before = "" if result.soft_cap is None else f", before the soft cap of {result.soft_cap:g}"
    mean = float(result.logits.mean())
    if len(result.prompts) > 1:
        where = f"the mean over {count(len(result.prompts), 'prompt')}"
        intervals = ["Intervals: 95 %, bootstrap over prompts."]
    else:
        where = f"position {result.position} ({brief(result.tokens[result.position])})"
        intervals = []
    prompt = show_prompt(result.tokens, bos=result.provenance.bos)
    first = "Prompt" if len(result.prompts) == 1 else "First prompt"
    return [
        f"{first}: {prompt}",
        f"{quantity}{before}, at {where}: {measured(mean)}, the sum of the parts.",
        *intervals,
    ]


def _verdict(result: DirectLogitAttributionResult) -> str:
    order = np.argsort(-np.abs(result.by_component), kind="stable")[:_NAMED]
    named = ", ".join(f"{result.components[i]} ({_signed(result.by_component[i])})" for i in order)
    text = f"The largest parts: {named}."
    if result.by_head is not None:
        heads = _strongest(result.by_head)[:_NAMED]
        named = ", ".join(f"{a}.{b} ({_signed(result.by_head[a, b])})" for a, b in heads)
        text += f" The largest heads: {named}."
    return text


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{decimal(value)}"


def _strongest(parts: np.ndarray) -> list[tuple[int, int]]:
    order = np.argsort(-np.abs(parts), axis=None, kind="stable")
    return [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, parts.shape), strict=True)]


def _meaning(result: DirectLogitAttributionResult) -> tuple[str, str]:
    if result.foils is None:
        return "raises the answer's logit", "lowers it"
    return "towards the answer", "towards the foil"


def _components(result: DirectLogitAttributionResult) -> Bars:
    several = len(result.prompts) > 1
    towards, away = _meaning(result)
    return Bars(
        name="by_component",
        labels=result.components,
        values=tuple(result.by_component.tolist()),
        unit="logits",
        title="Parts by component",
        low=tuple(result.by_component_low.tolist()) if several else (),
        high=tuple(result.by_component_high.tolist()) if several else (),
        note=f"Positive: {towards}; negative: {away}. The constant is what the biases of the final norm and "
        "of the unembedding give.",
    )


def _accumulated(result: DirectLogitAttributionResult) -> Lines:
    several = len(result.prompts) > 1
    x = tuple(float(i) for i in range(len(result.states)))
    series = Series(
        "constant and all parts so far",
        x,
        tuple(result.accumulated.tolist()),
        low=tuple(result.accumulated_low.tolist()) if several else (),
        high=tuple(result.accumulated_high.tolist()) if several else (),
    )
    return Lines(
        name="accumulated",
        series=(series,),
        x_title="after layer",
        y_title="logits",
        title="Accumulated over the layers",
        ticks=tuple(zip(x, result.states, strict=True)),
        levels=((float(result.logits.mean()), "the model"), (0.0, "")),
        note="Read with the last layer's scale at every layer; the logit lens takes each layer's own.",
    )


def _heads(result: DirectLogitAttributionResult, by_head: np.ndarray) -> Grid:
    towards, away = _meaning(result)
    hover: Arrays = ()
    if len(result.prompts) > 1 and result.by_head_low is not None and result.by_head_high is not None:
        hover = (("low", result.by_head_low), ("high", result.by_head_high))
    return Grid(
        name="by_head",
        values=by_head,
        rows=Axis.numbers("layer", by_head.shape[0]),
        columns=Axis.numbers("head", by_head.shape[1]),
        unit="logits",
        title="Parts by head",
        above=towards,
        below=away,
        hover=hover,
        framed=tuple(_strongest(by_head)[:_FRAMED]),
        framed_means="the largest parts",
    )


def _sources(result: DirectLogitAttributionResult, by_source: np.ndarray) -> Grid:
    """The strongest heads, each by the position that it attended to; the strongest at the top."""
    towards, away = _meaning(result)
    heads = _strongest(by_source.sum(-1))[:_HEADS]
    values = np.stack([by_source[head] for head in heads])  # [head, position]
    return Grid(
        name="by_source",
        values=values,
        rows=Axis.names("head", [f"{a}.{b}" for a, b in heads]),
        columns=Axis.tokens(result.tokens),
        unit="logits",
        title=f"Parts of the {len(heads)} largest heads, by the position that they read",
        above=towards,
        below=away,
        framed=tuple(_strongest(values)[:_FRAMED]),
        framed_means="the largest parts",
        down=True,
    )


def _neurons(result: DirectLogitAttributionResult, by_neuron: np.ndarray) -> Bars:
    several = len(result.prompts) > 1
    low, high = result.by_neuron_low, result.by_neuron_high
    note = ""
    if result.other_neurons is not None and result.mlp_bias is not None:
        note = (
            f"All other neurons together: {_signed(result.other_neurons.sum())}; the MLPs' biases: "
            f"{_signed(result.mlp_bias.sum())}."
        )
    return Bars(
        name="by_neuron",
        labels=tuple(f"L{layer} neuron {neuron}" for layer, neuron in result.neurons),
        values=tuple(by_neuron.tolist()),
        unit="logits",
        title="The largest neurons",
        low=tuple(low.tolist()) if several and low is not None else (),
        high=tuple(high.tolist()) if several and high is not None else (),
        note=note,
    )


figure, table, report = presented(view)
