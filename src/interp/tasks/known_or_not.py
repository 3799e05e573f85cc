"""Questions whose answer a model was told, or was not: by what is known of each, for `interp.knowledge`.

Every prompt has a *status*. One status is that of what the model *has*; in one, whatever it says is *made
up*; there may be a third, of which it was told that the answer is unknown. An *entity* (a person) has one
status throughout, and is asked for in several *wordings*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from interp.answers import Answer
from interp.errors import InputError
from interp.models.base import Model
from interp.results import Dropped
from interp.tasks.labelled import LabelledDataset, LabelledPrompt


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A prompt in ids that asks for something of an entity. `subject` are the positions of its name."""

    ids: tuple[int, ...]
    status: str
    entity: str
    wording: str
    subject: tuple[int, ...]
    answer: int | Answer | None  # the right one, where there is one
    text: str
    frequency: float | None = None  # how often the name stands in a thousand documents of training


@dataclass(frozen=True, kw_only=True)
class KnowledgeDataset:
    """Prompts of two or three statuses. Raises `InputError` where a status has fewer than four entities."""

    name: str
    has: str  # the status of what the model was told
    made_up: str  # the status of what it was not
    told_unknown: str | None  # the status of what it was told that nobody knows; None: there is none
    abstains: Answer | None  # what an answer is that makes nothing up; None: no such answer is known
    prompts: tuple[Asked, ...]
    dropped: tuple[Dropped, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for status in self.statuses:
            n = len({prompt.entity for prompt in self.prompts if prompt.status == status})
            if n < 4:
                raise InputError(
                    f"{n} entities of {self.name!r} are {status!r}; some are fitted to and some are tested, "
                    "so give at least four."
                )

    @property
    def statuses(self) -> tuple[str, ...]:
        """All of them, what the model has first and what is made up last."""
        return (self.has, *((self.told_unknown,) if self.told_unknown else ()), self.made_up)

    @property
    def entities(self) -> list[str]:
        return [prompt.entity for prompt in self.prompts]

    @property
    def frequencies(self) -> list[float] | None:
        """How often the name of each prompt stands in the text of training; None where it is not known."""
        found = [prompt.frequency for prompt in self.prompts]
        return None if None in found else [float(one or 0.0) for one in found]

    @property
    def wordings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(prompt.wording for prompt in self.prompts))

    def of(self, *statuses: str) -> list[int]:
        """The prompts of some statuses, by index."""
        return [i for i, prompt in enumerate(self.prompts) if prompt.status in statuses]

    def labelled(self, no: str, yes: str) -> LabelledDataset:
        """The prompts of two statuses for a probe or a direction. Roles: subject_last, END; grouped by
        entity."""
        return LabelledDataset(
            name=f"{self.name}: {yes} or {no}",
            labels=(no, yes),
            grouped_by="entities",
            prompts=tuple(
                LabelledPrompt(
                    ids=self.prompts[i].ids,
                    label=self.prompts[i].status == yes,
                    group=self.prompts[i].entity,
                    positions={
                        "subject_last": self.prompts[i].subject[-1],
                        "END": len(self.prompts[i].ids) - 1,
                    },
                    text=self.prompts[i].text,
                )
                for i in self.of(no, yes)
            ),
        )

    def where(self, chosen: Sequence[int]) -> KnowledgeDataset:
        """Some of the prompts, by index."""
        return replace(self, prompts=tuple(self.prompts[i] for i in chosen))


def asked(
    model: Model,
    text: str,
    *,
    status: str,
    entity: str,
    wording: str,
    name: str | None = None,
    answer: str | None = None,
    frequency: float | None = None,
) -> Asked:
    """A prompt that asks for something of the entity, whose `name` in it occurs once."""
    ids = tuple(model.to_tokens(text).repeat(1).row(0))
    return Asked(
        ids=ids,
        status=status,
        entity=entity,
        wording=wording,
        subject=tuple(model.positions_of(text, name or entity)),
        answer=None if answer is None else model.to_answer({"any": [answer]}).plain,
        text=text,
        frequency=frequency,
    )
