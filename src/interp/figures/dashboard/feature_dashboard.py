"""A dashboard of features as one HTML file: a list to search and sort, and all about the feature chosen.

It loads nothing from elsewhere and works without a network; a link to Neuronpedia, where there is one, is
only followed when it is clicked. All texts are data that the script sets as text, so that no token can act.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interp.figures.dashboard.parts import embedded_json, read_part, write_page
from interp.figures.engine.html import escaped, page
from interp.figures.engine.notation import show_text, show_token
from interp.figures.views.prompt_features import label_said, strongest_tokens
from interp.methods.features.profile_results import (
    Context,
    FeatureProfile,
    FeatureProfilesResult,
    LabelScore,
)

_LABELS = 6  # shown of each feature
_LEAST = 0.05  # F1 from which on a label is shown
_WRITERS = 10
_SHADES = 20
_SORTS = (
    ("label", "by label"),
    ("given", "as given"),
    ("number", "by number"),
    ("most", "most active"),
    ("least", "least active"),
    ("strongest", "strongest"),
)


def feature_dashboard(profiles: FeatureProfilesResult, path: str | Path) -> None:
    """Write the dashboard of `profiles` to a file. Raises `InputError` where it cannot be written."""
    write_page("dashboard", path, dashboard_page(profiles))


def dashboard_page(profiles: FeatureProfilesResult) -> str:
    """The dashboard as HTML."""
    sae = profiles.sae
    about = (
        f"{show_text(sae.model)}, {sae.site}: {sae.n_features} features, {sae.activation}. "
        f"Read on {show_text(profiles.text)}."
    )
    sorts = "".join(f'<option value="{value}">{words}</option>' for value, words in _SORTS)
    body = (
        '<div id="board"><nav id="side"><header><h1>Features</h1>'
        f'<p>{escaped(about)}</p><p id="count"></p><div id="tools">'
        '<input id="search" type="search" placeholder="number, label or token" aria-label="Search">'
        f'<select id="sort" aria-label="Sort">{sorts}</select></div></header><div id="list"></div></nav>'
        '<div id="feature" tabindex="-1"><noscript>The dashboard needs JavaScript.</noscript></div></div>'
        f'<script type="application/json" id="data">{embedded_json(_data(profiles))}</script>'
    )
    return page(
        title=f"Features of {sae.model}",
        body=body,
        style=read_part("dashboard.css") + strength_shades(),
        script=read_part("elements.js") + read_part("dashboard.js"),
    )


def _data(profiles: FeatureProfilesResult) -> dict[str, Any]:
    return {
        "tokens": profiles.n_tokens,
        "features": [_feature(profile) for profile in profiles.profiles],
        "labelNote": "Precision (P) and recall (R), above 0 and from a threshold chosen on one half of the "
        "text; all measured on the other half.",
        "logitNote": "Directly, where it is strongest, less the mean over all tokens; the final norm's scale "
        "frozen.",
        "writerNote": "Parts of its pre-activation at its strongest contexts, the mean; the largest of all.",
        "leftOut": [f"No {part.what}: {part.why}" for part in profiles.left_out],
    }


def _feature(profile: FeatureProfile) -> dict[str, Any]:
    writers = sorted(profile.writers.rows, key=lambda writer: -abs(writer.part))[:_WRITERS]
    labels = [
        (label.label, *map(_short, _scores(label)))
        for label in profile.labels.rows[:_LABELS]
        if max(label.f1, label.best_f1) >= _LEAST
    ]
    raised, lowered = (
        [(show_token(token), _short(value)) for token, value in given.rows]
        for given in (profile.raised, profile.lowered)
    )
    says, at = label_said(profile), strongest_tokens(profile)
    return {
        "f": profile.feature,
        "n": profile.n_active,
        "density": profile.density,
        "max": _short(profile.strongest),
        "says": says,
        "f1": _short(profile.labels.best_f1[0]) if profile.labels.labels else 0,
        "at": at,
        "words": " ".join([str(profile.feature), says or "", at, *(token for token, _ in raised)]),
        "hist": list(profile.histogram.counts),
        "contexts": [_context(context) for context in profile.contexts],
        "lower": [_context(context) for context in profile.lower],
        "raised": raised,
        "lowered": lowered,
        "writers": [(sender, _short(value)) for sender, value in writers],
        "near": [(other, _short(cosine)) for other, cosine in profile.neighbours.rows],
        "labels": labels,
        "link": profile.link,
    }


def _scores(label: LabelScore) -> tuple[float, ...]:
    """The columns of the table of labels."""
    above = (label.precision, label.recall)
    return *above, label.threshold, label.best_precision, label.best_recall, label.best_f1


def _context(context: Context) -> dict[str, Any]:
    return {
        "m": context.marked,
        "t": [show_text(token) for token in context.tokens],
        "k": [show_token(token) for token in context.tokens],
        "v": [_short(value) for value in context.values],
    }


def strength_class(share: float) -> str:
    """The class of a token's shade, where the feature has this share of its greatest strength; "" at 0."""
    return f"a{max(1, round(_SHADES * share))}" if share > 0 else ""


def strength_shades() -> str:
    """The classes of a token's shade, a1 to a20: fainter on a dark page, so that light text stays legible."""
    steps = [(i, 0.04 + 0.66 * i / _SHADES, 0.04 + 0.46 * i / _SHADES) for i in range(1, _SHADES + 1)]
    return "".join(
        f".a{i}{{background:light-dark(rgb(255 140 0/{light:.2f}),rgb(255 140 0/{dark:.2f}))}}"
        for i, light, dark in steps
    )


def _short(value: float) -> float:
    """Four digits, which is more than is drawn."""
    return float(f"{value:.4g}")
