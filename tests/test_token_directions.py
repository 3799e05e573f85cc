"""Directions of tokens by a Jacobian lens: as edits, in bands of layers, and as parts of a state."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import interp
from conftest import tiny_model
from interp import JacobianLens, Readout
from interp.errors import InputError
from interp.methods.lens.exchange import exchange_edits, live_exchange_edits
from interp.methods.lens.token_directions import decompose_state, token_directions
from test_jacobian_lens import random_lens

FRANCE, PARIS, TOKYO = "The capital of France is", " Paris", " Tokyo"


@pytest.fixture(scope="module")
def lens(load: Any) -> JacobianLens:
    return random_lens(load("demo-gpt2"))


def coordinates(model: interp.Model, lens: JacobianLens, layer: int, edits: Any = ()) -> torch.Tensor:
    """Those of Paris and Tokyo at every position of a run, by least squares."""
    pair = token_directions(model, lens, [PARIS, TOKYO], layer)
    states = model.run_with_cache(FRANCE, [("resid_post", layer)], edits)["resid_post", layer][0]
    return torch.linalg.lstsq(pair.T, states.T).solution.T  # [pos, 2]


def test_directions_are_rows_of_the_unembedding_through_the_matrix(load: Any, lens: JacobianLens) -> None:
    model = load("demo-gpt2")
    found = token_directions(model, lens, [PARIS, "<5>"], 2)
    ids = [model.to_single_token(PARIS), 5]
    torch.testing.assert_close(found, (model.W_U.T @ lens.jacobian[3])[ids])
    torch.testing.assert_close(token_directions(model, lens, PARIS, 2), found[:1])
    with pytest.raises(InputError, match="no matrix for layer 5"):
        token_directions(model, lens, PARIS, 5)
    with pytest.raises(InputError):
        token_directions(load("demo-qwen3"), lens, PARIS, 2)


@pytest.mark.parametrize("backend", [
    "transformers", pytest.param("transformer_lens", marks=pytest.mark.tl),
    pytest.param("nnsight", marks=pytest.mark.nnsight),
])  # fmt: skip
def test_an_exchange_changes_both_coordinates_and_nothing_else(
    load: Any, lens: JacobianLens, backend: Any
) -> None:
    model = load("demo-gpt2", backend)
    edits = exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=[3])
    before = coordinates(model, lens, 3)
    torch.testing.assert_close(coordinates(model, lens, 3, edits), before.flip(-1), rtol=1e-3, atol=1e-4)
    clean, edited = (model.run_with_cache(FRANCE, ["resid_post"], some) for some in ((), edits))
    change = (edited["resid_post", 3] - clean["resid_post", 3])[0]
    pair = token_directions(model, lens, [PARIS, TOKYO], 3)
    inside = change @ torch.linalg.pinv(pair) @ pair
    torch.testing.assert_close(inside, change, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(clean.logits, edited.logits, atol=0.1)


def test_the_parity_of_a_bands_width_does_not_matter(load: Any, lens: JacobianLens) -> None:
    """After every layer of a band the coordinates are the clean run's, exchanged. Exchanging what is found at
    each layer undoes itself at every second one."""
    model = load("demo-gpt2")
    for width in range(1, 5):
        band = list(range(1, 1 + width))
        edits = exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=band)
        for layer in band:
            wanted = coordinates(model, lens, layer).flip(-1)
            found = coordinates(model, lens, layer, edits)
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def idle_model() -> interp.Model:
    """A model whose layers add nothing to the stream."""
    hf_model = tiny_model("tiny-gpt2")
    for block in hf_model.transformer.h:
        for part in (block.attn.c_proj, block.mlp.c_proj):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    return interp.load_model(hf_model, device="cpu", self_check=False)


def test_live_coordinates_undo_themselves() -> None:
    """With the same directions at every layer, and layers that add nothing, an even band does nothing."""
    model = idle_model()
    n, d = model.arch.n_layers, model.arch.d_model
    same = JacobianLens.of_model(model, source_layers=tuple(range(n - 1)), target_layer=n - 1, n_prompts=1,
                                 jacobian=torch.eye(d).expand(n - 1, d, d))  # fmt: skip
    ids, pair = [3, 1, 4], (7, 9)
    clean = model.forward(ids)
    whole, half = (
        model.forward(ids, exchange_edits(model, same, ids, *pair, layers=layers)) for layers in ([0, 1], [0])
    )
    torch.testing.assert_close(whole, half)
    assert not torch.allclose(half, clean, atol=1e-2)
    directions = token_directions(model, same, pair, 1)
    first, second = live_exchange_edits(model, ids, [directions, directions], layers=[0, 1])
    torch.testing.assert_close(model.forward(ids, first), half, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.forward(ids, [*first, *second]), clean, rtol=1e-3, atol=1e-3)


def test_exchanges_go_into_sweeps_and_to_some_positions(load: Any, lens: JacobianLens) -> None:
    model = load("demo-gpt2")
    n = model.to_tokens(FRANCE).lengths[0]
    branches = [
        exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=[layer], positions=position)
        for layer in (1, 4) for position in (-1, 4)
    ]  # fmt: skip
    read = model.sweep(FRANCE, branches, Readout.logits(-1))
    for values, edits in zip(read.values, branches, strict=True):
        torch.testing.assert_close(
            values[0], model.forward(FRANCE, edits)[0, n - 1].cpu(), rtol=1e-3, atol=1e-3
        )
    before, after = (coordinates(model, lens, 1, edits) for edits in ((), branches[0]))
    torch.testing.assert_close(after[:-1], before[:-1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after[-1], before[-1].flip(-1), rtol=1e-3, atol=1e-3)


def test_its_strength(load: Any, lens: JacobianLens) -> None:
    model = load("demo-gpt2")
    before = coordinates(model, lens, 2)
    for strength in (0.0, 0.5, 2.0):
        edits = exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=[2], strength=strength)
        wanted = before + strength * (before.flip(-1) - before)
        torch.testing.assert_close(coordinates(model, lens, 2, edits), wanted, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_exchanged_is_refused(load: Any, lens: JacobianLens) -> None:
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="parallel"):
        exchange_edits(model, lens, FRANCE, PARIS, PARIS, layers=[2])
    with pytest.raises(InputError, match="no layer"):
        exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=[])
    with pytest.raises(InputError, match="no matrix for layer 5"):
        exchange_edits(model, lens, FRANCE, PARIS, TOKYO, layers=[4, 5])


def test_a_state_that_is_made_of_tokens_is_taken_apart(load: Any, lens: JacobianLens) -> None:
    model = load("demo-gpt2")
    ids, amounts = [50, 700, 1500], torch.tensor([3.0, 2.0, 1.0])
    directions = token_directions(model, lens, ids, 2)
    units = directions / directions.norm(dim=-1, keepdim=True)
    found = decompose_state(model, lens, amounts @ units, 2, k=8)
    assert set(ids) <= set(found.ids)
    at = [found.ids.index(one) for one in ids]
    torch.testing.assert_close(found.coordinates[at] * directions.norm(dim=-1), amounts, rtol=1e-2, atol=1e-2)
    assert (found.coordinates >= 0).all()
    assert (found.explained.diff() >= -1e-6).all()
    assert float(found.explained[-1]) == pytest.approx(1, abs=1e-4)
    assert float(found.remainder.norm()) < 0.02
    opposed = decompose_state(model, lens, -units[0], 2, k=3)
    assert ids[0] not in opposed.ids


def test_its_coordinates_are_the_best_that_are_not_below_zero(load: Any, lens: JacobianLens) -> None:
    """Where one is above 0, the remainder is orthogonal to it; where it is 0, the remainder points away."""
    model = load("demo-gpt2")
    state = model.run_with_cache(FRANCE, [("resid_post", 2)])["resid_post", 2][0, -1]
    found = decompose_state(model, lens, state, 2, k=12)
    assert found.tokens == tuple(model.labels(found.ids))
    directions = token_directions(model, lens, list(found.ids), 2)
    torch.testing.assert_close(found.coordinates @ directions + found.remainder, state, rtol=1e-4, atol=1e-4)
    towards = directions @ found.remainder / directions.norm(dim=-1) / state.norm()
    assert (towards[found.coordinates > 0].abs() < 1e-4).all()
    assert (towards < 1e-4).all()
    with pytest.raises(InputError, match="k=0"):
        decompose_state(model, lens, state, 2, k=0)
    with pytest.raises(InputError, match="zero"):
        decompose_state(model, lens, torch.zeros(192), 2)
