"""Look at a dataset before using it: can the model do the task at all, and what was left out?

A method that explains how a model does what it does not do gives figures all the same. So every dataset is
first put to the model, clean and corrupted, and pairs that fail may be dropped, in the open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.metrics import METRICS
from interp.models.base import Model
from interp.provenance import Provenance
from interp.results import Result
from interp.tasks.base import PairDataset


@dataclass(frozen=True, eq=False, kw_only=True)
class Inspection(Result):
    """What a model says to each pair of a dataset, and what the dataset holds.

    Logit differences are logit(answer) - logit(foil), on the clean and on the corrupted prompt; the answer is
    the clean prompt's in both. What the corrupted side should be depends on the corruption: below 0 where it
    makes the foil right, about 0 where it makes both equally wrong.
    """

    kind: ClassVar[str] = "inspection"
    task: str
    made: Mapping[str, Any]
    clean: tuple[str, ...]  # the prompts, as text of their tokens
    corrupted: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...]
    templates: tuple[str, ...]
    lengths: tuple[int, ...]  # in tokens
    dropped: tuple[tuple[str, str], ...]  # what, and why
    clean_logit_diff: Float[np.ndarray, " pair"]
    corrupted_logit_diff: Float[np.ndarray, " pair"]
    clean_prob: Float[np.ndarray, " pair"]  # of the answer
    corrupted_prob: Float[np.ndarray, " pair"]

    @property
    def clean_accuracy(self) -> float:
        """The share of pairs whose clean prompt puts the answer above the foil."""
        return float((self.clean_logit_diff > 0).mean())

    @property
    def corrupted_accuracy(self) -> float:
        """The share of pairs whose corrupted prompt still puts the answer above the foil."""
        return float((self.corrupted_logit_diff > 0).mean())

    def failures(self, *, min_span: float = METRICS["logit_diff"].min_span) -> dict[int, str]:
        """The pairs that a method can say nothing about, by index, each with the reason: those whose clean
        prompt does not put the answer above the foil, and those whose two logit differences are less than
        `min_span` apart, so that recovery would divide by nearly nothing."""
        found = {}
        for i, (clean, corrupted) in enumerate(
            zip(self.clean_logit_diff, self.corrupted_logit_diff, strict=True)
        ):
            if clean <= 0:
                found[i] = f"the clean prompt's logit difference is {clean:.3g}, not above 0"
            elif abs(clean - corrupted) < min_span:
                found[i] = (
                    f"clean and corrupted logit differences ({clean:.3g}, {corrupted:.3g}) hardly differ"
                )
        return found


def inspect_dataset(model: Model, dataset: PairDataset, *, batch_size: int = 32) -> Inspection:
    """Put every clean and corrupted prompt of `dataset` to `model`, two forward passes a pair in batches.

    That answers are single tokens and that lengths align holds of every `Pair`; here it is checked that the
    ids are those of this model. Raises `InputError` where the dataset was made for another vocabulary or BOS
    policy, or a prompt is too long for the model.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    _check_made_for(model, dataset)
    answers, foils = torch.tensor(dataset.answers), torch.tensor(dataset.foils)
    values = []
    for prompts in (dataset.clean, dataset.corrupted):
        diffs, probs = [], []
        for start in range(0, len(dataset), batch_size):
            part = slice(start, start + batch_size)
            logits = _last_logits(model, prompts[part])
            rows = torch.arange(len(logits))
            diffs.append(logits[rows, answers[part]] - logits[rows, foils[part]])
            probs.append(logits.softmax(-1)[rows, answers[part]])
        values += [torch.cat(diffs).numpy(), torch.cat(probs).numpy()]
    return Inspection(
        provenance=Provenance.of(model, seed=int(dataset.made.get("seed", 0))),
        task=dataset.name,
        made=dict(dataset.made),
        clean=tuple("".join(model.labels(ids)) for ids in dataset.clean),
        corrupted=tuple("".join(model.labels(ids)) for ids in dataset.corrupted),
        answers=tuple(model.labels(dataset.answers)),
        foils=tuple(model.labels(dataset.foils)),
        templates=tuple(pair.template for pair in dataset),
        lengths=tuple(len(pair) for pair in dataset),
        dropped=tuple((one.what, one.why) for one in dataset.dropped),
        clean_logit_diff=values[0],
        clean_prob=values[1],
        corrupted_logit_diff=values[2],
        corrupted_prob=values[3],
    )


def drop_failures(
    dataset: PairDataset, inspection: Inspection, *, min_span: float = METRICS["logit_diff"].min_span
) -> PairDataset:
    """The dataset less the pairs of `Inspection.failures`, which join `PairDataset.dropped`.

    What is left is easier for the model than the task is: report the inspection of the whole beside it.
    Raises `InputError` where nothing is left, or where the inspection is of another dataset.
    """
    if len(inspection.clean) != len(dataset) or inspection.task != dataset.name:
        raise InputError(
            f"The inspection is of {len(inspection.clean)} pairs of {inspection.task!r}, the dataset has "
            f"{len(dataset)} of {dataset.name!r}; inspect this dataset."
        )
    return dataset.without(inspection.failures(min_span=min_span))


def _check_made_for(model: Model, dataset: PairDataset) -> None:
    made_with = dataset.made.get("bos", model.identity.bos)
    other_text = any(pair.text and pair.text != "".join(model.labels(pair.clean)) for pair in dataset)
    if made_with != model.identity.bos or other_text:
        raise InputError(
            f"This dataset was made for {dataset.made.get('model', 'another model')}, whose tokens or BOS "
            f"differ from those of {model.identity.name}; make it anew with this model."
        )


def _last_logits(model: Model, prompts: list[tuple[int, ...]]) -> Float[Tensor, "pair d_vocab"]:
    """The logits after each prompt, in float64 on the CPU."""
    tokens = model.to_tokens(prompts)
    last = torch.tensor(tokens.lengths) - 1
    logits = model.forward(tokens).cpu()  # [pair, pos, d_vocab]
    return logits[torch.arange(len(tokens)), last].double()
