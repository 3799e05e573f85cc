"""Greater-than (Hanna et al. 2023, https://arxiv.org/abs/2305.00586): what begins in 57 ends in a later year.

Many years are right, so a pair's answer and foil only sample the task: the answer is one year above the clean
start, the foil one at or below it. The corrupted prompt begins in 10, earlier than both (the paper's begins
in 01), so that it allows either: its logit difference is small, but seldom 0, since a model's threshold is
soft. The paper's own metric, which looks at all years, is `prob_diff`; report that one as what the model can
do.
"""

from __future__ import annotations

import random

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.tasks.base import PairDataset, check_count, encode_pair, in_turn, made_for, single_tokens
from interp.tasks.facts import PROMPTS
from interp.zoo.years import FIRST, LAST, NOUNS, TEMPLATES, year_prompts

YEARS = range(FIRST, 100)  # two digits


def greater_than(model: Model, *, n: int = 50, prompts: str = "held_out", seed: int = 0) -> PairDataset:
    """`n` pairs with different clean prompts, from the templates in turn.

    `prompts` is whether the clean prompt is one that the demo models' training never saw (``held_out``), one
    of those that it did (``taught``), or ``any``. Roles: start (the year), END. A pair's `template` has {N}
    for the noun and {a} for the year.

    Raises `InputError` where two-digit years are not single tokens of the model (some tokenizers split
    digits), for an unknown choice, and where there are fewer than `n` prompts.
    """
    check_count(n)
    check_choice("choice of prompts", prompts, PROMPTS)
    _year_ids(model)
    held_out = {prompt.text: prompt.held_out for prompt in year_prompts()}
    rng = random.Random(f"greater than {seed}")
    queues = []
    for template in TEMPLATES:
        queue = [(template, noun, start) for noun in NOUNS for start in range(FIRST + 1, LAST + 1)]
        queue = [q for q in queue if prompts == "any" or held_out[_text(*q)] == (prompts == "held_out")]
        rng.shuffle(queue)
        queues.append(queue)
    most = len(TEMPLATES) * min(map(len, queues))
    if n > most:
        raise InputError(f"There are {most} prompts with years to take evenly from the templates, not n={n}.")
    pairs = []
    for template, noun, start in in_turn(queues, n):
        foil = rng.randint(FIRST + 1, start)
        clean = _text(template, noun, start)
        at = clean.index(f"{start}")
        where = model.positions_of(clean, span=(at, at + 2))
        pairs.append(
            encode_pair(
                model,
                clean=clean,
                corrupted=_text(template, noun, FIRST),
                answer=f" {rng.randint(start + 1, 99)}",
                foil=f" {foil}",
                positions={"start": where, "END": [model.to_tokens(clean).lengths[0] - 1]},
                template=template,
            )
        )
    made = made_for(model, n=n, prompts=prompts, seed=seed)
    return PairDataset(name="greater_than", pairs=tuple(pairs), made=made)


def prob_diff(
    model: Model, dataset: PairDataset, logits: Float[Tensor, "pair d_vocab"]
) -> Float[Tensor, " pair"]:
    """The paper's metric of each pair, in float64: the probability of all years later than the clean start,
    less that of all others from 10 to 99. From -1 to 1; what goes to other tokens counts for neither."""
    ids = torch.tensor(_year_ids(model))  # [year]
    starts = torch.tensor(
        [pair.clean[at] for pair, at in zip(dataset, dataset.position("start"), strict=True)]
    )
    probs = logits.detach().cpu().double().softmax(-1)[:, ids]  # [pair, year]
    place = (ids[None] == starts[:, None]).int().argmax(-1)  # of each start among the years
    later = torch.arange(len(ids))[None] > place[:, None]
    return (probs * torch.where(later, 1.0, -1.0)).sum(-1)


def _year_ids(model: Model) -> list[int]:
    ids = single_tokens(model, map(str, YEARS))
    if len(ids) < len(YEARS):
        raise InputError(
            f"{len(ids)} of the {len(YEARS)} years from {YEARS[0]} to {YEARS[-1]} are one token of "
            f"{model.identity.name} with a leading space; this task needs all of them."
        )
    return list(ids.values())


def _text(template: str, noun: str, start: int) -> str:
    return template.replace("{N}", noun).replace("{a}", str(start))
