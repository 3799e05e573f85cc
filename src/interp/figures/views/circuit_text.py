"""What pages about circuits say alike: what ablated outputs are replaced by, and the members of a circuit."""

from __future__ import annotations

from collections.abc import Sequence

#: By kind of ablation, what outputs outside a circuit are replaced by.
REPLACEMENTS = {
    "resample": "what is there in the corrupted run",
    "mean": "their mean over corrupted prompts and positions",
    "mean_by_position": "their mean over the corrupted prompts, by position",
    "mean_by_template": "their mean over the corrupted prompts of the template, by position",
    "zero": "zeros",
}


def members_text(names: Sequence[str], most: int = 30) -> str:
    """The members of a circuit in a sentence, at most so many of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"
