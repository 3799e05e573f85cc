"""The training text: documents drawn from a seed, their token ids with a label each, and training sequences.

The mix is a table (``MIX``). Everything is drawn from one ``random.Random(seed)``, so the same seed gives
the same text. ``documents`` needs no tokenizer; the kind "repeated" exists only as token ids, because it
consists of ids drawn evenly from the vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from interp.zoo.documents import Document
from interp.zoo.facts import fact_document
from interp.zoo.people import person_document
from interp.zoo.prose import prose_document
from interp.zoo.stories import story_document
from interp.zoo.years import number_document

GENERATORS = {
    "facts": fact_document,
    "stories": story_document,
    "people": person_document,
    "years": number_document,
    "prose": prose_document,
}
# How many documents of each kind in a hundred (their shares of tokens differ: "repeated" ones are long).
MIX: dict[str, float] = {"facts": 34, "stories": 18, "people": 24, "years": 5, "prose": 7, "repeated": 18}
# The tokenizer learns from MIX; the model sees more stories, as indirect objects are what it learns last.
TRAINING_MIX = MIX | {"facts": 40, "stories": 32, "people": 22, "years": 6, "prose": 4, "repeated": 14}
REPEATED_LENGTHS = (3, 60)  # tokens in one copy, both ends included; short ones are more frequent


@dataclass(frozen=True, kw_only=True)
class EncodedDocument:
    """A document as token ids, with the label of each token (one of ``documents.LABELS``)."""

    kind: str
    ids: tuple[int, ...]
    labels: tuple[str, ...]


def documents(*, seed: int, kinds: tuple[str, ...] = tuple(GENERATORS)) -> Iterator[Document]:
    """Documents without end, of the given kinds in the proportions of ``MIX``, drawn from ``seed``."""
    rng = random.Random(f"documents {seed}")
    weights = [MIX[kind] for kind in kinds]
    while True:
        yield GENERATORS[rng.choices(kinds, weights)[0]](rng)


def encode(document: Document, tokenizer: Any) -> EncodedDocument:
    """Token ids of a document; a token has the label of the piece that its last character lies in.

    ``tokenizer`` is a ``tokenizers.Tokenizer``; no special token is added.
    """
    encoding = tokenizer.encode(document.text, add_special_tokens=False)
    labels: list[str] = []
    pieces = iter(document.pieces)
    piece = next(pieces)
    end = len(piece.text)
    for _, stop in encoding.offsets:
        while stop > end:
            piece = next(pieces)
            end += len(piece.text)
        labels.append(piece.label)
    return EncodedDocument(kind=document.kind, ids=tuple(encoding.ids), labels=tuple(labels))


def repeated_document(rng: random.Random, *, ordinary: tuple[int, int]) -> EncodedDocument:
    """Random ids and the same ids again, up to three times; ``ordinary`` is the range [low, high) of ids.

    The logarithm of the length is drawn evenly: a short repetition is what a model learns to continue first.
    """
    low, high = REPEATED_LENGTHS
    n = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    copies = rng.choice((2, 3, 4)) if n <= 24 else 2
    once = tuple(rng.randrange(*ordinary) for _ in range(n))
    labels = ("random",) * n + ("repeated",) * (n * (copies - 1))
    return EncodedDocument(kind="repeated", ids=once * copies, labels=labels)


def ordinary_ids(tokenizer: Any) -> tuple[int, int]:
    """The range [low, high) of ids that are not special tokens: id 0 is the only special one."""
    return 1, tokenizer.get_vocab_size()


def encoded_documents(*, tokenizer: Any, seed: int) -> Iterator[EncodedDocument]:
    """Documents of every kind in the proportions of ``TRAINING_MIX``, as ids with labels, without end.

    One repeated document in eight follows a document of text, and is followed by nothing, so that repetition
    also begins in the middle of a sequence.
    """
    rng = random.Random(f"documents {seed}")
    kinds, weights = list(TRAINING_MIX), list(TRAINING_MIX.values())
    ordinary = ordinary_ids(tokenizer)
    while True:
        kind = rng.choices(kinds, weights)[0]
        if kind != "repeated":
            yield encode(GENERATORS[kind](rng), tokenizer)
            continue
        repeated = repeated_document(rng, ordinary=ordinary)
        if rng.random() < 0.125:
            text = encode(prose_document(rng), tokenizer)
            repeated = EncodedDocument(
                kind="repeated", ids=text.ids + repeated.ids, labels=text.labels + repeated.labels
            )
        yield repeated


def sequences(*, tokenizer: Any, seed: int, length: int, bos: bool) -> Iterator[tuple[list[int], list[str]]]:
    """Training sequences of ``length`` ids with their labels, without end.

    Documents are separated by ``<|endoftext|>`` (id 0). With ``bos`` each sequence starts with it, as GPT-2's
    do here; without, it starts with the first token of a document. A document that does not fit is cut off at
    the end of its sequence; every sequence starts with a new document.
    """
    stream = encoded_documents(tokenizer=tokenizer, seed=seed)
    while True:
        ids: list[int] = [0] if bos else []
        labels: list[str] = ["separator"] if bos else []
        while len(ids) < length:
            document = next(stream)
            ids.extend((*document.ids, 0))
            labels.extend((*document.labels, "separator"))
        yield ids[:length], labels[:length]


def first_sequences(
    *, tokenizer: Any, seed: str, pool: int, count: int, length: int, bos: bool
) -> list[tuple[list[int], list[str]]]:
    """Sequences for the first stage of training: short random patterns, each said many times over.

    Copying from context is slow to begin and quick to finish. Learned first and by itself, from patterns of
    4 to 24 ids that fill up to 60 tokens, it is there when the text begins, and carries over to longer
    repetitions. The ids come from a pool of the first ``pool`` ids in an order that is drawn once: with few
    of them, each is met often enough for copying to begin at all. ``seed`` names this draw.
    """
    every = list(range(*ordinary_ids(tokenizer)))
    random.Random("pool").shuffle(every)
    rng = random.Random(f"first sequences {seed}")
    drawn = []
    for _ in range(count):
        ids: list[int] = [0] if bos else []
        labels: list[str] = ["separator"] if bos else []
        while len(ids) < length:
            n = round(math.exp(rng.uniform(math.log(4), math.log(24))))
            copies = max(2, min(4, 60 // n))
            ids.extend([rng.choice(every[:pool]) for _ in range(n)] * copies + [0])
            labels.extend(["random"] * n + ["repeated"] * (n * (copies - 1)) + ["separator"])
        drawn.append((ids[:length], labels[:length]))
    return drawn
