"""What the features of transcoders are called: the label of the demo corpus that each says best.

The corpus knows what every token is (`interp.zoo.LABELS`); a feature is called by the label that it says
with the highest F1, where that is high enough (`interp.label_features`: chosen on one half of a text,
measured on the other). Of other models and texts there are no labels, and features have no names.
"""

from __future__ import annotations

from interp.errors import InputError
from interp.methods.features.feature_labels import label_features
from interp.models.base import Model
from interp.saes.reading import ReadingText, reading_text, record_features
from interp.saes.transcoder import Transcoders


def names_by_corpus(
    model: Model, transcoders: Transcoders, *, sequences: int = 96
) -> dict[tuple[int, int], str] | None:
    """`feature_names` on so many sequences of the demo corpus; None of a model that reads another text."""
    try:
        text = reading_text(model, sequences=sequences)
    except InputError:
        return None
    return feature_names(model, transcoders, text)


def feature_names(
    model: Model, transcoders: Transcoders, text: ReadingText, *, least: float = 0.5
) -> dict[tuple[int, int], str]:
    """The label of each feature that says one with an F1 of `least` or more, by layer and feature."""
    names = {}
    for layer, one in enumerate(transcoders):
        labels = label_features(model, record_features(model, one, text))
        for feature in range(one.n_features):
            label = labels.label_said_by(feature, least=least)
            if label is not None:
                names[layer, feature] = label
    return names
