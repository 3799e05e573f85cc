"""The presentation of a direct logit attribution."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import brief, count, measured, show_prompt, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Arrays, Axis, Bars, Block, Grid, Lines, Series, View, Words
from interp.figures.views.chance_text import chance_sentence, framed_cells
from interp.figures.views.head_maps import strongest_cells
from interp.figures.views.norms_text import norms_sentences
from interp.figures.views.pairs_text import doubts, how_interval
from interp.methods.attribution.results import DirectLogitAttributionResult, NeuronParts
from interp.results import Estimate, Interval, Pairs

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
        above=(*_doubts(result), *_asked(result)),
        blocks=tuple(blocks),
        below=(
            "Direct effects alone: what a part does through later parts is counted as theirs. The final "
            "norm's scale is that of this run.",
            *norms_sentences(result.provenance, "frozen"),
            *(f"No view by {one.what}: {one.why}" for one in result.left_out),
        ),
    )


def _what(result: DirectLogitAttributionResult) -> str:
    answers, foils = set(result.pairs.answers), set(result.pairs.foils or ())
    if len(answers) > 1 or len(foils) > 1:
        return "the answer" + (" rather than the foil" if foils else "")
    foil = f" rather than {brief(foils.pop())}" if foils else ""
    return brief(answers.pop()) + foil


def _quantity(pairs: Pairs) -> str:
    """What is decomposed, by its tokens where they are the same in all prompts."""
    of = "log p" if pairs.several_tokens else "logit"
    if len(set(pairs.answers)) > 1 or len(set(pairs.foils or ())) > 1:
        return f"{of}(answer)" if pairs.foils is None else f"{of}(answer) - {of}(foil)"
    answer = f"{of}({brief(pairs.answers[0])})"
    return answer if pairs.foils is None else f"{answer} - {of}({brief(pairs.foils[0])})"


def _asked(result: DirectLogitAttributionResult) -> list[str]:
    before = "" if result.soft_cap is None else f", before the soft cap of {result.soft_cap:g}"
    mean = float(result.logits.mean())
    if len(result.pairs) > 1:
        where = f"the mean over {count(len(result.pairs), 'prompt')}"
        intervals = [how_interval(result.by_component, over="prompts")]
        intervals += chance_sentence(result.by_head, "heads") if result.by_head is not None else []
    else:
        where = f"position {result.position} ({brief(result.tokens[result.position])})"
        intervals = []
    prompt = show_prompt(result.tokens, result.pairs.prompts[0], bos=result.provenance.bos)
    first = "Prompt" if len(result.pairs) == 1 else "First prompt"
    return [
        f"{first}: {prompt}",
        f"{_quantity(result.pairs)}{before}, at {where}: {measured(mean)}, the sum of the parts.",
        *intervals,
    ]


def _doubts(result: DirectLogitAttributionResult) -> tuple[str, ...]:
    """A logit alone has no foil to be above."""
    metric = "logit" if result.pairs.foils is None else "logit_diff"
    return doubts(result.pairs, metric, result.logits)


def _verdict(result: DirectLogitAttributionResult) -> str:
    parts = result.by_component.mean
    order = np.argsort(-np.abs(parts), kind="stable")[:_NAMED]
    named = ", ".join(f"{result.components[i]} ({signed(parts[i])})" for i in order)
    text = f"The largest parts: {named}."
    if result.by_head is not None:
        by_head = result.by_head.mean
        heads = strongest_cells(by_head)[:_NAMED]
        named = ", ".join(f"{a}.{b} ({signed(by_head[a, b])})" for a, b in heads)
        text += f" The largest heads: {named}."
    return text


def _meaning(result: DirectLogitAttributionResult) -> tuple[str, str]:
    if result.pairs.foils is None:
        return "raises the answer's logit", "lowers it"
    return "towards the answer", "towards the foil"


def _components(result: DirectLogitAttributionResult) -> Bars:
    towards, away = _meaning(result)
    low, high = _ends(result, result.by_component)
    return Bars(
        name="by_component",
        labels=result.components,
        values=tuple(result.by_component.mean.tolist()),
        unit="logits",
        title="Parts by component",
        low=low,
        high=high,
        note=f"Positive: {towards}; negative: {away}. The constant is what the biases of the final norm and "
        "of the unembedding give.",
    )


def _accumulated(result: DirectLogitAttributionResult) -> Lines:
    low, high = _ends(result, result.accumulated)
    x = tuple(float(i) for i in range(len(result.states)))
    series = Series(
        "constant and all parts so far",
        x,
        tuple(result.accumulated.value.tolist()),
        low=low,
        high=high,
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


def _ends(
    result: DirectLogitAttributionResult, of: Estimate | Interval
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The ends of the intervals of bars or points; of one prompt there are none."""
    return (tuple(of.low.tolist()), tuple(of.high.tolist())) if len(result.pairs) > 1 else ((), ())


def _heads(result: DirectLogitAttributionResult, by_head: Estimate) -> Grid:
    towards, away = _meaning(result)
    layers, heads = by_head.shape
    hover: Arrays = (("low", by_head.low), ("high", by_head.high)) if len(result.pairs) > 1 else ()
    return Grid(
        name="by_head",
        values=by_head.mean,
        rows=Axis.numbers("layer", layers),
        columns=Axis.numbers("head", heads),
        unit="logits",
        title="Parts by head",
        above=towards,
        below=away,
        hover=hover,
        **framed_cells(by_head),
    )


def _sources(result: DirectLogitAttributionResult, by_source: np.ndarray) -> Grid:
    """The strongest heads, each by the position that it attended to; the strongest at the top."""
    towards, away = _meaning(result)
    heads = strongest_cells(by_source.sum(-1))[:_HEADS]
    values = np.stack([by_source[head] for head in heads])  # [head, position]
    return Grid(
        name="by_source",
        values=values,
        rows=Axis.names("head", [f"{a}.{b}" for a, b in heads]),
        columns=Axis.tokens((*result.tokens, *result.behind)),
        unit="logits",
        title=f"Parts of the {len(heads)} largest heads, by the position that they read",
        above=towards,
        below=away,
        framed=tuple(strongest_cells(values)[:_FRAMED]),
        framed_means="the largest parts",
        down=True,
    )


def _neurons(result: DirectLogitAttributionResult, by_neuron: NeuronParts) -> Bars:
    low, high = _ends(result, by_neuron.parts)
    return Bars(
        name="by_neuron",
        labels=tuple(f"L{layer} neuron {neuron}" for layer, neuron in by_neuron.neurons),
        values=tuple(by_neuron.parts.value.tolist()),
        unit="logits",
        title="The largest neurons",
        low=low,
        high=high,
        note=f"All other neurons together: {signed(by_neuron.others.sum())}; the MLPs' biases: "
        f"{signed(by_neuron.bias.sum())}.",
    )


figure, table, report = presentation(view)
