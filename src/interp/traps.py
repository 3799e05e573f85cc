"""Usual traps, each warned of in one sentence; Python shows the same sentence once.

They are no errors, as each may be meant; but mostly they are not, and the numbers come out all the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence, Set

from interp.errors import InterpWarning


def warn(sentence: str) -> None:
    """Warn of something where the work goes on."""
    warnings.warn(sentence, InterpWarning, stacklevel=3)


def check_end_of_prompt(prompt: str) -> None:
    """A prompt that ends in a space: tokenizers put the space before the word that follows."""
    if prompt.endswith(" "):
        warn(
            "A prompt ends in a space, which belongs to the next word's token; leave it out, and write the "
            "answer with a leading space."
        )


def check_bos(ids: Sequence[int], bos: int | None) -> None:
    """Ids that begin twice, or not at all, with the token that the model begins every text with."""
    if bos is None:
        return
    if list(ids[:2]) == [bos, bos]:
        warn("Token ids begin with BOS twice; the model has never seen that: leave one out.")
    elif ids[0] != bos:
        warn(
            "Token ids do not begin with the BOS that text gets here; ids are taken as they are: put it in "
            "front, or load the model with bos=False."
        )


def check_first_tokens(answer: Set[int], foil: Set[int]) -> None:
    """The first tokens of the forms of an answer and of a foil, of which some are the same."""
    if answer & foil:
        warn(
            "The answer and the foil begin with the same token, so that they are told apart only behind it: "
            "what the model predicts where the prompt ends does not count in their difference; take words of "
            "which the first tokens differ."
        )


def check_space(answer: str, spaced: str, *, likelier: bool) -> None:
    """An answer without its leading space, where the token with it is likelier."""
    if likelier:
        warn(
            f"The answer {answer!r} has no leading space, and {spaced!r} is likelier here; that is mostly "
            "the token that is meant."
        )
