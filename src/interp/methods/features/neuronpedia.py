"""Profiles of features as dashboards in the JSON that Neuronpedia (https://www.neuronpedia.org) takes.

Nothing here goes to the network. Dashboards are batches as SAEDashboard
(https://github.com/jbloomAus/SAEDashboard) writes them: one object with ``model_id``, ``layer``, ``sae_set``
and ``features``. Bars are given by the middles of their bins, as many as heights. ``bin_min`` -1 marks the
strongest contexts. What is not measured here (correlated features and neurons, the share of each head in the
decoder) is an empty list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interp.errors import InputError, first_line
from interp.methods.features.profile_results import (
    Bar,
    Context,
    FeatureProfile,
    FeatureProfilesResult,
    Histogram,
)
from interp.sites import Address

_NOT_MEASURED = (
    *(f"neuron_alignment_{part}" for part in ("indices", "values", "l1")),
    *(f"correlated_neurons_{part}" for part in ("indices", "l1", "pearson")),
    *(f"correlated_features_{part}" for part in ("indices", "l1", "pearson")),
    "decoder_weights_dist",
)


def write_neuronpedia(profiles: FeatureProfilesResult, path: str | Path, *, sae_set: str = "interp") -> None:
    """Write `profiles` as a batch of dashboards. `sae_set` names the set of SAEs where Neuronpedia has no id
    for this one. Raises `InputError` where the file cannot be written."""
    text = json.dumps(neuronpedia_batch(profiles, sae_set=sae_set), ensure_ascii=False)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The dashboards cannot be written to {str(path)!r} ({first_line(error)})."
        ) from None


def neuronpedia_batch(profiles: FeatureProfilesResult, *, sae_set: str = "interp") -> dict[str, Any]:
    """`profiles` as a batch of dashboards, in plain values."""
    model, layer = profiles.sae.model, Address.parse(profiles.sae.site).layer or 0
    if profiles.neuronpedia is not None:  # gpt2-small/8-res-jb
        model, _, name = profiles.neuronpedia.partition("/")
        number, _, sae_set = name.partition("-")
        layer = int(number) if number.isdecimal() else layer
    return {
        "model_id": model,
        "layer": layer,
        "sae_set": sae_set,
        "features": [_dashboard(profiles, profile) for profile in profiles.profiles],
    }


def _dashboard(profiles: FeatureProfilesResult, profile: FeatureProfile) -> dict[str, Any]:
    return {
        "feature_index": profile.feature,
        **{name: [] for name in _NOT_MEASURED},
        "neg_str": list(profile.lowered.tokens),
        "neg_values": [_rounded(value) for value in profile.lowered.logits],
        "pos_str": list(profile.raised.tokens),
        "pos_values": [_rounded(value) for value in profile.raised.logits],
        "frac_nonzero": profile.density,
        **_bars("freq_hist_data", profile.histogram),
        **_bars("logits_hist_data", profile.logit_histogram),
        "n_prompts_total": profiles.n_sequences,
        "n_tokens_in_prompt": profiles.sequence_length,
        "dataset": profiles.text,
        "activations": [
            *(_activation(context, -1.0, profile.strongest, -1.0) for context in profile.contexts),
            *(_activation(context, *_bin(profile, context)) for context in profile.lower),
        ],
    }


def _bars(name: str, histogram: Histogram) -> dict[str, list[float]]:
    return {
        f"{name}_bar_values": [_rounded((bar.low + bar.high) / 2) for bar in histogram.bars],
        f"{name}_bar_heights": list(histogram.counts),
    }


def _bin(profile: FeatureProfile, context: Context) -> tuple[float, float, float]:
    """The bin of a context's strength, from and to, and its share of where the feature is active."""
    value, bars = context.values[context.marked], profile.histogram.bars
    bar: Bar = next((bar for bar in bars if value <= bar.high), bars[-1])
    return bar.low, bar.high, bar.number / profile.n_active


def _activation(context: Context, low: float, high: float, share: float) -> dict[str, Any]:
    return {
        "bin_min": _rounded(low),
        "bin_max": _rounded(high),
        "bin_contains": _rounded(share),
        "tokens": list(context.tokens),
        "values": [_rounded(value) for value in context.values],
        "qualifying_token_index": context.marked,
    }


def _rounded(value: float) -> float:
    """Three decimals, as SAEDashboard writes them."""
    return round(value, 3)
