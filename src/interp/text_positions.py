"""Which tokens of a text stand for a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from interp.errors import InputError


def substring_positions(
    prompt: str, substring: str, *, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]
) -> list[int]:
    """Positions in `ids` (BOS included) of the tokens that overlap the one occurrence of `substring`."""
    count = prompt.count(substring) if substring else 0
    if count != 1:
        found = "does not occur" if count == 0 else f"occurs {count} times"
        raise InputError(f"{substring!r} {found} in the prompt {prompt!r}; give a part that occurs once.")
    start = prompt.index(substring)
    return span_positions(prompt, (start, start + len(substring)), tokenizer=tokenizer, ids=ids)


def span_positions(
    prompt: str, span: tuple[int, int], *, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]
) -> list[int]:
    """Positions in `ids` (BOS included) of the tokens that overlap characters [start, stop) of `prompt`."""
    start, stop = span
    if not 0 <= start < stop <= len(prompt):
        raise InputError(
            f"The characters {start} to {stop} are no part of the prompt, which has {len(prompt)}; "
            "give start and stop with 0 <= start < stop."
        )
    if not tokenizer.is_fast:
        raise InputError(
            "This tokenizer cannot say where its tokens are in the text; give positions as numbers."
        )
    encoding = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    offsets: Any = encoding["offset_mapping"]
    shift = len(ids) - len(offsets)  # the BOS, where there is one
    overlaps = {
        i: prompt[max(a, start) : min(b, stop)] for i, (a, b) in enumerate(offsets) if a < stop and b > start
    }
    # A token may begin with the space before the word; that space alone does not make it a part, unless it is
    # what was asked for.
    words = bool(prompt[start:stop].strip())
    found = [i + shift for i, overlap in overlaps.items() if overlap.strip() or not words]
    if not found:
        raise InputError(
            f"No token stands for {prompt[start:stop]!r} in the prompt {prompt!r}: the tokenizer leaves it "
            "out."
        )
    return found
