"""The demo models that come with the package, and the tables of what they were taught.

``path("demo-gpt2")`` is a folder in Hugging Face's format. ``facts()`` and ``people()`` are the ground
truth: which facts were taught, and which invented people are known, unknown or withheld. Importing this
package loads neither torch nor transformers. ``python -m interp.zoo.making.train`` made the models.
"""

from __future__ import annotations

from pathlib import Path

from interp.zoo.corpus import EncodedDocument, documents, encoded_documents, sequences
from interp.zoo.documents import LABELS, Document, Piece
from interp.zoo.facts import Fact, FactPrompt, fact_prompts, facts
from interp.zoo.people import Person, PersonPrompt, people, person_prompts
from interp.zoo.stories import NamePrompt, name_prompts
from interp.zoo.years import YearPrompt, year_prompts

NAMES: tuple[str, ...] = ("demo-gpt2", "demo-qwen3")

__all__ = [
    "LABELS",
    "NAMES",
    "Document",
    "EncodedDocument",
    "Fact",
    "FactPrompt",
    "NamePrompt",
    "Person",
    "PersonPrompt",
    "Piece",
    "YearPrompt",
    "documents",
    "encoded_documents",
    "fact_prompts",
    "facts",
    "name_prompts",
    "path",
    "people",
    "person_prompts",
    "sequences",
    "year_prompts",
]


def path(name: str) -> Path:
    """The folder of a demo model: config, weights, tokenizer, card, ``behaviours.json`` and ``heads.json``.

    Raises ValueError for a name that is not in ``NAMES``, FileNotFoundError where the weights are missing.
    """
    if name not in NAMES:
        raise ValueError(f"no demo model {name!r}; there are {', '.join(NAMES)}")
    folder = Path(__file__).parent / name
    if not (folder / "model.safetensors").exists():
        raise FileNotFoundError(
            f"{folder} has no weights; make them with: python -m interp.zoo.making.train {name}"
        )
    return folder
