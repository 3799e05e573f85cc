"""How often names stand in the text that the demo models were trained on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from interp.zoo.corpus import documents

N_DOCUMENTS = 10_000
_SEED = 0


def frequencies(names: Sequence[str]) -> list[float]:
    """How often each name stands in a thousand documents of text of the kind that training drew, as a whole
    word, its first letter large or small: counted in 10,000 of them, the same ones each time."""
    found = _counts(tuple(sorted({_folded(name) for name in names})))
    return [1000 * found[_folded(name)] / N_DOCUMENTS for name in names]


@lru_cache(maxsize=4)
def _counts(names: tuple[str, ...]) -> Counter[str]:
    longest_first = sorted(names, key=len, reverse=True)
    either = (f"[{name[0].upper()}{name[0]}]{re.escape(name[1:])}" for name in longest_first)
    pattern = re.compile(rf"\b(?:{'|'.join(either)})\b")
    counts: Counter[str] = Counter()
    for document in islice(documents(seed=_SEED), N_DOCUMENTS):
        counts.update(_folded(match) for match in pattern.findall(document.text))
    return counts


def _folded(name: str) -> str:
    return name[0].lower() + name[1:]
