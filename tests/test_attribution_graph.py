"""Attribution graphs: planted features found, direct effects that sum to what is read, and the truth beside
them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import interp
from compiled_two_steps import FILLERS, A, B, answer_of, bridge_of, two_step_model
from conftest import run
from families import family_model
from interp.edits import Edit
from interp.errors import InputError
from interp.figures.dashboard.graph_page import page_of
from interp.methods.attribution.frozen_readout import frozen_sum
from interp.methods.graphs.attention_score_parts import attention_score_parts
from interp.methods.graphs.attribution_graph import attribution_graph
from interp.methods.graphs.direct_effects import direct_effects
from interp.methods.graphs.graph_files import graph_file
from interp.methods.graphs.influence import WholeGraph
from interp.methods.graphs.knock_outs import LogitTarget, in_local_model, in_model
from interp.methods.graphs.local_model import LocalModel
from interp.methods.graphs.nodes import feature_reads, source_nodes, written
from interp.methods.graphs.scale_nodes import scale_nodes
from interp.methods.graphs.scaled_nodes import node_id, scaled_nodes
from interp.runs import read_run
from interp.saes.activations import Activation, JumpReLU, Standard, TopK
from interp.saes.dictionary import model_facts
from interp.saes.transcoder import Transcoder, Transcoders, mlp_norm
from planting import BOS

IDS = [3, 17, 5, 9, 2, 21, 8]


def random_transcoders(
    model: interp.Model, activation: Callable[[int], Activation], *, n: int = 24, skip: bool = False
) -> Transcoders:
    """Transcoders with random weights, for every MLP."""
    draw = torch.Generator().manual_seed(0)
    d = model.arch.d_model

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw) / d**0.5

    return Transcoders(
        tuple(
            Transcoder(
                W_enc=drawn(d, n),
                b_enc=drawn(n),
                W_dec=drawn(n, d),
                b_dec=drawn(d),
                W_skip=drawn(d, d) if skip else None,
                activation=activation(n),
                norm=mlp_norm(model, layer).norm,
                layer=layer,
                **model_facts(model),
            )
            for layer in range(model.arch.n_layers)
        )
    )


def exact(family: str) -> interp.Model:
    """A tiny model of a family in float64."""
    return interp.load_model(family_model(family).double(), device="cpu", dtype="float64", self_check=False)


# ---- planted features ----


@pytest.fixture(scope="module")
def two_steps() -> tuple[interp.Model, Transcoders]:
    """A compiled transformer, and transcoders whose features are the neurons of its MLPs."""
    hf = two_step_model()
    model = interp.load_model(hf, device="cpu", name="two steps", self_check=False)
    layers = []
    for layer, block in enumerate(hf.transformer.h):
        gain = block.ln_2.weight.detach()
        layers.append(
            Transcoder(
                W_enc=gain[:, None] * block.mlp.c_fc.weight.detach(),
                b_enc=block.mlp.c_fc.bias.detach(),
                W_dec=block.mlp.c_proj.weight.detach(),
                b_dec=block.mlp.c_proj.bias.detach(),
                activation=Standard(),
                norm=mlp_norm(model, layer).norm,
                layer=layer,
                **model_facts(model),
            )
        )
    return model, Transcoders(tuple(layers))


def named(graph) -> tuple[set, set]:
    """Features as (layer, position, feature), and edges by what their ends are."""
    nodes = graph.nodes

    def name(i: int):
        return nodes.kinds[i], int(nodes.layers[i]), int(nodes.positions[i]), int(nodes.indices[i])

    features = {name(i) for i in nodes.of_kind("feature", "error").nonzero()[0].tolist()}
    edges = {
        (name(s), name(t))
        for s, t in zip(graph.edges.sources.tolist(), graph.edges.targets.tolist(), strict=True)
    }
    return features, edges


@pytest.mark.parametrize("a", [A[0], A[5]])
def test_planted_features_and_edges_are_found_and_no_others(two_steps, a):
    model, transcoders = two_steps
    b, f = bridge_of(a), list(FILLERS)
    token = ("token", -1, 2, a)
    first = ("feature", 1, 3, A.index(a))
    second = ("feature", 2, 3, B.index(b))
    answer = ("logit", 3, 3, answer_of(b))
    graph = attribution_graph(model, transcoders, [BOS, f[0], a, f[1]], answer=answer_of(b))
    assert named(graph) == ({first, second}, {(token, first), (first, second), (second, answer)})
    assert graph.replacement_score > 0.99
    assert graph.completeness_score > 0.99
    # one place further, the bridge is copied by a head, through no feature of layer 2
    graph = attribution_graph(model, transcoders, [BOS, f[0], a, f[1], f[2]], answer=b)
    assert named(graph) == ({first}, {(token, first), (first, ("logit", 3, 4, b))})


def test_planted_nodes_knocked_out_end_the_answer(two_steps):
    model, transcoders = two_steps
    a = A[2]
    graph = attribution_graph(model, transcoders, [BOS, 27, a, 29], answer=answer_of(bridge_of(a)))
    nodes, value = graph.nodes, graph.logit_values[0]
    steps = [i for i in range(len(nodes)) if nodes.kinds[i] == "feature" or nodes.indices[i] == a]
    assert len(steps) == 3
    for truth in (nodes.attribution, nodes.in_local_model):
        assert truth[steps, 0] == pytest.approx([value] * 3, rel=2e-3), "each of the three is all of it"
    # the token's own query and position go with it, so that the heads no longer look where they looked
    features = [i for i in steps if nodes.kinds[i] == "feature"]
    assert nodes.in_model[features, 0] == pytest.approx([value] * 2, rel=2e-3)
    assert graph.edges.in_model[-2:] == pytest.approx(graph.edges.effects[-2:], rel=2e-3)
    assert graph.replaced_probability == pytest.approx(graph.nodes.activations[-1], rel=1e-3)


# ---- effects sum to what is read ----

KINDS = {
    "standard": lambda n: Standard(),
    "topk": lambda n: TopK(6),
    "jumprelu": lambda n: JumpReLU(torch.linspace(0.0, 0.6, n)),
}


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma3_text", "gpt_oss"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", [False, True], ids=["", "skip"])
def test_direct_effects_and_biases_sum_to_every_pre_activation(family, kind, skip):
    model = exact(family)
    transcoders = random_transcoders(model, KINDS[kind], skip=skip)
    local = LocalModel.of(model, transcoders, IDS)
    sources = source_nodes(local)
    features = [node for node in sources if node.kind == "feature"]
    found = direct_effects(local, sources, feature_reads(local, features))
    whole = found.effects.sum(1) + found.constant
    read = torch.tensor([float(local.mlps[x.layer].pre[x.position, x.index]) for x in features])
    assert len(features) > 20
    off = 1e-7 if family == "gpt2" else 2e-5  # RMSNorms of transformers compute in float32
    torch.testing.assert_close(whole, read.double(), atol=off, rtol=off)


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_the_sum_over_the_graph_is_the_logit(family):
    model = exact(family)
    transcoders = random_transcoders(model, KINDS["topk"], skip=True)
    graph = attribution_graph(model, transcoders, IDS, nodes=1.0, edges=1.0)
    logit = len(graph.nodes) - 1
    into = graph.edges.effects[graph.edges.targets == logit].sum() + graph.nodes.constants[logit]
    logits = model.forward(IDS)[0, -1]
    token = int(graph.nodes.indices[logit])
    off = 1e-7 if family == "gpt2" else 2e-5
    assert into == pytest.approx(float(logits[token] - logits.mean()), abs=off)


def test_direct_effects_are_those_of_a_run_with_norms_and_patterns_held():
    """Against torch's own gradients through the modules of a GPT-2, norms and patterns held by hand."""
    model = exact("gpt2")
    transcoders = random_transcoders(model, KINDS["standard"])
    local = LocalModel.of(model, transcoders, IDS)
    sources = source_nodes(local)
    target = next(x for x in sources if x.kind == "feature" and x.layer == 1 and x.position == 5)
    effects = direct_effects(local, sources, feature_reads(local, [target])).effects[0]
    blocks = model.hf_model.transformer.h
    cache = model.run_with_cache(IDS, ["resid_pre", "resid_mid", "mlp_out", "pattern"])

    def held(norm: nn.LayerNorm, x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        size = (at.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / size * norm.weight + norm.bias

    embedding = cache["resid_pre", 0][0].clone().requires_grad_()
    x, outs = embedding, []
    for layer in (0, 1):
        block, pattern = blocks[layer], cache["pattern", layer][0]
        normed = held(block.ln_1, x, cache["resid_pre", layer][0])
        v = block.attn.c_attn(normed[None])[0].chunk(3, -1)[2].unflatten(-1, (len(pattern), -1))
        z = torch.einsum("hqk,khd->qhd", pattern, v).flatten(1)
        x = x + block.attn.c_proj(z[None])[0]
        if layer == 0:
            outs.append(cache["mlp_out", 0][0].clone().requires_grad_())
            x = x + outs[0]
    one = transcoders[1]
    mid = cache["resid_mid", 1][0]
    size = (mid.var(-1, unbiased=False, keepdim=True) + one.norm.eps).sqrt()
    pre = ((x - x.mean(-1, keepdim=True)) / size) @ one.W_enc.double()
    to_tokens, to_mlp = torch.autograd.grad(pre[target.position, target.index], [embedding, outs[0]])
    for node, effect in zip(sources, effects.tolist(), strict=True):
        gradient = {-1: to_tokens, 0: to_mlp}.get(node.layer)
        expected = (
            0.0 if gradient is None else float(gradient[node.position] @ written(local, node)[node.layer])
        )
        assert effect == pytest.approx(expected, abs=1e-9), node


# ---- knock-outs ----


def test_a_knock_out_in_the_model_is_an_edit_of_it():
    model = exact("qwen3")
    transcoders = random_transcoders(model, KINDS["topk"])
    local = LocalModel.of(model, transcoders, IDS)
    nodes = [x for x in source_nodes(local) if x.kind == "feature"][::9]
    lost = in_model(model, local, nodes, [LogitTarget(((4, 1.0),))])[:, 0]
    clean = model.forward(IDS)[0, -1]
    for node, found in zip(nodes, lost.tolist(), strict=True):
        edit = Edit.add(
            "mlp_out", node.layer, value=-written(local, node)[node.layer], positions=node.position
        )
        logits = model.forward(IDS, [edit])[0, -1]
        expected = (clean[4] - clean.mean()) - (logits[4] - logits.mean())
        assert found == pytest.approx(float(expected), abs=1e-9)


def test_nodes_scaled_to_nothing_are_knocked_out():
    model = exact("gpt2")
    transcoders = random_transcoders(model, KINDS["topk"])
    local = LocalModel.of(model, transcoders, IDS)
    nodes = source_nodes(local)
    chosen = [
        next(x for x in nodes if x.kind == kind and x.position) for kind in ("token", "feature", "error")
    ]
    target = LogitTarget(((4, 1.0),))
    clean = target(model.forward(IDS)[0, -1])
    for node, lost in zip(chosen, in_model(model, local, chosen, [target])[:, 0].tolist(), strict=True):
        edits = scaled_nodes(model, transcoders, IDS, [node_id(node)], 0.0)
        assert float(clean - target(model.forward(IDS, edits)[0, -1])) == pytest.approx(lost, abs=1e-5)
    names = [node_id(node) for node in chosen]
    same = model.forward(IDS, scaled_nodes(model, transcoders, IDS, names, 1.0))
    torch.testing.assert_close(same, model.forward(IDS))
    with pytest.raises(InputError, match="is no node of this prompt"):
        scaled_nodes(model, transcoders, IDS, ["0_1_99"], 0.0)


def test_without_a_threshold_in_between_the_local_model_is_linear():
    """In the last layer no feature comes after, so that the direct effect is all of it; below, a knock-out
    differs from the linear estimate only by features that start or cease to be active."""
    model = exact("gpt2")
    transcoders = random_transcoders(model, KINDS["standard"], skip=True)
    graph = attribution_graph(model, transcoders, IDS, nodes=1.0, edges=1.0)
    features = graph.nodes.of_kind("feature", "error")
    last = features & (graph.nodes.layers == model.arch.n_layers - 1)
    assert graph.nodes.in_local_model[last] == pytest.approx(graph.nodes.attribution[last], abs=1e-9)
    below = features & ~last
    assert abs(graph.nodes.in_local_model[below] - graph.nodes.attribution[below]).max() > 1e-6
    # a small change makes no feature start or cease: the estimate is the derivative
    local = LocalModel.of(model, transcoders, IDS)
    node = next(x for x in source_nodes(local) if x.kind == "error" and x.layer == 0 and x.position == 4)
    local.mlps[0].error[4] *= 1e-6
    readout = torch.randn(1, model.arch.d_model, generator=torch.Generator().manual_seed(1)).double()
    small = float(in_local_model(local, [node], readout)[0, 0])
    local.mlps[0].error[4] *= 2
    assert float(in_local_model(local, [node], readout)[0, 0]) == pytest.approx(2 * small, rel=1e-6)


# ---- influence ----


def test_influence_and_scores_by_hand():
    """token -> feature (3 of 4, 1 from the error) -> logit (half), and the token directly (half)."""
    between = torch.zeros(3, 3, dtype=torch.float64)
    between[1, 0] = -3.0
    # order: token, error, feature
    between = torch.tensor([[0, 0, 0], [0, 0, 0], [-3, 1, 0]], dtype=torch.float64)
    graph = WholeGraph(
        between=between,
        on_logits=torch.tensor([[2, 0, 2]], dtype=torch.float64),
        probabilities=torch.tensor([0.5], dtype=torch.float64),
        activations=torch.tensor([1.0, 1.0, 4.0], dtype=torch.float64),
        is_token=torch.tensor([True, False, False]),
        is_error=torch.tensor([False, True, False]),
    )
    assert graph.influence().tolist() == pytest.approx([0.5 * (0.5 + 0.5 * 0.75), 0.5 * 0.5 * 0.25, 0.25])
    assert graph.replacement_score() == pytest.approx(0.875)
    assert graph.completeness_score() == pytest.approx((0.5 * 1 + 0.25 * 0.75) / 0.75)
    assert graph.total_effects()[0].tolist() == pytest.approx([2 + 2 * -3 / 4, 2 * 1 / 4, 2])
    pruned = graph.pruned(0.9, 1.0)
    assert pruned.nodes.tolist() == [True, False, True]


# ---- attention scores ----


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "gemma3_text", "llama"])
def test_pairs_sum_to_the_score(family):
    model = interp.load_model(family_model(family), device="cpu", self_check=False)
    transcoders = random_transcoders(model, KINDS["topk"], skip=True)
    cache = model.run_with_cache(IDS, ["q", "k", "pattern"])
    layer, head, query = 1, 2, 5
    kv = head * model.arch.n_kv_heads // model.arch.n_heads
    q, k = cache["q", layer][0, query, head].double(), cache["k", layer][0, :, kv].double()
    pattern = cache["pattern", layer][0, head, query]
    for key in (1, 5):
        result = attention_score_parts(
            model, transcoders, IDS, layer=layer, head=head, query=query, key=key, other_key=3
        )
        lead = float(pattern[key].log() - pattern[3].log())
        assert result.score == pytest.approx(lead, abs=1e-4)
        assert result.by_query.sum() == pytest.approx(result.score, abs=1e-9)
        assert result.by_key.sum() == pytest.approx(result.score, abs=1e-9)
        one = attention_score_parts(
            model, transcoders, IDS, layer=layer, head=head, query=query, key=key, k=3
        )
        sigma = lead / float(q @ (k[key] - k[3]))
        assert one.score == pytest.approx(float(q @ k[key]) * sigma, abs=1e-4)
        assert len(one.pair_values) == 3


# ---- intervening from the graph ----


def test_a_planted_supernode_turned_off_ends_the_answer(two_steps):
    model, transcoders = two_steps
    a = A[2]
    b = bridge_of(a)
    prompt = [BOS, 27, a, 29]
    graph = attribution_graph(model, transcoders, prompt, answer=answer_of(b))
    ids = [node.node_id for node in graph_file(graph).nodes if node.feature_type == "cross layer transcoder"]
    assert len(ids) == 2
    result = scale_nodes(
        model, transcoders, prompt, ids, [0.0, 0.5], name="the two steps", answer=answer_of(b), n_tokens=0
    )
    assert result.factors.tolist() == [1.0, 0.0, 0.5], "the model as it is comes first"
    assert result.answer_probability[0] == pytest.approx(float(graph.nodes.activations[-1]), rel=1e-4)
    assert result.answer_probability[1] < 0.1 * result.answer_probability[0]
    edits = scaled_nodes(model, transcoders, prompt, ids, 0.5)
    of_half = model.forward(prompt, edits)[0, -1].double().softmax(-1)[answer_of(b)]
    assert result.answer_probability[2] == pytest.approx(float(of_half), rel=1e-6)
    assert type(result).from_dict(result.to_dict()).equals(result)
    assert "the two steps" in repr(result) + str(result.table()) + result._repr_html_()


def test_a_group_of_a_saved_graph_is_scaled_from_the_command_line(load, tmp_path):
    model = load("demo-gpt2")
    transcoders = interp.load_transcoders("demo-gpt2", model)
    graph = attribution_graph(model, transcoders, "The capital of France is", nodes=0.3)
    features = [n.node_id for n in graph_file(graph).nodes if n.feature_type == "cross layer transcoder"]
    interp.write_graph(graph, tmp_path / "france.json", supernodes={"says Paris": features[-2:]})
    small = [f"graph={tmp_path / 'france.json'}", "group=says Paris", "factors=[0]", "n_tokens=2"]
    assert run("run", "scale_nodes", "--set", *small, "--tag", "t", "--out", tmp_path) == 0
    result = read_run(tmp_path / "scale_nodes" / "t").result
    assert result.name == "says Paris"
    assert list(result.nodes) == features[-2:]
    assert result.answer == " Paris"
    assert run("run", "scale_nodes", "--set", small[0], "group=sais Paris", "--out", tmp_path) == 2
    assert (
        run("run", "scale_nodes", "--set", *small[:2], "prompt=People in Italy speak", "--out", tmp_path) == 2
    )
    assert run("dashboard", tmp_path / "france.json") == 0
    assert "says Paris" in (tmp_path / "france.html").read_text()


# ---- why heads attend there ----


def test_the_heads_that_move_the_answer_are_those_of_direct_logit_attribution(load):
    model = load("demo-gpt2")
    transcoders = interp.load_transcoders("demo-gpt2", model)
    graph = attribution_graph(model, transcoders, "The capital of France is", answer=" Paris", heads=3)
    local = LocalModel.of(model, transcoders, "The capital of France is")
    token = model.to_single_token(" Paris")
    direction = frozen_sum(model, local.last[-1], local.logits, {token: 1.0}, centred=1.0).direction
    # by hand: what each head writes at the end is the sum over keys of what it moves from there
    sites = [(site, n) for n in range(6) for site in ("z", "v", "pattern")]
    cache = model.run_with_cache(local.tokens, sites)
    sizes = {}
    for layer in range(6):
        z, v, pattern = (cache[site, layer][0].double() for site in ("z", "v", "pattern"))
        for head in range(6):
            read = model.W_O(layer)[head].double() @ direction
            moved = pattern[head, -1] * (v[:, head] @ read)
            of_z = z[-1, head] @ read
            assert float(moved.sum()) == pytest.approx(float(of_z), abs=1e-4)
            key = int(moved[1:].abs().argmax()) + 1
            sizes[layer, head, key] = float(moved[key].abs())
    best = sorted(sizes, key=lambda one: -sizes[one])[:3]
    assert [(one.layer, one.head, one.key) for one in graph.heads] == best
    alone = attention_score_parts(
        model, transcoders, "The capital of France is", layer=best[0][0], head=best[0][1], key=best[0][2], k=8
    )
    assert graph.heads[0].score == pytest.approx(alone.score, rel=1e-9)
    assert type(graph).from_dict(graph.to_dict()).equals(graph)
    assert "in the key" in str(graph.table())
    page = page_of(graph_file(graph))
    assert "Why heads attend there" in page
    assert graph_file(graph).metadata.model_extra["heads"][0]["head"] == f"{best[0][0]}.{best[0][1]}"
