"""The page Features: the features of a prompt by a sparse autoencoder, and all about the one chosen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from interp.app.server.store import shared
from interp.app.ui import widgets
from interp.app.ui.model_choice import model_choice
from interp.app.views import features
from interp.app.views.downloads import Download, downloads
from interp.app.views.questions import as_command
from interp.figures.dashboard.feature_dashboard import dashboard_page, strength_shades
from interp.figures.engine.notation import decimal

if TYPE_CHECKING:
    from interp.methods.features.feature_profiles import FeatureProfilesResult
    from interp.methods.features.sae_reading import SAEReadingResult

_LABEL = "by a label"


def page() -> None:
    st.title("Features of a prompt")
    widgets.begin_with({"prompt": features.EXAMPLES[0]})
    left, right = st.columns([1, 3])
    with left:
        model = model_choice()
    with right:
        prompt = widgets.text("Prompt", "prompt")
    widgets.examples([(prompt, {"prompt": prompt}) for prompt in features.EXAMPLES])
    left, right = st.columns(2)
    with left:
        sae = widgets.text(
            "SAE (empty: the model's own)", "sae", placeholder="a folder, or org/repo:folder on the hub"
        )
    with right:
        text = widgets.text("Text to read features on", "text", placeholder="demo, or a file")
    with widgets.sentences():
        _features(model, sae or features.own_sae(model), prompt, text or "demo")


def _features(model: str, sae: str, prompt: str, text: str) -> None:
    asked = widgets.store()
    found = asked.ask(model, features.PromptFeatures(sae, prompt))
    read = asked.ask(model, features.Reading(sae, text))
    grid = features.feature_grid(found, read)
    shown = found.strongest(features.ROWS)
    feature = _chosen(found.n_features, default=features.first_choice(found, read))
    last = len(found.tokens) - 1
    _, position = widgets.clicked_cell((max(len(shown), 1), len(found.tokens)), (0, last))
    st.caption(
        widgets.plain(
            f"{found.n_features} features of {found.site}; {decimal(found.l0, 1)} are active at a token. "
            "Click a cell for its feature."
        )
    )

    def go(row: int, column: int) -> None:
        widgets.go_to_cell(row, column)
        choose(shown[row])

    row = shown.index(feature) if feature in shown else None
    widgets.show_grid(
        grid,
        key="features",
        selected=None if row is None else (row, position),
        around=position,
        on_click=go,
    )
    st.caption(widgets.plain(features.told_of(found, position)))
    _buttons("at", features.strongest_at(found, position), read)
    _ways_to_choose(found.n_features, read)
    with widgets.sentences():
        _feature(model, read, feature)
    _take_along(model, sae, prompt, text, shown, feature)


def choose(feature: int) -> None:
    """Choose a feature: it goes into the input and the URL."""
    st.session_state["feature"] = feature


def _chosen(n: int, *, default: int) -> int:
    """The feature in the URL or the input; where it is none of this SAE's, that is said and another taken."""
    given = st.session_state.get("feature", st.query_params.get("feature", default))
    if not str(given).isdecimal() or int(given) >= n:
        st.caption(
            widgets.plain(f"There is no feature {given}; this SAE has {n}, from 0. {default} is shown.")
        )
        given = default
    st.session_state["feature"] = int(given)
    return int(given)


def _ways_to_choose(n: int, read: features.Read) -> None:
    best = features.by_label(read)
    left, right = st.columns(2)
    with left:
        st.number_input("Feature", min_value=0, max_value=n - 1, key="feature", bind="query-params")
    if best:

        def take() -> None:
            label = st.session_state[_LABEL]
            if label is not None:
                choose(best[label])

        with right:
            st.selectbox(
                "Find the one that says", tuple(best), index=None, key=_LABEL, on_change=take,
                placeholder="a label of the demo corpus",
            )  # fmt: skip


def _feature(model: str, read: features.Read, feature: int) -> None:
    result = widgets.store().ask(model, features.Profile(read, (feature,)))
    profile = result.of(feature)
    st.subheader(widgets.plain(f"Feature {features.named(feature, read)}"))
    st.caption(widgets.plain(features.facts(profile, result.n_tokens)))
    if profile.link is not None:
        st.link_button("Neuronpedia", profile.link)
    if not profile.n_active:
        return
    left, right = st.columns([3, 2])
    with left:
        _contexts("Where it is strongest", features.contexts_html(profile.contexts, profile.strongest))
        if profile.lower:
            _contexts("Further down its range", features.contexts_html(profile.lower, profile.strongest))
    with right:
        st.html(_styled(features.histogram_html(profile)))
        if profile.labels:
            widgets.show_table(features.label_table(profile))
        if profile.raised:
            widgets.show_table(features.logit_table(profile))
        if profile.writers:
            widgets.show_chart(features.writer_bars(profile), key="writers")
        for part, why in result.left_out:
            st.caption(widgets.plain(f"No {part}: {why}"))
        st.markdown("**Nearest features**")
        _buttons("near", profile.neighbours[:6], read)


def _buttons(key: str, numbered: Sequence[tuple[int, float]], read: features.Read) -> None:
    """Features to choose from, each with its number beside it."""
    with st.container(horizontal=True):
        for feature, value in numbered:
            label = widgets.plain(f"{features.named(feature, read)} {decimal(value, 1 if value > 1 else 2)}")
            st.button(label, key=f"{key}-{feature}", on_click=choose, args=(feature,))


def _contexts(title: str, drawn: str) -> None:
    st.markdown(f"**{title}**")
    st.html(_styled(drawn))


def _styled(drawn: str) -> str:
    return f'<style>{_style()}</style><div class="interp">{drawn}</div>'


@cache
def _style() -> str:
    return (Path(__file__).parents[1] / "ui" / "features.css").read_text(encoding="utf-8") + strength_shades()


def _take_along(model: str, sae: str, prompt: str, text: str, shown: Sequence[int], feature: int) -> None:
    """The features in the grid and the one chosen, as a dashboard and as what the experiment leaves."""
    question = features.Whole(sae, prompt, text, tuple(dict.fromkeys((*shown, feature))))
    kept = shared()  # files are made when they are asked for, outside of this session

    def profiles() -> FeatureProfilesResult:
        read = kept.ask(model, features.Reading(sae, text))
        return kept.ask(model, features.Profile(read, question.features))

    def result() -> SAEReadingResult:
        found = kept.ask(model, features.PromptFeatures(sae, prompt))
        return features.whole(found, kept.ask(model, features.Reading(sae, text)), profiles())

    dashboard = Download("Dashboard", "features.html", "text/html", lambda: dashboard_page(profiles()))
    widgets.offer_copies(
        features.program(model, question),
        as_command(model, question),
        (dashboard, *downloads(model, question, result)),
    )
