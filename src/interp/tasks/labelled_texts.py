"""Labelled texts from a file of one's own: CSV with a header (UTF-8).

    prompt,label,group,position
    The capital of France is,real,France, France
    The capital of Brendia is,invented,Brendia, Brendia

`label` has two values in the file. `group` is what must not be on both sides of a split, such as the entity;
without it, each prompt is one by itself. `position` is a part of the prompt that occurs once: its last token
has the role ``subject_last``. Every prompt's last token has the role ``END``.
"""

from __future__ import annotations

from pathlib import Path

from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.tasks.base import made_for
from interp.tasks.csv_files import csv_rows
from interp.tasks.labelled import LabelledDataset, balanced, labelled_prompt

COLUMNS: tuple[str, ...] = ("prompt", "label", "group", "position")


def labelled_texts(
    model: Model, *, path: str | Path, yes: str | None = None, n: int | None = None, seed: int = 0
) -> LabelledDataset:
    """The prompts of a ``.csv`` file.

    Args:
        yes: the value of `label` that counts as yes; by default the first in the file.
        n: a balanced, seeded sample of this many; all of them without.

    Raises `InputError`, naming the line, for what cannot be used; and for labels that are not two.
    """
    path = Path(path)
    rows = csv_rows(path, columns=COLUMNS, required=("prompt", "label"))
    values = list(dict.fromkeys(row["label"] for _, row in rows))
    if len(values) != 2:
        raise InputError(
            f"{path.name!r} has {len(values)} labels ({', '.join(map(repr, values[:4]))}), and a probe tells "
            "two apart; leave the others out."
        )
    yes = values[0] if yes is None else yes
    if yes not in values:
        raise InputError(f"No prompt of {path.name!r} has the label {yes!r}; {nearest(yes, values)}")
    prompts = []
    for line, row in rows:
        try:
            part = row["position"]
            at = {"subject_last": model.positions_of(row["prompt"], part)[-1]} if part else {}
            group = row["group"] or f"line {line}"
            label = row["label"] == yes
            prompts.append(labelled_prompt(model, row["prompt"], label=label, group=group, positions=at))
        except InputError as error:
            raise InputError(f"{path.name}, line {line}: {error}") from None
    return LabelledDataset(
        name=path.name,
        labels=(next(value for value in values if value != yes), yes),
        grouped_by="groups" if any(row["group"] for _, row in rows) else "prompts",
        prompts=balanced(prompts, n, seed),
        made=made_for(model, file=path.name, yes=yes, n=n, seed=seed),
    )
