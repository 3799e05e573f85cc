"""The features of a prompt, what they are about, and which features say which label."""

from __future__ import annotations

from collections.abc import Sequence

from interp.errors import InputError
from interp.methods.features.feature_labels import label_features
from interp.methods.features.feature_profiles import feature_profiles
from interp.methods.features.results import PromptFeaturesResult
from interp.methods.features.sae_features import sae_features
from interp.models.base import Model
from interp.provenance import Provenance
from interp.saes.dictionary import SAE
from interp.saes.reading import ReadingText, check_features, record_features
from interp.tokens import Prompt


def prompt_features(
    model: Model,
    sae: SAE,
    prompt: Prompt,
    text: ReadingText,
    *,
    features: Sequence[int] | None = None,
    n: int = 20,
    top: int = 10,
    neuronpedia: str | None = None,
    seed: int = 0,
) -> PromptFeaturesResult:
    """Find the features that are active in a prompt, and what they are about on a text.

    `features` are those to profile; None: the `n` strongest of the prompt, and the best of each label where
    the text has labels. `top` is how many are listed of each token. Raises what `interp.sae_features` and
    `interp.feature_profiles` raise.
    """
    if n < 0:
        raise InputError(f"n, how many features of the prompt to profile, must not be negative; got {n}.")
    if features is not None:
        check_features(sae.n_features, features)
    in_prompt = sae_features(model, sae, prompt, top=top, seed=seed)
    record = record_features(model, sae, text)
    labels = label_features(model, record, seed=seed) if text.label_names else None
    if features is None:
        best = () if labels is None else labels.features[:, 0].tolist()
        features = [*in_prompt.strongest(n), *best]
    profiles = feature_profiles(model, record, features, neuronpedia=neuronpedia, seed=seed)
    return PromptFeaturesResult(
        provenance=Provenance.of(model, seed=seed), prompt=in_prompt, profiles=profiles, labels=labels
    )
