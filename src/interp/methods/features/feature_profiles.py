"""What a feature of an SAE is about: where it is active, what it writes, who writes it, which labels it says.

Read off a record of the SAE on a text (`interp.saes.reading.record_features`) and, at each feature's
strongest contexts, off runs of the model (`interp.methods.features.feature_writers`).

When it misleads: the strongest contexts are the most extreme ones, and a feature is often about something
wider, so contexts from lower down its range stand beside them. All is of this text: what is not in it, no
feature seems to be about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError, InputError, SiteError
from interp.methods.features.feature_contexts import (
    BINS,
    Window,
    activation_histogram,
    contexts_at,
    lower_places,
    strongest_places,
)
from interp.methods.features.feature_labels import halves, label_scores
from interp.methods.features.feature_writers import (
    check_logits,
    check_writers,
    feature_logits,
    feature_writers,
    run_for,
)
from interp.methods.features.profile_results import (
    FeatureProfile,
    FeatureProfilesResult,
    Histogram,
    LabelScore,
    LabelScores,
    Neighbours,
    TokenLogits,
    Writers,
)
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Dropped
from interp.saes.dictionary import SAE
from interp.saes.metrics import EXCLUDED
from interp.saes.neuronpedia import link
from interp.saes.reading import FeatureRecord, check_features
from interp.sites import Address

_WRITTEN_AT = 4  # contexts over which the writers are averaged


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
    sae, text = record.autoencoder, record.text
    sae.check_fits(model)
    check_features(record.n_features, features)
    if contexts < 1 or k < 1 or min(lower, before, after) < 0:
        raise InputError("contexts and k must be at least 1, and lower, before and after not negative.")
    features = tuple(dict.fromkeys(int(f) for f in features))
    window = Window(before, after)
    top = [strongest_places(record, feature, contexts) for feature in features]
    logits, writers, left_out = _logits_and_writers(model, record, features, top)
    neighbours, labels = _neighbours(record, features, k), _label_scores(record, features)
    profiles = []
    for i, feature in enumerate(features):
        raised, lowered = _strongest_logits(model, logits[i], k) if i in logits else (_NO_LOGITS, _NO_LOGITS)
        down = lower_places(record, feature, lower)
        histogram = activation_histogram(record, feature)
        profiles.append(
            FeatureProfile(
                feature=feature,
                n_active=int(record.n_active[feature]),
                n_tokens=record.n_counted,
                strongest=histogram.high,
                histogram=histogram,
                contexts=contexts_at(model, record, feature, top[i], window),
                lower=contexts_at(model, record, feature, down, window),
                raised=raised,
                lowered=lowered,
                logit_histogram=_logit_histogram(logits.get(i), model.arch.d_vocab),
                neighbours=neighbours[i],
                writers=writers[i],
                labels=labels[i],
                link=None if neuronpedia is None else link(neuronpedia, feature),
                name=sae.names.get(feature),
            )
        )
    return FeatureProfilesResult(
        provenance=Provenance.of(model, seed=seed),
        text=text.described,
        excluded=EXCLUDED,
        n_tokens=record.n_counted,
        n_sequences=len(text.sequences),
        sequence_length=max(map(len, text.sequences)),
        sae=sae.identity,
        neuronpedia=neuronpedia,
        profiles=tuple(profiles),
        left_out=tuple(Dropped(part, why) for part, why in left_out.items()),
    )


# ---- what it writes, and who writes it ----

_NO_LOGITS = TokenLogits(tokens=(), logits=())
_NO_WRITERS = Writers(senders=(), parts=())


def _logits_and_writers(
    model: Model, record: FeatureRecord, features: Sequence[int], places: Sequence[Sequence[int]]
) -> tuple[dict[int, Float[Tensor, " d_vocab"]], list[Writers], dict[str, str]]:
    """What takes runs of the model at the strongest contexts: the logits of the features that have some, by
    their place among `features`; the writers of each; and why either is left out."""
    left_out = _left_out(model, record.autoencoder.address)
    logits: dict[int, Float[Tensor, " d_vocab"]] = {}
    writers = []
    for i, (feature, tokens) in enumerate(zip(features, places, strict=True)):
        report("features", i, len(features))
        n_runs = 1 if "writers" in left_out else _WRITTEN_AT
        runs = [_run_to(model, record, token, writers=n_runs > 1) for token in tokens[:n_runs]]
        if runs and "logits" not in left_out:
            try:
                logits[i] = feature_logits(model, record.autoencoder, feature, *runs[0])
            except DecompositionError as error:
                left_out["logits"] = str(error)
        has_writers = runs and "writers" not in left_out
        writers.append(
            _mean_writers(model, record.autoencoder, feature, runs) if has_writers else _NO_WRITERS
        )
    report("features", len(features), len(features))
    return ({} if "logits" in left_out else logits), writers, left_out


def _left_out(model: Model, address: Address) -> dict[str, str]:
    """What features of this site cannot have, and why."""
    refused = {}
    for part, check in (("logits", check_logits), ("writers", check_writers)):
        try:
            check(model, address)
        except SiteError as error:
            refused[part] = str(error)
    return refused


def _run_to(model: Model, record: FeatureRecord, token: int, *, writers: bool) -> tuple[Cache, int]:
    """A run of the sequence that a token is in, up to it, and the token's position."""
    sequence, position = record.place(token)
    ids = list(record.text.sequences[sequence][: position + 1])
    return run_for(model, record.autoencoder, ids, writers=writers), position


def _mean_writers(model: Model, sae: SAE, feature: int, runs: Sequence[tuple[Cache, int]]) -> Writers:
    found = [feature_writers(model, sae, feature, cache, position) for cache, position in runs]
    parts = np.mean([one.parts.numpy() for one in found], axis=0)
    return Writers(senders=found[0].names, parts=tuple(parts.tolist()))


def _strongest_logits(
    model: Model, logits: Float[Tensor, " d_vocab"], k: int
) -> tuple[TokenLogits, TokenLogits]:
    """The `k` tokens whose logits are raised most, and those that are lowered most."""
    both = []
    for sign in (1, -1):
        values, ids = (sign * logits).topk(min(k, len(logits)))
        both.append(
            TokenLogits(tokens=tuple(model.labels(ids.tolist())), logits=tuple((sign * values).tolist()))
        )
    return both[0], both[1]


def _logit_histogram(logits: Float[Tensor, " d_vocab"] | None, d_vocab: int) -> Histogram:
    """How many tokens' logits lie in each of equal bins; all at 0 where there are none."""
    counts, edges = np.histogram(np.zeros(d_vocab) if logits is None else logits.numpy(), bins=BINS)
    return Histogram(low=float(edges[0]), high=float(edges[-1]), counts=tuple(counts.tolist()))


# ---- its neighbours, and what it says ----


def _neighbours(record: FeatureRecord, features: Sequence[int], k: int) -> list[Neighbours]:
    directions = torch.nn.functional.normalize(record.autoencoder.W_dec.float().cpu(), dim=-1)
    cosines = directions[list(features)] @ directions.T  # [feature, other]
    cosines[torch.arange(len(features)), list(features)] = -2.0  # not itself
    values, others = cosines.topk(min(k, max(record.n_features - 1, 1)), dim=-1)
    both = zip(others.tolist(), values.tolist(), strict=True)
    return [Neighbours(features=tuple(near), cosines=tuple(of)) for near, of in both]


def _label_scores(record: FeatureRecord, features: Sequence[int]) -> list[LabelScores]:
    """The scores of each feature for each label that is on tokens of both halves."""
    own = record.only(features)
    rows: list[list[LabelScore]] = [[] for _ in features]
    for label, has in zip(record.text.label_names, record.text.labels, strict=True):
        counts = [int((has & half).sum()) for half in halves(record)]
        if not min(counts):
            continue
        scores = label_scores(own, has)
        for i, of_feature in enumerate(rows):
            above_0, at_threshold = scores.scores[i].tolist(), scores.best_scores[i].tolist()
            chosen, threshold = float(scores.chosen[i]), float(scores.thresholds[i])
            of_feature.append(LabelScore(label, counts[1], chosen, threshold, *above_0, *at_threshold))
    ranked = [sorted(of_feature, key=lambda row: -row.chosen_f1) for of_feature in rows]
    return [LabelScores.of(of_feature) for of_feature in ranked]
