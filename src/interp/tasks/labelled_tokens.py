"""Tokens of the demo models' own text by a yes-or-no question, such as "it is of the name of a person".

The questions and their answers are `interp.zoo.token_labels`. A prompt is a training sequence up to the
token, which is all that a causal model reads of it.
"""

from __future__ import annotations

import random

import numpy as np

from interp.errors import check_choice
from interp.models.base import Model
from interp.tasks.base import check_count, made_for
from interp.tasks.labelled import LabelledDataset, LabelledPrompt, balanced
from interp.text.sequences import demo_text
from interp.zoo.token_labels import QUESTIONS, token_labels

GROUPS: tuple[str, ...] = ("token", "sequence")


def labelled_tokens(
    model: Model,
    *,
    n: int | None = 400,
    question: str = "person",
    groups: str = "token",
    sequences: int = 64,
    length: int = 64,
    seed: int = 0,
) -> LabelledDataset:
    """Tokens of the demo text that are, or are not, what `question` asks (`interp.zoo.token_labels`). Role:
    END, the token. BOS and separators are left out.

    Args:
        n: a balanced sample of this many tokens; all without.
        groups: tokens of one id are kept together (``token``, so that no id is in training and test), or
            those of one sequence (``sequence``).
        sequences, length: how much text is drawn.

    Raises `InputError` for a question that is not asked, a model with another tokenizer, and where the text
    has too few tokens of a kind.
    """
    check_choice("question", question, QUESTIONS)
    check_choice("grouping", groups, GROUPS)
    check_count(sequences, of="sequences")
    row = list(QUESTIONS).index(question)
    prompts = []
    for number, (ids, labels) in enumerate(demo_text(model, sequences, length, 2 * seed)):
        answers = token_labels(model.labels(ids), labels)[row]
        for at in np.flatnonzero(np.array(labels) != "separator").tolist():
            if at:
                group = model.labels([ids[at]])[0] if groups == "token" else f"sequence {number}"
                prompts.append((ids, at, bool(answers[at]), group))
    random.Random(f"tokens {seed}").shuffle(prompts)
    found = [
        LabelledPrompt(
            ids=tuple(ids[: at + 1]), label=label, group=group, positions={"END": at}, text=f"token {at}"
        )
        for ids, at, label, group in prompts
    ]
    options = {"question": question, "groups": groups, "sequences": sequences, "length": length}
    return LabelledDataset(
        name=f"tokens of the demo text, {question!r}",
        labels=("no", "yes"),
        grouped_by="tokens" if groups == "token" else "sequences",
        prompts=balanced(found, n, seed),
        made=made_for(model, n=n, **options, seed=seed),
    )
