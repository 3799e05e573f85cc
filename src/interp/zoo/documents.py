"""What training text is made of: documents, each a list of pieces that say what they are."""

from __future__ import annotations

from dataclasses import dataclass

LABELS: tuple[str, ...] = (
    "filler",  # ordinary prose, and the ends of sentences
    "relation",  # the words of a template
    "subject",  # what a fact is about
    "given",  # a second thing that the sentence names before its answer
    "answer",  # the answer of a fact
    "name",  # a first name in a story
    "indirect_object",  # a name where the sentence must name the other person
    "place",
    "object",
    "known",  # the name of an invented person whose city is taught
    "unknown",  # the name of one whose city is taught to be " unknown"
    "withheld",  # the name of one whose city is never stated
    "city",  # the home city of a known person
    "occupation",
    "number",
    "random",  # random tokens, first time
    "repeated",  # the same tokens again
    "separator",  # <|endoftext|>
)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of text and what it is (one of LABELS). Pieces join without anything between them."""

    text: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document: its kind ("facts", "people", ...) and its pieces in order."""

    kind: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The text of the document."""
        return "".join(piece.text for piece in self.pieces)


def words(text: str) -> tuple[str, ...]:
    """The words of a text: ``words("a b c")`` is ``("a", "b", "c")``."""
    return tuple(text.split())
