"""Does a model say that it does not know if it is pushed along the direction of not knowing? At what cost?

The direction is the difference of means (`interp.find_directions`) between what the model has and what it was
told is unknown, or where there is nothing such, what it makes up; found at the end of the prompts of half of
the entities. It is added at the last position of the prompts of the other half, and of all that are made up
where these took no part. Beside it: random directions of the same length, and taking the direction out.

When it misleads: a push that makes every prompt end in the same word costs the known answers, too, which the
curve shows. And that it can be pushed does not show that the model decides along it: see `taken_out`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from interp.edits import Edit
from interp.methods.knowledge.results import Steered, SteeredAlong
from interp.methods.knowledge.trajectories import Readings, first_tokens
from interp.methods.probing.directions import find_directions, random_direction
from interp.models.base import Model
from interp.progress import report
from interp.readout import Readout
from interp.tasks.known_or_not import KnowledgeDataset

_FEWEST = 4  # right answers, below which all answers to what it should know are counted


def steered_along(
    model: Model,
    data: KnowledgeDataset,
    readings: Readings,
    *,
    layer: int,
    strengths: Sequence[float],
    n_random: int,
    seed: int,
) -> SteeredAlong:
    """What is said at each strength, and with the direction taken out."""
    fitted_to = data.told_unknown or data.made_up
    found_in, tested_on = data.labelled(data.has, fitted_to).halves(seed)
    own = find_directions(model, found_in, layers=[layer], role="END", seed=seed)[0]
    names = set(tested_on.groups)
    tested = [
        i
        for i, prompt in enumerate(data.prompts)
        if prompt.entity in names or prompt.status not in (data.has, fitted_to)
    ]
    ways = [("direction", own)]
    ways += [("random", random_direction(own, 1000 * seed + i)) for i in range(n_random)]
    added, out = [], []
    for done, (name, way) in enumerate(ways):
        report("directions", done, len(ways))
        edits = [way.add(strength, positions=-1) for strength in strengths]
        said = _said(model, data, tested, [*edits, way.project_out(positions=-1)])
        added.append(_measured(name, said[:-1], data, tested, readings))
        out.append(_measured(name, said[-1:], data, tested, readings))
    report("directions", len(ways), len(ways))
    before = _measured("none", _said(model, data, tested, [[]]), data, tested, readings)
    return SteeredAlong(
        direction=own.description,
        site=own.address.hook,
        strengths=tuple(map(float, strengths)),
        n=tuple(sum(data.prompts[i].status == status for i in tested) for status in data.statuses),
        made_up_before=float(before.made_up[0]),
        ways=tuple(added),
        taken_out=tuple(out),
    )


def _said(
    model: Model, data: KnowledgeDataset, tested: Sequence[int], edits: Sequence[Sequence[Edit]]
) -> np.ndarray:
    """The likeliest next token [edit, prompt]."""

    def likeliest(logits: Tensor) -> Tensor:  # [row, position, d_vocab]
        return logits[:, 0].argmax(-1).double()

    readout = Readout(likeliest)
    columns = [model.sweep(list(data.prompts[i].ids), edits, readout).values.numpy() for i in tested]
    return np.stack(columns, 1).astype(np.int64)


def _measured(
    way: str, said: np.ndarray, data: KnowledgeDataset, tested: Sequence[int], readings: Readings
) -> Steered:
    """The shares, of the likeliest tokens [strength, prompt]."""
    status = np.array([data.prompts[i].status for i in tested])
    before = readings.answer[list(tested)]
    right = np.array([readings.answer[i] in first_tokens(data.prompts[i].answer) for i in tested])
    known = (status == data.has) & right
    if known.sum() < _FEWEST:  # it hardly knows any: what it says of them, right or not
        known = status == data.has
    abstaining = np.isin(said, sorted(first_tokens(data.abstains)))
    same = said == before
    invented = status == data.made_up
    kept = ~abstaining[:, invented] if data.abstains is not None else same[:, invented]
    of_status = [status == one for one in data.statuses]
    return Steered(
        way=way,
        lost=1 - same[:, known].mean(1),
        made_up=kept.mean(1),
        abstains=np.stack([abstaining[:, own].mean(1) for own in of_status], 1),
        same=np.stack([same[:, own].mean(1) for own in of_status], 1),
    )
