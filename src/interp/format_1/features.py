"""What changed in the results about features since the first format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from interp.format_1 import Fields, pairs
from interp.format_1.saes import sae_identity
from interp.methods.features.profile_results import (
    Context,
    FeatureProfile,
    Histogram,
    LabelScore,
    LabelScores,
    Neighbours,
    TokenLogits,
    Writers,
)
from interp.methods.features.results import (
    EstimateAgreement,
    FeatureCells,
    FeatureEntries,
    TaskAblation,
    TextAblation,
)
from interp.results import Dropped, Interval
from interp.saes.neuronpedia import link


def _sae_features(values: Fields) -> Fields:
    return {"sae": sae_identity(values), **values}


def _label_features(values: Fields) -> Fields:
    values["n_features"] = len(values["label_of"])
    return {"sae": sae_identity(values), "left_out": _left_out(values), **values}


def _left_out(values: Fields) -> list[Fields]:
    return [Dropped(what, why).to_dict() for what, why in values.pop("left_out")]


# ---- profiles were arrays over all features ----


def _feature_profiles(values: Fields) -> Fields:
    left_out, sae = _left_out(values), sae_identity(values)
    kept = ("provenance", "text", "excluded", "n_tokens", "n_sequences", "sequence_length", "neuronpedia")
    profiles = [_profile(values, i).to_dict() for i in range(len(values["features"]))]
    return {**{name: values[name] for name in kept}, "sae": sae, "profiles": profiles, "left_out": left_out}


def _profile(old: Fields, i: int) -> FeatureProfile:
    feature, strongest, edges = old["features"][i], old["strongest"][i], old["logit_edges"][i]
    active = slice(None if old["n_active"][i] else 0)  # all, or nothing
    raised, lowered = (
        TokenLogits(tokens=tuple(old[name][i][active]), logits=tuple(old[f"{name}_by"][i][active]))
        for name in ("raised", "lowered")
    )
    return FeatureProfile(
        feature=feature,
        n_active=old["n_active"][i],
        n_tokens=old["n_tokens"],
        strongest=strongest,
        histogram=Histogram(low=0.0, high=strongest, counts=tuple(old["histogram"][i])),
        contexts=tuple(_context(*fields) for fields in old["contexts"][i]),
        lower=tuple(_context(*fields) for fields in old["lower"][i]),
        raised=raised,
        lowered=lowered,
        logit_histogram=Histogram(low=edges[0], high=edges[-1], counts=tuple(old["logit_histogram"][i])),
        neighbours=Neighbours(features=tuple(old["neighbours"][i]), cosines=tuple(old["cosines"][i])),
        writers=Writers(senders=tuple(old["writers"][active]), parts=tuple(old["written"][i][active])),
        labels=_labels(old, i),
        link=None if old["neuronpedia"] is None else link(old["neuronpedia"], feature),
    )


def _context(sequence: int, position: int, marked: int, tokens: list[str], values: list[float]) -> Context:
    active = tuple(place for place, value in enumerate(values) if value)
    return Context(
        sequence=sequence,
        position=position,
        marked=marked,
        tokens=tuple(tokens),
        active=active,
        strengths=tuple(values[place] for place in active),
    )


def _labels(old: Fields, i: int) -> LabelScores:
    order = np.argsort(-np.asarray(old["chosen"][i], dtype=float), kind="stable").tolist()
    rows: list[LabelScore] = []
    for j in order:
        scores: Any = (*old["scores"][i][j], *old["best_scores"][i][j])
        chosen, threshold = old["chosen"][i][j], old["thresholds"][i][j]
        rows.append(LabelScore(old["labels"][j], old["n_with_label"][j], chosen, threshold, *scores))
    return LabelScores.of(rows)


# ---- effects and ablation ----


def _feature_effects(values: Fields) -> Fields:
    """Prompts were those of the runs that were edited; the corrupted ones of noising were not kept."""
    if values["task"] == "one prompt":
        values["task"] = None
    edited = tuple(values.pop("prompts"))
    values |= {"prompts": (), "corrupted": edited} if values["change"] == "denoising" else {"prompts": edited}
    ends: dict[str, Any] = {end: _floats(values.pop(old)) for end, old in _MEAN.items()}
    entries = FeatureEntries(
        **{name: _ints(values.pop(f"entry_{name}")) for name in ("prompt", "place", "feature")},
        **{name: _floats(values.pop(name)) for name in ("activation", "exact", "attribution", "integrated")},
    )
    cells = FeatureCells(
        place=_ints(values.pop("cell_place")),
        feature=_ints(values.pop("cell_feature")),
        share=_floats(values.pop("share")),
        exact=Interval(**ends),
        attribution=_floats(values.pop("mean_attribution")),
        integrated=_floats(values.pop("mean_integrated")),
    )
    correlations = zip(values.pop("pearson"), values.pop("spearman"), strict=True)
    agreement = [
        EstimateAgreement(estimate=estimate, pearson=p, spearman=s).to_dict()
        for estimate, (p, s) in zip(("attribution", "integrated"), correlations, strict=True)
    ]
    return {
        "pairs": pairs(values, corrupted="corrupted" if values["change"] == "denoising" else None),
        "sae": sae_identity(values),
        "entries": entries.to_dict(),
        "cells": cells.to_dict(),
        "agreement": agreement,
        **values,
    }


def _feature_ablation(values: Fields) -> Fields:
    """Tasks were an axis of the arrays."""
    n_prompts, accuracy = values.pop("n_prompts"), _floats(values.pop("accuracy"))
    ends: dict[str, Any] = {end: _floats(values.pop(old)) for end, old in _LOGIT_DIFF.items()}
    logit_diff = Interval(**ends)
    tasks = [
        TaskAblation(task=task, n_prompts=n_prompts[i], logit_diff=logit_diff[i], accuracy=accuracy[i])
        for i, task in enumerate(values.pop("tasks"))
    ]
    text = TextAblation(
        n_sequences=values.pop("n_sequences"),
        loss=_floats(values.pop("loss")),
        change_low=_floats(values.pop("loss_change_low")),
        change_high=_floats(values.pop("loss_change_high")),
    )
    return {
        "tasks": [task.to_dict() for task in tasks],
        "text": text.to_dict(),
        "sae": sae_identity(values),
        **values,
    }


_MEAN = {"value": "mean", "low": "low", "high": "high"}
_LOGIT_DIFF = {"value": "logit_diff", "low": "logit_diff_low", "high": "logit_diff_high"}


def _floats(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=float)


def _ints(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=int)


CHANGES: dict[str, Callable[[Fields], Fields]] = {
    "sae_features": _sae_features,
    "feature_profiles": _feature_profiles,
    "label_features": _label_features,
    "feature_effects": _feature_effects,
    "feature_ablation": _feature_ablation,
}
