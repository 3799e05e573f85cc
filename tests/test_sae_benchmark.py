"""The benchmark of dictionaries on labels that are known: its measures, where the answer is planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.methods.features.benchmark_results import MEASURES
from interp.methods.features.label_benchmark import dead_share, duplicate_share, measure_label
from interp.methods.features.sae_benchmark import UNTRAINED, sae_benchmark
from interp.methods.features.surface_labels import NAMES, surface_labels
from interp.saes.activations import Standard
from interp.saes.dictionary import SAE
from interp.saes.reading import FeatureRecord, ReadingText
from interp.saes.recipe import Recipe
from interp.sites import Address
from interp.text.sequences import load_text

N_ROWS, LENGTH = 20, 51


def record_of(features: np.ndarray, directions: torch.Tensor | None = None) -> FeatureRecord:
    """A record in which each token has these features [token, feature]."""
    n = features.shape[1]
    W_dec = torch.eye(n) if directions is None else directions
    sae = SAE(
        W_enc=W_dec.T.contiguous(),
        b_enc=torch.zeros(n),
        W_dec=W_dec,
        b_dec=torch.zeros(W_dec.shape[1]),
        activation=Standard(),
        address=Address("resid_post", 0),
        model="planted",
    )
    rows = tuple(tuple(range(LENGTH)) for _ in range(N_ROWS))
    counted = np.tile(np.arange(LENGTH) > 0, N_ROWS)
    tokens, of = (features * counted[:, None]).nonzero()
    values = features[tokens, of]
    order = np.lexsort((-values, of))
    return FeatureRecord(
        text=ReadingText.of(rows),
        sae=sae,
        counted=counted,
        starts=np.arange(N_ROWS + 1) * LENGTH,
        bounds=np.searchsorted(of[order], np.arange(n + 1)),
        tokens=tokens[order],
        values=values[order].astype(np.float32),
    )


@pytest.fixture(scope="module")
def has() -> np.ndarray:
    return np.random.default_rng(0).random(N_ROWS * LENGTH) < 0.2


def test_a_feature_that_is_the_label_scores_one(has):
    features = np.stack([has * 1.0, ~has * 1.0], 1)
    found = measure_label(record_of(features), has, k=1)
    assert (found.precision, found.recall, found.f1, found.of_k) == (1, 1, 1, 1)
    assert (found.absorption, found.splitting) == (0, 1)


def test_exceptions_that_another_feature_has_taken_over_are_absorbed(has):
    taken = has & (np.arange(len(has)) % 4 == 0)
    features = np.stack([(has & ~taken) * 1.0, taken * 2.0, np.ones(len(has))], 1)
    record = record_of(features)
    found = measure_label(record, has, k=2)
    second = (np.arange(len(has)) >= len(has) // 2) & record.counted
    assert found.absorption == pytest.approx(taken[has & second].mean())
    assert found.recall == pytest.approx(1 - found.absorption)
    assert (found.precision, found.splitting) == (1, 2)
    assert found.of_k == 1, "two features together say all of it"
    assert measure_label(record, has, k=1).of_k < 1


def test_a_feature_that_says_something_else_takes_nothing_over(has):
    taken = has & (np.arange(len(has)) % 4 == 0)
    features = np.stack([(has & ~taken) * 1.0, (np.arange(len(has)) % 4 == 0) * 1.0], 1)
    found = measure_label(record_of(features), has, k=1)
    assert (found.absorption, found.splitting) == (0, 1)


def test_labels_that_any_text_has():
    found = surface_labels(["The", " 12", " dogs", "'", "s", " dogs", "."])
    assert dict(zip(NAMES, found.astype(int).tolist(), strict=True)) == {
        "capitalised": [1, 0, 0, 0, 0, 0, 0],
        "number": [0, 1, 0, 0, 0, 0, 0],
        "punctuation": [0, 0, 0, 1, 0, 0, 1],
        "within a word": [1, 0, 0, 0, 1, 0, 0],
        "seen before": [0, 0, 0, 0, 0, 1, 0],
        "before punctuation": [0, 0, 1, 0, 0, 1, 0],
    }


def test_dead_and_duplicate_features():
    features = np.zeros((N_ROWS * LENGTH, 4))
    features[5:, :3] = 1.0
    directions = torch.eye(4)
    directions[1] = torch.tensor([1.0, 0.1, 0.0, 0.0])
    record = record_of(features, directions)
    assert dead_share(record) == 0.25
    assert duplicate_share(record) == pytest.approx(2 / 3)


@pytest.mark.slow
def test_trained_dictionaries_say_more_than_random_directions(load):
    model = load("demo-gpt2")
    text, held_out = load_text(model, "demo", training=60, held_out=2, length=64)
    reading = interp.reading_text(model, sequences=48, length=64)
    settings = [
        Recipe(kind=kind, n_features=96, k=8, steps=60, learning_rate=5e-3) for kind in ("topk", "batchtopk")
    ]
    result = sae_benchmark(model, "resid_post", 4, text, held_out, reading, settings, seeds=2, batch_size=256)
    assert result.measures.mean.shape == (3, len(MEASURES))
    assert result.settings[-1] == UNTRAINED
    f1 = result.measures.mean[:, MEASURES.index("F1")]
    assert f1[:2].min() > f1[2]
    assert result.measures.mean[0, 0] == pytest.approx(8, abs=0.5)
    assert result.f1.shape == (3, len(result.labels))
    assert result.f1[0].mean() == pytest.approx(f1[0])
    with pytest.raises(InputError, match="one setting"):
        sae_benchmark(model, "resid_post", 4, text, held_out, reading, [])
    unlabelled = ReadingText.of(reading.sequences)
    with pytest.raises(InputError, match="No label"):
        sae_benchmark(model, "resid_post", 4, text, held_out, unlabelled, settings, batch_size=256)
