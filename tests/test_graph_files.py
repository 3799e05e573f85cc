"""Attribution graphs as files and as a page: written, read, clicked, grouped."""

from __future__ import annotations

import json

import pytest

import interp
from conftest import Parsed, run
from interp.errors import InputError
from interp.figures.dashboard.graph_page import graph_page, page_of
from interp.methods.graphs.attribution_graph import attribution_graph
from interp.methods.graphs.graph_files import graph_file, read_graph, write_graph
from interp.saes.activations import TopK
from interp.saes.transcoder_files import write_transcoders
from test_attribution_graph import random_transcoders

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def graph(load):
    model = load("demo-gpt2")
    names = {(layer, feature): HOSTILE for layer in range(6) for feature in range(24)}
    transcoders = random_transcoders(model, lambda n: TopK(3))
    return attribution_graph(
        model, transcoders, "The capital of France is", names=names, nodes=1.0, edges=1.0
    )


def test_what_is_written_is_read_back(graph, tmp_path):
    ids = [node.node_id for node in graph_file(graph).nodes]
    write_graph(graph, tmp_path / "g.json", slug="france", supernodes={"two of them": ids[:2]})
    found = read_graph(tmp_path / "g.json")
    assert found.metadata.slug == "france"
    assert found.metadata.prompt_tokens == list(graph.tokens)
    assert found.qParams.supernodes == [["two of them", *ids[:2]]]
    assert [node.node_id for node in found.nodes] == ids
    assert [link.weight for link in found.links] == graph.edges.effects.tolist()
    assert [link.in_model for link in found.links] == graph.edges.in_model.tolist()
    write_graph(found, tmp_path / "again.json")
    assert read_graph(tmp_path / "again.json") == found
    assert interp.read_graph(tmp_path / "again.json") == found


def test_nodes_are_named_as_circuit_tracer_names_them(graph):
    made = graph_file(graph)
    for number, node in enumerate(made.nodes):
        kind, layer = graph.nodes.kinds[number], int(graph.nodes.layers[number])
        index, at = int(graph.nodes.indices[number]), int(graph.nodes.positions[number])
        first = {"token": "E", "logit": "7"}.get(kind, str(layer))
        assert node.node_id == f"{first}_{index}_{at}"
        assert node.ctx_idx == at
        if kind == "feature":
            pair = (layer + index) * (layer + index + 1) // 2 + index
            assert (node.feature, node.feature_type) == (pair, "cross layer transcoder")
            assert node.jsNodeId == f"{layer}_{index}-0"
    logits = [node for node in made.nodes if node.feature_type == "logit"]
    assert [node.is_target_logit for node in logits] == [True] + [False] * (len(logits) - 1)
    assert logits[0].token_prob == pytest.approx(graph.nodes.activations[-len(logits)])


def test_a_file_of_another_program_is_read_and_shown(tmp_path):
    """The least that Neuronpedia's schema asks for, and a field of their own."""
    node = {"feature": None, "ctx_idx": 0, "clerp": "", "jsNodeId": "x"}
    file = {
        "metadata": {"slug": "s", "scan": "gemma-2-2b", "prompt_tokens": ["a"], "prompt": "a", "more": 1},
        "qParams": {},
        "nodes": [
            {**node, "node_id": "E_1_0", "layer": "E", "feature_type": "embedding"},
            {**node, "node_id": "27_5_0", "layer": 27, "feature_type": "logit", "own": [1]},
        ],
        "links": [{"source": "E_1_0", "target": "27_5_0", "weight": -2.5}],
    }
    (tmp_path / "g.json").write_text(json.dumps(file))
    found = read_graph(tmp_path / "g.json")
    assert found.links[0].weight == -2.5
    assert json.loads(found.to_json())["nodes"][1]["own"] == [1], "what is not known is kept"
    graph_page(found, tmp_path / "g.html")
    assert "gemma-2-2b: 2 nodes, 1 edges" in (tmp_path / "g.html").read_text()
    for change, words in (
        ({"links": [{"source": "E_1_0", "target": "no", "weight": 1}]}, "not both there"),
        ({"nodes": [file["nodes"][0]] * 2, "links": []}, "two nodes have one id"),
        ({"metadata": {}}, "metadata.slug"),
        ({"nodes": 3}, "nodes"),
    ):
        (tmp_path / "g.json").write_text(json.dumps({**file, **change}))
        with pytest.raises(InputError, match=words):
            read_graph(tmp_path / "g.json")
    (tmp_path / "g.json").write_text("no json")
    with pytest.raises(InputError, match="cannot be read"):
        read_graph(tmp_path / "g.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_graph(tmp_path / "none.json")


def test_a_supernode_of_what_is_not_there_is_refused(graph):
    with pytest.raises(InputError, match="no node of this graph"):
        graph_file(graph, supernodes={"x": ["0_1_99"]})


def test_the_page_is_one_file_in_which_no_token_acts(graph):
    page = page_of(graph_file(graph))
    parsed = Parsed(page)
    assert "img" not in parsed.tags
    links = {value for name, value in parsed.attributes if name in ("src", "href")}
    assert links == {"data:,"}, "it loads nothing"
    assert page.count("</script>") == parsed.tags.count("script")


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that opens a graph's page; nothing may be complained of or asked for."""
    heard: list[str] = []
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.on("console", lambda line: heard.append(line.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "blob:")) or heard.append(request.url)
    )

    def opened(graph):
        graph_page(graph, tmp_path / "graph.html")
        page.goto((tmp_path / "graph.html").as_uri())
        return page

    yield opened
    page.close()
    assert heard == []


@pytest.mark.slow
def test_nodes_are_clicked_pinned_and_grouped(opened, graph, tmp_path):
    page = opened(graph)
    made = graph_file(graph)
    nodes = page.locator("#map .node")
    assert nodes.count() == len(made.nodes)
    about = page.locator("#about")
    assert "Output" in about.locator("h2").inner_text(), "it begins with what was said"
    first = next(node for node in made.nodes if node.feature_type.startswith("cross"))
    number = [node.node_id for node in made.nodes].index(first.node_id)
    nodes.nth(number).click()
    assert f"feature {first.node_id.split('_')[1]}" in about.locator("h2").inner_text()
    assert HOSTILE in about.inner_text()
    assert "lost without it, by the graph" in about.inner_text()
    n_links = sum(first.node_id in (link.source, link.target) for link in made.links)
    assert page.locator("#map .edge").count() == min(n_links, 40) or n_links > 20
    nodes.nth(0).click(modifiers=["Shift"])
    about.get_by_role("button", name="Pin", exact=True).click()
    about.get_by_label("name of the group").fill("mine")
    about.get_by_role("button", name="Group the pinned").click()
    assert "mine: " in about.inner_text()
    with page.expect_download() as download:
        about.get_by_role("button", name="Save as a graph file").click()
    download.value.save_as(tmp_path / "kept.json")
    kept = read_graph(tmp_path / "kept.json")
    assert kept.qParams.supernodes == [["mine", made.nodes[0].node_id, first.node_id]]
    assert kept.qParams.clickedId == first.node_id
    about.locator("td button").first.click()
    assert about.locator("h2").inner_text() != f"feature {first.node_id}"
    page.reload()
    assert "mine: " not in about.inner_text()
    page.get_by_label("Load groups of a file").set_input_files(tmp_path / "kept.json")
    about.get_by_text("1 groups loaded.").wait_for()
    assert "mine: " in about.inner_text(), "groups of a saved file are there again"
    (tmp_path / "other.json").write_text("{}")
    page.get_by_label("Load groups of a file").set_input_files(tmp_path / "other.json")
    about.get_by_text("This is no graph file.").wait_for()


def test_from_the_command_line(load, tmp_path, capsys):
    model = load("demo-gpt2")
    write_transcoders(tmp_path / "t", random_transcoders(model, lambda n: TopK(3)))
    settings = ["--set", f"transcoders={tmp_path / 't'}", "sequences=4", "--tag", "x", "--out", tmp_path]
    assert run("run", "attribution_graph", *settings) == 0
    said = capsys.readouterr().out
    assert "Correlation of what the graph says and what the model loses" in " ".join(said.split())
    folder = tmp_path / "attribution_graph" / "x"
    assert run("dashboard", folder, "--neuronpedia", tmp_path / "g.json") == 0
    assert (folder / "dashboard.html").stat().st_size > 10_000
    assert read_graph(tmp_path / "g.json").metadata.prompt.endswith("The capital of France is")
