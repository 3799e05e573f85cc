"""Names of features: planted ones by labels and by a server of this test, kept in a folder and shown."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import interp
from conftest import run
from interp.app.views import features as app_features
from interp.errors import InputError, RunError
from interp.figures.dashboard.feature_dashboard import dashboard_page
from interp.figures.dashboard.graph_page import page_of
from interp.methods.features.chat_endpoint import ChatEndpoint
from interp.methods.features.describers import ByModel
from interp.methods.features.local_chat import LocalChat
from interp.methods.graphs.graph_files import graph_file
from interp.models.gguf.packages import GEMMA, is_installed
from interp.runs import read_run
from interp.saes.descriptions import (
    FILE,
    FeatureDescription,
    read_descriptions,
    write_descriptions,
)
from interp.saes.reading import FeatureRecord, ReadingText
from test_saes import make

LETTERS = "abcdefgh"
PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def planted(load) -> FeatureRecord:
    """Random letters, and features that are active: 0 at each "a", 1 at each "b", 2 at half of all tokens
    whatever they are, 3 nowhere, 4 in the first half of the text alone."""
    model = load("tiny-gpt2")
    ids = np.array([model.to_tokens(letter).row(0)[-1] for letter in LETTERS])
    draw = np.random.default_rng(0)
    letters = draw.integers(0, len(LETTERS), size=(24, 20))
    counted = np.ones((24, 20), bool)
    counted[:, 0] = False
    half = np.arange(24)[:, None] < 12
    active = [letters == 0, letters == 1, draw.random((24, 20)) < 0.5, letters < 0, (letters == 2) & half]
    tokens, values = [], []
    for on in active:
        where = np.flatnonzero((on & counted).ravel())
        strength = np.sort(draw.random(len(where)) + 0.5)[::-1]
        tokens.append(draw.permutation(where))
        values.append(strength)
    text = ReadingText(
        described="letters",
        sequences=tuple(tuple(row) for row in ids[letters].tolist()),
        label_names=tuple(LETTERS),
        labels=np.stack([(letters == i).ravel() for i in range(len(LETTERS))]),
    )
    return FeatureRecord(
        text=text,
        sae=make(model, n=5),
        counted=counted.ravel(),
        starts=np.arange(0, 24 * 20 + 1, 20),
        bounds=np.cumsum([0, *map(len, tokens)]),
        tokens=np.concatenate(tokens),
        values=np.concatenate(values),
    )


def test_labels_name_what_is_planted(load, planted):
    result = interp.describe_features(load("tiny-gpt2"), planted, [0, 1, 2, 3, 4])
    assert result.by == "the labels of the text"
    a, b, any_of_them = result.descriptions
    assert (a.feature, a.label, a.score) == (0, "a", 1.0)
    assert (b.feature, b.label, b.score) == (1, "b", 1.0)
    assert a.shuffled is not None
    assert a.shuffled <= 0.5, "by another's name none is told"
    assert abs(any_of_them.score - 0.5) < 0.15, "which is active whatever the token is"
    assert any_of_them.n_contexts == 40, "20 active and 20 silent"
    assert [one.what for one in result.left_out] == ["feature 3", "feature 4"]
    assert type(result).from_dict(result.to_dict()).to_dict() == result.to_dict()
    assert "mean score 0.8" in str(result.table()) or "mean score" in repr(result)
    (alone,) = interp.describe_features(load("tiny-gpt2"), planted, [0]).descriptions
    assert alone.shuffled is None, "there is no other name"


class Server:
    """A model that names a feature by the letters it was shown, and finds these letters again."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.headers: list[dict] = []
        self.answer = self.honest
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append({"path": self.path, **body})
                outer.headers.append(dict(self.headers))
                status, content, extra = outer.answer(body["messages"][0]["content"])
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def says(text: str) -> tuple[int, bytes, dict]:
        return 200, json.dumps({"choices": [{"message": {"content": text}}]}).encode(), {}

    def honest(self, prompt: str) -> tuple[int, bytes, dict]:
        marked = re.findall(r"«(\w)»", prompt)
        if "have in common" in prompt:
            return self.says(f'"letters {"".join(sorted(set(marked)))}"\n')
        wanted = re.search(r"letters (\w+)", prompt)[1]
        return self.says(f"Here: {json.dumps([int(letter in wanted) for letter in marked])}")


@pytest.fixture
def server():
    one = Server()
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_a_model_behind_a_url_names_them(load, planted, server):
    model = load("tiny-gpt2")
    interp.describe_features(model, planted, [0, 1])
    assert not server.asked, "nothing is sent without being asked for"
    describer = ByModel(ChatEndpoint(url=server.url + "/", model="parrot", key="a key"))
    result = interp.describe_features(model, planted, [0, 1], describer)
    assert result.by == "parrot"
    assert [one.label for one in result.descriptions] == ["letters a", "letters b"]
    assert [one.score for one in result.descriptions] == [1.0, 1.0]
    assert [one.shuffled for one in result.descriptions] == pytest.approx([0.5, 0.5], abs=0.15)
    assert len(server.asked) == 6, "a name and two scores each"
    assert {one["path"] for one in server.asked} == {"/v1/chat/completions"}
    assert {one["model"] for one in server.asked} == {"parrot"}
    assert {one["Authorization"] for one in server.headers} == {"Bearer a key"}
    assert "a key" not in repr(describer)
    first = server.asked[0]["messages"][0]["content"]
    assert first.count("«a»") == 10
    assert "makes these next tokens likelier" in first


def test_an_answer_that_cannot_be_read_is_no_score(load, planted, server):
    server.answer = lambda prompt: server.says("one" if "in common" in prompt else "I think [1, 0]")
    describer = ByModel(ChatEndpoint(url=server.url, model="m"))
    (one,) = interp.describe_features(load("tiny-gpt2"), planted, [0], describer).descriptions
    assert (one.label, one.score) == ("one", None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, b"", {}), "refused the request"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "refused the request"),
        ((200, b"hello", {}), "is no chat completion"),
        ((200, b'{"choices": []}', {}), "is no chat completion"),
        ((200, b"x" * 1_100_000, {}), "too long"),
    ],
)
def test_what_is_no_answer_is_a_sentence(server, answer, words):
    server.answer = lambda prompt: answer
    with pytest.raises(RunError, match=words):
        ChatEndpoint(url=server.url, model="m").ask("hello")


def test_an_address_that_is_none(server):
    with pytest.raises(InputError, match="no address of an endpoint"):
        ChatEndpoint(url="file:///etc/passwd", model="m")
    with pytest.raises(RunError, match="could not be reached"):
        ChatEndpoint(url="http://127.0.0.1:1/v1", model="m").ask("hello")


def described(feature: int, label: str) -> FeatureDescription:
    return FeatureDescription(feature=feature, label=label, by="m", score=0.75, shuffled=None, n_contexts=8)


def test_names_are_kept_in_the_folder_beside_others(tmp_path):
    assert read_descriptions(tmp_path) == {}
    write_descriptions(tmp_path, [described(7, "seven"), described(2, "two")])
    write_descriptions(tmp_path, [described(7, "lucky")])
    assert read_descriptions(tmp_path) == {2: described(2, "two"), 7: described(7, "lucky")}
    (tmp_path / FILE).write_text('[{"kind": "feature_description"}]')
    with pytest.raises(InputError, match="cannot be read"):
        read_descriptions(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        write_descriptions(tmp_path / "nothing", [])


def test_names_in_the_folder_are_shown_everywhere(load, tmp_path):
    model = load("demo-gpt2")
    interp.write_sae(tmp_path / "sae", make(model, "resid_post", 3))
    plain = interp.load_sae(tmp_path / "sae", model)
    prompt = "The capital of France is"
    strongest = interp.sae_features(model, plain, prompt).strongest(1)[0]
    write_descriptions(tmp_path / "sae", [described(strongest, "a\nplace"), described(10**6, "none")])
    sae = interp.load_sae(tmp_path / "sae", model)
    assert sae.names[strongest] == "a\nplace"
    named = f"{strongest} (a↵place)"
    active = interp.sae_features(model, sae, prompt)
    assert active.sae.names == ((strongest, "a\nplace"),), "of those that it speaks of"
    assert type(active).from_dict(active.to_dict()).equals(active)
    text = interp.reading_text(model, sequences=24, length=64)
    found = interp.prompt_features(model, sae, prompt, text, n=3)
    effects = interp.feature_effects(model, sae, prompt, answer=" Paris", foil=" Tokyo")
    for result in (active, found, found.profiles, effects):
        assert named in str(result.table()) or named in result._repr_html_(), result.kind
    page = dashboard_page(found.profiles)
    assert '"says": "a↵place"' in page or '"says":"a↵place"' in page
    assert interp.sae_features(model, plain, prompt).sae.names == ()


def test_names_of_transcoders_are_those_of_the_graph(load, tmp_path):
    model = load("demo-gpt2")
    interp.write_transcoders(tmp_path / "own", interp.load_transcoders("demo-gpt2", model))
    graph = interp.attribution_graph(model, interp.load_transcoders("demo-gpt2", model), PROMPT)
    node = int(graph.nodes.of_kind("feature").nonzero()[0][-1])
    layer, feature = int(graph.nodes.layers[node]), int(graph.nodes.indices[node])
    write_descriptions(tmp_path / "own" / f"layer_{layer}", [described(feature, "says Paris")])
    transcoders = interp.load_transcoders(tmp_path / "own", model)
    assert transcoders.names == {(layer, feature): "says Paris"}
    graph = interp.attribution_graph(model, transcoders, PROMPT, names={(layer, feature): "another"})
    assert graph.nodes.labels[node] == "says Paris", "kept ones come first"
    assert "says Paris" in str(graph.table())
    file = graph_file(graph)
    assert file.nodes[node].clerp == "says Paris"
    assert "says Paris" in page_of(file)


def test_a_model_on_this_machine_names_them(load, planted):
    """The demo model says something that is no name for anything, but all is asked of it, and nothing is
    sent."""
    model = load("tiny-gpt2")
    chat = LocalChat(model)
    assert chat.ask("Is it?") == chat.ask("Is it?")
    result = interp.describe_features(model, planted, [0, 1], ByModel(Canned(model)), contexts=2, before=2)
    assert result.by == model.identity.name
    assert [one.label for one in result.descriptions] == ["letters", "letters"]


class Canned(LocalChat):
    """A local model whose answers are known."""

    def ask(self, question: str) -> str:
        assert super().ask("Is it?") is not None
        return "letters" if "in common" in question else "[]"


@pytest.mark.slow
def test_gemma_names_features_of_a_layer_of_transcoders(tmp_path):
    if not is_installed(GEMMA):
        pytest.skip("Gemma 3 270M is not installed")
    interp.write_transcoders(
        tmp_path / "own", interp.load_transcoders("demo-gpt2", interp.load_model("demo-gpt2"))
    )
    small = [f"sae={tmp_path / 'own'}", "layer=2", "by=gemma-3-270m", "n=1", "sequences=16", "contexts=3"]
    more = ["held_out=5", "keep=true"]
    assert run("run", "describe_features", "--set", *small, *more, "--tag", "t", "--out", tmp_path) == 0
    result = read_run(tmp_path / "describe_features" / "t").result
    assert result.by == "gemma-3-270m"
    assert read_descriptions(tmp_path / "own" / "layer_2").keys() == {
        one.feature for one in result.descriptions
    }


def test_the_app_calls_a_feature_by_its_name(planted):
    reading = app_features.TextReading(planted, None, None, {1: described(1, "the letter b")})
    assert app_features.feature_name(1, reading) == "1 (the letter b)"
    assert app_features.feature_name(0, reading) == "0"
    assert app_features.description_in_words(0, reading) is None
    said = app_features.description_in_words(1, reading)
    assert said.startswith("Called “the letter b” by m")
    assert "0.75" in said


@pytest.mark.slow
def test_from_the_command_line(load, tmp_path):
    interp.write_sae(tmp_path / "sae", make(load("demo-gpt2"), "resid_post", 3))
    small = ["sequences=16", "length=64", "n=3", "held_out=5", "keep=true", f"sae={tmp_path / 'sae'}"]
    assert run("run", "describe_features", "--set", *small, "--tag", "t", "--out", tmp_path) == 0
    result = read_run(tmp_path / "describe_features" / "t").result
    kept = read_descriptions(tmp_path / "sae")
    assert list(kept) == sorted(one.feature for one in result.descriptions)
    assert len(kept) == 3
    assert (tmp_path / "describe_features" / "t" / "report.html").is_file()
