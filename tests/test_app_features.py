"""The page Features: its views without Streamlit, and the page as Streamlit runs it (skipped without)."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app_pages import HOSTILE, error_of, run_copied_command, run_without_errors, texts
from interp.app.server.access import permissions
from interp.app.server.model_server import ModelServer
from interp.app.views import features
from interp.app.views.downloads import downloads
from interp.app.views.feature_html import contexts_html, histogram_html
from interp.errors import InputError
from interp.figures.dashboard.feature_dashboard import dashboard_page
from interp.figures.engine.notation import decimal
from interp.runs import read_run
from interp.saes.activations import TopK
from interp.saes.descriptions import FeatureDescription, write_descriptions
from interp.saes.files import write_sae
from test_saes import make

PROMPT = features.EXAMPLES[0]


@pytest.fixture(scope="module")
def folder(load, tmp_path_factory):
    """An SAE of random weights, which has no features of interest, but has features."""
    path = tmp_path_factory.mktemp("saes") / "sae"
    write_sae(path, make(load("demo-gpt2"), "resid_post", 3, activation=TopK(5)))
    return str(path)


@pytest.fixture(scope="module")
def small():
    """Less text than the page reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SEQUENCES", 16)
        patch.setattr(features, "LENGTH", 64)
        yield


@pytest.fixture(scope="module")
def reading(load, folder, small):
    return features.ReadText(folder)(load("demo-gpt2"))


@pytest.fixture(scope="module")
def found(load, folder):
    return features.SAEFeatures(folder, PROMPT)(load("demo-gpt2"))


def test_the_grid_has_the_prompt_s_strongest(found, reading):
    grid = features.feature_grid(found, reading)
    shown = found.strongest(features.ROWS)
    assert grid.values.shape == (len(shown), len(found.tokens))
    for i, feature in enumerate(shown):
        for position in range(len(found.tokens)):
            here = dict(features.strongest_at(found, position))
            value = grid.values[i, position]
            assert np.isnan(value) if feature not in here else value == here[feature]
    assert np.isnan(grid.values[:, 0]).all(), "the first position is not counted"
    assert "not counted" in features.token_in_words(found, reading, 0)
    feature, value = features.strongest_at(found, 3)[0]
    strongest = f"; {features.feature_name(feature, reading)} at {decimal(value, 1)}."
    assert f"{found.n_active[3]} active feature" in features.token_in_words(found, reading, 3)
    assert features.token_in_words(found, reading, 3).endswith(strongest)


def test_what_is_read_names_features_by_labels(reading):
    best = features.best_of_labels(reading)
    assert set(best) == set(reading.labels.labels)
    f1 = [reading.labels.best_scores[reading.labels.labels.index(label), 0, 2] for label in best]
    assert f1 == sorted(f1, reverse=True)
    labels = replace(reading.labels, f1_of=np.where(np.arange(40) == 3, 0.9, 0.1))
    named = features.TextReading(reading.record, labels, None)
    label = labels.labels[labels.label_of[3]]
    assert features.feature_name(3, named) == f"3 ({label})"
    assert features.feature_name(4, named) == "4"


def test_the_last_token_s_best_named_feature_comes_first(found, reading):
    at_last = [feature for feature, _ in features.strongest_at(found, len(found.tokens) - 1)]
    nothing = features.TextReading(reading.record, None, None)
    assert features.first_choice(found, nothing) == at_last[0]
    assert features.best_of_labels(nothing) == {}
    labels = replace(reading.labels, f1_of=np.where(np.arange(40) == at_last[2], 0.9, 0.1))
    assert features.first_choice(found, features.TextReading(reading.record, labels, None)) == at_last[2]


def test_a_feature_s_parts(load, folder, reading):
    result = features.FeatureProfiles(features.ReadText(folder), (7,), reading)(load("demo-gpt2"))
    profile = result.of(7)
    assert f"{profile.n_active:,} of {result.n_tokens:,}" in features.activity_in_words(
        profile, result.n_tokens
    )
    assert features.label_table(profile).rows[0][0] == profile.labels.labels[0]
    assert len(features.logit_table(profile).rows) == len(profile.raised.rows)
    bars = features.writer_bars(profile)
    assert set(bars.labels) <= set(profile.writers.senders)
    assert histogram_html(profile).count("<i ") == len(profile.histogram.counts)
    drawn = contexts_html(profile.contexts, profile.strongest)
    assert drawn.count(' marked"') == len(profile.contexts), "one token of each is marked"
    silent = replace(profile, n_active=0)
    assert features.activity_in_words(silent, 10) == "Nowhere active in this text."


def test_no_token_of_a_context_acts(load, folder, reading):
    profile = features.FeatureProfiles(features.ReadText(folder), (7,), reading)(load("demo-gpt2")).of(7)
    bad = '<img src=x onerror=alert(1)>"'
    hostile = tuple(replace(c, tokens=(bad,) * len(c.tokens)) for c in profile.contexts)
    drawn = contexts_html(hostile, profile.strongest)
    assert "<img" not in drawn
    assert drawn.count("=alert(1)&gt;&quot;  ") == drawn.count("<span"), "no quote ends a title"


def test_the_server_reads_once_for_all_features(load, folder, small):
    server = ModelServer(lambda name: load("demo-gpt2"))
    asked = features.ReadText(folder)
    first = server.ask("demo-gpt2", asked)
    assert server.ask("demo-gpt2", features.ReadText(folder)) is first
    profile = server.ask("demo-gpt2", features.FeatureProfiles(asked, (3,), first))
    assert server.ask("demo-gpt2", features.FeatureProfiles(asked, (3,), first)) is profile
    assert server.ask("demo-gpt2", features.FeatureProfiles(asked, (4,), first)) is not profile


def test_copied_program_and_command_and_the_files_give_what_is_shown(
    load, folder, small, reading, found, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    question = features.PromptFeatures(folder, PROMPT, (*found.strongest(3), 7), "demo")
    profiles = features.FeatureProfiles(features.ReadText(folder), question.features, reading)(
        load("demo-gpt2")
    )
    names: dict = {}
    exec(features.as_python("demo-gpt2", question), names)
    assert (tmp_path / "features.html").read_text() == dashboard_page(profiles)
    assert names["in_prompt"].strongest(5) == found.strongest(5)
    left = run_copied_command(question, tmp_path)
    shown = features.experiment_result(found, reading, profiles)
    record, figure, report, _ = (f.make() for f in downloads("demo-gpt2", question, lambda: shown))
    (tmp_path / "result.json").write_text(record, encoding="utf-8")
    same(read_run(tmp_path).result.to_dict(), read_run(left).result.to_dict())
    assert figure == (left / "prompt_features.png").read_bytes()
    assert report == (left / "report.html").read_text(encoding="utf-8")


def same(one, other):
    """The same values; numbers to rounding, as the model may be one that was loaded for other tests."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"provenance"}:
            same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-5) if isinstance(one, float) else other)


def test_the_sae_that_goes_with_a_model():
    assert features.own_sae("demo-qwen3") == "demo-qwen3"
    assert features.own_sae("gpt2").startswith("jbloom/")
    with pytest.raises(InputError, match="train_sae"):
        features.own_sae("somewhere/else")


@pytest.fixture
def app(open_page, folder, small, monkeypatch):
    """The page with an SAE in a folder that the app was given, and that its user has asked for."""
    monkeypatch.setenv("INTERP_APP_FILES", str(Path(folder).parent))
    permissions().allow(str(folder))
    return open_page("Features", sae=folder)


def test_the_page_shows_a_feature_and_follows_the_url(app):
    app.query_params["feature"] = "7"
    run_without_errors(app)
    assert app.subheader[0].value.startswith("Feature 7")
    assert "Where it is strongest" in texts(app)
    assert re.search(r"feature_profiles\(model, record, \[.*\b7\b.*\]\)", texts(app))
    app.number_input(key="feature").set_value(8).run()
    assert app.subheader[0].value.startswith("Feature 8")
    button = next(b for b in app.button if b.key.startswith("at-"))
    button.click().run()
    assert app.subheader[0].value.startswith(f"Feature {button.key.removeprefix('at-')}")
    assert not app.exception


def test_the_page_calls_a_feature_as_its_folder_does(open_page, folder, small, tmp_path, monkeypatch):
    kept = tmp_path / "sae"
    shutil.copytree(folder, kept)
    name = FeatureDescription(
        feature=7, label="names of *months*", by="a model", score=0.875, shuffled=0.5, n_contexts=40
    )
    write_descriptions(kept, [name])
    monkeypatch.setenv("INTERP_APP_FILES", str(tmp_path))
    permissions().allow(str(kept))
    page = open_page("Features", sae=str(kept))
    page.query_params["feature"] = "7"
    run_without_errors(page)
    assert "Feature 7 (names of *months*)" in texts(page)
    assert "Called “names of *months*” by a model: " in texts(page)
    assert "a balanced accuracy of 0.88 (0.50 by another feature's name)" in texts(page)


def test_a_label_leads_to_its_feature(app, reading):
    app.run()
    best = features.best_of_labels(reading)
    label = list(best)[2]
    app.selectbox(key="by a label").set_value(label).run()
    assert not app.exception
    assert app.subheader[0].value.startswith(f"Feature {best[label]}")


@pytest.mark.parametrize("feature", ["40", "-1", "x"])
def test_a_feature_that_is_not_there_is_said(app, feature):
    app.query_params["feature"] = feature
    run_without_errors(app)
    assert "There is no feature" in texts(app)


def test_an_sae_that_is_not_there_is_a_sentence(app):
    app.run()
    assert "There is no SAE" in error_of(app.text_input(key="sae").set_value("nowhere"))


def test_a_hostile_prompt_is_a_prompt(app):
    app.run()
    run_without_errors(app.text_area(key="prompt").set_value(" ".join(HOSTILE)))


def test_a_model_without_an_sae_is_told_so_without_an_error(open_page, monkeypatch):
    monkeypatch.setattr("interp.app.views.features.NAMES", ())
    page = open_page("Features")
    run_without_errors(page)
    assert "No SAE of demo" in page.info[0].value
    run_without_errors(open_page("Generate", prompt="The capital of France is", n_tokens="2"))
