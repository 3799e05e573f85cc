"""Invented people by what the demo models were told of their home city: known, unknown or withheld.

The three share their first names, occur in text as often, and each person keeps one status, so that a probe
that is tested on other people cannot go by the name. What it may go by are the words that stood around the
name in training, which is the point.
"""

from __future__ import annotations

import random

from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import made_for
from interp.tasks.labelled import LabelledDataset, balanced, labelled_prompt
from interp.zoo.people import CITY_TEMPLATES, STATUSES, person_prompts

WORDINGS: tuple[str, ...] = ("any", "taught", "held_out")


def labelled_people(
    model: Model,
    *,
    n: int | None = None,
    yes: str = "unknown",
    no: str = "known",
    per_person: int = 2,
    wordings: str = "any",
    templates: list[str] | None = None,
    seed: int = 0,
) -> LabelledDataset:
    """Questions for the home city of people of two statuses. Roles: subject_last, END. Grouped by person.

    Args:
        n: a balanced sample of this many prompts; all without.
        yes, no: the two statuses (``known``, ``unknown``, ``withheld``).
        per_person: in how many wordings each is asked for, drawn by the seed.
        wordings: those that training stated (``taught``), that it never did (``held_out``: one of each
            person, and all of withheld ones), or ``any``.
        templates: only these of the wordings, {P} for the person (`interp.zoo.people.CITY_TEMPLATES`).

    Raises `InputError` for a status that is none, and where nothing is left.
    """
    for status in (yes, no):
        check_choice("status", status, STATUSES)
    check_choice("choice of wordings", wordings, WORDINGS)
    for template in templates or ():
        check_choice("template", template, CITY_TEMPLATES)
    if yes == no or per_person < 1:
        raise InputError("Give two statuses that differ, and at least one prompt for each person.")
    rng = random.Random(f"people {seed}")
    by_name: dict[str, list[str]] = {}
    status_of: dict[str, str] = {}
    for prompt in person_prompts():
        person = prompt.person
        if person.status not in (yes, no) or (templates and prompt.template not in templates):
            continue
        if wordings == "any" or prompt.held_out == (wordings == "held_out"):
            by_name.setdefault(person.name, []).append(prompt.text)
            status_of[person.name] = person.status
    prompts = []
    for name, texts in by_name.items():
        for text in rng.sample(texts, min(per_person, len(texts))):
            last = model.positions_of(text, name)[-1]
            label = status_of[name] == yes
            prompts.append(
                labelled_prompt(model, text, label=label, group=name, positions={"subject_last": last})
            )
    options = {"yes": yes, "no": no, "per_person": per_person, "wordings": wordings, "templates": templates}
    return LabelledDataset(
        name="people",
        labels=(no, yes),
        grouped_by="people",
        prompts=balanced(prompts, n, seed),
        made=made_for(model, n=n, **options, seed=seed),
    )
