"""Token ids as people give them: lists, tensors, NumPy arrays, or written out as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.errors import InputError


def written_ids(text: str) -> list[int]:
    """The ids that a text spells out, as in "5 9 33", "[5, 9, 33]" or "<5> <9> <33>"; none where it does not.
    (Only a model without a tokenizer reads text so: elsewhere, "5" is the token of that name.)"""
    inner = text.strip().removeprefix("[").removesuffix("]")
    words = re.split(r"[\s,]+", inner.strip())
    found = [re.fullmatch(r"<(\d{1,9})>|(\d{1,9})", word) for word in words]
    return [int(one[1] or one[2]) for one in found if one] if all(found) else []


def checked_ids(prompt: Any, d_vocab: int) -> list[int]:
    """One prompt given as ids, as a list. `InputError` where it is none, or an id is not below `d_vocab`."""
    try:
        tensor = torch.as_tensor(prompt)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"A prompt is text or a list of token ids, not {type(prompt).__name__}.") from None
    if tensor.ndim == 2 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 1 or tensor.is_floating_point() or tensor.dtype == torch.bool or not len(tensor):
        raise InputError("Token ids must be one non-empty list of integers for each prompt.")
    if tensor.min() < 0 or tensor.max() >= d_vocab:
        raise InputError(
            f"Token ids must lie between 0 and {d_vocab - 1}; got {tensor.min()} to {tensor.max()}."
        )
    return tensor.tolist()


def is_one_prompt(prompts: Any) -> bool:
    """Whether this is one prompt as ids, and not several prompts."""
    if isinstance(prompts, Tensor | np.ndarray):
        return prompts.ndim == 1
    return isinstance(prompts, Sequence) and len(prompts) > 0 and isinstance(prompts[0], int | np.integer)


def of_numpy(prompt: Any) -> Any:
    """A list whose ids are NumPy's integers, with Python's; any other prompt as it is."""
    if isinstance(prompt, Sequence) and any(isinstance(one, np.integer) for one in prompt):
        return [*map(int, prompt)]
    return prompt


def is_ragged(rows: Any) -> bool:
    """Whether these are lists of several lengths."""
    return isinstance(rows, Sequence) and len({len(row) for row in rows if isinstance(row, Sequence)}) > 1
