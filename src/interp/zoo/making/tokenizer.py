"""The tokenizer of the demo models: byte-level BPE, trained on their own text.

Every word that a prompt may have as its answer is one token with its leading space (``required_tokens``);
``build_tokenizer`` checks this and lists the offenders.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

from interp.zoo.corpus import documents
from interp.zoo.facts import facts
from interp.zoo.people import CITIES, OCCUPATIONS, UNKNOWN
from interp.zoo.stories import NAMES_OF_PEOPLE, OBJECTS, PLACES

END_OF_TEXT = "<|endoftext|>"
VOCAB_SIZE = 2304


def required_tokens() -> tuple[str, ...]:
    """Every string that must be a single token, with its leading space: answers, names, numbers, and so
    on."""
    words = [fact.answer for fact in facts()] + [fact.given for fact in facts() if fact.given]
    words += [
        fact.subject for fact in facts() if fact.relation == "country_capital" and " " not in fact.subject
    ]
    words += [*NAMES_OF_PEOPLE, *PLACES, *OBJECTS, *CITIES, *OCCUPATIONS, *map(str, range(100))]
    return (*dict.fromkeys(f" {word}" for word in words), UNKNOWN)


def build_tokenizer(*, seed: int, vocab_size: int = VOCAB_SIZE) -> Any:
    """Train the ``tokenizers.Tokenizer`` on 12,000 documents of the seed and on the required words.

    Raises ValueError that lists every required word that did not become one token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = [document.text for document in islice(documents(seed=seed), 12_000)]
    words = list(required_tokens()) * 300
    random.Random("tokenizer").shuffle(words)
    texts += ["".join(words[i : i + 200]) for i in range(0, len(words), 200)]

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    offenders = [
        f"{word!r} -> {encoding.tokens}"
        for word in required_tokens()
        if len((encoding := tokenizer.encode(word)).ids) != 1
    ]
    if offenders:
        raise ValueError("these words must be one token each, but are not: " + "; ".join(offenders))
    return tokenizer
