"""A benchmark of dictionaries on labels that are known: kinds, sizes and sparsities, over seeds.

1. The activations of one site are kept, and each setting is trained on them with each seed.
2. Each dictionary is run over another text, of which every token's labels are known.
3. What it says of them is measured (`interp.methods.features.label_benchmark`), beside how well it
   reconstructs and what the model says through it (`interp.saes.metrics`).

A row ``untrained`` has random directions and the same number of features at a token: what it reaches, any
dictionary reaches.

When it misleads: settings are compared at the training that they are given, which favours what learns fast;
rows of other sparsity are not comparable in F1. Spurious-correlation removal and targeted probe perturbation
are left out: they were found unreliable (arXiv 2605.18229).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from interp.errors import InputError
from interp.methods.common.statistics import estimate
from interp.methods.features.benchmark_results import MEASURES, SAEBenchmarkResult
from interp.methods.features.feature_labels import halves
from interp.methods.features.label_benchmark import dead_share, duplicate_share, measure_label
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped
from interp.saes.activations import TopK
from interp.saes.dictionary import SAE, model_facts, width
from interp.saes.metrics import measure_sae
from interp.saes.reading import FeatureRecord, ReadingText, record_features
from interp.saes.recipe import WITH_K, Recipe
from interp.saes.stream import ActivationStream
from interp.saes.training import train
from interp.sites import Address
from interp.tokens import Prompt

UNTRAINED = "untrained"
_LEAST = 10  # tokens of a label, in either half


@outside_inference_mode
def sae_benchmark(
    model: Model,
    site: str,
    layer: int | None,
    text: Sequence[Sequence[int]],
    held_out: Sequence[Prompt],
    reading: ReadingText,
    settings: Sequence[Recipe],
    *,
    seeds: int = 3,
    k: int = 5,
    batch_size: int = 1024,
    described: tuple[str, str] = ("the given text", "the given text"),
    seed: int = 0,
) -> SAEBenchmarkResult:
    """Train dictionaries by `settings`, each with `seeds` seeds, and measure them on the labels of `reading`.

    Args:
        text: to train on, sequences of token ids of one length; `held_out`: to measure reconstruction on.
        settings: recipes; their seed is not used.
        k: features of the sparse probe.
        described: `text` and `held_out` in words.

    Raises `InputError` for a text without labels, or in which none is on enough tokens.
    """
    if not settings or seeds < 1 or k < 1:
        raise InputError("Give one setting at least, and one seed and one feature of a probe at least.")
    address = Address(site, layer)
    stream = ActivationStream(model, address, text, batch_size=batch_size, buffered=len(text), seed=seed)
    labels, left_out = _labels(reading)
    facts: Any = model_facts(model)
    largest = max(settings, key=lambda one: one.n_features)
    measured: dict[str, list[_Measured]] = {}
    sizes: dict[str, int] = {}
    for number in range(seeds):
        for recipe in settings:
            weights, _ = train(stream, replace(recipe, seed=seed + number))
            fields = {name: value for name, value in vars(weights).items() if name != "W_skip"}
            sae = SAE(**fields, address=address, **facts)
            measured.setdefault(in_words(recipe), []).append(
                _measured(model, sae, held_out, reading, labels, k)
            )
            sizes[in_words(recipe)] = recipe.n_features
            report("dictionaries", sum(map(len, measured.values())), seeds * (len(settings) + 1))
        sae = _untrained(model, address, largest, seed + number)
        measured.setdefault(UNTRAINED, []).append(_measured(model, sae, held_out, reading, labels, k))
        sizes[UNTRAINED] = largest.n_features
    rows = list(measured)
    each = np.stack([[measured[row][number].values for row in rows] for number in range(seeds)])
    f1 = np.stack([np.mean([one.f1 for one in measured[row]], axis=0) for row in rows])
    return SAEBenchmarkResult(
        provenance=Provenance.of(model, seed=seed),
        site=str(address),
        trained_on=described[0],
        text=reading.described,
        held_out=described[1],
        settings=tuple(rows),
        n_features=np.array([sizes[row] for row in rows]),
        k=k,
        seeds=seeds,
        measures=estimate(each, seed),
        labels=tuple(labels),
        n_with_label=np.array([number for _, number in labels.values()]),
        f1=f1,
        left_out=left_out,
    )


def in_words(recipe: Recipe) -> str:
    """A setting in few words: its kind, sparsity and size."""
    sparsity = f"k {recipe.k}" if recipe.kind in WITH_K else f"penalty {recipe.penalty:g}"
    return f"{recipe.kind}, {sparsity}, {recipe.n_features} features, {recipe.steps} steps"


@dataclass(frozen=True, eq=False)
class _Measured:
    """One dictionary: `values` [measure], and the F1 of the best feature of each label."""

    values: np.ndarray
    f1: np.ndarray


def _labels(reading: ReadingText) -> tuple[dict[str, tuple[np.ndarray, int]], tuple[Dropped, ...]]:
    """Where each label is, and on how many tokens of the second half; without those on too few."""
    found, left_out = {}, []
    starts = np.concatenate([[0], np.cumsum([len(row) for row in reading.sequences])])
    middle = starts[len(reading.sequences) // 2]
    counted = ~np.isin(np.arange(reading.n_tokens), starts[:-1])
    for name, has in zip(reading.label_names, reading.labels, strict=True):
        numbers = [int((has & counted)[part].sum()) for part in (slice(0, middle), slice(middle, None))]
        if min(numbers) < _LEAST:
            why = f"it is on {numbers[0]} and {numbers[1]} tokens of the two halves; each needs {_LEAST}"
            left_out.append(Dropped(name, why))
        else:
            found[name] = (has, numbers[1])
    if not found:
        raise InputError("No label is on enough tokens of this text; give more text with labels.")
    return found, tuple(left_out)


def _measured(
    model: Model,
    sae: SAE,
    held_out: Sequence[Prompt],
    reading: ReadingText,
    labels: dict[str, tuple[np.ndarray, int]],
    k: int,
) -> _Measured:
    quality = measure_sae(model, sae, held_out)
    record = record_features(model, sae, reading)
    halves(record)  # an error where there is one sequence
    return _Measured(*_of_labels(record, [has for has, _ in labels.values()], k, quality))


def _of_labels(
    record: FeatureRecord, labels: Sequence[np.ndarray], k: int, quality: Any
) -> tuple[np.ndarray, np.ndarray]:
    """All measures, as `MEASURES` has them, and F1 by label."""
    of_each = [measure_label(record, has, k=k) for has in labels]
    means = {
        name: float(np.mean([getattr(one, name) for one in of_each]))
        for name in ("precision", "recall", "f1", "of_k", "absorption", "splitting")
    }
    values = (
        quality.l0,
        quality.explained_variance,
        quality.recovered_from_mean,
        *means.values(),
        dead_share(record),
        duplicate_share(record),
    )
    assert len(values) == len(MEASURES)
    return np.array(values), np.array([one.f1 for one in of_each])


def _untrained(model: Model, address: Address, recipe: Recipe, seed: int) -> SAE:
    """Random directions, the strongest `k` of each token."""
    draw = torch.Generator().manual_seed(seed)
    directions = torch.randn(recipe.n_features, width(model, address.site), generator=draw)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    facts: Any = model_facts(model)
    return SAE(
        W_enc=directions.T.contiguous(),
        b_enc=torch.zeros(recipe.n_features),
        W_dec=directions,
        b_dec=torch.zeros(directions.shape[1]),
        activation=TopK(recipe.k),
        address=address,
        **facts,
    )
