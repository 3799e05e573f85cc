"""The command `interp app`, and the pages as Streamlit runs them (skipped where it is not installed)."""

import importlib.util
import json
import subprocess
import sys
import urllib.request

import pytest

from app_pages import DEMOS, HOSTILE, error_of, field, run_without_errors, texts
from browser import serving
from conftest import run
from interp.app.server import launch
from interp.errors import ConfigError, how_to_install

needs_streamlit = pytest.mark.skipif(
    importlib.util.find_spec("streamlit") is None, reason="needs Streamlit, the extra 'app'"
)


def test_without_streamlit_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    assert run("app") == 2
    assert how_to_install("app") in capsys.readouterr().err


def test_the_server_is_local_and_silent(monkeypatch):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: object())
    given = json.loads(launch.server_command(8600, browser=False)[-1])
    expected = {
        "server.address": "127.0.0.1",
        "server.port": 8600,
        "server.allowedHosts": ["127.0.0.1", "localhost"],
        "server.headless": True,
        "browser.gatherUsageStats": False,
    }
    assert {key: given[key] for key in expected} == expected
    assert json.loads(launch.server_command(8600, browser=True)[-1])["server.headless"] is False
    with pytest.raises(ConfigError, match="port"):
        launch.server_command(0, browser=False)


@needs_streamlit
@pytest.mark.slow
def test_what_ends_the_command_ends_the_server(tmp_path):
    with serving(tmp_path) as server:
        server.process.terminate()
        server.process.wait(timeout=20)
        with pytest.raises(OSError, match="refused"), urllib.request.urlopen(server.url, timeout=5):
            pass


def test_the_command_loads_nothing_heavy():
    heavy = "{'torch', 'transformers', 'matplotlib', 'streamlit', 'numpy'}"
    program = f"import sys, interp.app.server.launch; print('heavy:', sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "heavy: []\n"


@pytest.fixture
def app(open_page):
    return open_page("Explore")


@pytest.mark.parametrize("model", DEMOS)
def test_explore_shows_the_lens_and_the_way_to_it(app, model):
    app.query_params["model"] = model
    run_without_errors(app)
    assert "Logit lens" in texts(app)
    assert "Head 5.0" in texts(app)
    assert f"interp.load_model('{model}')" in texts(app)


def test_explore_follows_the_url(app):
    app.query_params["prompt"] = "The capital of France is"
    app.query_params["cell"] = "2.3"
    app.query_params["head"] = "4.2"
    app.run()
    assert not app.error
    assert app.text_area(key="prompt").value == "The capital of France is"
    assert "Layer 1, position 3" in texts(app)
    assert "Head 4.2" in texts(app)


@pytest.mark.parametrize(
    ("name", "key"), [("Explore", "prompt"), ("Contrast", "first"), ("Circuit map", "prompt")]
)
@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_hostile_prompt_is_a_prompt(open_page, name, key, prompt):
    app = open_page(name).run()
    if name == "Explore":
        app.text_input(key="target").set_value("")
    run_without_errors(field(app, key).set_value(prompt))


@pytest.mark.parametrize(("prompt", "sentence"), [("   ", "empty"), ("word " * 2000, "at most")])
def test_an_unusable_prompt_is_a_sentence(app, prompt, sentence):
    app.run()
    assert sentence in error_of(app.text_area(key="prompt").set_value(prompt))


def test_a_wrong_head_leaves_the_rest_of_the_page(app):
    app.query_params["head"] = "99.0"
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert "Logit lens" in texts(app)


def test_an_example_fills_the_inputs_and_forgets_the_cell(app):
    app.query_params["cell"] = "1.1"
    app.run()
    app.button(key="example-1").click().run()
    assert app.text_area(key="prompt").value == "The capital of France is"
    assert "cell" not in app.query_params
    assert not app.exception


def test_text_from_a_prompt_is_no_markdown():
    from interp.app.markdown import escape_markdown

    assert escape_markdown("![x](http://a)\n# b") == "\\!\\[x\\]\\(http\\:\\/\\/a\\) \\# b"


def test_another_page_forgets_the_cell(app):
    app.query_params["cell"] = "1.1"
    app.run()
    app.segmented_control(key="page").set_value("Trace").run()
    assert not app.exception
    assert "cell" not in app.query_params
