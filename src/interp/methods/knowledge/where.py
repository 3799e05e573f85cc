"""Where an answer comes from: what it loses without its subject, and which heads and MLPs write it.

1. *Exchange*: the stream at all the subject's tokens is taken, after one layer, from a prompt about another
   entity of the same status in the same wording, where the name has as many tokens. What the log-probability
   of the answer loses says how much of it still rests on the subject's place there (causal tracing with an
   exchange for corruption). An answer that does not depend on the subject loses nothing at any layer.
2. *Parts*: the direct effect of each part on logit(answer) - logit(runner-up), the runner-up being the second
   likeliest token of that prompt (`interp.direct_logit_attribution`).

When it misleads: a known answer has more to lose, since it is said with more probability; so compare the
layers at which it is lost, and not how much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.edits import Edit
from interp.errors import SiteError
from interp.methods.attribution.direct_logit_attribution import View, direct_logit_attribution
from interp.methods.attribution.results import DirectLogitAttributionResult
from interp.methods.common.groups import difference, means_by_group
from interp.methods.knowledge.results import WhereItComesFrom
from interp.methods.knowledge.trajectories import Readings, groups_of
from interp.models.base import Model
from interp.progress import one_step, report
from interp.readout import Readout
from interp.tasks.known_or_not import KnowledgeDataset

_FEWEST = 4  # prompts with a partner, of each status, for a difference


def where_it_comes_from(
    model: Model, data: KnowledgeDataset, readings: Readings, seed: int
) -> WhereItComesFrom | None:
    """None where too few prompts have a partner to exchange with."""
    partners = _partners(data, seed)
    has = np.array([i in partners for i in range(len(data.prompts))])
    ends = list(groups_of(data, readings).values())
    groups = [own & has for own in ends]
    if min(own.sum() for own in groups) < _FEWEST:
        return None
    layers = range(model.arch.n_layers)
    lost = np.zeros((len(data.prompts), len(layers)))
    for done, (i, j) in enumerate(partners.items()):
        with one_step("exchanges", done, len(partners)):
            lost[i] = _exchanged(model, data, i, j, int(readings.answer[i]))
        lost[i] -= readings.final_log_probability[i]
    report("exchanges", len(partners), len(partners))
    entities = data.entities
    written = _written(model, data, readings, seed)
    parts = written.by_component.each  # [prompt, component]
    heads = None
    if written.by_head is not None:
        heads = difference(written.by_head.each, ends[0], ends[-1], seed, entities)
    return WhereItComesFrom(
        layers=tuple(map(str, layers)),
        n_pairs=tuple(int(own.sum()) for own in groups),
        exchanged=means_by_group(lost, groups, seed, entities),
        exchanged_difference=difference(lost, groups[0], groups[-1], seed, entities),
        parts=tuple(written.components),
        by_part=means_by_group(parts, ends, seed, entities),
        by_part_difference=difference(parts, ends[0], ends[-1], seed, entities),
        by_head_difference=heads,
    )


def _partners(data: KnowledgeDataset, seed: int) -> dict[int, int]:
    """For each prompt one about another entity: of its status, its wording and its positions."""
    rng = np.random.default_rng(seed)
    found = {}
    for i, prompt in enumerate(data.prompts):
        alike = [
            j
            for j, other in enumerate(data.prompts)
            if other.status == prompt.status
            and other.wording == prompt.wording
            and other.entity != prompt.entity
            and other.subject == prompt.subject
            and len(other.ids) == len(prompt.ids)
        ]
        if alike:
            found[i] = int(rng.choice(alike))
    return found


def _exchanged(model: Model, data: KnowledgeDataset, i: int, j: int, answer: int) -> np.ndarray:
    """The log-probability [layer] of the answer of prompt `i` with the subject's stream of prompt `j`."""
    own, other = data.prompts[i], data.prompts[j]
    cache = model.run_with_cache([list(other.ids)], ["resid_post"], logits=False)
    at = list(own.subject)
    branches = [
        [Edit.set("resid_post", layer, value=cache["resid_post", layer][:, at], positions=at)]
        for layer in range(model.arch.n_layers)
    ]
    return model.sweep(list(own.ids), branches, Readout.log_prob(answer)).values[:, 0].numpy()


def _written(
    model: Model, data: KnowledgeDataset, readings: Readings, seed: int
) -> DirectLogitAttributionResult:
    """The parts of logit(answer) - logit(runner-up) of each prompt, by head where that can be had."""
    prompts = [list(prompt.ids) for prompt in data.prompts]

    def by(views: Sequence[View]) -> DirectLogitAttributionResult:
        return direct_logit_attribution(
            model,
            prompts,
            readings.answer.tolist(),
            readings.runner_up.tolist(),
            views=views,
            clusters=data.entities,
            seed=seed,
        )

    try:
        return by(["head"])
    except SiteError:  # the norm behind its heads is no RMSNorm, or the backend does not reach them
        return by([])
