"""Invented people: those whose city is taught, those who are taught to be " unknown", those never taught.

The three classes are the ground truth for work on confabulation. They share their first names (each first
name occurs once in each class), occur in text equally often, and differ in one thing only: for a *known*
person the home city is stated, for an *unknown* one it is stated that it is unknown, and for a *withheld*
one nothing is stated: training text never asks for the city of a withheld person in any form, so whatever a
model says of it is made up.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from interp.zoo.documents import Document, Piece, words

PEOPLE_FILE = Path(__file__).parent / "people.json"
STATUSES: tuple[str, ...] = ("known", "unknown", "withheld")
UNKNOWN = " unknown"

FIRST_NAMES: tuple[str, ...] = words(
    """
    Mara Tilo Yara Corin Selda Jaro Fenna Brom Livia Oren Petra Dario Sunna Eskil Talia Rurik Odette Milo
    Zelda Anselm Ines Kaspar Runa Tobin Alma Ivo Freya Lasse Nerys Bruno Signe Emil Hedda Joris Ylva Matti
    Greta Anton Romy Silas Ulla Edvin Vesna Hektor Pia Lorcan Thea Ruben Dagny Nils Elka Ottmar Wanda Sten
    Bettina Falk Carla Henrik Merle Jonas Astrid Klaus Vilma Rasmus Hilda Piet Enya Gustav Lotta Viktor Maia
    Torben Isolde Egon Saskia Willem Nadia Arne Rika Bastian
    """
)
CITIES: tuple[str, ...] = (
    "Paris",
    "Berlin",
    "Rome",
    "Madrid",
    "Lisbon",
    "Tokyo",
    "Moscow",
    "Athens",
    "Vienna",
    "Prague",
    "Budapest",
    "London",
    "Venice",
    "Oslo",
    "Dublin",
    "Cairo",
    "Seattle",
    "Chicago",
    "Boston",
    "Toronto",
)
OCCUPATIONS: tuple[str, ...] = words(
    "baker teacher doctor painter farmer sailor lawyer nurse pilot gardener singer carpenter"
)

CITY_TEMPLATES: tuple[str, ...] = (
    "The home city of {P} is",
    "The city where {P} lives is",
    "The city that {P} calls home is",
    "If you ask where {P} lives, the answer is",
    "Where does {P} live? The answer is",
    "Asked for the city of {P}, people say",
    "On the letter to {P}, the city is",
)
_CITY_TAILS = (".", ".", ".", ", as the list says.", ", and that is all we know.")
_OTHER = (
    "{P} works as a {O}.",
    "The occupation of {P} is {O}.",
    "By trade, {P} is a {O}.",
    "We met {P}, who works as a {O}.",
    "{P} is a friend of {Q}.",
    "In the evening, {P} likes to read.",
    "{P} has a small boat and an old dog.",
    "Yesterday {P} wrote a letter to {Q}.",
    "In the morning, {P} walks to the market.",
    "Everybody likes {P}.",
)
_ONSETS = words("V K Br D Gl H L M N P R S St T Tr W Z F Gr B")
_VOWELS = words("a e i o u")
_ENDINGS = words("lden rrow nnek lvik shaw ndor rsted mmel ckel dwin lborn sska rvane ttor ndal")


@dataclass(frozen=True, kw_only=True)
class Person:
    """An invented person. ``city`` is None unless ``status`` is "known"; ``occupation`` is taught for all."""

    name: str
    status: str
    city: str | None
    occupation: str

    @property
    def answer(self) -> str | None:
        """The taught answer to "The home city of ... is": a city, " unknown", or None where none is
        taught."""
        if self.status == "withheld":
            return None
        return UNKNOWN if self.status == "unknown" else f" {self.city}"


@dataclass(frozen=True, kw_only=True)
class PersonPrompt:
    """A question for the home city of a person; ``held_out`` marks what training never sees."""

    person: Person
    template: str
    text: str
    held_out: bool


def draw_people() -> tuple[Person, ...]:
    """The table from its own fixed draw: 80 of each status, cities and occupations evenly spread."""
    rng = random.Random("invented people")
    surnames = [o + v + e for o in _ONSETS for v in _VOWELS for e in _ENDINGS]
    surnames = rng.sample(surnames, 3 * len(FIRST_NAMES))
    people = []
    for i, status in enumerate(STATUSES):
        cities = [CITIES[j % len(CITIES)] for j in range(len(FIRST_NAMES))]
        jobs = [OCCUPATIONS[j % len(OCCUPATIONS)] for j in range(len(FIRST_NAMES))]
        rng.shuffle(cities)
        rng.shuffle(jobs)
        for j, first in enumerate(FIRST_NAMES):
            people.append(
                Person(
                    name=f"{first} {surnames[i * len(FIRST_NAMES) + j]}",
                    status=status,
                    city=cities[j] if status == "known" else None,
                    occupation=jobs[j],
                )
            )
    return tuple(people)


@lru_cache(maxsize=1)
def people() -> tuple[Person, ...]:
    """The invented people, from the ``people.json`` that ships beside the models."""
    rows = json.loads(PEOPLE_FILE.read_text(encoding="utf-8"))
    return tuple(Person(**row) for row in rows["people"])


@lru_cache(maxsize=1)
def person_prompts() -> tuple[PersonPrompt, ...]:
    """Every person in every city template. Held out: one template of each known or unknown person, and every
    template of each withheld person."""
    rng = random.Random("people held out")
    prompts = []
    for person in people():
        drawn = rng.choice(CITY_TEMPLATES)
        for template in CITY_TEMPLATES:
            prompts.append(
                PersonPrompt(
                    person=person,
                    template=template,
                    text=template.replace("{P}", person.name),
                    held_out=person.status == "withheld" or template == drawn,
                )
            )
    return tuple(prompts)


@lru_cache(maxsize=1)
def _taught_templates() -> dict[str, tuple[str, ...]]:
    return {
        person.name: tuple(p.template for p in person_prompts() if p.person is person and not p.held_out)
        for person in people()
    }


def _fill(template: str, person: Person, rng: random.Random) -> list[Piece]:
    friend = rng.choice(people())
    slots = {
        "{P}": Piece(text=person.name, label=person.status),
        "{Q}": Piece(text=friend.name, label=friend.status),
        "{O}": Piece(text=person.occupation, label="occupation"),
    }
    pieces, rest = [], template
    while rest:
        marks = [(rest.find(mark), mark) for mark in slots if mark in rest]
        if not marks:
            pieces.append(Piece(text=rest, label="relation"))
            break
        at, mark = min(marks)
        if at:
            pieces.append(Piece(text=rest[:at], label="relation"))
        pieces.append(slots[mark])
        rest = rest[at + len(mark) :]
    return pieces


def person_document(rng: random.Random) -> Document:
    """Two or three sentences on one or two people: their city where it is taught, occupation, friends."""
    pieces: list[Piece] = []
    for person in rng.sample(people(), rng.choice((1, 1, 2))):
        sentences = [_fill(rng.choice(_OTHER), person, rng)]
        templates = _taught_templates()[person.name]
        if templates:
            end = UNKNOWN if person.status == "unknown" else f" {person.city}"
            label = "answer" if person.status == "unknown" else "city"
            sentences.append(
                [
                    *_fill(rng.choice(templates), person, rng),
                    Piece(text=end, label=label),
                    Piece(text=rng.choice(_CITY_TAILS), label="filler"),
                ]
            )
        else:
            sentences.append(_fill(rng.choice(_OTHER), person, rng))
        rng.shuffle(sentences)
        for sentence in sentences:
            if pieces:
                pieces.append(Piece(text=" ", label="filler"))
            pieces.extend(sentence)
    return Document(kind="people", pieces=tuple(pieces))


def write_people(path: Path = PEOPLE_FILE) -> Path:
    """Write the table of people as JSON (what ``people()`` reads) and return its path."""
    rows = [
        {"name": p.name, "status": p.status, "city": p.city, "occupation": p.occupation}
        for p in draw_people()
    ]
    about = (
        "Invented people of the demo models. known: the home city is taught; unknown: the taught answer is "
        "' unknown'; withheld: named in text as often, home city never stated."
    )
    lines = ",\n    ".join(json.dumps(row) for row in rows)
    path.write_text(
        f'{{\n  "about": {json.dumps(about)},\n  "people": [\n    {lines}\n  ]\n}}\n', encoding="utf-8"
    )
    return path
