"""What the heads of a demo model do, measured by the package's own methods.

One call, ``measure``, asks which heads look at the token before and at what followed an earlier occurrence,
which of them copying rests on, which heads the answer of indirect objects rests on, and what is lost without
them. The figures in a model's card and its ``heads.json`` come from here; ``python -m
interp.zoo.making.heads`` measures the shipped models again and writes both.

Heads are named ``layer.head``. What is small is left out: a head that is not named is below the threshold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from interp.methods.ablation.ablation import ablation
from interp.methods.common.heads import find_heads
from interp.methods.common.names import Head, head_name
from interp.methods.heads.head_scores import head_scores
from interp.methods.studies.ioi import ioi
from interp.models.base import Model
from interp.models.registry import load_model
from interp.tasks.indirect_objects import indirect_objects
from interp.tasks.repeated_tokens import repeated_sequences, repeated_tokens

CLEAR = 0.25  # attention from which on a head is named
COPY_LENGTHS = (20, 25, 60)  # of random tokens said twice, for the tokens that are not copied
MISSED = 2.0  # nats from which on a token counts as not copied
STRONGEST = 6  # heads that are listed, of those with an effect
KINDS = ("zero", "mean_by_template", "resample")


def measure(model: Model, *, seed: int = 0) -> dict[str, Any]:
    """Everything that the card says of the heads, as plain values, ready for JSON. Takes about a minute."""
    looks = _looks(model, seed)
    return {
        "looks": looks,
        "missed": {str(length): _missed(model, length, seed) for length in COPY_LENGTHS},
        "copying": _copying(model, looks, seed),
        "indirect_objects": _indirect_objects(model, seed),
    }


def _looks(model: Model, seed: int) -> dict[str, Any]:
    """Where heads look on random tokens said twice: name -> attention, the highest first."""
    found = head_scores(model, n=10, length=25, n_ablated=0, seed=seed)
    return {
        "sequences": found.sequences,
        "copy_length": found.copy_length,
        "first_loss": _round(found.first_copy_loss),
        "second_loss": _round(found.second_copy_loss),
        "previous_token": _clear(found.score("previous_token")),
        "duplicate_token": _clear(found.score("duplicate_token")),
        "induction": _clear(found.score("induction")),
        "two_after": _clear(found.by_shift[found.shifts.index(2)]),
    }


def _missed(model: Model, length: int, seed: int) -> dict[str, float]:
    """The tokens of the second copy but its first that cost `MISSED` nats or more: place from 1 -> nats."""
    drawn = repeated_sequences(model, n=20, length=length, seed=seed)
    logits = model.forward(drawn.ids)[:, -length - 1 : -1].double().cpu()  # [sequence, token, d_vocab]
    answers = model.to_tokens(drawn.ids).ids[:, -length:].cpu()
    loss = -logits.log_softmax(-1).gather(-1, answers[..., None])[..., 0].mean(0)  # [token]
    return {str(i + 1): _round(nats) for i, nats in enumerate(loss.tolist()) if i and nats >= MISSED}


def _copying(model: Model, looks: dict[str, Any], seed: int) -> dict[str, Any]:
    """What copying loses without single heads, and without all those that look alike."""
    dataset = repeated_tokens(model, n=20, length=20, corruption="no_repeat", seed=seed)
    singles = find_heads(model.arch, None)
    alike = {name: tuple(looks[name]) for name in ("previous_token", "induction", "two_after") if looks[name]}
    sets = [[head_name(head)] for head in singles] + [list(heads) for heads in alike.values()]
    found = ablation(model, dataset, sets, kinds="resample", seed=seed)
    before, after = float(found.before.mean), found.after[0]
    return {
        "prompts": len(found.pairs),
        "copy_length": 20,
        "logit_diff": _round(before),
        "without_one": _strongest(singles, after[: len(singles)], before),
        "without_all": {
            name: _round(value) for name, value in zip(alike, after[len(singles) :].tolist(), strict=True)
        },
    }


def _indirect_objects(model: Model, seed: int) -> dict[str, Any]:
    """The heads that act, what they look at and write, and the model without them."""
    found = ioi(model, n=60, seed=seed)
    total, direct, every = found.map("total"), found.map("direct"), found.circuits[-1]
    order = np.argsort(-np.maximum(np.abs(total), np.abs(direct)), axis=None, kind="stable")[:STRONGEST]
    heads = [divmod(int(i), total.shape[1]) for i in order]
    maps = ("total", "direct", "END to IO", "END to S1", "END to S2", "copying", "negative copying")
    dataset = indirect_objects(model, n=60, corruption="abc", seed=seed)
    lost = ablation(model, dataset, [[head_name(head)] for head in heads], kinds=KINDS, seed=seed)
    return {
        "prompts": len(found.pairs),
        "logit_diff": _round(found.baseline.logit_diff.mean()),
        "least": found.least,
        "heads": {head_name(head): {name: _round(found.map(name)[head]) for name in maps} for head in heads},
        "without_one": {
            head_name(head): {kind: _round(lost.after[k, i]) for k, kind in enumerate(KINDS)}
            for i, head in enumerate(heads)
        },
        "classes": {name: list(members) for name, members in found.classes.items() if members},
        "without_class": {one.name: _round(one.after) for one in found.ablations},
        "alone": {
            "heads": len(every.heads),
            "faithfulness": _round(float(every.faithfulness.value)),
            "random": [_round(every.random.min()), _round(every.random.max())],
        },
    }


def _clear(score: np.ndarray) -> dict[str, float]:
    """The heads of at least `CLEAR`, the highest first."""
    heads = [(int(layer), int(head)) for layer, head in np.argwhere(score >= CLEAR)]
    return {head_name(head): _round(score[head]) for head in sorted(heads, key=lambda h: -score[h])}


def _strongest(heads: Iterable[Head], after: np.ndarray, before: float) -> dict[str, float]:
    """The heads without which the metric falls the most, and to what."""
    order = sorted(zip(after.tolist(), heads, strict=True))[:STRONGEST]
    return {head_name(head): _round(value) for value, head in order if value < before}


def _round(value: float) -> float:
    return round(float(value), 3)


def write_heads(folder: Path) -> Path:
    """Measure the model in `folder`, and write ``heads.json`` beside it. Returns its path."""
    figures = measure(load_model(str(folder)))
    target = folder / "heads.json"
    target.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    from interp.zoo.making.card import write_card

    for config_file in sorted(Path(__file__).parents[1].glob("*/config.json")):
        write_heads(config_file.parent)
        write_card(config_file.parent)
