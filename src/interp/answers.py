"""What a prompt is to be followed by: a token, several in a row, or any of some forms that count as the same.

As people write it, on every floor (`interp.Model.to_answer` reads it):

- ``" Paris"``: text, with its leading space or without one, of one token or of several (a *sequence*);
- ``" Paris|Paris| París"``: several *forms*, any of which counts; a space before a bar does not;
- ``{"any": [" Paris", "A|B", [12, 34]]}``: the same as a list: text taken literally, ids, lists of ids;
- ``"<7>"``: the token of that id, also as the number 7 in Python (not in a configuration, where that could
  as well be the text "7").

What is measured of an answer is its probability: of a sequence, the product over its tokens, each where it is
predicted after those before it (teacher forcing); of several forms, the sum over them. When it misleads: a
longer answer is the less likely for its length alone, so compare changes, not levels; and the forms of a word
that one forgets count as if they were wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interp.errors import InputError
from interp.traps import check_first_tokens


@dataclass(frozen=True)
class Answer:
    """Forms that count as the same, each the ids of its tokens.

    Raises `InputError` where there is no form, a form without a token, the same form twice, or one that
    begins with another, which counts it already.
    """

    forms: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.forms or not all(self.forms):
            raise InputError("An answer has one form at least, and a form one token at least.")
        if (found := nested(self.forms)) is not None:
            raise InputError(
                f"The form {list(self.forms[found[0]])} begins with another form of the answer, which counts "
                "it already; leave it out."
            )

    @classmethod
    def of(cls, answer: int | Answer) -> Answer:
        """The answer that is this token; an answer as it is."""
        return answer if isinstance(answer, Answer) else cls(((answer,),))

    @property
    def token(self) -> int | None:
        """The id of an answer that is one token in one form; None of any other."""
        return self.forms[0][0] if len(self.forms) == 1 and len(self.forms[0]) == 1 else None

    @property
    def first(self) -> int:
        """The first token of the first form."""
        return self.forms[0][0]

    @property
    def at_once(self) -> bool:
        """Whether every form is one token, so that nothing must follow the prompt to read it."""
        return all(len(form) == 1 for form in self.forms)

    @property
    def plain(self) -> int | Answer:
        """The id of an answer that is one token in one form; any other as it is."""
        return self if self.token is None else self.token

    @property
    def key(self) -> int | list[list[int]]:
        """The answer as a JSON value."""
        return self.forms[0][0] if self.token is not None else [list(form) for form in self.forms]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return iter(self.forms)


#: An answer as it is given: text, an id, the forms as a list, or read already.
AnswerLike = str | int | Mapping[str, Any] | Answer


Form = Sequence[int]


def nested(forms: Sequence[Form], others: Sequence[Form] | None = None) -> tuple[int, int] | None:
    """The first form that begins with one of `others`, and which; None where none does. Without others: that
    begins with another of the same forms."""
    for i, form in enumerate(forms):
        for j, other in enumerate(forms if others is None else others):
            if (others is not None or i != j) and tuple(form[: len(other)]) == tuple(other):
                return i, j
    return None


def apart(answer: Answer, foil: Answer) -> bool:
    """Whether neither of two answers begins with the other, so that the one would count the other."""
    return nested(answer.forms, foil.forms) is None and nested(foil.forms, answer.forms) is None


def check_apart(answer: Answer, foil: Answer) -> None:
    """`InputError` where an answer and a foil are the same, or one counts the other."""
    if set(answer.forms) & set(foil.forms):
        same = "token" if answer.at_once and foil.at_once else "text"
        raise InputError(f"The answer and the foil are the same {same}; take a foil that is wrong.")
    if not apart(answer, foil):
        raise InputError(
            "One of answer and foil begins with the other, so that its probability is a part of the other's; "
            "add what follows to both, such as a full stop."
        )
    firsts, others = ({form[0] for form in one} for one in (answer, foil))
    check_first_tokens(firsts, others)


def check_at_once(*answers: Answer | None, what: str) -> None:
    """`InputError` where one of the answers has several tokens, of what reads the prompt's end alone."""
    if any(answer is not None and not answer.at_once for answer in answers):
        raise InputError(
            f"{what} are read where the prompt ends; take answers of one token each, in one form or several."
        )
