"""Is the direction that tells two labels apart also a cause, and what does it cost?

1. A direction is found (`interp.methods.probing.directions`) from half of the groups.
2. On prompts of the other half it is added at several strengths (times the typical norm), taken out, and held
   at the mean of either label, at all positions but the first or at the role alone. What is measured is a
   metric of the prediction where the prompt ends, such as the probability of " unknown".
3. On neutral text the same edits at all positions cost a divergence KL(as it is || edited) a token, and
   perplexity (`interp.methods.common.text_costs`).
4. The same is done with random directions of the same length, with directions found from shuffled labels, and
   with the direction of another question.

When it misleads: at a great strength every direction breaks what is said. A direction is a cause of what it
changes *more* than the controls do at the same cost. That adding it works does not show that the model uses
it: for that, taking it out must matter too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp.answers import AnswerLike
from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import Measure
from interp.methods.common.direction import Direction
from interp.methods.common.intervals import mean_interval, within
from interp.methods.common.text_costs import Edits, text_costs
from interp.methods.probing.directions import How, find_directions, random_direction
from interp.methods.probing.fitting import shuffled_by_group
from interp.methods.probing.probing import described
from interp.methods.probing.results import DirectionEffectsResult, EditedBy
from interp.metrics import MetricKind
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tasks.labelled import LabelledDataset, LabelledPrompt

Where = Literal["all", "role"]
PLACES: tuple[Where, ...] = ("all", "role")


def direction_effects(
    model: Model,
    data: LabelledDataset,
    answer: AnswerLike,
    foil: AnswerLike | None = None,
    *,
    text: Sequence[Sequence[int]] = (),
    how: How = "mean_difference",
    site: str = "resid_post",
    layer: int,
    role: str = "END",
    strengths: Sequence[float] = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0),
    positions: Where = "all",
    other: LabelledDataset | None = None,
    n_random: int = 3,
    n_shuffled: int = 2,
    metric: MetricKind | None = None,
    seed: int = 0,
) -> DirectionEffectsResult:
    """Find a direction in half of the groups of `data`, and measure in the other half what it does.

    Args:
        answer, foil: of the `metric` where each prompt ends; without a foil, the answer's probability.
        text: sequences of token ids of neutral text, on which the cost is measured; none: no cost.
        how, site, layer, role: the direction, as in `interp.find_directions`.
        strengths: rising, in units of the typical norm of the activations there; below 0 towards no.
        positions: edit ``all`` positions but the first, or those of the ``role`` alone.
        other: labelled prompts of another question, whose direction is one of the controls.
        n_random, n_shuffled: how many controls of these kinds.

    Raises `InputError` for what `find_directions` refuses, strengths that do not rise, and where a half has
    too few groups.
    """
    check_choice("choice of positions", positions, PLACES)
    given = tuple(map(float, strengths))
    if not given or list(given) != sorted(set(given)) or 0 in given:
        raise InputError("Give at least one strength, each once and rising, and none of 0.")
    measure = Measure.of(model, answer, foil, metric)
    found_in, tested_on = data.halves(seed)
    tested_on.check_roles([role])

    def find(labelled: LabelledDataset, with_seed: int) -> Direction:
        found = find_directions(
            model, labelled, how=how, site=site, layers=[layer], role=role, seed=with_seed
        )
        return found[0]

    own = find(found_in, seed)
    ways: list[tuple[str, Direction]] = [("direction", own)]
    ways += [("random", random_direction(own, 1000 * seed + i)) for i in range(n_random)]
    for i in range(n_shuffled):
        rng = np.random.default_rng((seed, i))
        dealt = shuffled_by_group(found_in.values, found_in.groups, rng)
        prompts = tuple(replace(p, label=bool(new)) for p, new in zip(found_in.prompts, dealt, strict=True))
        ways.append(("shuffled", find(replace(found_in, prompts=prompts), seed)))
    if other is not None:
        ways.append(("other", replace(find(other, seed), scale=own.scale)))

    measured = []
    for done, (kind, way) in enumerate(ways):
        report("directions", done, len(ways))
        measured.append(_measured(model, tested_on, measure, kind, way, given, positions, text, seed))
    report("directions", len(ways), len(ways))
    before = _values(model, tested_on, measure, [lambda _: []], positions, role)[0]
    return DirectionEffectsResult(
        provenance=Provenance.of(model, seed=seed),
        data=described(tested_on),
        found_in=described(found_in),
        direction=own.description,
        other=None if other is None else other.name,
        site=own.address.hook,
        role=role,
        positions=positions,
        metric=measure.metric,
        answer=model.answer_label(measure.answer),
        foil=None if measure.foil is None else model.answer_label(measure.foil),
        strengths=given,
        scale=own.scale,
        ends=own.ends,
        labels_of_prompts=tested_on.values,
        before=before,
        ways=tuple(measured),
        text_tokens=sum(len(ids) - 1 for ids in text),
        text_loss=float(text_costs(model, text, []).plain.mean()) if text else None,
    )


def _measured(
    model: Model,
    data: LabelledDataset,
    measure: Measure,
    kind: str,
    way: Direction,
    strengths: Sequence[float],
    positions: Where,
    text: Sequence[Sequence[int]],
    seed: int,
) -> EditedBy:
    """What one direction does at each strength, taken out, and held at each label."""

    def adding(strength: float) -> Edits:
        return lambda where: way.add(strength, positions=where)

    def taking_out(where: Sequence[int]) -> list[Edit]:
        return way.project_out(positions=where)

    def holding(label: int) -> Edits:
        return lambda where: way.clamp(label, positions=where)

    edits: list[Edits] = [*map(adding, strengths), taking_out, holding(0), holding(1)]
    values = _values(model, data, measure, edits, positions, way.role)
    n = len(strengths)
    costs = text_costs(model, text, edits[: n + 1]) if text else None
    return EditedBy(
        way=kind,
        added=values[:n],
        projected=values[n],
        clamped=values[n + 1 :],
        cost=None if costs is None else within(mean_interval(costs.kl.T, seed), 0),
        rise=None if costs is None else mean_interval(costs.rise.T, seed),
    )


def _values(
    model: Model,
    data: LabelledDataset,
    measure: Measure,
    edits: Sequence[Edits],
    positions: Where,
    role: str,
) -> Float[np.ndarray, "edit prompt"]:
    """The metric of each prompt under each edit."""
    columns = []
    for prompt in data.prompts:
        where = _where(prompt, positions, role)
        clean = model.forward([list(prompt.ids)]) if measure.metric == "kl" else None
        branches = [edit(where) for edit in edits]
        columns.append(model.sweep(list(prompt.ids), branches, measure.readout(clean)).values.numpy())
    return np.stack(columns, 1).astype(np.float64)


def _where(prompt: LabelledPrompt, positions: Where, role: str) -> list[int]:
    if positions == "role":
        return [prompt.positions[role]]
    if len(prompt.ids) < 2:
        raise InputError(
            "The first position is left out, so that a prompt needs two tokens; or edit at the role alone."
        )
    return list(range(1, len(prompt.ids)))
