"""Labels of tokens that any text has: what a token looks like, and where it stands.

For text of which nothing else is known. The demo corpus has better ones (`interp.saes.reading.reading_text`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from interp.models.base import Model
from interp.saes.reading import ReadingText

NAMES = ("capitalised", "number", "punctuation", "within a word", "seen before", "before punctuation")


def with_surface_labels(model: Model, text: ReadingText) -> ReadingText:
    """The same text with the labels `NAMES`."""
    rows = [surface_labels(model.labels(row)) for row in text.sequences]
    return replace(text, label_names=NAMES, labels=np.concatenate(rows, axis=1))


def surface_labels(tokens: Sequence[str]) -> Bool[np.ndarray, "label token"]:
    """Where each of `NAMES` holds, of the tokens of one sequence as text."""
    words = [token.strip() for token in tokens]
    punctuation = [bool(word) and not any(c.isalnum() for c in word) for word in words]
    found = [
        [word[:1].isupper() for word in words],
        [any(c.isdigit() for c in word) for word in words],
        punctuation,
        [bool(word) and token[:1].isalpha() for token, word in zip(tokens, words, strict=True)],
        [token in tokens[:i] for i, token in enumerate(tokens)],
        [*punctuation[1:], False],
    ]
    return np.array(found, dtype=bool)
