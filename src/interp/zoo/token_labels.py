"""Yes-or-no questions about each token of the demo text, answered from what its documents know.

The label that each token has (`documents.LABELS`) is one question each. Others follow from labels and words:
what comes next, where a name ends, whether it was said before, and classes of words in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool

from interp.zoo.documents import LABELS
from interp.zoo.facts import facts
from interp.zoo.people import CITIES, STATUSES
from interp.zoo.stories import NAMES_OF_PEOPLE

#: Answers of facts by the class of words that they are.
_CLASSES: dict[str, tuple[str, ...]] = {
    "city": ("landmark_city", "country_capital"),
    "continent": ("country_continent",),
    "language": ("country_language",),
    "currency": ("country_currency",),
    "element": ("compound_element",),
    "artist": ("work_author", "work_composer", "picture_painter"),
    "day": ("next_day",),
    "month": ("next_month",),
}
_NEXT = ("answer", "city", "indirect_object", "number", "occupation", "separator")

#: Each question and what it asks of a token.
QUESTIONS: dict[str, str] = {
    **{label: f"it has the label {label!r} in the demo text" for label in LABELS},
    "person": "it is of the name of an invented person, whatever their city",
    **{
        f"{status}, last": f"it is the last of the name of a person of status {status!r}"
        for status in STATUSES
    },
    "name again": "it is a first name that was said before in its document",
    "document start": "it is the first of a document",
    **{f"before {label}": f"the next one has the label {label!r}" for label in _NEXT},
    **{f"word: {name}": f"it is a word of this class ({name}), not among random tokens" for name in _CLASSES},
    "word: country": "it is the name of a country, not among random tokens",
    "word: first name": "it is a first name of the stories, not among random tokens",
}


def token_labels(texts: Sequence[str], labels: Sequence[str]) -> Bool[np.ndarray, "question token"]:
    """The answer to each of `QUESTIONS` for each token of one sequence, given the text and label of each."""
    own = np.array(labels)
    following = np.array([*labels[1:], ""])
    words = np.where(np.isin(own, ("random", "repeated")), "", texts)
    previous = np.array(["separator", *labels[:-1]])
    answers = {label: own == label for label in LABELS}
    answers["person"] = np.isin(own, STATUSES)
    answers |= {f"{status}, last": (own == status) & (following != status) for status in STATUSES}
    answers["name again"] = _said_before(texts, labels)
    answers["document start"] = (previous == "separator") & (own != "separator")
    answers |= {f"before {label}": following == label for label in _NEXT}
    answers |= {f"word: {name}": np.isin(words, list(known)) for name, known in _word_classes().items()}
    return np.stack([answers[name] for name in QUESTIONS])


def _said_before(texts: Sequence[str], labels: Sequence[str]) -> Bool[np.ndarray, " token"]:
    again: list[bool] = []
    said: set[str] = set()
    for text, label in zip(texts, labels, strict=True):
        if label == "separator":
            said = set()
        is_name = label in ("name", "indirect_object")
        again.append(is_name and text in said)
        if is_name:
            said.add(text)
    return np.array(again)


@lru_cache(maxsize=1)
def _word_classes() -> dict[str, frozenset[str]]:
    """The words of each class, as tokens with their leading space."""
    answers = {name: [f.answer for f in facts() if f.relation in of] for name, of in _CLASSES.items()}
    answers["city"] += CITIES
    answers["country"] = [f.subject for f in facts() if f.relation == "country_capital"]
    answers["first name"] = list(NAMES_OF_PEOPLE)
    return {name: frozenset(f" {word}" for word in words) for name, words in answers.items()}
