"""The hand-compiled models are what they say they are, by direct computation."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import interp
from compiled import (
    LOGIT,
    Edge,
    Pair,
    Planted,
    copy_previous_model,
    indirect_object_model,
    induction_model,
    linear_model,
)
from conftest import needs_backend
from edges_by_hand import exact_effects, first_order_effects, writes
from interp import Edit
from planting import BOS, FAMILIES, N_HEADS

CIRCUITS = {
    "copy-previous": copy_previous_model,
    "induction": induction_model,
    "indirect-object": indirect_object_model,
    "indirect-object-subject": partial(indirect_object_model, corruption="subject"),
}
MAKERS = CIRCUITS | {"linear": linear_model}

Case = tuple[Planted, interp.Model]
_cases: dict[tuple[str, str], Case] = {}


def case(name: str, family: str) -> Case:
    """A planted model, loaded as a user would; each once a session."""
    if (name, family) not in _cases:
        planted = MAKERS[name](family)
        _cases[name, family] = planted, interp.load_model(planted.hf_model, device="cpu")
    return _cases[name, family]


@pytest.fixture(params=[f"{name}-{family}" for family in FAMILIES for name in CIRCUITS])
def circuit(request: pytest.FixtureRequest) -> Case:
    return case(*request.param.rsplit("-", 1))


@pytest.fixture(params=FAMILIES)
def linear(request: pytest.FixtureRequest) -> Case:
    return case("linear", request.param)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def measured(model: interp.Model, pair: Pair, *edits: Edit, prompt: str = "clean") -> float:
    return pair.readout(model.forward(getattr(pair, prompt), edits)).item()


def span(model: interp.Model, pair: Pair) -> float:
    return measured(model, pair) - measured(model, pair, prompt="corrupted")


def as_shares(effects: dict[Edge, float], whole: float) -> dict[Edge, float]:
    """The size of each effect, as a share of clean minus corrupted."""
    return {edge: abs(effect) / abs(whole) for edge, effect in effects.items()}


# ---- what the circuits do ----


def test_answers_are_certain(circuit):
    planted, model = circuit
    pairs = planted.pairs(100, seed=1)
    for pair, logits in zip(pairs, model.forward([pair.clean for pair in pairs]), strict=True):
        predicted = logits[len(pair.clean) - 1].softmax(-1)
        assert predicted.argmax() == pair.answer
        assert predicted[pair.answer] > 0.99
        assert len(pair.clean) == len(pair.corrupted)
        assert pair.answer != pair.foil


def test_pairs_are_seeded(circuit):
    planted, _ = circuit
    assert planted.pairs(5, seed=3) == planted.pairs(5, seed=3) != planted.pairs(5, seed=4)
    assert len({pair.clean for pair in planted.pairs(20)}) == 20


def test_planted_heads_look_where_they_should(circuit):
    planted, model = circuit
    pairs = planted.pairs(50)
    patterns = model.run_with_cache([pair.clean for pair in pairs], ["pattern"]).stack("pattern")
    for pair, pattern in zip(pairs, patterns.transpose(0, 1), strict=True):  # [layer, head, query, key]
        for name, query, key in planted.attention:
            place = (planted.heads | planted.distractors)[name]
            assert pattern[place][pair.positions[query], pair.positions[key]] > 0.99, (name, pair)


def test_ablating_a_planted_head_ends_the_behaviour_and_another_changes_nothing(circuit):
    planted, model = circuit
    matter = {place: name for name, place in planted.heads.items()}
    for pair in planted.pairs(10):
        layers = range(model.arch.n_layers)
        edits = {
            (layer, head): Edit.zero("z", layer, heads=head) for layer in layers for head in range(N_HEADS)
        }
        edits |= {(layer, "mlp"): Edit.zero("mlp_out", layer) for layer in layers}
        branches = [[], *([edit] for edit in edits.values())]
        whole, *values = model.sweep(pair.clean, branches, pair.readout, exact=True).values.tolist()
        for place, without in zip(edits, values, strict=True):
            name = matter.get(place)
            if name is None:
                assert without == pytest.approx(whole, abs=1e-4), place
            elif name == "negative_mover":
                assert without > 1.2 * whole
            else:
                assert without < 0.2 * whole, name


def test_distractors_do_something(circuit):
    planted, model = circuit
    pair = planted.pairs(1)[0]
    written = writes(model, pair.clean)
    places = [f"a{layer}.h{head}" for layer, head in planted.distractors.values()]
    for sender in [*places, "m0"]:
        assert written[sender].norm() > 1
    # 0.0 and the last MLP even act on the logits: on that of BOS
    for edit in (Edit.zero("z", 0, heads=0), Edit.zero("mlp_out", model.arch.n_layers - 1)):
        moved = (model.forward(pair.clean, [edit]) - model.forward(pair.clean))[0, -1]
        assert moved.abs().argmax() == BOS
        assert moved[BOS] > 1


@pytest.mark.parametrize("name", ["copy-previous", "induction", "indirect-object"])
def test_queries_and_keys_of_positions_are_needed_too(name, family):
    planted, model = case(name, family)
    pair = planted.pairs(1)[0]
    whole = measured(model, pair)
    for _, receiver in planted.fixed_edges:
        where, site = receiver.rstrip(">").split("<")
        layer, head = where.removeprefix("a").split(".h")
        without = measured(model, pair, Edit.zero(site, int(layer), heads=int(head)))
        assert abs(without - whole) > 0.1 * whole, receiver


# ---- edges ----


def test_exactly_the_planted_edges_matter(circuit):
    """Every edge of the model, each patched alone from the corrupted into the clean run."""
    planted, model = circuit
    for pair in planted.pairs(2):
        effects = exact_effects(model, pair.clean, pair.corrupted, pair.readout)
        assert planted.edges <= effects.keys()
        assert planted.fixed_edges <= effects.keys()
        shares = as_shares(effects, span(model, pair))
        assert {edge for edge, share in shares.items() if share > 0.01} == planted.edges
        assert min(shares[edge] for edge in planted.edges) > 0.1
        swapped = planted is case("indirect-object-subject", model.arch.family)[0]
        leak = 2e-3 if swapped else 1e-6  # see the docstring
        assert max(share for edge, share in shares.items() if edge not in planted.edges) < leak


@pytest.mark.parametrize("name", ["copy-previous", "induction", "indirect-object-subject"])
def test_the_same_edges_matter_when_denoising(name, family):
    planted, model = case(name, family)
    for pair in planted.pairs(2):
        effects = exact_effects(model, pair.corrupted, pair.clean, pair.readout)
        shares = as_shares(effects, span(model, pair))
        assert {edge for edge, share in shares.items() if share > 0.01} == planted.edges


def test_denoising_one_edge_towards_other_names_finds_the_movers_alone(family):
    planted, model = case("indirect-object", family)
    movers = {planted.heads["name_mover"], planted.heads["negative_mover"]}
    kv_heads = model.arch.n_kv_heads
    expected = {(f"a{layer}.h{head}", "logits") for layer, head in movers}
    expected |= {("input", f"a{layer}.h{head * kv_heads // N_HEADS}<v>") for layer, head in movers}
    for pair in planted.pairs(2):
        effects = exact_effects(model, pair.corrupted, pair.clean, pair.readout)
        shares = as_shares(effects, span(model, pair))
        assert {edge for edge, share in shares.items() if share > 0.01} == expected


@pytest.mark.parametrize("name", ["copy-previous", "induction", "indirect-object"])
def test_gradients_reach_every_planted_edge(name, family):
    """Attention is not so sharp that first-order methods could not see through it."""
    planted, model = case(name, family)
    for pair in planted.pairs(2):
        effects = first_order_effects(model, pair.clean, pair.corrupted, pair.readout)
        shares = as_shares(effects, span(model, pair))
        assert min(shares[edge] for edge in planted.edges) > 1e-4
        assert max(share for edge, share in shares.items() if edge not in planted.edges) < 1e-6


# ---- one by one ----


def test_copy_previous_at_every_position(family):
    _, model = case("copy-previous", family)
    ids = [BOS, *torch.randperm(31, generator=torch.Generator().manual_seed(0)).add(1).tolist()]
    ids += ids[1:]  # 63 tokens, nearly the longest prompt
    assert model.forward(ids)[0, 2:].argmax(-1).tolist() == ids[1:-1]


def test_induction_at_every_position_of_the_second_copy(family):
    _, model = case("induction", family)
    once = torch.randperm(31, generator=torch.Generator().manual_seed(0)).add(1).tolist()
    logits = model.forward([BOS, *once, *once])[0]
    assert logits[len(once) + 1 : -1].argmax(-1).tolist() == once[1:]
    first_half = logits[1 : len(once)].argmax(-1).tolist()
    assert sum(a == b for a, b in zip(first_half, once[1:], strict=True)) < 3  # nothing to repeat yet


def test_indirect_object_logit_differences_are_those_on_paper(family):
    planted, model = case("indirect-object", family)
    for pair in planted.pairs(10):
        for name, expected in (
            (None, 0.75),
            ("duplicate_token", -0.25),
            ("s_inhibition", -0.25),
            ("name_mover", -0.25),
            ("negative_mover", 1.0),
        ):
            edits = []
            if name is not None:
                layer, head = planted.heads[name]
                edits = [Edit.zero("z", layer, heads=head)]
            assert measured(model, pair, *edits) / LOGIT == pytest.approx(expected, abs=0.015), name


def test_indirect_object_prompts_are_abba_and_baba():
    pairs = indirect_object_model().pairs(20)
    assert {pair.positions["IO"] < pair.positions["S1"] for pair in pairs} == {True, False}
    for pair in pairs:
        ids = {role: pair.clean[position] for role, position in pair.positions.items()}
        assert ids["S1"] == ids["S2"] == pair.foil
        assert ids["IO"] == pair.answer
        names = [2, 4, 6]
        assert not {pair.clean[i] for i in names} & {pair.corrupted[i] for i in names}
        assert len({pair.corrupted[i] for i in names}) == 3


def test_swapping_the_subject_swaps_the_answer(family):
    planted, model = case("indirect-object-subject", family)
    for pair in planted.pairs(10):
        assert measured(model, pair, prompt="corrupted") == pytest.approx(-measured(model, pair), rel=0.01)


# ---- the linear model ----


def test_linear_model_is_linear_in_its_embeddings(linear):
    planted, model = linear
    pair = planted.pairs(1)[0]
    a, b = (model.run_with_cache(ids, ["embed"])["embed"] for ids in (pair.clean, pair.corrupted))
    half = model.forward(pair.clean, [Edit.set("embed", value=(a + b) / 2)])
    mean = (model.forward(pair.clean) + model.forward(pair.corrupted)) / 2
    assert torch.allclose(half, mean, atol=1e-4)
    patterns = [
        model.run_with_cache(ids, ["pattern"]).stack("pattern") for ids in (pair.clean, pair.corrupted)
    ]
    assert torch.allclose(*patterns, atol=1e-5)
    assert patterns[0][..., -1, :].std() > 0.05  # not uniform, but the same


def test_in_the_linear_model_first_order_is_exact_and_paths_add_up(linear):
    planted, model = linear
    for pair in planted.pairs(2):
        for base, donor, sign in ((pair.clean, pair.corrupted, -1), (pair.corrupted, pair.clean, 1)):
            exact = exact_effects(model, base, donor, pair.readout)
            estimated = first_order_effects(model, base, donor, pair.readout)
            total = span(model, pair)
            assert estimated == pytest.approx(exact, abs=1e-5 * total)
            assert {edge for edge, effect in exact.items() if abs(effect) > 1e-5 * total} == planted.edges
            # what all parts add to the logits is the whole, and so is what leaves the embeddings
            into_logits = [effect for (_, receiver), effect in exact.items() if receiver == "logits"]
            from_input = [effect for (sender, _), effect in exact.items() if sender == "input"]
            assert sum(into_logits) == pytest.approx(sign * total, rel=1e-4)
            assert sum(from_input) == pytest.approx(sign * total, rel=1e-4)


# ---- how they are built ----


@pytest.mark.parametrize("name", MAKERS)
def test_the_norms_do_nothing_and_the_stream_is_balanced(name, family):
    planted, model = case(name, family)
    pair = planted.pairs(1)[0]
    stream = model.run_with_cache(pair.clean, ["resid_post"]).stack("resid_post")
    assert stream.mean(-1).abs().max() < 1e-5
    assert stream.var(-1).max() < 2**15  # beyond which float32 would see it beside the norm's epsilon
    assert torch.allclose(model.unembed(stream), stream @ model.W_U, atol=1e-4)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
@pytest.mark.parametrize("name", MAKERS)
def test_they_load_on_every_backend(name, family, backend):
    needs_backend(backend)
    planted, model = case(name, family)
    pair = planted.pairs(1)[0]
    other = interp.load_model(planted.hf_model, backend=backend, device="cpu")
    assert torch.allclose(other.forward(pair.clean), model.forward(pair.clean), atol=1e-4)
