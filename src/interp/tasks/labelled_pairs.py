"""The prompts of a task, labelled by the side of their pair: is it the clean one, or the corrupted one?"""

from __future__ import annotations

from typing import Any

from interp.models.base import Model
from interp.tasks.base import PairDataset, made_for
from interp.tasks.datasets import make_dataset
from interp.tasks.labelled import LabelledDataset, LabelledPrompt


def labelled_pairs(
    model: Model,
    *,
    task: str = "indirect_objects",
    n: int | None = 40,
    options: dict[str, Any] | None = None,
    seed: int = 0,
) -> LabelledDataset:
    """Both prompts of `n` pairs of a task: yes is the clean one. Roles: those of the task that are one token,
    and END. Grouped by the template, where the task has several, else by the pair.

    Where the two sides are alike, as in ``facts``, nothing tells them apart and a probe should not, either.
    """
    made = make_dataset(task, model, n=n, seed=seed, **(options or {}))
    return sides(made, made_for(model, task=task, n=n, options=options, seed=seed))


def sides(pairs: PairDataset, made: dict[str, Any] | None = None) -> LabelledDataset:
    """Both prompts of pairs: no is the corrupted one, yes the clean one."""
    by_template = len(pairs.by_template()) >= 2
    prompts = []
    for number, pair in enumerate(pairs):
        where = {role: at[-1] for role, at in pair.positions.items() if len(at) == 1}
        group = pair.template if by_template else f"pair {number}"
        for ids, label in ((pair.corrupted, False), (pair.clean, True)):
            prompts.append(
                LabelledPrompt(
                    ids=ids,
                    label=label,
                    group=group,
                    positions={**where, "END": len(ids) - 1},
                    text=pair.text if label else f"corrupted: {pair.text}",
                )
            )
    return LabelledDataset(
        name=f"the sides of {pairs.name}",
        labels=("corrupted", "clean"),
        grouped_by="templates" if by_template else "pairs",
        prompts=tuple(prompts),
        dropped=pairs.dropped,
        made=made or dict(pairs.made),
    )
