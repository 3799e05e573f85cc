"""Indirect objects (Wang et al. 2022, https://arxiv.org/abs/2211.00593): who is given the drink?

Two people are named, then the subject S again; the answer is the other one, the indirect object IO. In ABBA
order the sentence names IO first ("When Mary and John went ..., John gave a drink to" -> " Mary"), in BABA
order S. What a model says here is about the names; that the prompts sound alike in each template makes
figures look steadier than they would be on other text.

Four corruptions of the literature; in each, all but the names stays:

- ``abc``: three other names, A, B and C, so that no one is named twice (the paper's p_ABC). The prompt no
  longer says who S or IO is.
- ``swapped_subject``: IO in the place of S2, so that the answer becomes the foil (MIB's s2_io_flip).
- ``random_names``: two other names in the same roles: the answer is another name, the structure is kept.
- ``swapped_order``: IO and S1 change places, so that ABBA becomes BABA (MIB's s1_io_flip). The answer stays,
  so the logit difference hardly changes: for effects of position alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import (
    Dropped,
    Pair,
    PairDataset,
    check_count,
    encode_pair,
    made_for,
    single_tokens,
)
from interp.zoo import stories
from interp.zoo.documents import words

#: The names, places and objects of the paper's code.
NAMES: tuple[str, ...] = words(
    """
    Michael Christopher Jessica Matthew Ashley Jennifer Joshua Amanda Daniel David James Robert John Joseph
    Andrew Ryan Brandon Jason Justin Sarah William Jonathan Stephanie Brian Nicole Nicholas Anthony Heather
    Eric Elizabeth Adam Megan Melissa Kevin Steven Thomas Timothy Christina Kyle Rachel Laura Lauren Amber
    Brittany Danielle Richard Kimberly Jeffrey Amy Crystal Michelle Tiffany Jeremy Benjamin Mark Emily Aaron
    Charles Rebecca Jacob Stephen Patrick Sean Erin Jamie Kelly Samantha Nathan Sara Dustin Paul Angela Tyler
    Scott Katherine Andrea Gregory Erica Mary Travis Lisa Kenneth Bryan Lindsey Kristen Jose Alexander Jesse
    Katie Lindsay Shannon Vanessa Courtney Christine Alicia Cody Allison Bradley Samuel
    """
)
PLACES: tuple[str, ...] = words("store garden restaurant school hospital office house station")
OBJECTS: tuple[str, ...] = words("ring kiss bone basketball computer necklace drink snack")

#: The demo models were taught all of these but those of ``held_out``. The first of them, the best known
#: prompt of all, is not in the paper's list.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "paper": stories.TEMPLATES[1:],
    "taught": tuple(t for t in stories.TEMPLATES if t not in stories.HELD_OUT_TEMPLATES),
    "held_out": tuple(t for t in stories.TEMPLATES if t in stories.HELD_OUT_TEMPLATES),
}
CORRUPTIONS: tuple[str, ...] = ("abc", "swapped_subject", "random_names", "swapped_order")
ORDERS: tuple[str, ...] = ("ABBA", "BABA")
_ATTEMPTS = 1000  # at one more prompt that is not there yet


def indirect_objects(
    model: Model,
    *,
    n: int = 50,
    corruption: str = "abc",
    templates: str | Sequence[str] = "paper",
    order: str = "both",
    names: Sequence[str] = NAMES,
    places: Sequence[str] = PLACES,
    objects: Sequence[str] = OBJECTS,
    seed: int = 0,
) -> PairDataset:
    """`n` different prompts, balanced over templates and over both orders, each with its corruption.

    The numbers of prompts of any two (template, order) combinations differ by at most 1. With the same seed
    and another corruption, the clean prompts are the same.

    Args:
        corruption: ``abc``, ``swapped_subject``, ``random_names`` or ``swapped_order``; see above.
        templates: ``paper`` (its 15), ``taught`` or ``held_out`` (of the demo models' training); or texts
            with [A] and [B] for the two in the order in which they are named, [S] for the subject, and
            perhaps [PLACE] and [OBJECT].
        order: ``both``, ``ABBA`` or ``BABA``.
        names, places, objects: words without a leading space. Those that are not one token of `model` with
            that space are left out, and `PairDataset.dropped` says so.

    Roles: IO, S1, S1+1, S2, END, found by the names' tokens. A pair's `template` has [IO], [S1] and [S2] in
    the order at hand, so that roles stand at the same positions throughout a template.

    Raises `InputError` for an unknown choice, too few single-token words, a template that does not fit, or
    where there are not `n` different prompts.
    """
    check_count(n)
    check_choice("corruption", corruption, CORRUPTIONS)
    texts, orders = _texts(templates), _orders(order)
    dropped: list[Dropped] = []
    words = _Words(
        people=_usable(model, "name", names, 5 if corruption == "abc" else 4, dropped),
        places=_usable(model, "place", places, 1 if any("[PLACE]" in t for t in texts) else 0, dropped),
        objects=_usable(model, "object", objects, 1 if any("[OBJECT]" in t for t in texts) else 0, dropped),
    )
    rng = random.Random(f"indirect objects {seed}")
    rng.shuffle(texts)
    forms = [_by_role(text, one) for text in texts for one in orders]
    pairs: dict[str, Pair] = {}  # by the clean prompt
    while len(pairs) < n:
        form = forms[len(pairs) % len(forms)]
        io, s, things = _new_words(rng, words, form, pairs, n)
        clean = _fill(form, (io, s, s), things)
        # Drawn in any case, so that the clean prompts are the same whatever the corruption.
        others = rng.sample(
            [name for name in words.people if name not in (io, s)], min(3, len(words.people) - 2)
        )
        corrupted = _fill(form, _corrupted(corruption, io, s, others), things)
        pairs[clean] = _pair(model, form, clean, corrupted, io, s)
    made = made_for(
        model,
        n=n,
        corruption=corruption,
        templates=templates if isinstance(templates, str) else list(templates),
        order=order,
        names=words.people,
        places=words.places,
        objects=words.objects,
        seed=seed,
    )
    return PairDataset(
        name="indirect_objects", pairs=tuple(pairs.values()), dropped=tuple(dropped), made=made
    )


def role_swaps(
    model: Model,
    *,
    names: Sequence[Sequence[str]] = (("John", "Mary"),),
    template: str = stories.TEMPLATES[0],
    place: str = "store",
    object: str = "drink",
) -> PairDataset:
    """One prompt with the roles of its two names exchanged, for each couple of names.

    Two pairs a couple, the first one named being the subject, then the second one; each is the corrupted
    prompt of the other. A model that only prefers one of the names shows it here: its two logit differences
    then have opposite signs. Raises `InputError` where a word is not one token, or where the template does
    not fit.
    """
    pairs = []
    for couple in names:
        if isinstance(couple, str) or len(couple) != 2:
            raise InputError(f"Names to swap come in twos, such as ['John', 'Mary']; got {couple!r}.")
        for order, (s, io) in (("BABA", couple), ("ABBA", (couple[1], couple[0]))):
            form = _by_role(template, order)
            things = {"[PLACE]": place, "[OBJECT]": object}
            clean, corrupted = _fill(form, (io, s, s), things), _fill(form, (io, s, io), things)
            pairs.append(_pair(model, form, clean, corrupted, io, s))
    made = made_for(model, names=[list(c) for c in names], template=template, place=place, object=object)
    return PairDataset(name="role_swaps", pairs=tuple(pairs), made=made)


# ---- from words to a pair ----


@dataclass(frozen=True)
class _Words:
    """What prompts are made of: words that are one token of the model."""

    people: list[str]
    places: list[str]
    objects: list[str]


def _texts(templates: str | Sequence[str]) -> list[str]:
    """The templates that are meant, by the name of their set or as they are."""
    if isinstance(templates, str):
        check_choice("set of templates", templates, TEMPLATES)
        return list(TEMPLATES[templates])
    if not templates:
        raise InputError("There is no template; give at least one, or 'paper'.")
    return list(templates)


def _orders(order: str) -> tuple[str, ...]:
    check_choice("order", order, ("both", *ORDERS))
    return ORDERS if order == "both" else (order,)


def _new_words(
    rng: random.Random, words: _Words, form: str, taken: Collection[str], n: int
) -> tuple[str, str, dict[str, str]]:
    """IO, subject, and place and object of a prompt that is not `taken`. `InputError` where none is found, so
    that there are no `n` prompts."""
    for _ in range(_ATTEMPTS):
        io, s = rng.sample(words.people, 2)
        things = {"[PLACE]": rng.choice(words.places or [""]), "[OBJECT]": rng.choice(words.objects or [""])}
        if _fill(form, (io, s, s), things) not in taken:
            return io, s, things
    raise InputError(
        f"There are only {len(taken)} different prompts, not n={n}; give more names, places or objects."
    )


def _usable(model: Model, kind: str, given: Sequence[str], least: int, dropped: list[Dropped]) -> list[str]:
    """The words that are single tokens; the others are written down in `dropped`."""
    if isinstance(given, str):
        raise InputError(f"{kind}s are a list of words, not the text {given!r}.")
    usable = list(single_tokens(model, given))
    others = [word for word in dict.fromkeys(given) if word not in usable]
    if len(usable) < least:
        raise InputError(
            f"Of {len(dict.fromkeys(given))} {kind}s, {len(usable)} are one token of {model.identity.name} "
            f"with a leading space, and at least {least} are needed; give others with {kind}s=[...]."
        )
    if others:
        dropped.append(
            Dropped(f"{len(others)} {kind}s: {', '.join(others)}", "not one token with a leading space")
        )
    return usable


def _by_role(template: str, order: str) -> str:
    """The template with the roles [IO], [S1] and [S2] for [A], [B] and [S]."""
    slots = re.findall(r"\[[^\]]*\]", template)
    unknown = set(slots) - {"[A]", "[B]", "[S]", "[PLACE]", "[OBJECT]"}
    if unknown or any(slots.count(slot) != 1 for slot in ("[A]", "[B]", "[S]")):
        raise InputError(
            f"The template {template!r} must have [A], [B] and [S] once each, and no slot but those, [PLACE] "
            "and [OBJECT]."
        )
    first, second = ("[IO]", "[S1]") if order == "ABBA" else ("[S1]", "[IO]")
    return template.replace("[A]", first).replace("[B]", second).replace("[S]", "[S2]")


def _fill(form: str, people: Sequence[str], things: dict[str, str]) -> str:
    """The prompt with `people` as IO, S1 and S2."""
    for slot, word in (*zip(("[IO]", "[S1]", "[S2]"), people, strict=True), *things.items()):
        form = form.replace(slot, word)
    return form


def _corrupted(corruption: str, io: str, s: str, others: Sequence[str]) -> tuple[str, str, str]:
    """The names in the places of IO, S1 and S2."""
    if corruption == "abc":
        return others[0], others[1], others[2]
    if corruption == "random_names":
        return others[0], others[1], others[1]
    return (io, s, io) if corruption == "swapped_subject" else (s, io, s)


def _pair(model: Model, form: str, clean: str, corrupted: str, io: str, s: str) -> Pair:
    answer, foil = (model.to_single_token(f" {name}") for name in (io, s))
    ids = model.to_tokens(clean).row(0)
    at_io, at_s = ([i for i, one in enumerate(ids) if one == name] for name in (answer, foil))
    if len(at_io) != 1 or len(at_s) != 2:
        raise InputError(
            f"In {clean!r}, the token {' ' + io!r} occurs {len(at_io)} times instead of once and {' ' + s!r} "
            f"{len(at_s)} times instead of twice; put a space before each name of the template."
        )
    positions = {"IO": at_io, "S1": at_s[:1], "S1+1": [at_s[0] + 1], "S2": at_s[1:], "END": [len(ids) - 1]}
    return encode_pair(
        model,
        clean=clean,
        corrupted=corrupted,
        answer=answer,
        foil=foil,
        positions=positions,
        template=form,
    )
