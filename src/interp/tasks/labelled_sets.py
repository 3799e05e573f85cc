"""Two lists of texts, such as a contrast is made of: those of one kind, and those of the other."""

from __future__ import annotations

from collections.abc import Sequence

from interp.errors import InputError
from interp.models.base import Model
from interp.tasks.base import made_for
from interp.tasks.labelled import LabelledDataset, balanced, labelled_prompt
from interp.tokens import Prompt


def labelled_sets(
    model: Model,
    *,
    yes: Sequence[Prompt],
    no: Sequence[Prompt],
    labels: Sequence[str] = ("no", "yes"),
    paired: bool = False,
    n: int | None = None,
    seed: int = 0,
) -> LabelledDataset:
    """Texts (or lists of ids) of two kinds. Role: END. Each is a group by itself, or with `paired` the first
    of both, the second of both, and so on.

    Raises `InputError` where `paired` lists are not of one length, and for fewer than two texts of a kind.
    """
    if paired and len(yes) != len(no):
        raise InputError(f"Pairs need as many of both; there are {len(yes)} and {len(no)}.")
    prompts = []
    for label, texts in ((True, yes), (False, no)):
        for i, text in enumerate(texts):
            group = f"pair {i}" if paired else f"{'yes' if label else 'no'} {i}"
            prompts.append(labelled_prompt(model, text, label=label, group=group))
    first, second = labels
    return LabelledDataset(
        name="two sets of texts",
        labels=(first, second),
        grouped_by="pairs" if paired else "prompts",
        prompts=balanced(prompts, n, seed),
        made=made_for(model, n=n, paired=paired, seed=seed),
    )
