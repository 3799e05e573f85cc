"""What a feature of an SAE is about: where it is active, what it writes, who writes it, which labels it says.

Read off a record of the SAE on a text (`interp.saes.reading.record_features`) and, at each feature's
strongest contexts, off runs of the model (`interp.methods.features.feature_writers`).

When it misleads: the strongest contexts are the most extreme ones, and a feature is often about something
wider, so contexts from lower down its range stand beside them. All is of this text: what is not in it, no
feature seems to be about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.errors import DecompositionError, InputError, SiteError
from interp.methods.features.feature_labels import halves, label_scores
from interp.methods.features.feature_writers import (
    check_logits,
    check_writers,
    feature_logits,
    feature_writers,
    run_for,
)
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Result
from interp.saes.metrics import EXCLUDED
from interp.saes.neuronpedia import link
from interp.saes.reading import FeatureRecord, check_features

BINS = 20  # of the histograms
_WRITTEN_AT = 4  # contexts over which the writers are averaged


@dataclass(frozen=True)
class Context:
    """A stretch of the text around a token at which the feature is active."""

    sequence: int
    position: int  # of the marked token in its sequence
    marked: int  # its place among `tokens`
    tokens: tuple[str, ...]
    values: tuple[float, ...]  # of the feature at each; 0 at the first position of a sequence


@dataclass(frozen=True)
class LabelScore:
    """How well a feature says a label, on held-out text."""

    label: str
    n_with_label: int
    precision: float
    recall: float
    f1: float
    threshold: float  # the one with the best F1 on the other half
    best_precision: float
    best_recall: float
    best_f1: float


@dataclass(frozen=True)
class FeatureProfile:
    """All that a `FeatureProfilesResult` has of one feature."""

    feature: int
    n_active: int
    density: float
    strongest: float
    histogram: tuple[tuple[float, float, int], ...]  # (from, to, tokens)
    contexts: tuple[Context, ...]  # the strongest first
    lower: tuple[Context, ...]  # from further down the feature's range
    raised: tuple[tuple[str, float], ...]  # (token, logits)
    lowered: tuple[tuple[str, float], ...]
    logit_histogram: tuple[tuple[float, float, int], ...]
    neighbours: tuple[tuple[int, float], ...]  # (feature, cosine)
    writers: tuple[tuple[str, float], ...]  # in the order in which they write; at last the constant
    labels: tuple[LabelScore, ...]  # the best first
    link: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureProfilesResult(Result):
    """What some features of an SAE are about. `of` gives all of one feature.

    `raised`, `lowered` and the logits are what the feature adds directly at its strongest context, less the
    mean over the vocabulary, with the final norm's scale frozen there. `writers` are means over the four
    strongest contexts, in units of the feature's pre-activation. A feature that is nowhere active has no
    contexts; its logits and writers are 0 in the arrays, and left out by `of`. What this model or site cannot
    give is empty; `left_out` says why.
    """

    kind: ClassVar[str] = "feature_profiles"
    text: str
    excluded: str
    n_tokens: int  # counted
    n_sequences: int
    sequence_length: int  # of the longest
    sae_model: str
    site: str
    activation: str
    n_features: int  # of the SAE
    neuronpedia: str | None  # the SAE's id there, such as gpt2-small/8-res-jb
    features: tuple[int, ...]
    n_active: Int[np.ndarray, " feature"]
    strongest: Float[np.ndarray, " feature"]
    histogram: Int[np.ndarray, "feature bin"]  # tokens, equal bins from 0 to the strongest, 0 left out
    contexts: tuple  # [feature][context]: the fields of a `Context`
    lower: tuple
    raised: tuple  # [feature][token]
    raised_by: Float[np.ndarray, "feature token"]
    lowered: tuple
    lowered_by: Float[np.ndarray, "feature token"]
    logit_edges: Float[np.ndarray, "feature edge"]
    logit_histogram: Int[np.ndarray, "feature bin"]
    neighbours: Int[np.ndarray, "feature rank"]
    cosines: Float[np.ndarray, "feature rank"]
    writers: tuple[str, ...]
    written: Float[np.ndarray, "feature writer"]
    labels: tuple[str, ...]
    n_with_label: Int[np.ndarray, " label"]  # tokens of the held-out half
    chosen: Float[np.ndarray, "feature label"]  # F1 on the half on which thresholds were chosen
    thresholds: Float[np.ndarray, "feature label"]
    scores: Float[np.ndarray, "feature label measure"]  # precision, recall, F1 above 0, held out
    best_scores: Float[np.ndarray, "feature label measure"]  # at the thresholds
    left_out: tuple[tuple[str, str], ...]  # (part, why it is not here)

    def of(self, feature: int) -> FeatureProfile:
        """All of one feature; `InputError` where it was not asked for."""
        if feature not in self.features:
            raise InputError(f"Feature {feature} was not asked for; there are {_some(self.features)}.")
        i = self.features.index(feature)
        edges = np.linspace(0.0, float(self.strongest[i]), self.histogram.shape[1] + 1)
        ranked = np.argsort(-self.chosen[i], kind="stable")
        active = slice(None if self.n_active[i] else 0)  # all, or nothing
        return FeatureProfile(
            feature=feature,
            n_active=int(self.n_active[i]),
            density=float(self.n_active[i]) / self.n_tokens,
            strongest=float(self.strongest[i]),
            histogram=_bars(edges, self.histogram[i]),
            contexts=tuple(Context(*fields) for fields in self.contexts[i]),
            lower=tuple(Context(*fields) for fields in self.lower[i]),
            raised=tuple(zip(self.raised[i], self.raised_by[i].tolist(), strict=True))[active],
            lowered=tuple(zip(self.lowered[i], self.lowered_by[i].tolist(), strict=True))[active],
            logit_histogram=_bars(self.logit_edges[i], self.logit_histogram[i]),
            neighbours=tuple(zip(self.neighbours[i].tolist(), self.cosines[i].tolist(), strict=True)),
            writers=tuple(zip(self.writers, self.written[i].tolist(), strict=True))[active],
            labels=tuple(self._label(i, int(j)) for j in ranked),
            link=None if self.neuronpedia is None else link(self.neuronpedia, feature),
        )

    def _label(self, i: int, j: int) -> LabelScore:
        precision, recall, f1 = self.scores[i, j].tolist()
        best_precision, best_recall, best_f1 = self.best_scores[i, j].tolist()
        return LabelScore(
            label=self.labels[j],
            n_with_label=int(self.n_with_label[j]),
            precision=precision,
            recall=recall,
            f1=f1,
            threshold=float(self.thresholds[i, j]),
            best_precision=best_precision,
            best_recall=best_recall,
            best_f1=best_f1,
        )


def feature_profiles(
    model: Model,
    record: FeatureRecord,
    features: Sequence[int],
    *,
    contexts: int = 12,
    lower: int = 6,
    before: int = 24,
    after: int = 8,
    k: int = 10,
    neuronpedia: str | None = None,
    seed: int = 0,
) -> FeatureProfilesResult:
    """Everything about some features of the SAE of a record.

    Args:
        record: of `interp.record_features`, made with this model.
        contexts: how many of the strongest, at most one of each sequence.
        lower: how many contexts from further down, evenly spread over the feature's activations by rank.
        before, after: how many tokens of a context stand before and after the marked one.
        k: how many logits raised and lowered, and how many nearest features (by the cosine of decoder
            directions).
        neuronpedia: the SAE's id at Neuronpedia, for links; see `interp.saes.neuronpedia`.
        seed: recorded; nothing is drawn.

    Raises `InputError` for features that the SAE does not have, an SAE of another model, or sizes out of
    range.
    """
    sae, text = record.sae, record.text
    sae.check_fits(model)
    check_features(record.n_features, features)
    if contexts < 1 or k < 1 or min(lower, before, after) < 0:
        raise InputError("contexts and k must be at least 1, and lower, before and after not negative.")
    features = tuple(dict.fromkeys(int(f) for f in features))
    own = [record.of(feature) for feature in features]
    top = [strongest_places(record, feature, contexts) for feature in features]
    down = [_lower_places(record, feature, lower) for feature in features]
    strongest = np.array([values[0] if len(values) else 0.0 for _, values in own])
    at_runs = _at_contexts(model, record, features, top, k)
    return FeatureProfilesResult(
        provenance=Provenance.of(model, seed=seed),
        text=text.described,
        excluded=EXCLUDED,
        n_tokens=record.n_counted,
        n_sequences=len(text.sequences),
        sequence_length=max(map(len, text.sequences)),
        sae_model=sae.model,
        site=str(sae.address),
        activation=sae.activation.kind,
        n_features=record.n_features,
        neuronpedia=neuronpedia,
        features=features,
        n_active=np.array([len(values) for _, values in own]),
        strongest=strongest,
        histogram=np.stack([_histogram(values) for _, values in own]),
        contexts=_contexts(model, record, features, top, before, after),
        lower=_contexts(model, record, features, down, before, after),
        **at_runs,
        **_neighbours(record, features, k),
        **_labels(record, features),
    )


# ---- where it is active ----


def strongest_places(record: FeatureRecord, feature: int, n: int) -> list[int]:
    """The tokens at which a feature is strongest, at most one of each sequence."""
    tokens, _ = record.of(feature)
    sequences = np.searchsorted(record.starts, tokens, side="right") - 1
    _, first = np.unique(sequences, return_index=True)  # the strongest of each sequence
    return tokens[np.sort(first)[:n]].tolist()


def _lower_places(record: FeatureRecord, feature: int, n: int) -> list[int]:
    """Tokens evenly spread by rank over where a feature is active, the strongest itself not among them."""
    tokens, _ = record.of(feature)
    if not len(tokens):
        return []
    ranks = np.unique(np.linspace(0, len(tokens) - 1, n + 1).round().astype(int))
    return tokens[ranks[1:]].tolist()


def _contexts(
    model: Model,
    record: FeatureRecord,
    features: Sequence[int],
    places: Sequence[Sequence[int]],
    before: int,
    after: int,
) -> tuple:
    return tuple(
        tuple(_context(model, record, feature, token, before, after) for token in tokens)
        for feature, tokens in zip(features, places, strict=True)
    )


def _context(
    model: Model, record: FeatureRecord, feature: int, token: int, before: int, after: int
) -> tuple[Any, ...]:
    sequence, position = record.place(token)
    ids = record.text.sequences[sequence]
    start, stop = max(position - before, 0), min(position + after + 1, len(ids))
    values = np.zeros(len(ids))
    tokens, strengths = record.of(feature)
    here = (tokens >= record.starts[sequence]) & (tokens < record.starts[sequence + 1])
    values[tokens[here] - record.starts[sequence]] = strengths[here]
    shown = tuple(model.labels(ids[start:stop]))
    return sequence, position, position - start, shown, tuple(values[start:stop].tolist())


def _histogram(values: Float[np.ndarray, " active"]) -> Int[np.ndarray, " bin"]:
    """How many activations lie in each of equal bins from 0 to the strongest."""
    if not len(values):
        return np.zeros(BINS, dtype=int)
    return np.histogram(values, bins=BINS, range=(0.0, float(values[0])))[0]


# ---- what it writes, and who writes it ----


def _at_contexts(
    model: Model, record: FeatureRecord, features: Sequence[int], places: Sequence[Sequence[int]], k: int
) -> dict[str, Any]:
    """The fields that take runs of the model at the strongest contexts."""
    left_out: dict[str, str] = {}
    for part, check in (("logits", check_logits), ("writers", check_writers)):
        try:
            check(model, record.sae.address)
        except SiteError as error:
            left_out[part] = str(error)
    logits = torch.zeros(len(features), model.arch.d_vocab, dtype=torch.float64)
    names: tuple[str, ...] = ()
    written: list[list[np.ndarray]] = [[] for _ in features]
    for i, (feature, tokens) in enumerate(zip(features, places, strict=True)):
        report("features", i, len(features))
        for rank, token in enumerate(tokens[: 1 if "writers" in left_out else _WRITTEN_AT]):
            cache, position = _run_to(model, record, token, writers="writers" not in left_out)
            if rank == 0 and "logits" not in left_out:
                try:
                    logits[i] = feature_logits(model, record.sae, feature, cache, position)
                except DecompositionError as error:
                    left_out["logits"] = str(error)
            if "writers" not in left_out:
                found = feature_writers(model, record.sae, feature, cache, position)
                names = found.names
                written[i].append(found.parts.numpy())
    report("features", len(features), len(features))
    means = [np.mean(parts, axis=0) if parts else np.zeros(len(names)) for parts in written]
    return {
        **_logit_fields(model, logits, 0 if "logits" in left_out else k),
        "writers": names,
        "written": np.stack(means),
        "left_out": tuple(left_out.items()),
    }


def _run_to(model: Model, record: FeatureRecord, token: int, *, writers: bool) -> tuple[Cache, int]:
    """A run of the sequence that a token is in, up to it."""
    sequence, position = record.place(token)
    ids = list(record.text.sequences[sequence][: position + 1])
    return run_for(model, record.sae, ids, writers=writers), position


def _logit_fields(model: Model, logits: Float[torch.Tensor, "feature d_vocab"], k: int) -> dict[str, Any]:
    k = min(k, logits.shape[1])
    fields: dict[str, Any] = {}
    for name, signed in (("raised", logits), ("lowered", -logits)):
        values, ids = signed.topk(k, dim=-1)
        fields[name] = tuple(tuple(model.labels(row)) for row in ids)
        fields[f"{name}_by"] = (values if name == "raised" else -values).numpy()
    counted = [np.histogram(row, bins=BINS) for row in logits.numpy()]
    fields["logit_histogram"] = np.stack([counts for counts, _ in counted])
    fields["logit_edges"] = np.stack([edges for _, edges in counted])
    return fields


# ---- its neighbours, and what it says ----


def _neighbours(record: FeatureRecord, features: Sequence[int], k: int) -> dict[str, Any]:
    directions = torch.nn.functional.normalize(record.sae.W_dec.float().cpu(), dim=-1)
    cosines = directions[list(features)] @ directions.T  # [feature, other]
    cosines[torch.arange(len(features)), list(features)] = -2.0  # not itself
    values, others = cosines.topk(min(k, max(record.n_features - 1, 1)), dim=-1)
    return {"neighbours": others.numpy(), "cosines": values.numpy()}


def _labels(record: FeatureRecord, features: Sequence[int]) -> dict[str, Any]:
    """The scores of the features for each label that is on tokens of both halves."""
    names, columns, numbers = [], [], []
    own = record.only(features)
    for name, has in zip(record.text.label_names, record.text.labels, strict=True):
        counts = [int((has & half).sum()) for half in halves(record)]
        if min(counts):
            found = label_scores(own, has)
            names.append(name)
            numbers.append(counts[1])
            columns.append([found.chosen, found.thresholds, found.scores, found.best_scores])
    empty = [np.zeros((len(features), 0))] * 2 + [np.zeros((len(features), 0, 3))] * 2
    stacked = [np.stack(parts, axis=1) for parts in zip(*columns, strict=True)] if columns else empty
    fields = dict(zip(("chosen", "thresholds", "scores", "best_scores"), stacked, strict=True))
    return {"labels": tuple(names), "n_with_label": np.array(numbers, dtype=int), **fields}


def _bars(edges: np.ndarray, counts: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    return tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))


def _some(features: Sequence[int]) -> str:
    shown = ", ".join(map(str, features[:8]))
    return shown if len(features) <= 8 else f"{shown} and {len(features) - 8} more"
