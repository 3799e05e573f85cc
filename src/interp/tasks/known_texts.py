"""Questions of one's own whose answer a model has or has not: CSV with a header (UTF-8).

    prompt,status,entity,wording,answer
    The capital of France is,real,France,capital, Paris
    The capital of Brendia is,invented,Brendia,capital,

`entity` stands in the prompt once; `answer` may be left out where there is none. Entities of both statuses
should have as many tokens, as frequent ones, in the same wordings.
"""

from __future__ import annotations

from pathlib import Path

from interp.answers import AnswerLike
from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.tasks.base import made_for
from interp.tasks.csv_files import csv_rows
from interp.tasks.known_or_not import KnowledgeDataset, asked

COLUMNS: tuple[str, ...] = ("prompt", "status", "entity", "wording", "answer")


def known_texts(
    model: Model,
    *,
    path: str | Path,
    has: str,
    made_up: str,
    told_unknown: str | None = None,
    abstains: AnswerLike | None = None,
    n: int | None = None,
    seed: int = 0,
) -> KnowledgeDataset:
    """The prompts of a ``.csv`` file; `has`, `made_up` and `told_unknown` are values of its `status`.

    With `n`, the first `n` entities of each. Raises `InputError`, naming the line, for what cannot be used.
    """
    path = Path(path)
    known = tuple(status for status in (has, told_unknown, made_up) if status is not None)
    prompts, of = [], {status: dict[str, None]() for status in known}
    for line, row in csv_rows(path, columns=COLUMNS, required=("prompt", "status", "entity")):
        try:
            if row["status"] not in known:
                raise InputError(f"unknown status {row['status']!r}; {nearest(row['status'], known)}")
            of[row["status"]].setdefault(row["entity"])
            if n is not None and list(of[row["status"]]).index(row["entity"]) >= n:
                continue
            prompts.append(
                asked(
                    model,
                    row["prompt"],
                    status=row["status"],
                    entity=row["entity"],
                    wording=row["wording"] or row["prompt"].replace(row["entity"], "{}"),
                    answer=row["answer"] or None,
                )
            )
        except InputError as error:
            raise InputError(f"{path.name}, line {line}: {error}") from None
    return KnowledgeDataset(
        name=path.name,
        has=has,
        made_up=made_up,
        told_unknown=told_unknown,
        abstains=None if abstains is None else model.to_answer(abstains),
        prompts=tuple(prompts),
        made=made_for(model, file=path.name, n=n, seed=seed),
    )
