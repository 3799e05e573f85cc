"""The page Features: the features of a prompt by a sparse autoencoder, and all about the one chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.model_server import shared_server
from interp.app.server.session import ask
from interp.app.ui import address, inputs, show
from interp.app.ui.copies import copy_menu
from interp.app.ui.errors import show_errors
from interp.app.ui.explain import explain
from interp.app.ui.files import read_file
from interp.app.ui.model_choice import choose_model
from interp.app.ui.permission import allow_typed, permitted
from interp.app.views import features
from interp.app.views.downloads import Download, downloads
from interp.app.views.feature_html import contexts_html, histogram_html
from interp.app.views.questions import as_command
from interp.figures.dashboard.feature_dashboard import dashboard_page, strength_shades
from interp.figures.engine.notation import decimal
from interp.figures.engine.view import Words

if TYPE_CHECKING:
    from interp.methods.features.profile_results import FeatureProfile, FeatureProfilesResult
    from interp.methods.features.results import PromptFeaturesResult, SAEFeaturesResult

_LABEL = "by a label"  # key of the input that finds a feature


def page() -> None:
    explain("Features")
    inputs.set_default_texts({"prompt": features.EXAMPLES[0]})
    left, right = st.columns([1, 3])
    with left:
        model = choose_model()
    with right:
        prompt = inputs.prompt("Prompt", "prompt", model=model)
    inputs.examples([(prompt, {"prompt": prompt}) for prompt in features.EXAMPLES])
    left, right = st.columns(2)
    with left:
        sae = inputs.text(
            "SAE (empty: the model's own)",
            "sae",
            placeholder="a folder, a published name, or org/repo:folder",
            on_change=allow_typed,
            args=("sae",),
        )
    with right:
        text = inputs.text(
            "Text to read features on", "text", placeholder="demo, or a file",
            on_change=allow_typed, args=("text",),
        )  # fmt: skip
    if not model:
        return
    if not sae and not features.has_sae(model):
        st.info(escape_markdown(f"No SAE of {model} is known here. Give one above to see its features."))
        return
    with show_errors():
        sae, text = sae or features.own_sae(model), text or "demo"
        if permitted("SAE", sae, "sae") and permitted("text", text, "text"):
            _features(model, features.ReadText(sae, text), prompt)


def _features(model: str, read_text: features.ReadText, prompt: str) -> None:
    result = ask(model, features.SAEFeatures(read_text.sae, prompt))
    reading = ask(model, read_text)
    feature = _chosen_feature(result.sae.n_features, default=features.first_choice(result, reading))
    shown = result.strongest(features.ROWS)
    position = _grid(result, reading, shown, feature)
    _feature_buttons("at", features.strongest_at(result, position), reading)
    _feature_inputs(result.sae.n_features, reading)
    with show_errors():
        profiles = ask(model, features.FeatureProfiles(read_text, (feature,), reading))
        _profile(profiles, profiles.of(feature), reading)
    listed = tuple(dict.fromkeys((*shown, feature)))
    _copies(model, features.PromptFeatures(read_text.sae, prompt, listed, read_text.text))


def choose_feature(feature: int) -> None:
    """Choose a feature: it goes into the input and the URL."""
    st.session_state["feature"] = feature


def _chosen_feature(n: int, *, default: int) -> int:
    """The feature in the input or the URL; where it is none of this SAE's, that is said and another taken."""
    given = st.session_state.get("feature", st.query_params.get("feature", default))
    if not str(given).isdecimal() or int(given) >= n:
        st.caption(
            escape_markdown(f"There is no feature {given}; this SAE has {n}, from 0. {default} is shown.")
        )
        given = default
    choose_feature(int(given))
    return int(given)


def _grid(
    result: SAEFeaturesResult, reading: features.TextReading, shown: Sequence[int], feature: int
) -> int:
    """The strongest features over the tokens; the position that was clicked."""
    last = len(result.tokens) - 1
    _, position = address.clicked_cell((max(len(shown), 1), len(result.tokens)), (0, last))

    def go_to(row: int, column: int) -> None:
        address.go_to_cell(row, column)
        choose_feature(shown[row])

    st.caption(escape_markdown(f"{features.prompt_in_words(result)} Click a cell for its feature."))
    show.words(Words(features.token_in_words(result, reading, position), strong=True))
    show.grid(
        features.feature_grid(result, reading),
        key="features",
        selected=(shown.index(feature), position) if feature in shown else None,
        around=position,
        on_click=go_to,
    )
    return position


def _feature_buttons(key: str, numbered: Sequence[tuple[int, float]], reading: features.TextReading) -> None:
    """Features to choose from, each with its number beside it."""
    with st.container(horizontal=True):
        for feature, value in numbered:
            label = f"{features.feature_name(feature, reading)} {decimal(value, 1 if value > 1 else 2)}"
            st.button(
                escape_markdown(label), key=f"{key}-{feature}", on_click=choose_feature, args=(feature,)
            )


def _feature_inputs(n: int, reading: features.TextReading) -> None:
    """The inputs in which a feature is chosen: by its number, or by a label that it says."""
    best = features.best_of_labels(reading)
    left, right = st.columns(2)
    with left:
        st.number_input("Feature", min_value=0, max_value=n - 1, key="feature", bind="query-params")
    if not best:
        return

    def choose_best() -> None:
        label = st.session_state[_LABEL]
        if label is not None:
            choose_feature(best[label])

    with right:
        st.selectbox(
            "Find the one that says", tuple(best), index=None, key=_LABEL, on_change=choose_best,
            placeholder="a label of the demo corpus",
        )  # fmt: skip


def _profile(result: FeatureProfilesResult, profile: FeatureProfile, reading: features.TextReading) -> None:
    """All about one feature."""
    st.subheader(escape_markdown(f"Feature {features.feature_name(profile.feature, reading)}"))
    st.caption(escape_markdown(features.activity_in_words(profile, result.n_tokens)))
    described = features.description_in_words(profile.feature, reading)
    if described is not None:
        st.caption(escape_markdown(described))
    if profile.link is not None:
        st.link_button("Neuronpedia", profile.link)
    if not profile.n_active:
        return
    left, right = st.columns([3, 2])
    with left:
        st.markdown("**Where it is strongest**")
        _html(contexts_html(profile.contexts, profile.strongest))
        if profile.lower:
            st.markdown("**Further down its range**")
            _html(contexts_html(profile.lower, profile.strongest))
    with right:
        _html(histogram_html(profile))
        if profile.labels.labels:
            show.table(features.label_table(profile))
        if profile.raised.tokens:
            show.table(features.logit_table(profile))
        if profile.writers.senders:
            show.chart(features.writer_bars(profile), key="writers")
        for part in result.left_out:
            st.caption(escape_markdown(f"No {part.what}: {part.why}"))
        st.markdown("**Nearest features**")
        _feature_buttons("near", profile.neighbours.rows[:6], reading)


def _html(content: str) -> None:
    style = read_file("features.css") + strength_shades()
    st.html(f'<style>{style}</style><div class="interp">{content}</div>')


def _copies(model: str, question: features.PromptFeatures) -> None:
    """The features that are shown, as a dashboard and as the files of the experiment."""
    server = shared_server()  # files are made when they are asked for, outside of this session
    read_text = features.ReadText(question.sae, question.text)

    def profiles() -> FeatureProfilesResult:
        reading = server.ask(model, read_text)
        return server.ask(model, features.FeatureProfiles(read_text, question.features, reading))

    def result() -> PromptFeaturesResult:
        in_prompt = server.ask(model, features.SAEFeatures(question.sae, question.prompt))
        return features.experiment_result(in_prompt, server.ask(model, read_text), profiles())

    dashboard = Download("Dashboard", "features.html", "text/html", lambda: dashboard_page(profiles()))
    copy_menu(
        features.as_python(model, question),
        as_command(model, question),
        (dashboard, *downloads(model, question, result)),
    )
