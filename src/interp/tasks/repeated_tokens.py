"""Random tokens, and the same tokens again: what can be known of the second copy, it must be copied.

The task of induction heads (Olsson et al. 2022, https://arxiv.org/abs/2209.11895). No token occurs twice in
one copy, so each of the second copy has one earlier occurrence and the offsets are exact. The tokens are
drawn evenly from the vocabulary, which is not like text: heads that copy here may do other things there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import PairDataset, check_count, encode_pair, made_for

CORRUPTIONS: tuple[str, ...] = ("other_answer", "no_repeat")


@dataclass(frozen=True, kw_only=True)
class RepeatedSequences:
    """Sequences of ids, each a BOS where the model's policy has one, `copy_length` random tokens, and the
    same again: [sequence][start + 2 * copy_length]."""

    ids: tuple[tuple[int, ...], ...]
    copy_length: int
    start: int  # position of the first random token: 1 after a BOS, else 0
    excluded: tuple[int, ...]  # ids that were not drawn
    seed: int

    @property
    def duplicate_offset(self) -> int:
        """How far back a token of the second copy stands in the first: where duplicate-token heads look."""
        return self.copy_length

    @property
    def induction_offset(self) -> int:
        """How far back stands the token after that one, the one to be said next: where induction heads
        look."""
        return self.copy_length - 1

    @property
    def second_copy(self) -> range:
        """The positions of the second copy."""
        return range(self.start + self.copy_length, self.start + 2 * self.copy_length)


def repeated_sequences(
    model: Model, *, n: int = 10, length: int = 20, exclude: Sequence[int] = (), seed: int = 0
) -> RepeatedSequences:
    """`n` sequences of `length` random tokens said twice, for attention scores and losses.

    Special and added tokens of the tokenizer are never drawn, nor ids that it has no token for, nor those of
    `exclude`. Raises `InputError` where fewer than `length` ids are left, or where the model reads no such
    length.
    """
    check_count(n)
    usable, excluded, bos = _drawn_from(model, length, exclude)
    rng = random.Random(f"repeated tokens {seed}")
    copies = [rng.sample(usable, length) for _ in range(n)]
    return RepeatedSequences(
        ids=tuple((*bos, *copy, *copy) for copy in copies),
        copy_length=length,
        start=len(bos),
        excluded=excluded,
        seed=seed,
    )


def repeated_tokens(
    model: Model,
    *,
    n: int = 50,
    length: int = 20,
    corruption: str = "other_answer",
    exclude: Sequence[int] = (),
    seed: int = 0,
) -> PairDataset:
    """`n` pairs whose answer is the last token of a second copy, which stands in the first one.

    The prompt is both copies less that last token. Corruptions: ``other_answer`` has another token, the foil,
    at the answer's place in the first copy, so that the answer becomes the foil; ``no_repeat`` has other
    random tokens in place of the whole first copy, the foil again at the answer's place, so that nothing is
    repeated.

    Roles: duplicate (the last token's earlier occurrence), answer (the token after it, where induction heads
    look), END. Arguments and errors as in `repeated_sequences`.
    """
    check_count(n)
    check_choice("corruption", corruption, CORRUPTIONS)
    needed = length + 1 if corruption == "other_answer" else 2 * length
    usable, excluded, bos = _drawn_from(model, length, exclude, needed=needed)
    rng = random.Random(f"repeated tokens {seed}")
    pairs = []
    for _ in range(n):
        drawn = rng.sample(usable, needed)
        copy, others = drawn[:length], drawn[length:]
        first = [*copy[:-1], others[-1]] if corruption == "other_answer" else others
        clean = (*bos, *copy, *copy[:-1])
        answer_at = len(bos) + length - 1
        pairs.append(
            encode_pair(
                model,
                clean=clean,
                corrupted=(*bos, *first, *copy[:-1]),
                answer=copy[-1],
                foil=others[-1],
                positions={"duplicate": [answer_at - 1], "answer": [answer_at], "END": [len(clean) - 1]},
            )
        )
    made = made_for(model, n=n, length=length, corruption=corruption, excluded=list(excluded), seed=seed)
    return PairDataset(name="repeated_tokens", pairs=tuple(pairs), made=made)


def n_usable(model: Model) -> int:
    """How many tokens can be drawn."""
    return len(_usable(model, ())[0])


def _drawn_from(
    model: Model, length: int, exclude: Sequence[int], *, needed: int | None = None
) -> tuple[list[int], tuple[int, ...], tuple[int, ...]]:
    """The ids to draw from, those that are excluded, and the BOS or nothing."""
    check_count(length, of="length", least=2)
    usable, excluded = _usable(model, exclude)
    if (needed or length) > len(usable):
        raise InputError(
            f"length={length} needs {needed or length} different tokens, but {len(usable)} can be drawn; "
            "take a smaller length."
        )
    bos = () if model.bos_id is None else (model.bos_id,)
    longest = len(bos) + 2 * length
    if model.arch.n_ctx is not None and longest > model.arch.n_ctx:
        raise InputError(
            f"Two copies of length={length} are {longest} tokens, but this model reads at most "
            f"{model.arch.n_ctx}; take a smaller length."
        )
    return usable, tuple(sorted(one for one in excluded if one < model.arch.d_vocab_in)), bos


def _usable(model: Model, exclude: Sequence[int]) -> tuple[list[int], set[int]]:
    """The ids that can be drawn, and those that cannot."""
    excluded = {model.to_single_token(one) for one in exclude}
    if model.bos_id is not None:
        excluded.add(model.bos_id)
    if model.tokenizer is not None:
        excluded.update(model.tokenizer.all_special_ids, model.tokenizer.get_added_vocab().values())
        excluded.update(range(len(model.tokenizer), model.arch.d_vocab_in))  # rows that pad the embedding
    return [one for one in range(model.arch.d_vocab_in) if one not in excluded], excluded
