"""Text as sequences of token ids of equal length: to train a lens or a dictionary on, and to measure it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from interp.errors import InputError, InterpWarning
from interp.models.base import Model
from interp.text.sources import documents
from interp.vocabulary import encode_document, lost

DEMO = "demo"  # the text that the demo models learned from


def load_text(
    model: Model,
    source: str,
    *,
    training: int,
    held_out: int,
    length: int = 128,
    seed: int = 0,
    field: str = "text",
) -> tuple[list[list[int]], list[list[int]]]:
    """Sequences of token ids to train on, and others to measure on, each of `length` ids, the BOS included.

    `source` is "demo", text from the generator that the demo models learned from (the two parts are drawn
    from different seeds, so that a fact of one may occur in the other), or anything that
    `interp.text.sources` reads: what follows on the text to train on is held out. Documents are
    joined by the tokenizer's end-of-text token, where it has one, and cut into sequences; the first of which
    the tokenizer loses a part is told in a warning. Raises `InputError`
    for "demo" with a model that has another tokenizer, for a source that cannot be read, and where there is
    too little text.
    """
    if training < 1 or held_out < 1 or length < 2:
        raise InputError(
            "Give at least one sequence to train on and one to measure on, of two tokens or more."
        )
    if model.tokenizer is None:
        raise InputError("This model has no tokenizer, so no text can be read for it; load it with one.")
    if model.arch.n_ctx is not None and length > model.arch.n_ctx:
        raise InputError(
            f"The model reads at most {model.arch.n_ctx} tokens; give a shorter length than {length}."
        )
    if source == DEMO:
        parts = ((training, 2 * seed), (held_out, 2 * seed + 1))
        first, second = ([ids for ids, _ in demo_text(model, n, length, own)] for n, own in parts)
        return first, second
    sequences = list(islice(_cut(model, documents(source, field), length), training + held_out))
    if len(sequences) < training + held_out:
        raise InputError(
            f"{source!r} has {len(sequences)} sequences of {length} tokens, but {training + held_out} were "
            "asked for; give a longer file, or ask for fewer."
        )
    return sequences[:training], sequences[training:]


def demo_text(model: Model, count: int, length: int, seed: int) -> list[tuple[list[int], list[str]]]:
    """Sequences of the text that the demo models learned from, with the label of each token.

    Raises `InputError` for a model that has another tokenizer.
    """
    from interp import zoo

    tokenizer: Any = model.tokenizer
    file = zoo.path(zoo.NAMES[0]) / "tokenizer.json"  # both demo models have the same
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    if not vocabulary.items() <= tokenizer.get_vocab().items():
        raise InputError(
            f"The text of the demo models is not what {model.identity.name} learned; give a text file of the"
            " kind that it reads."
        )
    drawn = zoo.sequences(
        tokenizer=tokenizer.backend_tokenizer, seed=seed, length=length, bos=model.bos_id is not None
    )
    return list(islice(drawn, count))


def _cut(model: Model, texts: Iterable[str], length: int) -> Iterator[list[int]]:
    """Sequences of `length` ids, the BOS included, of documents one after the other."""
    assert model.tokenizer is not None
    bos = [] if model.bos_id is None else [model.bos_id]
    step = length - len(bos)
    end: int | None = getattr(model.tokenizer, "eos_token_id", None)
    held: list[int] = []
    whole_so_far = True
    for number, text in enumerate(texts):
        between = [end] if number and end is not None else []
        ids = encode_document(model.tokenizer, text)
        if whole_so_far and (loss := lost(model.tokenizer, text, ids)):
            whole_so_far = False
            warnings.warn(f"Document {number + 1}: {loss}", InterpWarning, stacklevel=2)
        held += between + ids
        whole = len(held) // step * step
        for start in range(0, whole, step):
            yield bos + held[start : start + step]
        held = held[whole:]
