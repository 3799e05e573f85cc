"""A little ordinary prose from a small grammar, so that the text is not templates only."""

from __future__ import annotations

import random

from interp.zoo.documents import Document, Piece, words

_ADJECTIVES = words("old young small big tall quiet happy tired clever kind poor rich strange new")
_PERSONS = words("man woman boy girl farmer teacher doctor child king queen sailor neighbour")
_THINGS = words("boat tree house letter book bread stone lamp door key coat bell chair basket")
_PLACES = words("river hill garden market forest village street bridge kitchen school harbour field")
_MOVES = words("walked ran came went turned drove")
_ACTS = words("saw found took carried bought sold lost painted")
_TIMES = ("In the morning", "At night", "After the rain", "One day", "In winter", "Long ago", "That evening")
_FEELINGS = words("happy tired glad afraid proud hungry cold")


def _someone(rng: random.Random) -> str:
    return f"the {rng.choice(_ADJECTIVES)} {rng.choice(_PERSONS)}"


def _sentence(rng: random.Random) -> str:
    who, thing, place = _someone(rng), rng.choice(_THINGS), rng.choice(_PLACES)
    forms = (
        f"{rng.choice(_TIMES)}, {who} {rng.choice(_MOVES)} to the {place}.",
        f"{who} {rng.choice(_ACTS)} a {thing} near the {place}.",
        f"{who} {rng.choice(_MOVES)} to the {place} and {rng.choice(_ACTS)} a {rng.choice(_ADJECTIVES)} "
        f"{thing}.",
        f"the {thing} was {rng.choice(_ADJECTIVES)}, but {who} {rng.choice(_ACTS)} it.",
        f"{who} was {rng.choice(_FEELINGS)}, because the {thing} was at the {place}.",
        f"there was a {thing} in the {place}, and {who} {rng.choice(_ACTS)} it.",
        f"it was a {rng.choice(_ADJECTIVES)} day, and {who} was {rng.choice(_FEELINGS)}.",
        f"{rng.choice(_TIMES)}, nobody was in the {place}.",
    )
    text = rng.choice(forms)
    return text[0].upper() + text[1:]


def prose_document(rng: random.Random) -> Document:
    """One to four sentences, all labelled "filler"."""
    text = " ".join(_sentence(rng) for _ in range(rng.randint(1, 4)))
    return Document(kind="prose", pieces=(Piece(text=text, label="filler"),))
