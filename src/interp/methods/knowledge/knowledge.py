"""When a model says something of which it was told nothing, what differs inside from a fact that it has?

Four questions, on prompts of which it is known what the model was told (`interp.tasks.known_or_not`):

1. What does it say, and with how much probability?
2. How does the answer form over the layers (`interp.methods.knowledge.trajectories`)?
3. Where does it come from (`interp.methods.knowledge.where`)?
4. Can not-knowing be told from the activations, better than from the output (`...telling`), and does pushing
   along its direction make the model say so (`...steered`)?

When it misleads: two sets of names always differ in something. The result holds how long and how rare the
names are, and what the surface alone tells; differences that these explain are not about knowledge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.errors import InputError
from interp.methods.common.groups import means_by_group
from interp.methods.common.intervals import probability_interval, share_interval
from interp.methods.knowledge.results import KnowledgeResult, WhatIsSaid
from interp.methods.knowledge.steered import steered_along
from interp.methods.knowledge.telling import ROLES, telling
from interp.methods.knowledge.trajectories import (
    Readings,
    first_tokens,
    groups_of,
    mask,
    most_frequent,
    read,
    trajectories,
)
from interp.methods.knowledge.where import where_it_comes_from
from interp.methods.lens.sources import AnyLens, load_lens
from interp.methods.probing.fitting import check_installed
from interp.methods.probing.readings import check_layer
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.provenance import Provenance
from interp.results import Interval
from interp.tasks.known_or_not import KnowledgeDataset


@outside_inference_mode
def knowledge(
    model: Model,
    data: KnowledgeDataset,
    *,
    lens: AnyLens = "logit",
    layer: int | None = None,
    strengths: Sequence[float] = (0.1, 0.2, 0.4, 0.8, 1.6),
    n_random: int = 3,
    probe_layers: Sequence[int] | None = None,
    k: int = 5,
    seed: int = 0,
) -> KnowledgeResult:
    """Compare what the model has with what it makes up.

    Args:
        data: prompts with their status (`interp.make_known`).
        lens: to read layers with, by its name or place (`interp.load_lens`), or a lens itself.
        layer: the layer of ``resid_post`` that is steered at; two thirds of the way by default. It is not
            chosen by what comes out.
        strengths: rising, in units of the typical norm there; none: nothing is steered.
        n_random: random directions beside it.
        probe_layers: where probes are fitted, -1 being the embedding; all layers by default.
        k: how many of the most frequent answers are kept.

    Raises `InputError` where scikit-learn is not installed, for a layer that is not there, strengths that do
    not rise, and a lens of another model.
    """
    check_installed()
    layer = round(2 * (model.arch.n_layers - 1) / 3) if layer is None else layer
    check_layer(model, layer)
    given = list(map(float, strengths))
    if given != sorted(set(given)) or 0 in given:
        raise InputError("Give the strengths each once and rising, and none of 0.")
    reader = load_lens(lens, model)
    readings = read(model, data, reader)
    comparisons, surface = telling(model, data, readings, layers=probe_layers, seed=seed)
    of = [data.of(status) for status in data.statuses]
    steered = None
    if given:
        steered = steered_along(
            model, data, readings, layer=layer, strengths=given, n_random=n_random, seed=seed
        )

    def average(values: Sequence[float]) -> np.ndarray:
        return np.array([np.mean([values[i] for i in own]) for own in of])

    return KnowledgeResult(
        provenance=Provenance.of(model, seed=seed),
        data=data.name,
        statuses=data.statuses,
        n_prompts=tuple(map(len, of)),
        n_entities=tuple(len({data.prompts[i].entity for i in own}) for own in of),
        examples=tuple(data.prompts[own[0]].text for own in of),
        wordings=len(data.wordings),
        lengths=average([len(prompt.ids) for prompt in data.prompts]),
        subject_lengths=average([len(prompt.subject) for prompt in data.prompts]),
        rarest=average([max(prompt.ids[p] for p in prompt.subject) for prompt in data.prompts]),
        frequency=None if data.frequencies is None else average(data.frequencies),
        dropped=data.dropped,
        abstaining=None if data.abstains is None else model.answer_label(data.abstains),
        groups=tuple(groups_of(data, readings)),
        n_of_group=tuple(int(own.sum()) for own in groups_of(data, readings).values()),
        status_of=np.array([data.statuses.index(prompt.status) for prompt in data.prompts]),
        said=_said(model, data, readings, k, seed),
        trajectories=trajectories(model, data, readings, reader, seed),
        where=where_it_comes_from(model, data, readings, seed),
        roles=ROLES,
        telling=tuple(comparisons),
        surface=surface,
        steered=steered,
    )


def _said(model: Model, data: KnowledgeDataset, readings: Readings, k: int, seed: int) -> WhatIsSaid:
    entities, groups = data.entities, [mask(data, status) for status in data.statuses]
    right = np.array(
        [
            answer in first_tokens(prompt.answer)
            for answer, prompt in zip(readings.answer, data.prompts, strict=True)
        ],
        dtype=float,
    )
    abstains = np.isin(readings.answer, sorted(first_tokens(data.abstains))).astype(float)
    frequent = [most_frequent(model, readings.answer[own].tolist(), k) for own in groups]
    has_answers = any(data.prompts[i].answer is not None for i in data.of(data.has))

    def shares(each: np.ndarray, of: Sequence[np.ndarray]) -> Interval:
        return means_by_group(each, of, seed, entities, interval=share_interval)

    return WhatIsSaid(
        right=shares(right, groups[:1]) if has_answers else None,
        abstains=None if data.abstains is None else shares(abstains, groups),
        top=tuple(tokens for tokens, _ in frequent),
        top_counts=tuple(counts for _, counts in frequent),
        probability=means_by_group(
            np.exp(readings.final_log_probability), groups, seed, entities, interval=probability_interval
        ),
        entropy=means_by_group(readings.final_entropy, groups, seed, entities),
    )
