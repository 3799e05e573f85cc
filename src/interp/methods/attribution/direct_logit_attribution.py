"""Direct logit attribution: which parts of the model write the logit?

Elhage et al. 2021, https://transformer-circuits.pub/2021/framework ; nostalgebraist's logit lens, by parts.

1. The residual stream at a position is a sum: the embedding, and what each attention and MLP layer added.
2. The final norm divides it by a scale. With that scale frozen at the value of this run, the rest of the way
   to a logit (centring, the norm's weight and bias, the unembedding and its bias) is an affine map: a
   constant, and a direction in the residual stream (`interp.methods.attribution.frozen_readout`).
3. The product of each part with the direction is its part of the logit. Together with the constant, these sum
   to the logit, which is checked. Heads, source positions and neurons split an attention or MLP part further
   (`interp.methods.attribution.logit_parts`): ``attn_out = sum of z @ W_O + bias``, ``z = sum over positions
   of pattern * v``, ``mlp_out = mlp_act @ W_out + bias``.

Where a norm stands behind attention and MLP (Gemma 2 and 3, OLMo-2), its scale is frozen as the final norm's
is: a head's part is that of ``gain * (z @ W_O) / rms``, with the rms of this run, and neurons likewise.

Of an answer of several tokens or forms, the log-probability is decomposed
(`interp.methods.attribution.answer_parts`).

The parts are those of the logit before a final soft cap (Gemma 2), where there is one: a cap is no sum.

When it misleads: these are *direct* effects. A head that acts through later heads has none, and one that is
removed may be made up for by others. A part of a *single* logit says little, as what moves all logits alike
moves no prediction; give a foil. And the frozen scale hides what a part does to the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from interp.answers import AnswerLike
from interp.errors import InputError, SiteError, check_choice
from interp.methods.attribution.answer_parts import AnswerQuestion, answer_parts
from interp.methods.attribution.results import DirectLogitAttributionResult, NeuronParts
from interp.methods.common.answers import Measure, for_each, one_by_one
from interp.methods.common.intervals import Clusters, mean_interval
from interp.methods.common.over_pairs import Parts, over_pairs
from interp.methods.common.statistics import estimate
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.results import Dropped, Pairs
from interp.tokens import Prompt

View = Literal["head", "source", "neuron"]
VIEWS: tuple[View, ...] = ("head", "source", "neuron")


@outside_inference_mode
def direct_logit_attribution(
    model: Model,
    prompt: Prompt | Sequence[Prompt],
    answer: AnswerLike | Sequence[AnswerLike],
    foil: AnswerLike | Sequence[AnswerLike] | None = None,
    *,
    position: int = -1,
    views: Sequence[View] | Literal["all"] = "all",
    k: int = 10,
    clusters: Clusters | None = None,
    seed: int = 0,
) -> DirectLogitAttributionResult:
    """Decompose logit(answer), or logit(answer) - logit(foil), into what each part of the model wrote.

    Args:
        prompt: one, or several of which the mean is shown; text or token ids.
        answer, foil: of one token or several, in one form or several (`interp.answers`); one for all prompts,
            or as many as there are prompts.
        position: where the logit is read, counted from the end of each prompt where negative.
        views: finer views than by component: ``head``, ``source`` (a head's part by the position that it
            attended to; of one prompt, or several of one length) and ``neuron``. ``all`` gives those that can
            be had here and records the others in ``left_out``; a view that is named and cannot be had is an
            error.
        k: how many neurons to list.
        clusters: a label for each prompt, those of one label being drawn together for intervals, such as
            `interp.tasks.base.PairDataset.clusters`.
        seed: of the bootstrap.

    Raises:
        SiteError: a view is named that the model (a norm behind its heads or neurons is no RMSNorm) or the
            backend (it does not reach the pattern) cannot give.
        InputError: unusable prompts, answers or choices.
        DecompositionError: the parts do not sum to the logit to 1e-3, as in half precision; or the final norm
            is of an unknown kind.
    """
    questions = _questions(model, prompt, answer, foil, position)
    if k < 1:
        raise InputError(f"k must be at least 1; got {k}.")
    given, left_out = _views(model, questions, views)
    parts = over_pairs(
        len(questions),
        questions.__getitem__,
        lambda question: answer_parts(model, question, given),
        describe=lambda number: repr(model.to_text(questions[number].tokens.row(0))),
        task="prompts",
    )
    components, by_component = _by_component(parts)
    first = questions[0].tokens
    return DirectLogitAttributionResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(first.row(0))),
        behind=() if questions[0].at_once else ("(answer)",),
        position=position % first.lengths[0],
        pairs=_in_words(model, questions, parts.stacked("said").tolist()),
        soft_cap=model.arch.logit_soft_cap,
        logits=parts.stacked("logit"),
        components=components,
        by_component=estimate(by_component, seed, clusters),
        states=("embed", *map(str, range(model.arch.n_layers))),
        accumulated=mean_interval(parts.stacked("accumulated"), seed, clusters),
        by_head=estimate(parts.stacked("heads"), seed, clusters) if "head" in given else None,
        attn_bias=parts.stacked("attn_bias").mean(0) if "head" in given else None,
        by_source=parts.stacked("sources").mean(0) if "source" in given else None,
        by_neuron=_largest_neurons(parts, k, seed, clusters) if "neuron" in given else None,
        left_out=left_out,
    )


# ---- what is asked ----


def _questions(
    model: Model,
    prompt: Prompt | Sequence[Prompt],
    answer: AnswerLike | Sequence[AnswerLike],
    foil: AnswerLike | Sequence[AnswerLike] | None,
    position: int,
) -> list[AnswerQuestion]:
    """The logit of each prompt, all checked before the first run."""
    prompts = one_by_one(model.to_tokens(prompt))
    answers = for_each(answer, len(prompts))
    foils = for_each(foil, len(prompts), what="foils")
    questions = []
    for tokens, right, wrong in zip(prompts, answers, foils, strict=True):
        n = tokens.lengths[0]
        if isinstance(position, bool) or not -n <= position < n:
            raise InputError(f"Position {position} is out of range; a prompt has {n} tokens.")
        measure = Measure.of(model, right, wrong)
        questions.append(AnswerQuestion(tokens=tokens, measure=measure, position=position))
    return questions


def _views(
    model: Model, questions: Sequence[AnswerQuestion], views: Sequence[View] | Literal["all"]
) -> tuple[tuple[View, ...], tuple[Dropped, ...]]:
    """The views to compute, and those left out, each with the reason."""
    if views != "all":
        for view in views:
            check_choice("view", view, VIEWS)
            _check_view(model, questions, view)
        return tuple(views), ()
    given, left_out = [], []
    for view in VIEWS:
        try:
            _check_view(model, questions, view)
        except (SiteError, InputError) as error:
            left_out.append(Dropped(view, str(error)))
        else:
            given.append(view)
    return tuple(given), tuple(left_out)


def _check_view(model: Model, questions: Sequence[AnswerQuestion], view: View) -> None:
    """Raise where a view cannot be had: `SiteError` of this model or backend, `InputError` of these
    prompts."""
    model.post_norm("mlp_out" if view == "neuron" else "attn_out", 0)
    for site in {"head": ("z",), "source": ("v", "pattern"), "neuron": ("mlp_act",)}[view]:
        model.check_site(site)
    if view == "source" and len({question.tokens.lengths[0] for question in questions}) > 1:
        raise InputError(
            "The prompts have different numbers of tokens, so their source positions cannot be averaged; "
            "give prompts of one length."
        )


def _in_words(model: Model, questions: Sequence[AnswerQuestion], said: Sequence[int]) -> Pairs:
    """The prompts with their answers, and what the model says instead; nothing is corrupted."""
    foils = [question.measure.foil for question in questions if question.measure.foil is not None]
    return Pairs(
        task=None,
        prompts=tuple(model.to_text(question.tokens.row(0)) for question in questions),
        corrupted=(),
        answers=tuple(model.answer_label(question.measure.answer) for question in questions),
        foils=tuple(map(model.answer_label, foils)) if foils else None,
        several_tokens=not all(question.at_once for question in questions),
        said=tuple(model.labels(said)),
    )


# ---- over prompts ----


def _by_component(parts: Parts) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the components, and their parts, [prompt, component]; a component that is not told apart
    in another prompt has no part there."""
    names = tuple(parts.each[0]["names"].tolist())
    by_name = [dict(zip(of["names"].tolist(), of["components"].tolist(), strict=True)) for of in parts.each]
    return names, np.array([[found.get(name, 0.0) for name in names] for found in by_name])


def _largest_neurons(parts: Parts, k: int, seed: int, clusters: Clusters | None) -> NeuronParts:
    """The `k` neurons with the largest mean parts, and the sum of the others, by layer."""
    each = parts.stacked("neurons")  # [prompt, layer, d_mlp]
    mean = each.mean(0)
    top = np.argsort(-np.abs(mean), axis=None, kind="stable")[:k]
    layers, neurons = np.unravel_index(top, mean.shape)
    others = mean.sum(-1)  # [layer]
    np.subtract.at(others, layers, mean[layers, neurons])
    return NeuronParts(
        neurons=tuple((int(layer), int(neuron)) for layer, neuron in zip(layers, neurons, strict=True)),
        parts=mean_interval(each[:, layers, neurons], seed, clusters),
        others=others,
        bias=parts.stacked("mlp_bias").mean(0),
    )
