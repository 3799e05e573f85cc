"""Look at a dataset before using it: can the model do the task at all, and what was left out?

A method that explains how a model does what it does not do gives figures all the same. So every dataset is
first put to the model, clean and corrupted, and pairs that fail may be dropped, in the open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.models.base import Model
from interp.provenance import Provenance
from interp.readout import AnyReadout, Readout
from interp.tasks.base import Pair, PairDataset, pairs_in_words
from interp.tasks.results import Inspection
from interp.tokens import Tokens


def inspect_dataset(model: Model, dataset: PairDataset, *, batch_size: int = 32) -> Inspection:
    """Put every clean and corrupted prompt of `dataset` to `model`, two forward passes a pair in batches.

    That lengths align holds of every `Pair`; here it is checked that the ids are those of this model. Answers
    of several tokens are read behind the prompts, in passes of their own. Raises `InputError` where the
    dataset was made for another vocabulary or BOS policy, or a prompt is too long for the model.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; got {batch_size}.")
    _check_made_for(model, dataset)
    values = []
    for prompts in (dataset.clean, dataset.corrupted):
        parts = [
            _values(model, dataset.pairs[start : start + batch_size], prompts[start : start + batch_size])
            for start in range(0, len(dataset), batch_size)
        ]
        values.append(torch.cat(parts, 1).numpy())
    clean, corrupted = values
    return Inspection(
        provenance=Provenance.of(model, seed=int(dataset.made.get("seed", 0))),
        pairs=pairs_in_words(model, dataset),
        made={option: _in_tuples(value) for option, value in dataset.made.items()},
        templates=tuple(pair.template for pair in dataset),
        lengths=tuple(len(pair) for pair in dataset),
        clean_logit_diff=clean[0],
        clean_prob=clean[1],
        corrupted_logit_diff=corrupted[0],
        corrupted_prob=corrupted[1],
        clean_logit_spread=clean[2],
    )


def drop_failures(
    dataset: PairDataset, inspection: Inspection, *, min_span: float | None = None
) -> PairDataset:
    """The dataset less the pairs of `Inspection.failures`, which join `PairDataset.dropped`.

    What is left is easier for the model than the task is: report the inspection of the whole beside it.
    Raises `InputError` where nothing is left, or where the inspection is of another dataset.
    """
    inspected = inspection.pairs
    if len(inspected) != len(dataset) or inspected.task != dataset.name:
        raise InputError(
            f"The inspection is of {len(inspected)} pairs of {inspected.task!r}, the dataset has "
            f"{len(dataset)} of {dataset.name!r}; inspect this dataset."
        )
    return dataset.without(inspection.failures(min_span=min_span))


def _in_tuples(value: Any) -> Any:
    """An option of a dataset, which is fit for JSON, as a result holds it."""
    return tuple(map(_in_tuples, value)) if isinstance(value, list) else value


def _check_made_for(model: Model, dataset: PairDataset) -> None:
    made_with = dataset.made.get("bos", model.identity.bos)
    other_text = any(pair.text and pair.text != model.to_text(pair.clean) for pair in dataset)
    if made_with != model.identity.bos or other_text:
        raise InputError(
            f"This dataset was made for {dataset.made.get('model', 'another model')}, whose tokens or BOS "
            f"differ from those of {model.identity.name}; make it anew with this model."
        )


def _values(
    model: Model, pairs: Sequence[Pair], prompts: Sequence[tuple[int, ...]]
) -> Float[Tensor, "three pair"]:
    """The logit difference and the answer's probability after the prompt of each pair, in one pass of all the
    runs in which they are read; and the standard deviation of the logits there."""
    rows: dict[tuple[int, tuple[int, ...]], int] = {}  # of the batch, by pair and ids
    asked: list[tuple[AnyReadout, list[int], int]] = []
    for number, (pair, prompt) in enumerate(zip(pairs, prompts, strict=True)):
        for readout in (Readout.logit_diff(pair.answer, pair.foil), Readout.prob(pair.answer)):
            runs = readout.runs(Tokens.pad([prompt]))
            own = [rows.setdefault((number, tuple(runs.row(run))), len(rows)) for run in range(len(runs))]
            asked.append((readout, own, max(runs.lengths)))
    logits = model.forward(model.to_tokens([ids for _, ids in rows])).cpu()  # [row, pos, d_vocab]
    values = torch.stack([readout(logits[own, :longest])[0] for readout, own, longest in asked])
    ends = [
        logits[own[0], len(prompt) - 1].double()
        for (_, own, _), prompt in zip(asked[::2], prompts, strict=True)
    ]
    spreads = torch.stack([row[row.isfinite()].std() for row in ends])
    return torch.cat([values.view(-1, 2).T.double(), spreads[None]])
