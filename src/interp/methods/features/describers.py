"""Who names features, and tells by a name where one is active: the labels of a text, or a language model."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from interp.errors import InputError
from interp.methods.features.chat_endpoint import ChatEndpoint
from interp.methods.features.feature_labels import label_scores
from interp.methods.features.local_chat import LocalChat
from interp.saes.reading import FeatureRecord

_LONGEST = 120  # characters of a label


@dataclass(frozen=True, kw_only=True)
class JudgedContext:
    """A token of the text, with what stands before it; the last of `tokens` is the one that counts."""

    token: int  # its place in the text
    tokens: tuple[str, ...]

    @property
    def marked(self) -> str:
        """As text, with the token that counts in « »."""
        return "".join(self.tokens[:-1]) + f"«{self.tokens[-1]}»"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a feature is named by: where it is strongest, and the logits that it raises most."""

    feature: int
    contexts: tuple[JudgedContext, ...]
    raised: tuple[str, ...]


class Describer(ABC):
    """Names features, and tells by a name where one is active."""

    reads_logits: ClassVar[bool] = True  # whether it is shown which logits a feature raises

    @property
    @abstractmethod
    def by(self) -> str:
        """Who it is, in words."""

    @abstractmethod
    def name(self, shown: Shown) -> str:
        """What a feature is called."""

    @abstractmethod
    def tells(self, label: str, contexts: Sequence[JudgedContext]) -> tuple[bool, ...] | None:
        """At which of the last tokens of contexts a feature of this name would be active; None where the
        answer cannot be read."""


@dataclass(frozen=True, eq=False)
class ByLabels(Describer):
    """The label of the text that the feature says best on the text's first half; no model is asked. Raises
    `InputError` where the text has no labels."""

    reads_logits: ClassVar[bool] = False
    record: FeatureRecord

    def __post_init__(self) -> None:
        if not self.record.text.label_names:
            raise InputError("This text has no labels; read features on the demo corpus, or ask a model.")

    @property
    def by(self) -> str:
        return "the labels of the text"

    def name(self, shown: Shown) -> str:
        # of one feature alone, the scores of each label take little
        alone, text = self.record.only([shown.feature]), self.record.text
        f1 = [float(label_scores(alone, has).chosen[0]) for has in text.labels]
        return text.label_names[int(np.argmax(f1))]

    def tells(self, label: str, contexts: Sequence[JudgedContext]) -> tuple[bool, ...]:
        has = self.record.text.labels[self.record.text.label_names.index(label)]
        return tuple(bool(has[one.token]) for one in contexts)


@dataclass(frozen=True)
class ByModel(Describer):
    """A language model, to which contexts of the text are put: one behind an endpoint gets them sent."""

    endpoint: ChatEndpoint | LocalChat

    @property
    def by(self) -> str:
        return self.endpoint.model

    def name(self, shown: Shown) -> str:
        lines = [
            "A feature of a language model is active at the token in « » of each of these texts:",
            *(f"{i + 1}. {one.marked!r}" for i, one in enumerate(shown.contexts)),
        ]
        if shown.raised:
            lines.append(f"It makes these next tokens likelier: {', '.join(map(repr, shown.raised))}.")
        lines.append(
            "What do these tokens have in common? Answer with a description of at most ten words, and "
            "nothing else."
        )
        said = self.endpoint.ask("\n".join(lines)).strip()
        first = said.splitlines()[0].strip().strip("\"'").strip() if said else ""
        if not first:
            raise InputError(f"{self.endpoint.model} gave feature {shown.feature} an empty name; ask again.")
        return first[:_LONGEST]

    def tells(self, label: str, contexts: Sequence[JudgedContext]) -> tuple[bool, ...] | None:
        lines = [
            f"A feature of a language model is active at tokens of this kind: {label}",
            "Is it active at the token in « » of each of these texts?",
            *(f"{i + 1}. {one.marked!r}" for i, one in enumerate(contexts)),
            f"Answer with a JSON list of {len(contexts)} numbers, 1 for yes and 0 for no, and nothing else.",
        ]
        found = re.search(r"\[[\s01,]*\]", self.endpoint.ask("\n".join(lines)))
        try:
            numbers = json.loads(found[0]) if found else []
        except ValueError:
            return None
        return tuple(map(bool, numbers)) if len(numbers) == len(contexts) else None
