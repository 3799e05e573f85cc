"""Prompts that need two steps, of which the one in between is known: a lens may be asked whether it reads it.

"The people who live in Paris speak" asks for a language; between Paris and it lies the country. A prompt is
used where the model knows both steps by themselves and says the answer of both together (`known`); it does
not follow that it takes them: it may know the answer by heart, which is why a lens that does not read the
step in between need not be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interp.models.base import Model
from interp.results import Dropped
from interp.tokens import Prompt

Token = str | int


@dataclass(frozen=True, kw_only=True)
class TwoHop:
    """A prompt whose `answer` follows by way of `bridge`, and the two steps by themselves."""

    relation: str
    prompt: Prompt
    bridge: Token  # what is in between, one token
    answer: Token  # one token
    hops: tuple[Prompt, ...]  # prompts that end where the bridge, and where the answer, is to follow


#: relation -> both steps and the steps together, as templates of the subject and the bridge.
TEMPLATES: dict[str, tuple[str, str, str]] = {
    "language of a capital": (
        "{subject} is the capital of",
        "The people who live in {bridge} speak",
        "The people who live in {subject} speak",
    ),
    "country of a landmark": (
        "{subject} is in the city of",
        "{bridge} is in the country of",
        "{subject} is in the country of",
    ),
    "continent of a capital": (
        "{subject} is the capital of",
        "{bridge} is a country on the continent of",
        "{subject} is a city on the continent of",
    ),
}
#: relation -> rows of subject = bridge = answer.
TABLE: dict[str, str] = {
    "language of a capital": """
        Paris = France = French; Berlin = Germany = German; Rome = Italy = Italian; Madrid = Spain = Spanish;
        Lisbon = Portugal = Portuguese; Tokyo = Japan = Japanese; Beijing = China = Chinese;
        Moscow = Russia = Russian; Athens = Greece = Greek; Vienna = Austria = German;
        Budapest = Hungary = Hungarian; Warsaw = Poland = Polish; Stockholm = Sweden = Swedish;
        Copenhagen = Denmark = Danish; Cairo = Egypt = Arabic; Tehran = Iran = Persian;
        Bangkok = Thailand = Thai; Ankara = Turkey = Turkish; Havana = Cuba = Spanish;
        Hanoi = Vietnam = Vietnamese; Oslo = Norway = Norwegian; Helsinki = Finland = Finnish
    """,
    "country of a landmark": """
        The Eiffel Tower = Paris = France; The Colosseum = Rome = Italy; The Kremlin = Moscow = Russia;
        The Parthenon = Athens = Greece; The Prado Museum = Madrid = Spain; Big Ben = London = England;
        The Brandenburg Gate = Berlin = Germany; The Louvre = Paris = France; The Taj Mahal = Agra = India;
        The Forbidden City = Beijing = China; The Acropolis = Athens = Greece
    """,
    "continent of a capital": """
        Paris = France = Europe; Berlin = Germany = Europe; Rome = Italy = Europe; Madrid = Spain = Europe;
        Tokyo = Japan = Asia; Beijing = China = Asia; Bangkok = Thailand = Asia; Tehran = Iran = Asia;
        Hanoi = Vietnam = Asia; Nairobi = Kenya = Africa; Accra = Ghana = Africa; Cairo = Egypt = Africa;
        Oslo = Norway = Europe; Warsaw = Poland = Europe; Athens = Greece = Europe
    """,
}


def two_hops() -> tuple[TwoHop, ...]:
    """Every row of the table as a prompt."""
    found = []
    for relation, rows in TABLE.items():
        first, second, both = TEMPLATES[relation]
        for row in " ".join(rows.split()).split(";"):
            subject, bridge, answer = (part.strip() for part in row.split("="))
            filled = [text.format(subject=subject, bridge=bridge) for text in (first, second, both)]
            found.append(
                TwoHop(
                    relation=relation,
                    prompt=filled[2],
                    bridge=f" {bridge}",
                    answer=f" {answer}",
                    hops=(filled[0], filled[1]),
                )
            )
    return tuple(found)


def known(
    model: Model, cases: Sequence[TwoHop], *, most: int = 1
) -> tuple[tuple[TwoHop, ...], tuple[Dropped, ...]]:
    """The cases of which the model knows both steps and their composition: what follows each is among its
    `most` likeliest tokens. And those that it does not, with the reason; so are those whose bridge stands in
    the prompt, where every lens would find it."""
    kept, dropped = [], []
    for case in cases:
        why = _unknown(model, case, most)
        text = model.to_text(model.to_tokens(case.prompt).repeat(1).row(0))
        if why is None:
            kept.append(case)
        else:
            dropped.append(Dropped(text, why))
    return tuple(kept), tuple(dropped)


def _unknown(model: Model, case: TwoHop, most: int) -> str | None:
    """Why a case is left out; None where it is known."""
    bridge = model.to_answer(case.bridge).token
    if bridge is not None and bridge in model.to_tokens(case.prompt).repeat(1).row(0):
        return f"its step in between, {case.bridge!r}, stands in the prompt"
    steps = [*zip(case.hops, (case.bridge, case.answer), strict=False), (case.prompt, case.answer)]
    for prompt, token in steps:
        wanted = model.to_answer(token).token
        if wanted is None:
            return f"{token!r} is no single token of this model"
        logits = model.forward(prompt)[0, -1]
        if int((logits > logits[wanted]).sum()) >= most:
            said = model.labels([int(logits.argmax())])[0]
            return f"the model says {said!r}, not {token!r}, after {prompt!r}"
    return None
