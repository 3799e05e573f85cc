"""Circuits: as values, as files, and what is measured of them, against answers known in advance."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import interp
from compiled import FILLERS, copy_previous_model, indirect_object_model, induction_model, linear_model
from conftest import run
from edges_by_hand import exact_effects
from interp.errors import DegeneratePairError, InputError, SiteError
from interp.methods.attribution.patching_vs_attribution import patching_vs_attribution
from interp.methods.circuits.completeness import completeness
from interp.methods.circuits.faithfulness import faithfulness
from interp.methods.circuits.faithfulness_curve import FRACTIONS, area, faithfulness_curve
from interp.methods.circuits.files import read_circuit, write_circuit
from interp.methods.circuits.results import ABLATIONS
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit
from interp.methods.common.graph import Graph
from interp.methods.common.statistics import pearson, ranks, spearman
from interp.readout import Readout
from interp.results import read_result
from interp.tasks.base import Pair, PairDataset
from planting import FAMILIES

MODELS = ["demo-gpt2", "demo-qwen3", "tiny-neox"]  # neox: attention and MLP in parallel


def some_pairs(model: interp.Model, n: int = 2, length: int = 7, template: str = "") -> PairDataset:
    """Pairs of random ids, of which every other one differs."""
    rng = random.Random(0)
    top = min(model.arch.d_vocab, 250)
    pairs = []
    for _ in range(n):
        clean, other = [tuple(rng.sample(range(top), length)) for _ in range(2)]
        corrupted = tuple(b if i % 2 else a for i, (a, b) in enumerate(zip(clean, other, strict=True)))
        answer, foil = rng.sample(range(top), 2)
        pairs.append(Pair(clean=clean, corrupted=corrupted, answer=answer, foil=foil, template=template))
    return PairDataset(name="random ids", pairs=tuple(pairs))


def plain(model: interp.Model, pairs: PairDataset, side: str) -> list[float]:
    logits = [model.forward(list(getattr(pair, side)))[0, -1].double() for pair in pairs]
    return [float(x[pair.answer] - x[pair.foil]) for x, pair in zip(logits, pairs, strict=True)]


def random_circuits(model: interp.Model, level: str, n: int = 3, share: float = 0.5) -> list[Circuit]:
    rng = random.Random(1)
    empty = Circuit.of(model, [], level=level)
    size = int(share * len(empty.candidates))
    return [empty.union(rng.sample(empty.candidates, size)) for _ in range(n)]


# ---- runs of a circuit ----


@pytest.mark.parametrize("name", MODELS)
def test_all_edges_are_the_clean_run_and_no_edge_is_the_corrupted_one(load, name):
    model = load(name, dtype="float64")
    pairs, circuit = some_pairs(model), Circuit.of(model, [], level="edge")
    full, empty = circuit_values(model, pairs, [circuit.full, circuit.empty])
    assert full == pytest.approx(plain(model, pairs, "clean"), abs=1e-9)
    assert empty == pytest.approx(plain(model, pairs, "corrupted"), abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ablation", ABLATIONS)
def test_all_nodes_are_the_clean_run_and_no_node_is_something_else(load, name, ablation):
    model = load(name, dtype="float64")
    pairs, circuit = some_pairs(model, template="a"), Circuit.of(model, [])
    full, empty = circuit_values(model, pairs, [circuit.full, circuit.empty], ablation=ablation)
    assert full == pytest.approx(plain(model, pairs, "clean"), abs=1e-9)
    assert np.abs(empty - full).min() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_a_circuit_of_nodes_and_its_edges_do_the_same(load, name):
    """Two different computations: a sweep with edits, and a run layer by layer."""
    model = load(name, dtype="float64")
    pairs, circuits = some_pairs(model), random_circuits(model, "node")
    by_nodes = circuit_values(model, pairs, circuits)
    by_edges = circuit_values(model, pairs, [circuit.as_edges() for circuit in circuits])
    assert by_edges == pytest.approx(by_nodes, abs=1e-9)
    assert np.ptp(by_nodes) > 1e-3


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_leaving_out_one_edge_has_the_effect_that_it_has_by_hand(load, name):
    model = load(name, dtype="float64")
    pairs, full = some_pairs(model, 1), Circuit.of(model, [], level="edge").full
    pair = pairs[0]
    expected = exact_effects(model, pair.clean, pair.corrupted, Readout.logit_diff(pair.answer, pair.foil))
    assert {f"{sender}->{receiver}" for sender, receiver in expected} == full.members
    values = circuit_values(model, pairs, [full, *(full.without(["->".join(e)]) for e in expected)])[:, 0]
    assert values[1:] - values[0] == pytest.approx(list(expected.values()), abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_edges_on_no_path_change_nothing_where_they_carry_corrupted_outputs(load, name):
    model = load(name, dtype="float64")
    pairs, circuits = some_pairs(model), random_circuits(model, "edge", share=0.02)
    pruned = [circuit.pruned() for circuit in circuits]
    assert sum(map(len, pruned)) < sum(map(len, circuits))
    values = circuit_values(model, pairs, [*circuits, *pruned])
    assert values[:3] == pytest.approx(values[3:], abs=1e-9)


@pytest.mark.parametrize("level", ["node", "edge"])
def test_how_many_run_at_once_does_not_matter(load, level):
    model = load("tiny-qwen3", dtype="float64")
    pairs, circuits = some_pairs(model), random_circuits(model, level, 5)
    one, many = (circuit_values(model, pairs, circuits, batch_size=n) for n in (1, 1000))
    assert one == pytest.approx(many, abs=1e-9)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
@pytest.mark.parametrize("level", ["node", "edge"])
def test_every_backend_gives_the_same_or_says_that_it_cannot(load, backend, level):
    model, reference = load("tiny-gpt2", backend), load("tiny-gpt2")
    pairs, circuits = some_pairs(reference), random_circuits(reference, level)
    if backend == "nnsight" and level == "edge":
        with pytest.raises(SiteError, match="backend='transformers'"):
            circuit_values(model, pairs, circuits)
        return
    expected = circuit_values(reference, pairs, circuits)
    assert circuit_values(model, pairs, circuits) == pytest.approx(expected, abs=1e-4)


def test_means_are_over_corrupted_prompts(load):
    """With one head outside, its z is the mean over templates or over everything, computed here by hand."""
    model = load("tiny-gpt2", dtype="float64")
    pairs = some_pairs(model, 3, template="a")
    without = Circuit.of(model, []).full.without(["a0.h1"])
    z = model.run_with_cache(pairs.corrupted, [("z", 0)])["z", 0][:, :, 1:2]  # [pair, pos, 1, d_head]
    for ablation, mean in (
        ("mean_by_template", z.mean(0, keepdim=True)),
        ("mean_by_position", z.mean(0, keepdim=True)),
        ("mean", z.mean((0, 1), keepdim=True)),
        ("zero", z[:1] * 0),
    ):
        found = circuit_values(model, pairs, [without], ablation=ablation)[0]
        edit = interp.Edit.set("z", 0, value=mean, heads=1)
        logits = model.forward(pairs.clean, [edit])[:, -1]
        expected = [float(x[p.answer] - x[p.foil]) for x, p in zip(logits, pairs, strict=True)]
        assert found == pytest.approx(expected, abs=1e-9), ablation


def test_what_cannot_be_run_is_refused(load):
    model, other = load("tiny-gpt2"), load("tiny-qwen3")
    pairs, circuit = some_pairs(model, 1), Circuit.of(model, [])
    with pytest.raises(InputError, match="did you mean 'resample'"):
        circuit_values(model, pairs, [circuit], ablation="resampled")
    with pytest.raises(InputError, match="at least one"):
        circuit_values(model, pairs, [])
    with pytest.raises(InputError, match="one level at a time"):
        circuit_values(model, pairs, [circuit, circuit.as_edges()])
    with pytest.raises(InputError, match="another architecture"):
        circuit_values(other, pairs, [circuit])
    with pytest.raises(InputError, match="one prompt alone of the template"):
        circuit_values(model, some_pairs(model, 1, template="a"), [circuit], ablation="mean_by_template")


# ---- planted circuits ----

_cases: dict[tuple[str, str], tuple[interp.Model, PairDataset, Circuit, Circuit]] = {}
MAKERS = {
    "copy-previous": copy_previous_model,
    "induction": induction_model,
    "indirect-object": indirect_object_model,
}


@pytest.fixture(params=[f"{name}-{family}" for family in FAMILIES for name in MAKERS])
def case(request):
    """A model, pairs, and the planted circuit as nodes and as edges."""
    name, family = request.param.rsplit("-", 1)
    if (name, family) not in _cases:
        planted = MAKERS[name](family)
        model = interp.load_model(planted.hf_model, device="cpu")
        pairs = planted_pairs(planted, 8)
        nodes = Circuit.of(model, planted.heads.values())
        edges = Circuit.of(model, ["->".join(edge) for edge in planted.edges], level="edge")
        _cases[name, family] = model, pairs, nodes, edges
    return _cases[name, family]


def planted_pairs(planted, n: int) -> PairDataset:
    return PairDataset(
        name="planted",
        pairs=tuple(
            Pair(clean=p.clean, corrupted=p.corrupted, answer=p.answer, foil=p.foil) for p in planted.pairs(n)
        ),
    )


@pytest.mark.parametrize("level", ["node", "edge"])
def test_a_planted_circuit_is_faithful_and_random_ones_are_not(case, level):
    model, pairs, nodes, edges = case
    circuit = nodes if level == "node" else edges
    result = faithfulness(model, pairs, circuit, n_random=8, compare=())
    assert result.runs[:3] == ("full", "empty", "circuit")
    assert result.faithfulness.value[0, :2].tolist() == [1.0, 0.0]
    assert result.faithfulness.value[0, 2] == pytest.approx(1, abs=0.01)
    assert result.gap.value[0, 2] < 0.01 * result.gap.value[0, 1]
    others = [i for i in range(8) if circuit.random(i).members != circuit.members]
    assert len(others) >= 5
    assert np.abs(result.random_faithfulness[0, others] - 1).min() > 0.2
    assert (result.faithfulness.low <= result.faithfulness.value + 1e-9).all()
    assert (result.faithfulness.value <= result.faithfulness.high + 1e-9).all()


@pytest.mark.parametrize("level", ["node", "edge"])
def test_a_planted_circuit_is_complete_and_minimal_and_a_larger_one_is_not_minimal(case, level):
    model, pairs, nodes, edges = case
    circuit = nodes if level == "node" else edges
    result = completeness(model, pairs[:3], circuit, n_random=2, n_greedy=1)
    span = result.full_value - result.empty_value
    assert result.incompleteness.max() < 0.02 * span
    assert result.minimality.min() > 0.2 * span
    assert result.parts[0] == "nothing"
    if level == "edge":
        return
    useless = next(name for name in circuit.candidates if name[0] == "a" and name not in circuit.members)
    larger = completeness(model, pairs[:3], circuit.union([useless]), n_random=0, n_greedy=0)
    scores = dict(zip(larger.circuit, larger.minimality, strict=True))
    assert scores[useless] < 0.01 * span


def test_an_incomplete_circuit_is_found_out():
    """Half of the planted circuit of indirect objects: without the name mover, what is left differs."""
    planted = indirect_object_model()
    model = interp.load_model(planted.hf_model, device="cpu")
    pairs = planted_pairs(planted, 4)
    heads = [place for name, place in planted.heads.items() if name != "negative_mover"]
    groups = {"mover": [planted.heads["name_mover"]]}
    result = completeness(model, pairs, Circuit.of(model, heads), groups=groups, n_random=0, n_greedy=0)
    assert result.parts == ("nothing", "mover")
    span = result.full_value - result.empty_value
    assert result.incompleteness[1] > 0.1 * span
    with pytest.raises(InputError, match="not in the circuit"):
        completeness(model, pairs, Circuit.of(model, heads), groups={"x": ["0.1"]})


def test_kinds_of_ablation_stand_side_by_side(case):
    model, pairs, nodes, _ = case
    result = faithfulness(model, pairs, nodes, n_random=1)
    assert result.ablations[0] == "resample"
    assert set(result.ablations) | {kind for kind, _ in result.left_out} == set(ABLATIONS)
    assert read_result(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()


def test_mlps_can_be_kept(case):
    model, pairs, nodes, edges = case
    result = faithfulness(model, pairs, nodes, keep_mlps=True, compare=(), n_random=2)
    assert set(result.kept) == {f"m{layer}" for layer in range(model.arch.n_layers)}
    assert result.n_candidates == model.arch.n_layers * model.arch.n_heads
    assert set(result.circuit) == nodes.members
    with pytest.raises(InputError, match="circuits of nodes"):
        faithfulness(model, pairs, edges, keep_mlps=True)


def test_a_corruption_that_changes_nothing_is_refused():
    planted = indirect_object_model()
    model = interp.load_model(planted.hf_model, device="cpu")
    pair = planted_pairs(planted, 1)[0]
    filler = next(token for token in FILLERS if token not in pair.clean)
    other = Pair(clean=pair.clean, corrupted=(0, filler, *pair.clean[2:]), answer=pair.answer, foil=pair.foil)
    circuit = Circuit.of(model, planted.heads.values())
    with pytest.raises(DegeneratePairError, match="divide by nearly nothing"):
        faithfulness(model, PairDataset(name="same", pairs=(other,)), circuit, compare=())


# ---- size ----


def test_areas_are_those_of_hand_made_curves():
    assert area((0, 0.5, 1), np.array([0.0, 0.5, 1.0])) == pytest.approx((0.5, 0.5))
    assert area((0, 1), np.array([2.0, 1.0])) == pytest.approx((1.5, 0.5))
    # what MIB's code says where a circuit is perfect at every size, and where only all edges do anything
    assert area(FRACTIONS, np.ones(10)) == pytest.approx((0.999, 0.0))
    assert area(FRACTIONS, np.eye(10)[-1]) == pytest.approx((0.25, 0.749))
    cpr, cmd = area(FRACTIONS, np.array([[0.0] * 10, [1.0] * 10]))
    assert cpr.tolist() == pytest.approx([0, 0.999])
    assert cmd.tolist() == pytest.approx([0.999, 0])


@pytest.mark.parametrize("level", ["node", "edge"])
def test_planted_scores_give_a_curve_that_reaches_one_with_the_planted_circuit(case, level):
    model, pairs, nodes, edges = case
    circuit = nodes if level == "node" else edges
    scores = {name: 1.0 if name in circuit.members else 0.0 for name in circuit.candidates}
    scored = Circuit.of(model, [], level=level, scores=scores)
    share = (len(circuit) + 0.5) / len(circuit.candidates)
    result = faithfulness_curve(model, pairs[:3], scored, fractions=(0.0, share, 1.0), n_random=3)
    assert result.sizes == (0, len(circuit), len(circuit.candidates))
    assert result.faithfulness.value == pytest.approx([0, 1, 1], abs=0.01)
    assert result.faithfulness.value[-1] == 1
    assert result.cpr.value == pytest.approx(1 - share / 2, abs=0.01)
    assert result.cmd.value == pytest.approx(share / 2, abs=0.01)
    assert result.random_faithfulness[:, 1].min() < 0.5
    assert result.edges_left[-1] == Graph.of(model).n_edges
    if level == "edge":
        assert result.edges_left[1] == len(circuit)
    assert read_result(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()


def test_sizes_are_counted_as_mib_counts_them(load):
    model = load("tiny-gpt2")
    names = Circuit.of(model, [], level="edge").candidates
    scored = Circuit.of(model, [], level="edge", scores={n: float(i) for i, n in enumerate(names)})
    result = faithfulness_curve(model, some_pairs(model), scored, n_random=0)
    assert result.sizes == tuple(int(fraction * len(names)) for fraction in FRACTIONS)
    assert result.faithfulness.value[-1] == 1
    assert result.construction == "top"

    def lowest(scored: Circuit, n: int, *, absolute: bool) -> Circuit:
        return scored.full.without(scored.top(len(names) - n, absolute=absolute).members)

    other = faithfulness_curve(model, some_pairs(model), scored, build=lowest, n_random=0)
    assert other.construction == "lowest"
    assert other.faithfulness.value[-2] != result.faithfulness.value[-2]
    with pytest.raises(InputError, match="no scores"):
        faithfulness_curve(model, some_pairs(model), Circuit.of(model, []))
    with pytest.raises(InputError, match="must grow"):
        faithfulness_curve(model, some_pairs(model), scored, fractions=(0.5, 0.1, 1))


def test_the_top_of_scores():
    circuit = small_circuit({"a0.h0": -3.0, "a0.h1": 2.0, "m0": 1.0})
    assert circuit.top(1).members == {"a0.h0"}
    assert circuit.top(1, absolute=False).members == {"a0.h1"}
    assert small_circuit({"a0.h0": 1.0}).top(0).members == {"a0.h1", "m0"}  # no score: always in
    with pytest.raises(InputError, match="3 scores"):
        circuit.top(4)


def small_circuit(scores=None, members=(), level="node", kv=2, parallel=False) -> Circuit:
    graph = Graph(n_layers=1, n_heads=2, n_kv_heads=kv, parallel_attention=parallel)
    return Circuit(graph=graph, level=level, members=frozenset(members), scores=scores or {})


def test_pruning_removes_what_no_path_takes():
    kept = {"input->a0.h0<v>", "a0.h0->logits"}
    dead_end, no_input = "input->a0.h1<q>", "a0.h1->m0"
    assert small_circuit(members=kept, level="edge").pruned().members == kept
    assert small_circuit(members={*kept, dead_end}, level="edge").pruned().members == kept
    assert small_circuit(members={*kept, no_input}, level="edge").pruned().members == kept
    assert small_circuit(members={*kept, dead_end, no_input}, level="edge").pruned().members == kept
    long = {dead_end, no_input, "m0->logits"}
    assert small_circuit(members=long, level="edge").pruned().members == long


# ---- names and files ----


def test_a_circuit_takes_the_names_that_people_write(load):
    model = load("tiny-qwen3")
    heads = model.arch.n_heads
    assert Circuit.of(model, ["0.1", (1, 0), "m1"]).members == {"a0.h1", "a1.h0", "m1"}
    assert len(Circuit.of(model, ["a1"])) == heads
    for wrong in (["a9.h0"], ["0.99"], ["m9"], ["logits"], ["a0.h0->m0"]):
        with pytest.raises(InputError, match="This model has no node"):
            Circuit.of(model, wrong)
    with pytest.raises(InputError, match="This model has no edge"):
        Circuit.of(model, ["m1->a0.h0<q>"], level="edge")
    with pytest.raises(InputError, match="NaN"):
        Circuit.of(model, [], scores={"m0": float("nan")})
    with pytest.raises(InputError, match="Unknown level"):
        Circuit.of(model, [], level="nodes")
    with pytest.raises(InputError, match="give one to each"):
        Circuit.of(model, [], level="edge", scores={"input->m0": 1.0})


def test_a_random_circuit_has_as_many_heads_and_mlps(load):
    model = load("demo-gpt2")
    circuit = Circuit.of(model, ["0.1", "1.2", "m3"])
    drawn = [circuit.random(seed) for seed in range(4)]
    assert len({one.members for one in drawn}) == 4
    assert all(sum(name[0] == "m" for name in one.members) == 1 and len(one) == 3 for one in drawn)
    assert circuit.random(1) == circuit.random(1)


@pytest.mark.parametrize("name", [*MODELS, "tiny-qwen3"])
@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("level", ["node", "edge"])
def test_a_file_comes_back_exactly(load, tmp_path, name, scored, level):
    model = load(name)
    circuit = random_circuits(model, level, 1)[0]
    rng = random.Random(2)
    scores = {n: rng.gauss(0, 1) for n in circuit.candidates if level == "edge" or rng.random() < 0.7}
    circuit = Circuit.of(model, circuit.members, level=level, scores=scores if scored else None)
    write_circuit(circuit, tmp_path / "circuit.json", model)
    assert read_circuit(tmp_path / "circuit.json", model) == circuit


def test_a_file_has_the_names_and_keys_of_eap_ig(load, tmp_path):
    """Those that its `Graph.from_model` makes, written down by hand for one layer of grouped queries."""
    model = load("tiny-qwen3")
    n_heads, n_layers = model.arch.n_heads, model.arch.n_layers
    write_circuit(Circuit.of(model, ["0.1", "m0"]), tmp_path / "circuit.json", model)
    data = json.loads((tmp_path / "circuit.json").read_text())
    assert data["cfg"] == {
        "n_layers": n_layers,
        "n_heads": n_heads,
        "parallel_attn_mlp": False,
        "d_model": model.arch.d_model,
    }
    senders = ["input"]
    edges = []
    for layer in range(n_layers):  # as the published code builds them, every query head with its own k and v
        heads = [f"a{layer}.h{head}" for head in range(n_heads)]
        edges += [f"{s}->{head}<{part}>" for s in senders for head in heads for part in "qkv"]
        senders += heads
        edges += [f"{s}->m{layer}" for s in senders]
        senders.append(f"m{layer}")
    edges += [f"{s}->logits" for s in senders]
    assert set(data["edges"]) == set(edges)
    assert list(data["nodes"]) == [*senders, "logits"]
    assert {n for n, node in data["nodes"].items() if node["in_graph"]} == {"input", "a0.h1", "m0", "logits"}
    assert data["edges"]["a0.h1->m0"] == {"score": 0.0, "in_graph": True}
    assert data["edges"]["a0.h0->m0"] == {"score": 0.0, "in_graph": False}


def foreign(model: interp.Model, path) -> dict:
    """A file as another program would have written it."""
    circuit = random_circuits(model, "edge", 1)[0]
    circuit = Circuit.of(model, circuit.members, level="edge", scores=dict.fromkeys(circuit.candidates, 0.5))
    write_circuit(circuit, path, model)
    data = json.loads(path.read_text())
    del data["interp"]
    return data


def test_scores_of_grouped_heads_are_added_and_membership_must_agree(load, tmp_path):
    model = load("tiny-qwen3")
    group = model.arch.n_heads // model.arch.n_kv_heads
    assert group > 1
    path = tmp_path / "circuit.json"
    data = foreign(model, path)
    path.write_text(json.dumps(data))
    circuit = read_circuit(path, model)
    assert circuit.scores["input->a0.h0<k>"] == 0.5 * group
    assert circuit.scores["input->a0.h0<q>"] == 0.5
    for head in range(group):
        data["edges"][f"input->a0.h{head}<k>"]["in_graph"] = head == 0
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match="grouped='any' or 'all'"):
        read_circuit(path, model)
    assert "input->a0.h0<k>" in read_circuit(path, model, grouped="any").members
    assert "input->a0.h0<k>" not in read_circuit(path, model, grouped="all").members


def test_bad_files_are_refused(load, tmp_path):
    model = load("tiny-gpt2")
    path = tmp_path / "circuit.json"
    good = foreign(model, path)

    def refused(message: str, change=None, text: str | None = None, **options) -> None:
        data = json.loads(json.dumps(good))
        if change:
            change(data)
        path.write_text(json.dumps(data) if text is None else text)
        with pytest.raises(InputError, match=message):
            read_circuit(path, model, **options)

    refused("is no JSON", text="not json")
    refused("lacks one of cfg", text="[]")
    refused("lacks one of cfg", lambda d: d.pop("edges"))
    refused("n_layers 7 instead of", lambda d: d["cfg"].update(n_layers=7))
    refused("d_model missing", lambda d: d["cfg"].pop("d_model"))
    refused("unknown node 'a0.h99'", lambda d: d["nodes"].update({"a0.h99": {"in_graph": True}}))
    refused("unknown edge 'm0->a0.h0<q>'", lambda d: d["edges"].update({"m0->a0.h0<q>": {}}))
    refused("lacks 1 edges, the first of them 'input->m0'", lambda d: d["edges"].pop("input->m0"))
    refused("lacks 1 nodes", lambda d: d["nodes"].pop("m0"), level="node")
    refused("'in_graph', true or false", lambda d: d["edges"].update({"input->m0": {"score": 1.0}}))
    refused("no finite number", lambda d: d["edges"].update({"input->m0": {"score": "1", "in_graph": True}}))

    def neurons(data):
        data["nodes"]["m0"]["neurons"] = [True]

    refused("single neurons", neurons, level="node")

    def node_scores_alone(data):
        data["nodes"]["m0"]["score"] = 1.0
        for edge in data["edges"].values():
            edge["score"] = 0.0

    refused("say level='node' or 'edge'", node_scores_alone)
    with pytest.raises(InputError, match="Cannot read"):
        read_circuit(tmp_path / "nothing.json", model)
    with pytest.raises(InputError, match="Cannot write"):
        write_circuit(Circuit.of(model, []), tmp_path / "nowhere" / "x.json", model)
    with pytest.raises(InputError, match="another architecture"):
        write_circuit(Circuit.of(load("tiny-qwen3"), []), path, model)


# ---- patching against attribution ----


def test_correlations_are_those_of_hand_made_numbers():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert pearson(x, 2 * x + 1) == pytest.approx(1)
    assert spearman(x, np.exp(x)) == pytest.approx(1)
    assert pearson(x, np.exp(x)) < 0.95
    assert spearman(x, -x) == pytest.approx(-1)
    assert ranks(np.array([5.0, 1.0, 5.0])).tolist() == [1.5, 0.0, 1.5]
    with pytest.raises(InputError, match="no correlation"):
        pearson(x, np.ones(4))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_on_a_linear_model_the_first_order_estimate_is_the_effect(family, direction):
    planted = linear_model(family)
    model = interp.load_model(planted.hf_model, device="cpu")
    result = patching_vs_attribution(
        model, planted_pairs(planted, 2), attribution="attribution", direction=direction
    )
    assert result.pearson == pytest.approx(1, abs=1e-5)
    assert result.attribution.value == pytest.approx(result.patching.value, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_that_acts_through_others_disagrees_and_one_that_writes_the_answer_does_not(family):
    planted = indirect_object_model(family, corruption="subject")
    model = interp.load_model(planted.hf_model, device="cpu")
    result = patching_vs_attribution(model, planted_pairs(planted, 4), direction="noising")
    names = {what: f"{layer}.{head}" for what, (layer, head) in planted.heads.items()}
    assert set(result.disagreeing(2)) <= {*names.values()}
    inhibition = planted.heads["s_inhibition"]
    assert result.patching.value[inhibition] > 10
    assert abs(result.attribution.value[inhibition]) < 0.01
    assert names["s_inhibition"] in result.disagreeing(4)
    mover = planted.heads["name_mover"]
    assert result.attribution.value[mover] > 10
    assert result.patching.value[mover] > 10
    assert read_result(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()


# ---- experiments ----


def test_experiments_run_from_the_command_line(load, tmp_path):
    model = load("demo-gpt2")
    edges = Circuit.of(model, [], level="edge").candidates
    rng = random.Random(0)
    scored = Circuit.of(model, edges[:50], level="edge", scores={e: rng.gauss(0, 1) for e in edges})
    write_circuit(scored, tmp_path / "edges.json", model)
    few = ("--set", "n=3", "--out", tmp_path, "--tag", "a")
    file = ("--set", f"circuit={tmp_path / 'edges.json'}")
    assert run("run", "faithfulness", "--set", "n_random=1", *few) == 0
    assert run("run", "completeness", "--set", "n_random=1", "--set", "n_greedy=0", *few) == 0
    assert run("run", "faithfulness_curve", *file, "--set", "n_random=1", *few) == 0
    assert run("run", "patching_vs_attribution", *few) == 0
    for name in ("faithfulness", "completeness", "faithfulness_curve", "patching_vs_attribution"):
        assert (tmp_path / name / "a" / "result.json").exists()
        assert list((tmp_path / name / "a").glob("*.html"))


def test_a_circuit_of_edges_is_drawn(load):
    from interp.figures.engine.view import Graph as Drawn
    from interp.figures.views.faithfulness import view

    model = load("tiny-gpt2")
    circuit = Circuit.of(model, ["input->a0.h0<q>", "a0.h0->m0", "m0->logits"], level="edge")
    result = faithfulness(model, some_pairs(model), circuit, n_random=1, compare=())
    drawn = view(result).block("circuit", Drawn)
    assert {edge.name for edge in drawn.edges} == {"input → a0.h0 (q)", "a0.h0 → m0", "m0 → logits"}
    heights = {node.name: node.layer for node in drawn.nodes}
    assert heights["input"] < heights["a0.h0"] < heights["m0"] < heights["logits"]
