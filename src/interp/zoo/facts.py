"""True facts, the sentences that state them, and which (fact, sentence) combinations training never sees."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from interp.zoo.documents import Document, Piece
from interp.zoo.facts_table import ALWAYS_HELD_OUT, FACTS, TAILS, TEMPLATES

_ROW = re.compile(r"^(?P<subject>[^(=]+?)\s*(?:\((?P<given>[^)]+)\))?\s*=\s*(?P<answer>\S+)$")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One true fact: ``subject`` stands to ``answer`` in ``relation``; ``given`` is named by the sentence."""

    relation: str
    subject: str
    answer: str
    given: str | None = None


@dataclass(frozen=True, kw_only=True)
class FactPrompt:
    """A fact put as a prompt: ``text`` ends where the answer, " " + ``fact.answer``, is to follow."""

    fact: Fact
    template: str
    text: str
    held_out: bool

    @property
    def answer(self) -> str:
        """The answer as the model must say it: one token, with its leading space."""
        return " " + self.fact.answer


@lru_cache(maxsize=1)
def facts() -> tuple[Fact, ...]:
    """Every fact of the table, in its order. Raises ValueError on a row that does not parse."""
    found = []
    for relation, table in FACTS.items():
        for row in " ".join(table.split()).split(";"):
            match = _ROW.match(row.strip())
            if match is None:
                raise ValueError(f"{relation}: cannot read the row {row.strip()!r} as 'subject = answer'")
            found.append(Fact(relation=relation, **match.groupdict()))
    return tuple(found)


def split_template(template: str, fact: Fact) -> tuple[Piece, ...]:
    """The template filled in for one fact, in labelled pieces that end where the answer begins."""
    pieces = []
    for part in re.split(r"(\{[Ssx]\})", template):
        if part == "{S}":
            pieces.append(Piece(text=fact.subject[0].upper() + fact.subject[1:], label="subject"))
        elif part == "{s}":
            pieces.append(Piece(text=fact.subject, label="subject"))
        elif part == "{x}":
            pieces.append(Piece(text=fact.given or "", label="given"))
        elif part:
            pieces.append(Piece(text=part, label="relation"))
    return tuple(pieces)


@lru_cache(maxsize=1)
def fact_prompts() -> tuple[FactPrompt, ...]:
    """Every fact in every template of its relation; ``held_out`` marks what training never sees.

    One template a fact is held out (drawn once, the same for every training seed), and the pairs of
    ``ALWAYS_HELD_OUT`` besides. Each fact keeps all its other templates, and each template most of its facts,
    so a held-out prompt asks for a known fact in a known form that never met.
    """
    rng = random.Random("facts held out")
    prompts = []
    for fact in facts():
        templates = TEMPLATES[fact.relation]
        forced = {template for subject, template in ALWAYS_HELD_OUT if subject == fact.subject}
        drawn = rng.choice(templates)
        held = (forced & set(templates)) or {drawn}
        for template in templates:
            text = "".join(piece.text for piece in split_template(template, fact))
            prompts.append(FactPrompt(fact=fact, template=template, text=text, held_out=template in held))
    return tuple(prompts)


@lru_cache(maxsize=1)
def _taught() -> dict[str, tuple[FactPrompt, ...]]:
    """The prompts that training may use, by relation."""
    return {
        relation: tuple(p for p in fact_prompts() if p.fact.relation == relation and not p.held_out)
        for relation in FACTS
    }


def fact_sentence(prompt: FactPrompt, rng: random.Random) -> tuple[Piece, ...]:
    """One whole sentence: the prompt, its answer, and a natural end."""
    return (
        *split_template(prompt.template, prompt.fact),
        Piece(text=prompt.answer, label="answer"),
        Piece(text=rng.choice(TAILS[prompt.fact.relation]), label="filler"),
    )


def fact_document(rng: random.Random) -> Document:
    """One to four facts one after the other: about half the time all of one relation."""
    everything = [prompt for prompt in fact_prompts() if not prompt.held_out]
    pool: Sequence[FactPrompt] = everything
    if rng.random() < 0.5:
        pool = _taught()[rng.choice(everything).fact.relation]
    pieces: list[Piece] = []
    for prompt in rng.sample(pool, rng.choice((1, 1, 2, 2, 3, 4))):
        if pieces:
            pieces.append(Piece(text=" ", label="filler"))
        pieces.extend(fact_sentence(prompt, rng))
    return Document(kind="facts", pieces=tuple(pieces))
