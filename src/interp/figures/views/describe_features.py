"""What features are called, and how good the names are."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Table, View, Words
from interp.methods.features.description_results import FeatureDescriptionsResult


def view(result: FeatureDescriptionsResult) -> View:
    """A bar for each feature, and the names."""
    scored = [one for one in result.descriptions if one.score is not None]
    scored.sort(key=lambda one: -(one.score or 0.0))
    bars = Bars(
        labels=tuple(f"{one.feature} {one.label}" for one in scored),
        values=tuple(float(one.score or 0.0) for one in scored),
        unit="balanced accuracy",
        name="scores",
        title="How well one tells by its name where a feature is active",
        note="0.5 is chance.",
    )
    rows = tuple(
        (
            str(one.feature),
            one.label,
            "unreadable" if one.score is None else decimal(one.score),
            "-" if one.shuffled is None else decimal(one.shuffled),
            str(one.n_contexts),
        )
        for one in result.descriptions
    )
    table = Table(("feature", "name", "score", "with another's name", "contexts"), rows, name="descriptions")
    return View(
        title="What are the features called?",
        above=(
            f"SAE of {show_text(result.sae.model)} at {result.sae.site}: {result.sae.n_features} features. "
            f"Named by {show_text(result.by)}, on {show_text(result.text)}.",
        ),
        blocks=(Words(_verdict(result), strong=True, name="verdict"), *((bars,) if scored else ()), table),
        below=(
            "Named by contexts of one half of the text, scored on the other: is the feature active at the "
            "last token of a context? The balanced accuracy, half of the contexts being active ones.",
            f"Not counted: {result.excluded}, since the SAE was trained without.",
            *(f"No {one.what}: {one.why}." for one in result.left_out),
        ),
    )


def _verdict(result: FeatureDescriptionsResult) -> str:
    own = [one.score for one in result.descriptions if one.score is not None]
    others = [one.shuffled for one in result.descriptions if one.shuffled is not None]
    if not own:
        return "No feature has a name with a score."
    said = f"{count(len(own), 'feature')}: mean score {decimal(float(np.mean(own)))}"
    return f"{said}, with another's name {decimal(float(np.mean(others)))}." if others else f"{said}."


figure, table, report = presentation(view)
