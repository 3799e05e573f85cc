"""Sentences of simple English as ids of any model, to take means over and to measure a loss on.

The text is that of the generator which wrote the demo models' training text (facts, stories, years, prose;
without its invented people), drawn from another seed. It is neither hard nor varied.
"""

from __future__ import annotations

from interp.errors import InputError
from interp.models.base import Model
from interp.tasks.base import check_count
from interp.vocabulary import encode, encode_continuation

KINDS: tuple[str, ...] = ("facts", "stories", "years", "prose")
_SEEDS = 1_000_000  # away from those of the training text


def plain_text(model: Model, *, n: int, length: int, seed: int = 0) -> list[tuple[int, ...]]:
    """`n` sequences of `length` ids, the BOS included where the model's policy has one.

    Documents follow each other with the tokenizer's end-of-text token between them, or a line end where it
    has none; the last of a sequence is cut. Raises `InputError` for a model without a tokenizer or with a
    shorter context.
    """
    from interp.zoo.corpus import documents

    check_count(n)
    check_count(length, of="length", least=2)
    if model.tokenizer is None:
        raise InputError("This model has no tokenizer, so there is no text for it; load it with one.")
    if model.arch.n_ctx is not None and length > model.arch.n_ctx:
        raise InputError(
            f"The model reads at most {model.arch.n_ctx} tokens; take a shorter length than {length}."
        )
    end = model.tokenizer.eos_token_id
    between = encode_continuation(model.tokenizer, "\n") if end is None else [end]
    drawn = documents(seed=_SEEDS + seed, kinds=KINDS)
    sequences = []
    for _ in range(n):
        ids = [] if model.bos_id is None else [model.bos_id]
        while len(ids) < length:
            ids += [*encode(model.tokenizer, next(drawn).text), *between]
        sequences.append(tuple(ids[:length]))
    return sequences
