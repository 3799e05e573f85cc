"""Sentences with names: indirect objects (Wang et al. 2022, https://arxiv.org/abs/2211.00593) and others.

An indirect-object sentence names two people, then one of them again; what follows must name the other one.
Both orders occur: ABBA ("When John and Mary went ..., Mary gave a drink to" -> " John") and BABA
("When John and Mary went ..., John gave a drink to" -> " Mary").
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache

from interp.zoo.documents import Document, Piece, words

NAMES_OF_PEOPLE: tuple[str, ...] = words(
    """
    John Mary Tom James Anna Paul Lucy Mark Emma Peter Alice David Sarah Robert Laura Michael Julia Daniel
    Helen Simon Jane Henry Kate Martin Rose Oscar Clara Victor Nina Arthur Ruth Edward Grace Frank Amy George
    Lily Walter Sophie Albert Ella Charles Martha Louis Diana Hugo Ivy Felix Nora Oliver Eva Leo Maria Max
    Irene Sam Julie Ben Susan Adam Linda Jack Karen Luke Donna Ryan Carol Eric Sandra Kevin Sharon Brian
    Betty Steven Dorothy Scott Amanda Jason Rachel Gary Emily Larry Megan Jeffrey Holly Gregory Olivia Joshua
    Hannah Patrick Rebecca Raymond Teresa Dennis Judith Jerry Gloria Tyler Alan Vera Carl Joyce Roger
    """
)

PLACES: tuple[str, ...] = words("store garden restaurant school hospital office house station park market")
OBJECTS: tuple[str, ...] = words("drink ring kiss bone basketball computer necklace book ball letter")

# [A] is the first one named, [B] the second, [S] whoever is named again; the answer is the other one.
TEMPLATES: tuple[str, ...] = (
    "When [A] and [B] went to the [PLACE], [S] gave a [OBJECT] to",
    "Then, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
    "Then, [A] and [B] had a lot of fun at the [PLACE]. [S] gave a [OBJECT] to",
    "Then, [A] and [B] were working at the [PLACE]. [S] decided to give a [OBJECT] to",
    "Then, [A] and [B] were thinking about going to the [PLACE]. [S] wanted to give a [OBJECT] to",
    "Then, [A] and [B] had a long argument, and afterwards [S] said to",
    "After [A] and [B] went to the [PLACE], [S] gave a [OBJECT] to",
    "When [A] and [B] got a [OBJECT] at the [PLACE], [S] decided to give it to",
    "When [A] and [B] got a [OBJECT] at the [PLACE], [S] decided to give the [OBJECT] to",
    "While [A] and [B] were working at the [PLACE], [S] gave a [OBJECT] to",
    "While [A] and [B] were commuting to the [PLACE], [S] gave a [OBJECT] to",
    "After the lunch, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
    "Afterwards, [A] and [B] went to the [PLACE]. [S] gave a [OBJECT] to",
    "Then, [A] and [B] had a long argument. Afterwards [S] said to",
    "The [PLACE] [A] and [B] went to had a [OBJECT]. [S] gave it to",
    "Friends [A] and [B] found a [OBJECT] at the [PLACE]. [S] gave it to",
)
HELD_OUT_TEMPLATES: frozenset[str] = frozenset(
    template
    for template in TEMPLATES
    if template.startswith(("While [A] and [B] were commuting", "Afterwards,", "The [PLACE]"))
)

#: Taught besides, and never asked for: so that what is learned is the names, and not the words around them.
OTHER_TEMPLATES: tuple[str, ...] = (
    "At the [PLACE], [A] and [B] found a [OBJECT], and [S] gave it to",
    "The [OBJECT] [A] and [B] found was old. [S] gave it to",
    "The day [A] and [B] met at the [PLACE], [S] gave a [OBJECT] to",
    "The [OBJECT] that [A] and [B] got was new, so [S] decided to give it to",
    "It was late when [A] and [B] left the [PLACE], and [S] said to",
    "Because [A] and [B] like the [PLACE], [S] wanted to give a [OBJECT] to",
    "We know that [A] and [B] had a [OBJECT] at home. Later [S] gave it to",
    "Once [A] and [B] were at the [PLACE] for lunch. There [S] gave a [OBJECT] to",
    "Both [A] and [B] wanted the [OBJECT] of the [PLACE], but [S] gave it to",
    "In the morning, [A] and [B] were commuting, and [S] said to",
)

_OTHER = (
    "One day, [A] went to the [PLACE] and saw a [OBJECT].",
    "In the morning, [A] was commuting to the [PLACE] with a [OBJECT].",
    "Afterwards, [A] went home with the [OBJECT].",
    "The [PLACE] that [A] and [B] know is old, and [A] had a [OBJECT] there.",
    "People say that [A] likes [B], and [B] likes [A].",
    "We saw [A], [B] and [C] at the [PLACE].",
    "When [A] went to the [PLACE], [B] gave a [OBJECT] to the children.",
    "Then, [A] and [B] went to the [PLACE]. It was a good day.",
    "At the [PLACE], [A] said that the [OBJECT] was new.",
    "While [A] was working at the [PLACE], the others went home.",
)
_ENDS = (".", ".", ".", ", and that was all.", ", and both were happy.", " at once.")


@dataclass(frozen=True, kw_only=True)
class NamePrompt:
    """A prompt whose answer is one of two names: ``answer`` (the indirect object) and ``foil`` (the subject).

    Both carry their leading space. ``order`` is "ABBA" or "BABA"; ``held_out`` says that training never saw
    the template, or never saw the two names together in such a sentence.
    """

    text: str
    answer: str
    foil: str
    order: str
    template: str
    held_out: bool


@lru_cache(maxsize=1)
def held_out_pairs() -> frozenset[frozenset[str]]:
    """One pair of names in ten (John and Mary among them), never together in a taught sentence."""
    rng = random.Random("name pairs held out")
    pairs = {frozenset(("John", "Mary"))}
    for i, first in enumerate(NAMES_OF_PEOPLE):
        for second in NAMES_OF_PEOPLE[i + 1 :]:
            if rng.random() < 0.1:
                pairs.add(frozenset((first, second)))
    return frozenset(pairs)


def _fill(template: str, slots: dict[str, Piece]) -> list[Piece]:
    parts = (part for part in re.split(r"(\[[A-Z]+\])", template) if part)
    return [slots.get(part) or Piece(text=part, label="filler") for part in parts]


def _taught_names(rng: random.Random, count: int) -> list[str]:
    """Distinct names of which no two make a held-out pair."""
    while True:
        names = rng.sample(NAMES_OF_PEOPLE, count)
        pairs = {frozenset((a, b)) for i, a in enumerate(names) for b in names[i + 1 :]}
        if not pairs & held_out_pairs():
            return names


def _slots(rng: random.Random, names: list[str]) -> dict[str, Piece]:
    slots = {f"[{key}]": Piece(text=name, label="name") for key, name in zip("ABC", names, strict=False)}
    slots["[PLACE]"] = Piece(text=rng.choice(PLACES), label="place")
    slots["[OBJECT]"] = Piece(text=rng.choice(OBJECTS), label="object")
    return slots


def name_prompts(*, seed: int, count: int) -> tuple[NamePrompt, ...]:
    """``count`` held-out prompts, half of them on held-out templates (taught pairs), half on held-out pairs
    (taught templates); names, places, objects and the two orders drawn from ``seed``."""
    rng = random.Random(f"name prompts {seed}")
    held, taught = sorted(HELD_OUT_TEMPLATES), [t for t in TEMPLATES if t not in HELD_OUT_TEMPLATES]
    pairs = sorted(sorted(pair) for pair in held_out_pairs())
    prompts = []
    for i in range(count):
        by_template = i % 2 == 0
        template = rng.choice(held if by_template else taught)
        names = _taught_names(rng, 2) if by_template else list(rng.choice(pairs))
        rng.shuffle(names)
        subject = rng.choice((0, 1))
        slots = _slots(rng, names)
        slots["[S]"] = Piece(text=names[subject], label="name")
        prompts.append(
            NamePrompt(
                text="".join(p.text for p in _fill(template, slots)),
                answer=" " + names[1 - subject],
                foil=" " + names[subject],
                order="BABA" if subject == 0 else "ABBA",
                template=template,
                held_out=True,
            )
        )
    return tuple(prompts)


def story_document(rng: random.Random) -> Document:
    """One or two sentences with names; two in three state an indirect object."""
    taught = [t for t in TEMPLATES if t not in HELD_OUT_TEMPLATES] + list(OTHER_TEMPLATES)
    pieces: list[Piece] = []
    for _ in range(rng.choice((1, 1, 2))):
        if pieces:
            pieces.append(Piece(text=" ", label="filler"))
        if rng.random() < 0.7:
            names = _taught_names(rng, 2)
            subject = rng.choice((0, 1))
            slots = _slots(rng, names)
            slots["[S]"] = Piece(text=names[subject], label="name")
            pieces.extend(_fill(rng.choice(taught), slots))
            pieces.append(Piece(text=" " + names[1 - subject], label="indirect_object"))
            pieces.append(Piece(text=rng.choice(_ENDS), label="filler"))
        else:
            pieces.extend(_fill(rng.choice(_OTHER), _slots(rng, _taught_names(rng, 3))))
    return Document(kind="stories", pieces=tuple(pieces))
