"""What every feature of an SAE does on a text, gone through once and kept sparse.

The record holds every activation above 0, so that contexts, histograms and comparisons with labels of any
feature are read off without the model. The first position of each sequence is left out (`metrics.counted`):
SAEs are trained without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from interp.errors import InputError
from interp.models.base import Model
from interp.progress import report
from interp.saes.dictionary import SAE, flat
from interp.saes.metrics import counted
from interp.saes.transcoder import Transcoder
from interp.text.sequences import DEMO, demo_text, load_text
from interp.tokens import Tokens

_SEED = 10_000  # of the demo text that features are read on, apart from what an SAE was trained on
_AT_ONCE = 2**22  # activations in one batch, zeros included


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadingText:
    """Sequences of token ids, and where each label holds; without labels, `labels` is [0, token].

    `labels` is over the tokens of all sequences, one after the other.
    """

    described: str
    sequences: tuple[tuple[int, ...], ...]
    label_names: tuple[str, ...]
    labels: Bool[np.ndarray, "label token"]

    def __post_init__(self) -> None:
        if not self.sequences or min(map(len, self.sequences)) < 2:
            raise InputError("The text must be sequences of two tokens or more; give longer text.")
        if self.labels.shape != (len(self.label_names), self.n_tokens):
            raise InputError(
                f"The labels must be [{len(self.label_names)}, {self.n_tokens}], a row for each name and a "
                f"column for each token; they are {list(self.labels.shape)}."
            )

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.sequences))

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], *, described: str = "the given text") -> ReadingText:
        """Sequences of token ids without labels."""
        rows = tuple(tuple(int(i) for i in row) for row in sequences)
        none = np.zeros((0, sum(map(len, rows))), dtype=bool)
        return cls(described=described, sequences=rows, label_names=(), labels=none)


def reading_text(
    model: Model,
    source: str = DEMO,
    *,
    sequences: int = 256,
    length: int = 128,
    seed: int = 0,
    field: str = "text",
) -> ReadingText:
    """Text to read features on: the demo corpus with the labels of its tokens ("demo"), or the beginning of
    any other source that `interp.text.sequences` reads.

    The demo text is drawn from seeds that training does not use. Raises `InputError` as `load_text` does.
    """
    if sequences < 1:
        raise InputError(f"Give at least one sequence to read; got {sequences}.")
    if source != DEMO:
        rows, _ = load_text(model, source, training=sequences, held_out=1, length=length, field=field)
        described = f"the first {sequences} sequences of {length} tokens of {source!r}"
        return ReadingText.of(rows, described=described)
    from interp.zoo.token_labels import QUESTIONS, token_labels

    load_text(model, source, training=1, held_out=1, length=length)  # raises what it raises
    drawn = demo_text(model, sequences, length, _SEED + seed)
    labels = [token_labels(model.labels(ids), names) for ids, names in drawn]
    return ReadingText(
        described=f"{sequences} sequences of {length} tokens of the demo corpus",
        sequences=tuple(tuple(ids) for ids, _ in drawn),
        label_names=tuple(QUESTIONS),
        labels=np.concatenate(labels, axis=1),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureRecord:
    """All activations above 0 of an SAE on a text, feature by feature, the strongest first.

    Those of feature f are ``tokens[bounds[f]:bounds[f + 1]]``, places in the text as one row of tokens, and
    the `values` there.
    """

    text: ReadingText
    sae: SAE | Transcoder
    counted: Bool[np.ndarray, " token"]  # not the first of a sequence
    #: Where each sequence begins among the tokens; at last, their number.
    starts: Int[np.ndarray, " start"]
    bounds: Int[np.ndarray, " bound"]
    tokens: Int[np.ndarray, " entry"]
    values: Float[np.ndarray, " entry"]

    @property
    def autoencoder(self) -> SAE:
        """The SAE. `InputError` of a record of a transcoder."""
        if not isinstance(self.sae, SAE):
            raise InputError("This needs the record of an SAE; this one is of a transcoder.")
        return self.sae

    @property
    def n_features(self) -> int:
        return len(self.bounds) - 1

    @property
    def n_counted(self) -> int:
        return int(self.counted.sum())

    @property
    def n_active(self) -> Int[np.ndarray, " feature"]:
        """At how many tokens each feature is above 0."""
        return np.diff(self.bounds)

    @cached_property
    def features(self) -> Int[np.ndarray, " entry"]:
        """The feature of each entry."""
        return np.repeat(np.arange(self.n_features), self.n_active)

    def of(self, feature: int) -> tuple[Int[np.ndarray, " active"], Float[np.ndarray, " active"]]:
        """Where a feature is above 0, and how strong, the strongest first. `InputError` where there is no
        such feature."""
        check_features(self.n_features, [feature])
        own = slice(self.bounds[feature], self.bounds[feature + 1])
        return self.tokens[own], self.values[own]

    def only(self, features: Sequence[int]) -> FeatureRecord:
        """The record of some features alone, numbered in their order here."""
        own = [self.of(feature) for feature in features]
        return replace(
            self,
            bounds=np.cumsum([0, *(len(tokens) for tokens, _ in own)]),
            tokens=np.concatenate([tokens for tokens, _ in own]),
            values=np.concatenate([values for _, values in own]),
        )

    def place(self, token: int) -> tuple[int, int]:
        """The sequence that a token is in, and its position there."""
        sequence = int(np.searchsorted(self.starts, token, side="right")) - 1
        return sequence, token - int(self.starts[sequence])


def check_features(n: int, features: Sequence[int]) -> None:
    """Raise `InputError` where one of `features` is none of an SAE's `n`, or there are none."""
    if not len(features):
        raise InputError("There is no feature to read; give at least one.")
    wrong = [f for f in features if isinstance(f, bool) or not 0 <= f < n]
    if wrong:
        raise InputError(f"There is no feature {wrong[0]}; this SAE has {n}, from 0.")


def record_features(model: Model, sae: SAE | Transcoder, text: ReadingText) -> FeatureRecord:
    """Go through `text` once and keep what every feature does.

    Raises `InputError` where the SAE is of another model, `SiteError` where the model has no such site.
    """
    sae.check_fits(model)
    rows = text.sequences
    at_once = max(1, _AT_ONCE // (max(map(len, rows)) * sae.n_features))
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    kept, tokens, features, values = [], [], [], []
    for start in range(0, len(rows), at_once):
        batch = model.to_tokens(Tokens.pad(rows[start : start + at_once]))
        raw = model.run_with_cache(batch, [sae.address], logits=False)[sae.address]
        found = sae.encode(flat(sae.address.site, raw).float()).cpu()  # [row, pos, feature]
        found = torch.where(counted(batch)[..., None], found, 0.0)[batch.mask]  # [token, feature]
        where = found.nonzero()
        tokens.append(where[:, 0].numpy() + starts[start])
        features.append(where[:, 1].numpy())
        values.append(found[where[:, 0], where[:, 1]].numpy())
        kept.append(counted(batch)[batch.mask].numpy())
        report("sequences", min(start + at_once, len(rows)), len(rows))
    of, strength = np.concatenate(features), np.concatenate(values)
    order = np.lexsort((-strength, of))
    return FeatureRecord(
        text=text,
        sae=sae,
        counted=np.concatenate(kept),
        starts=starts,
        bounds=np.searchsorted(of[order], np.arange(sae.n_features + 1)),
        tokens=np.concatenate(tokens)[order],
        values=strength[order],
    )
