"""Famous people beside invented ones, for real models: was the country of birth ever in the training text?

An invented person has the first name of one famous person and the surname of another, from another country.
So both kinds have the same words, of equal length and frequency, at the same positions; a model that tells
them apart goes by the combination. Somebody may bear such a name, but it is not in every encyclopaedia.

Which famous people a model knows is for the model to show: what it says of them is in the result.
"""

from __future__ import annotations

import random

from interp.answers import AnswerLike
from interp.errors import InputError
from interp.models.base import Model
from interp.results import Dropped
from interp.tasks.base import check_count, made_for
from interp.tasks.known_or_not import KnowledgeDataset, asked

WORDINGS: tuple[str, ...] = (
    "The famous person {P} was born in the country of",
    "The country where the famous person {P} was born is",
    "The home country of the famous person {P} is",
    "As everybody knows, the famous person {P} came from the country of",
)

_PEOPLE = """
    Albert Einstein = Germany; Johann Bach = Germany; Angela Merkel = Germany; Karl Marx = Germany;
    Immanuel Kant = Germany; Steffi Graf = Germany; Isaac Newton = England; Charles Darwin = England;
    William Shakespeare = England; Winston Churchill = England; Agatha Christie = England;
    Jane Austen = England; John Lennon = England; David Beckham = England; Wolfgang Mozart = Austria;
    Sigmund Freud = Austria; Arnold Schwarzenegger = Austria; Pablo Picasso = Spain; Salvador Dali = Spain;
    Rafael Nadal = Spain; Antoni Gaudi = Spain; Marie Curie = Poland; Lech Walesa = Poland;
    Frederic Chopin = Poland; Galileo Galilei = Italy; Giuseppe Verdi = Italy;
    Enzo Ferrari = Italy; Victor Hugo = France; Claude Monet = France; Louis Pasteur = France;
    Jules Verne = France; Emmanuel Macron = France; Leo Tolstoy = Russia; Vladimir Putin = Russia;
    Anton Chekhov = Russia; Yuri Gagarin = Russia; Mikhail Gorbachev = Russia; Mahatma Gandhi = India;
    Narendra Modi = India; Sachin Tendulkar = India; Nelson Mandela = South Africa; Fidel Castro = Cuba;
    Frida Kahlo = Mexico; Diego Maradona = Argentina; Lionel Messi = Argentina; Cristiano Ronaldo =
    Portugal; Usain Bolt = Jamaica; Bob Marley = Jamaica; Roger Federer = Switzerland; Novak Djokovic =
    Serbia; Hans Andersen = Denmark; Niels Bohr = Denmark; Henrik Ibsen = Norway; Edvard Munch = Norway;
    Alfred Nobel = Sweden; Ingmar Bergman = Sweden; James Joyce = Ireland; Oscar Wilde = Ireland; Pablo
    Neruda = Chile; Gabriel Marquez = Colombia; Hugo Chavez = Venezuela; Simon Bolivar = Venezuela; Akira
    Kurosawa = Japan; Yoko Ono = Japan; Haruki Murakami = Japan; Mao Zedong = China; Jackie Chan = China;
    Imran Khan = Pakistan; Benazir Bhutto = Pakistan; Orhan Pamuk = Turkey; Nicolaus Copernicus = Poland;
    Jean Sibelius = Finland; Linus Torvalds = Finland; Kofi Annan = Ghana; Barack Obama = America; Abraham
    Lincoln = America; Elvis Presley = America; Thomas Edison = America
"""


def famous_people() -> dict[str, str]:
    """The country of each, by name, in the order of the list."""
    rows = " ".join(_PEOPLE.split()).split(";")
    return dict((part.strip() for part in row.split("=")) for row in rows)  # type: ignore[misc]


def invented_people(seed: int = 0) -> dict[str, tuple[str, str]]:
    """As many who are not: the first name of one famous person and the surname of another, from another
    country; with the two whom they are made of. Each first name and each surname is used once."""
    people = famous_people()
    names = list(people)
    rng = random.Random(f"invented people {seed}")
    order = names.copy()
    rng.shuffle(order)
    for i, name in enumerate(names):
        if not _unlike(people, name, order[i]):
            fits = (
                j
                for j in rng.sample(range(len(names)), len(names))
                if _unlike(people, name, order[j]) and _unlike(people, names[j], order[i])
            )
            j = next(fits, i)
            order[i], order[j] = order[j], order[i]
    found = {
        f"{first.split()[0]} {last.split()[1]}": (first, last)
        for first, last in zip(names, order, strict=True)
        if _unlike(people, first, last)
    }
    return {name: of for name, of in found.items() if name not in people}


def _unlike(people: dict[str, str], first: str, last: str) -> bool:
    combined = f"{first.split()[0]} {last.split()[1]}"
    return people[first] != people[last] and combined not in people


def known_entities(
    model: Model,
    *,
    n: int = 40,
    per_entity: int = 2,
    abstains: AnswerLike | None = None,
    seed: int = 0,
) -> KnowledgeDataset:
    """Questions for the country of birth of `n` famous people and of as many invented ones.

    Args:
        per_entity: in how many of the `WORDINGS` each is asked for, drawn by the seed.
        abstains: what counts as an answer that makes nothing up; without it, none does.

    Raises `InputError` for more people than there are.
    """
    check_count(n, least=4)
    check_count(per_entity, of="per_entity")
    people, invented = famous_people(), invented_people(seed)
    most = min(len(people), len(invented))
    if n > most or per_entity > len(WORDINGS):
        raise InputError(
            f"There are {most} people of each kind and {len(WORDINGS)} wordings; ask for no more."
        )
    rng = random.Random(f"known entities {seed}")
    drawn = [rng.sample(WORDINGS, per_entity) for _ in range(n)]  # the same for both kinds
    prompts, dropped = [], []
    for status, names in (("real", list(people)), ("invented", list(invented))):
        for name, wordings in zip(sorted(rng.sample(names, n)), drawn, strict=True):
            for wording in wordings:
                answer = f" {people[name]}" if status == "real" else None
                try:
                    prompts.append(
                        asked(
                            model,
                            wording.replace("{P}", name),
                            status=status,
                            entity=name,
                            wording=wording,
                            answer=answer,
                        )
                    )
                except InputError as error:  # a name that the vocabulary does not have
                    dropped.append(Dropped(name, str(error)))
    return KnowledgeDataset(
        name="entities",
        has="real",
        made_up="invented",
        told_unknown=None,
        abstains=None if abstains is None else model.to_answer(abstains),
        prompts=tuple(prompts),
        dropped=tuple(dropped),
        made=made_for(model, n=n, per_entity=per_entity, seed=seed),
    )
