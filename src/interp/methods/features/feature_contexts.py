"""Where a feature is active in a text, and how strongly: its contexts and its histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp.methods.features.profile_results import Context, Histogram
from interp.models.base import Model
from interp.saes.reading import FeatureRecord

BINS = 20  # of the histograms


@dataclass(frozen=True)
class Window:
    """How many tokens of a context stand before and after the marked one."""

    before: int
    after: int


def strongest_places(record: FeatureRecord, feature: int, n: int) -> list[int]:
    """The tokens at which a feature is strongest, at most one of each sequence."""
    tokens, _ = record.of(feature)
    sequences = np.searchsorted(record.starts, tokens, side="right") - 1
    _, first = np.unique(sequences, return_index=True)  # the strongest of each sequence
    return tokens[np.sort(first)[:n]].tolist()


def lower_places(record: FeatureRecord, feature: int, n: int) -> list[int]:
    """Tokens evenly spread by rank over where a feature is active, the strongest itself not among them."""
    tokens, _ = record.of(feature)
    if not len(tokens):
        return []
    ranks = np.unique(np.linspace(0, len(tokens) - 1, n + 1).round().astype(int))
    return tokens[ranks[1:]].tolist()


def contexts_at(
    model: Model, record: FeatureRecord, feature: int, tokens: Sequence[int], window: Window
) -> tuple[Context, ...]:
    """The contexts of a feature at some tokens of the text."""
    return tuple(_context(model, record, feature, token, window) for token in tokens)


def _context(model: Model, record: FeatureRecord, feature: int, token: int, window: Window) -> Context:
    sequence, position = record.place(token)
    ids = record.text.sequences[sequence]
    start, stop = max(position - window.before, 0), min(position + window.after + 1, len(ids))
    tokens, strengths = record.of(feature)
    places = tokens - record.starts[sequence] - start  # in the context
    here = np.flatnonzero((places >= 0) & (places < stop - start))
    here = here[np.argsort(places[here])]
    return Context(
        sequence=sequence,
        position=position,
        marked=position - start,
        tokens=tuple(model.labels(ids[start:stop])),
        active=tuple(places[here].tolist()),
        strengths=tuple(strengths[here].tolist()),
    )


def activation_histogram(record: FeatureRecord, feature: int) -> Histogram:
    """How many activations of a feature lie in each of equal bins from 0 to the strongest."""
    _, values = record.of(feature)
    if not len(values):
        return Histogram(low=0.0, high=0.0, counts=(0,) * BINS)
    high = float(values[0])
    counts, _ = np.histogram(values, bins=BINS, range=(0.0, high))
    return Histogram(low=0.0, high=high, counts=tuple(counts.tolist()))
