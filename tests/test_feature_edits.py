"""Edits in feature space: what they do by hand, on every backend, and in sweeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import interp
from interp import Edit, Readout, feature_edit
from interp.errors import EditError, InputError
from interp.models.editing import apply_edit
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.dictionary import flat
from interp.saes.edits import features_of
from test_saes import make

PROMPT = "Then, Mary and John went to the store. John gave a"
NORMALISATIONS = ["none", "layer_norm", "constant_norm_rescale"]


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def put(edit: Edit, x: torch.Tensor) -> torch.Tensor:
    return apply_edit(x, edit, (x.shape[1],) * len(x))


@pytest.mark.parametrize("normalise", NORMALISATIONS)
@pytest.mark.parametrize(
    ("op", "value", "becomes"),
    [
        ("ablate", None, lambda f: 0 * f),
        ("set", 2.5, lambda f: 0 * f + 2.5),
        ("scale", -3.0, lambda f: -3 * f),
        ("add", 0.5, lambda f: f + 0.5),
    ],
)
def test_by_hand(load, normalise, op, value, becomes):
    sae = make(load("tiny-gpt2"), normalise=normalise, activation=Standard())
    x = drawn(2, 4, sae.d_in).double()
    features = sae.encode(x)
    chosen = features.clone()
    chosen[..., [7, 3]] = becomes(features[..., [7, 3]])
    error = x - sae.decode(features, x)
    expected = sae.decode(chosen, x) + error
    torch.testing.assert_close(put(feature_edit(sae, op, [7, 3], value=value), x), expected)
    at_one = put(feature_edit(sae, op, [7, 3], value=value, positions=-1), x)
    torch.testing.assert_close(at_one[:, -1], expected[:, -1])
    assert torch.equal(at_one[:, :-1], x[:, :-1])


@pytest.mark.parametrize("normalise", NORMALISATIONS)
def test_identities(load, normalise):
    sae = make(load("tiny-gpt2"), normalise=normalise, activation=Standard())
    x = drawn(2, 4, sae.d_in)
    some = [0, 5, 11]
    own = features_of(sae, x, some)
    assert (own > 0).any()
    for same in (
        feature_edit(sae, "set", some, value=own),
        feature_edit(sae, "scale", some, value=1.0),
        feature_edit(sae, "add", some, value=0.0),
    ):
        assert torch.equal(put(same, x), x), "what changes no feature changes nothing, bit for bit"
    everything = put(feature_edit(sae, "ablate", range(sae.n_features)), x)
    bare = sae.decode(torch.zeros(2, 4, sae.n_features), x)
    torch.testing.assert_close(everything, bare + x - sae.reconstruct(x), rtol=1e-5, atol=1e-4)
    once, twice = (put(feature_edit(sae, "add", some, value=v), x) - x for v in (1.5, 3.0))
    torch.testing.assert_close(2 * once, twice, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "activation", [Standard(), TopK(5), BatchTopK(5, 0.4), JumpReLU(torch.linspace(0, 1, 40))]
)
def test_some_features_are_what_they_are_among_all(load, activation):
    sae = make(load("tiny-gpt2"), activation=activation)
    x = drawn(3, 4, sae.d_in)
    torch.testing.assert_close(features_of(sae, x, [30, 2]), sae.encode(x)[..., [30, 2]])


def test_features_are_those_of_the_activation_when_the_edit_is_carried_out(load):
    """After an edit below, and after earlier edits at the same site."""
    model = load("tiny-gpt2")
    sae = make(model, layer=1, activation=Standard())
    below = Edit.scale("mlp_out", 0, value=-2.0)
    first = feature_edit(sae, "add", 4, value=2.0)
    second = feature_edit(sae, "scale", [4, 9], value=0.5)
    x = model.run_with_cache(PROMPT, [sae.address], [below])[sae.address]
    expected = put(second, put(first, x))
    cache = model.run_with_cache(PROMPT, [sae.address], [first, second, below])
    torch.testing.assert_close(cache[sae.address], expected)
    assert (expected - put(first, put(second, x))).abs().max() > 1e-3, "their order matters"


def test_values_go_to_positions_and_features_in_their_order(load):
    sae = make(load("tiny-gpt2"), activation=Standard())
    x = drawn(1, 4, sae.d_in)
    value = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])  # [row, position, feature]
    edited = put(feature_edit(sae, "add", [8, 1], value=value, positions=[3, 0]), x) - x
    W = sae.W_dec
    torch.testing.assert_close(edited[0, 3], 1 * W[8] + 2 * W[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(edited[0, 0], 3 * W[8] + 4 * W[1], rtol=1e-5, atol=1e-5)
    assert edited[0, 1:3].abs().max() == 0


@pytest.mark.parametrize("site", ["resid_post", "z", "mlp_act", "embed"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_every_backend_gives_the_same(load, name, site):
    plain = load(name)
    sae = make(plain, site)
    edits = [
        feature_edit(sae, "scale", [0, 1, 2, 3], value=-2.0, positions=[1, 4]),
        feature_edit(sae, "add", 9, value=1.0, rows=1),
    ]
    prompts = [PROMPT, "The capital of France is"]  # of different lengths
    expected = plain.run_with_cache(prompts, [sae.address], edits)
    assert (expected.logits - plain.forward(prompts)).abs().max() > 1e-3
    for row, prompt in enumerate(prompts):
        alone = [replace(e, address=replace(e.address, rows=None)) for e in edits[: 1 + row]]
        n = expected.tokens.lengths[row]
        one = plain.forward(prompt, alone)[0]
        torch.testing.assert_close(expected.logits[row, :n], one, rtol=0, atol=1e-4)
    for backend in ("transformer_lens", "nnsight"):
        model = load(name, backend)
        if site not in model.sites:
            continue
        found = model.run_with_cache(prompts, [sae.address], edits)
        for row, n in enumerate(found.tokens.lengths):
            torch.testing.assert_close(found.logits[row, :n], expected.logits[row, :n], rtol=0, atol=1e-4)


@pytest.mark.parametrize("site", ["resid_pre", "resid_post", "z", "k", "mlp_out", "embed"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_a_sweep_is_a_loop_of_plain_runs(load, name, site):
    model = load(name, dtype="float64")
    sae = make(model, site, 1, activation=TopK(5) if site != "z" else Standard())
    x = flat(site, model.run_with_cache(PROMPT, [sae.address])[sae.address])[0]
    active = [(p, f) for p in range(1, 5) for f in sae.encode(x)[p].nonzero()[:, 0].tolist()[:3]]
    assert len(active) > 8
    branches = [[feature_edit(sae, "ablate", f, positions=p)] for p, f in active]
    branches += [
        [feature_edit(sae, "scale", [f, 9], value=-4.0, positions=[p, p + 2])] for p, f in active if f != 9
    ]
    branches += [
        [feature_edit(sae, "add", 3, value=5.0)],
        [Edit.zero("mlp_out", 0), feature_edit(sae, "set", range(5), value=1.0, positions=-1)],
        [feature_edit(sae, "add", 3, value=5.0, positions=2), feature_edit(sae, "ablate", [3, 4])],
        [],
    ]
    swept = model.sweep(PROMPT, branches, Readout.logits(-1))
    assert swept.path == "branching"
    for edits, found in zip(branches, swept.values, strict=True):
        torch.testing.assert_close(found, model.forward(PROMPT, edits)[0, -1:], rtol=0, atol=1e-6)
    assert (swept.values - swept.values[-1:]).abs().amax((1, 2)).median() > 1e-4, "they do something"


def test_in_half_precision(load):
    model, wide = load("tiny-gpt2", dtype="bfloat16"), load("tiny-gpt2")
    sae = make(model, activation=Standard())
    edits = [feature_edit(sae, "scale", range(10), value=-2.0)]
    assert model.forward(PROMPT, edits).dtype == torch.bfloat16
    clean = (model.forward(PROMPT).float() - wide.forward(PROMPT)).abs().max()
    other = make(wide, activation=Standard())
    edited = wide.forward(PROMPT, [feature_edit(other, "scale", range(10), value=-2.0)])
    assert (model.forward(PROMPT, edits).float() - edited).abs().max() < 5 * clean


def test_what_cannot_be_edited_is_refused(load):
    model = load("tiny-gpt2")
    sae = make(model)
    for arguments, said in (
        (("ablat", 1, None), "did you mean 'ablate'"),
        (("ablate", 1, 2.0), "takes no value"),
        (("set", 1, None), "needs a value"),
        (("set", 1, float("nan")), "NaN"),
        (("ablate", 40, None), "There is no feature 40; this SAE has 40"),
        (("ablate", -1, None), "There is no feature -1"),
        (("ablate", [], None), "no feature"),
        (("ablate", [1, 1], None), "twice"),
        (("ablate", 1.5, None), "whole numbers"),
        (("ablate", "12", None), "whole numbers"),
    ):
        op, features, value = arguments
        with pytest.raises(EditError, match=said):
            feature_edit(sae, op, features, value=value)
    with pytest.raises(EditError, match="does not broadcast"):
        model.forward(PROMPT, [feature_edit(sae, "set", [1, 2], value=torch.ones(3))])
    with pytest.raises(EditError, match="made by interp"):
        Edit("features", sae.address, 1.0)
    edit = feature_edit(sae, "ablate", 1)
    with pytest.raises(InputError, match="another unembedding"):
        load("tiny-llama").forward(PROMPT, [feature_edit(make(load("tiny-neox")), "ablate", 1)])
    with pytest.raises(InputError, match="width"):
        load("demo-gpt2").sweep(PROMPT, [[edit]], Readout.logits(-1))
    stored = feature_edit(sae, "set", [1], value=torch.ones(1), positions=-1).to_dict()
    assert stored["at"] == "blocks.1.hook_resid_post[pos=-1]"
    assert stored["value"]["features"] == [1]
    with pytest.raises(EditError, match="without its SAE"):
        Edit.from_dict(stored)


def test_top_level():
    assert interp.feature_edit is feature_edit
