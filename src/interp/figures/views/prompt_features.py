"""Which features a prompt has, and what they are about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, show_prompt, show_text, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Block, Grid, Table, View, Words
from interp.methods.features.profile_results import FeatureProfile, FeatureProfilesResult
from interp.methods.features.results import LabelFeaturesResult, PromptFeaturesResult, SAEFeaturesResult

SAYS = 0.5  # F1 on held-out text from which on a feature is called by a label
_ROWS = 16  # features in the grid
_LISTED = 3  # features of a token, words of a feature


def view(result: PromptFeaturesResult) -> View:
    """The prompt's features token by token, what they are about, and the best features of each label."""
    prompt, profiles = result.prompt, result.profiles
    names = feature_names(profiles)
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        prompt_grid(prompt, names, rows=_ROWS),
        token_table(prompt, names),
        profile_table(profiles, prompt.strongest(_ROWS)),
    ]
    if result.labels is not None:
        blocks.append(label_table(result.labels, profiles))
    return View(
        title="Which features does the prompt have, and what are they about?",
        above=(
            f"Prompt: {show_prompt(prompt.tokens, prompt.prompt, bos=prompt.provenance.bos)}",
            f"SAE of {show_text(prompt.sae.model)} at {prompt.sae.site}: {prompt.sae.n_features} features, "
            f"{prompt.sae.activation}. Read on {show_text(profiles.text)}, {profiles.n_tokens} tokens.",
        ),
        blocks=tuple(blocks),
        below=(
            f"Not counted: {profiles.excluded}, since the SAE was trained without.",
            *(f"No {part.what}: {part.why}" for part in profiles.left_out),
            "An active feature need not be used by the model; ablate it to see.",
        ),
    )


def feature_names(profiles: FeatureProfilesResult) -> dict[int, str]:
    """Features by number, with the label that they say where there is one."""
    return {profile.feature: feature_name(profile) for profile in profiles.profiles}


def feature_name(profile: FeatureProfile) -> str:
    """``490 (indirect_object)``, or the number alone where the feature says no label well."""
    label = label_said(profile)
    return str(profile.feature) if label is None else f"{profile.feature} ({label})"


def label_said(profile: FeatureProfile) -> str | None:
    """What a feature is called in the SAE's folder; else the label that it says best, if it says it at all
    well."""
    if profile.name is not None:
        return show_text(profile.name)
    best = next(iter(profile.labels.rows), None)
    return best.label if best is not None and best.best_f1 >= SAYS else None


def prompt_grid(result: SAEFeaturesResult, names: dict[int, str], *, rows: int) -> Grid:
    """The strongest features over the tokens of the prompt; empty where a feature is not among a token's
    strongest."""
    features = result.strongest(rows)
    values = np.full((len(features), len(result.tokens)), np.nan)
    for i, feature in enumerate(features):
        at, rank = np.nonzero(result.features == feature)
        values[i, at] = result.values[at, rank]
    return Grid(
        name="prompt_features",
        values=values,
        rows=Axis.names(
            "feature", [names.get(feature) or show_text(result.sae.called(feature)) for feature in features]
        ),
        columns=Axis.tokens(result.tokens),
        unit="strength",
        title=f"The {len(features)} strongest features" if features else "No feature",
        centre=None,
        above=f"more active; empty: not among the {result.features.shape[1]} strongest of the token",
        down=True,
    )


def token_table(result: SAEFeaturesResult, names: dict[int, str]) -> Table:
    """Each token: how many features, how much of its activation they give, and the strongest."""
    rows: list[tuple[str | float, ...]] = []
    for i, token in enumerate(result.tokens):
        if i in result.excluded:
            rows.append((i, show_token(token), "not counted", "", ""))
            continue
        own = [
            f"{names.get(int(f)) or show_text(result.sae.called(int(f)))} {decimal(float(v), 1)}"
            for f, v in zip(result.features[i, :_LISTED], result.values[i, :_LISTED], strict=True)
            if f >= 0
        ]
        rows.append(
            (
                i,
                show_token(token),
                int(result.n_active[i]),
                decimal(float(result.explained[i])),
                "; ".join(own),
            )
        )
    columns = ("position", "token", "active", "explained", "strongest features")
    return Table(columns, tuple(rows), title="Token by token", name="tokens")


def profile_table(profiles: FeatureProfilesResult, first: Sequence[int] = ()) -> Table:
    """What features are about, in a line each: those of `first` that were profiled, or all."""
    features = [f for f in first if f in profiles.features] or profiles.features
    rows = []
    for feature in features:
        profile = profiles.of(feature)
        label = label_said(profile)
        best = profile.labels.rows[0] if label is not None and profile.name is None else None
        rows.append(
            (
                feature,
                f"{100 * profile.density:.2f} %",
                label or "" if best is None else f"{label} {best.best_precision:.2f}/{best.best_recall:.2f}",
                strongest_tokens(profile),
                " ".join(brief(token) for token in profile.raised.tokens[:_LISTED]),
                main_writers(profile),
            )
        )
    columns = ("feature", "active", "says (precision/recall)", "strongest at", "raises", "written by")
    return Table(columns, tuple(rows), title="What the features are about", name="profiles")


def strongest_tokens(profile: FeatureProfile, n: int = 6) -> str:
    """The tokens that are marked in a feature's strongest contexts."""
    return " ".join(dict.fromkeys(brief(c.tokens[c.marked]) for c in profile.contexts[:n]))


def main_writers(profile: FeatureProfile, n: int = _LISTED) -> str:
    """The senders that give most to the feature at its strongest contexts."""
    senders = sorted(profile.writers.rows[:-1], key=lambda writer: -abs(writer.part))[:n]
    return ", ".join(f"{sender} {part:+.1f}" for sender, part in senders)


def label_table(result: LabelFeaturesResult, profiles: FeatureProfilesResult) -> Table:
    """The best feature of each label, measured on text that did not choose it; the labels said best first."""
    rows = []
    for i in np.argsort(-result.best_scores[:, 0, 2], kind="stable"):
        feature = int(result.features[i, 0])
        profiled = feature in profiles.features
        rows.append(
            (
                result.labels[i],
                int(result.n_with_label[i]),
                feature,
                *(decimal(v) for v in result.scores[i, 0, :2].tolist()),
                decimal(float(result.thresholds[i, 0]), 1),
                *(decimal(v) for v in result.best_scores[i, 0].tolist()),
                strongest_tokens(profiles.of(feature), 4) if profiled else "",
            )
        )
    columns = ("label", "tokens", "feature", "P > 0", "R > 0", "from", "P", "R", "F1", "strongest at")
    return Table(
        columns,
        tuple(rows),
        title="The best feature of each label: precision (P) and recall (R), above 0 and from a threshold",
        name="labels",
    )


def _verdict(result: PromptFeaturesResult) -> str:
    prompt = result.prompt
    explained = float(prompt.explained[prompt.counted].mean())
    verdict = f"{decimal(prompt.l0, 1)} features a token give {100 * explained:.0f} % of its activation."
    if result.labels is not None:
        found = result.labels.best_scores[:, 0, 2] >= 0.9
        verdict += (
            f" Of {count(len(found), 'label')}, {int(found.sum())} have a feature with an F1 of 0.9 or more "
            "on held-out text."
        )
    return verdict


figure, table, report = presentation(view)
