"""Sparse autoencoders: the dictionary, its kinds, and its metrics against float64 computations by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from interp.edits import Edit
from interp.errors import DegeneratePairError, InputError, SiteError
from interp.progress import listening
from interp.resume import resuming
from interp.saes import metrics, products, results
from interp.saes.activations import BatchTopK, JumpReLU, Standard, TopK
from interp.saes.batch_features import DenseFeatures, ListedFeatures, SparseFeatures
from interp.saes.dictionary import SAE, model_facts, width
from interp.saes.recipe import KINDS, Recipe
from interp.saes.stream import ActivationStream
from interp.saes.trainer import LOSSES, geometric_median
from interp.saes.training import train, train_sae
from interp.sites import Address

PROMPTS = ["The capital of France is", "Then, Mary and John went to the store. John gave a"]


def make(model, site="resid_post", layer=1, *, n=40, seed=0, **changes) -> SAE:
    """An SAE with random weights for a site."""
    draw = torch.Generator().manual_seed(seed)
    d = width(model, site)
    fields = {
        "W_enc": torch.randn(d, n, generator=draw) / d**0.5,
        "b_enc": torch.randn(n, generator=draw) / 10,
        "W_dec": torch.randn(n, d, generator=draw) / d**0.5,
        "b_dec": torch.randn(d, generator=draw) / 10,
        "activation": TopK(5),
        "address": Address(site, None if site == "embed" else layer),
        **model_facts(model),
    }
    return SAE(**{**fields, **changes})


def test_each_kind_is_what_its_paper_says():
    pre = torch.tensor([[3.0, -1.0, 2.0, 0.5], [-3.0, -1.0, -2.0, 1.5]])
    assert Standard()(pre).tolist() == [[3, 0, 2, 0.5], [0, 0, 0, 1.5]]
    assert TopK(2)(pre).tolist() == [[3, 0, 2, 0], [0, 0, 0, 1.5]], "what is below 0 is not a feature"
    assert BatchTopK(2, 1.0)(pre).tolist() == [[3, 0, 2, 0], [0, 0, 0, 1.5]]
    thresholds = torch.tensor([4.0, 0.0, 1.0, 1.0])
    assert JumpReLU(thresholds)(pre).tolist() == [[0, 0, 2, 0], [0, 0, 0, 1.5]]


@pytest.mark.parametrize("b_dec_first", [True, False])
@pytest.mark.parametrize("normalise", ["none", "layer_norm", "constant_norm_rescale"])
def test_encode_and_decode_by_hand(load, normalise, b_dec_first):
    sae = make(
        load("tiny-gpt2"), activation=Standard(), normalise=normalise, apply_b_dec_to_input=b_dec_first
    )
    x = torch.randn(3, sae.d_in, generator=torch.Generator().manual_seed(1)) * 5 + 2
    for one in x:
        values = one.double().numpy()
        shift, size = {
            "none": (0.0, 1.0),
            "layer_norm": (values.mean(), values.std(ddof=1)),
            "constant_norm_rescale": (0.0, np.linalg.norm(values) / math.sqrt(sae.d_in)),
        }[normalise]
        W_enc, b_enc, W_dec, b_dec = (
            w.double().numpy() for w in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)
        )
        inner = (values - shift) / size - b_dec * b_dec_first
        features = np.maximum(inner @ W_enc + b_enc, 0)
        expected = (features @ W_dec + b_dec) * size + shift
        np.testing.assert_allclose(sae.encode(one).numpy(), features, atol=1e-5)
        np.testing.assert_allclose(sae.reconstruct(one).numpy(), expected, atol=1e-4)
    if normalise != "none":
        with pytest.raises(InputError, match="give decode the activations"):
            sae.decode(sae.encode(x))


def test_a_foreign_sae_is_refused(load):
    model = load("demo-gpt2")
    with pytest.raises(InputError, match="another unembedding"):
        replace(make(model), unembed_sha256="0" * 64).check_fits(model)
    with pytest.raises(InputError, match="width"):
        make(load("tiny-gpt2")).check_fits(model)
    with pytest.raises(InputError, match="6 layers"):
        make(model, layer=6).check_fits(model)
    with pytest.raises(InputError, match="no fixed width"):
        make(model, address=Address("pattern", 0)).check_fits(model)
    with pytest.raises(SiteError):
        make(load("tiny-neox"), "resid_post", address=Address("resid_mid", 0)).check_fits(load("tiny-neox"))
    with pytest.raises(InputError, match="W_enc"):
        make(model, b_enc=torch.zeros(3))
    make(model, unembed_sha256=None).check_fits(model)


def test_metrics_by_hand():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 50, 4)) * [1, 2, 3, 4] + [5, 0, 0, 1]
    features = np.maximum(draw.normal(size=(50, 6)) - 1, 0)
    features[:, 2] = 0
    X, Y, F = (torch.tensor(a).float() for a in (x, y, features))
    centred = [[x[t, i] - x[:, i].mean() for i in range(4)] for t in range(50)]
    errors = [sum((x[t, i] - y[t, i]) ** 2 for i in range(4)) for t in range(50)]
    spreads = [sum(c**2 for c in row) for row in centred]
    assert metrics.explained_variance(X, Y) == pytest.approx(1 - sum(errors) / sum(spreads), abs=1e-5)
    per_token = sum(1 - e / s for e, s in zip(errors, spreads, strict=True)) / 50
    assert metrics.explained_variance_per_token(X, Y) == pytest.approx(per_token, rel=1e-4)
    assert metrics.l0(F) == pytest.approx((features > 0).sum() / 50)
    share = [sum(features[t, f] > 0 for t in range(50)) / 50 for f in range(6)]
    np.testing.assert_allclose(metrics.density(F).numpy(), share)
    assert results.dead_share(np.array(share)) == pytest.approx(1 / 6)
    edges, counts = results.density_histogram(np.array(share), bins=4)
    logs = [math.log10(d) for d in share if d > 0]
    low = min(*logs, -1)
    by_hand = [low - low * i / 4 for i in range(5)]
    np.testing.assert_allclose(edges, by_hand, atol=1e-12)
    assert counts.tolist() == [sum(by_hand[i] <= one < by_hand[i + 1] for one in logs) for i in range(4)]
    assert counts.sum() == 5, "a dead feature is in no bin"
    cosine = max(x[0] @ b / np.linalg.norm(x[0]) / np.linalg.norm(b) for b in y)
    assert metrics.feature_cosine(X, Y)[0].item() == pytest.approx(cosine, abs=1e-6)
    assert results.ce_recovered(clean=2.0, sae=2.5, ablated=4.0) == 0.75
    with pytest.raises(DegeneratePairError):
        results.ce_recovered(clean=2.0, sae=2.5, ablated=2.0)
    with pytest.raises(InputError, match="all the same"):
        metrics.explained_variance(torch.ones(3, 2), torch.ones(3, 2))


@pytest.mark.parametrize("site", ["resid_post", "z", "k", "mlp_act", "embed"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_measured_on_text_as_by_hand(load, name, site):
    model = load(name)
    sae = make(model, site)
    result = metrics.measure_sae(model, sae, PROMPTS, batch_size=2)
    xs, ys, ces = [], [], {"clean": [], "sae": [], "zero": [], "mean": []}
    for prompt in PROMPTS:  # one at a time: no padding
        x = model.run_with_cache(prompt, [sae.address])[sae.address].flatten(2)[0, 1:]
        xs.append(x)
        ys.append(sae.reconstruct(x))
    mean = torch.cat(xs).double().mean(0).float()
    for prompt, x, y in zip(PROMPTS, xs, ys, strict=True):
        ids = model.to_tokens(prompt).row(0)
        values = {"clean": x, "sae": y, "zero": torch.zeros_like(x), "mean": mean.expand_as(x)}
        raw = model.run_with_cache(prompt, [sae.address])[sae.address]
        for kind, value in values.items():
            edit = Edit.set(
                site,
                sae.address.layer,
                positions=range(1, len(ids)),
                value=value.reshape(1, len(ids) - 1, *raw.shape[2:]),
            )
            said = model.forward(prompt, [edit])[0].double().log_softmax(-1)
            ces[kind] += [-said[t, ids[t + 1]].item() for t in range(1, len(ids) - 1)]
    x, y = torch.cat(xs), torch.cat(ys)
    assert result.n_tokens == len(x)
    assert result.explained_variance == pytest.approx(metrics.explained_variance(x, y), rel=1e-5)
    assert result.explained_variance_per_token == pytest.approx(
        metrics.explained_variance_per_token(x, y), rel=1e-5
    )
    assert result.l0 == pytest.approx(metrics.l0(sae.encode(x)))
    np.testing.assert_allclose(result.density, metrics.density(sae.encode(x)).numpy())
    for kind, values in ces.items():
        assert getattr(result, f"ce_{kind}") == pytest.approx(np.mean(values), abs=1e-5), kind


def test_a_perfect_dictionary_recovers_everything(load):
    model = load("demo-gpt2")
    d = width(model, "resid_post")
    eye = torch.eye(d)
    sae = make(
        model,
        n=2 * d,
        activation=Standard(),
        W_enc=torch.cat([eye, -eye], 1),
        b_enc=torch.zeros(2 * d),
        W_dec=torch.cat([eye, -eye]),
    )
    result = metrics.measure_sae(model, sae, PROMPTS)
    assert result.explained_variance == pytest.approx(1, abs=1e-6)
    assert result.l0 == pytest.approx(d, abs=0.1)
    assert result.recovered_from_zero == pytest.approx(1, abs=1e-4)
    assert result.recovered_from_mean == pytest.approx(1, abs=1e-4)
    assert type(result).from_dict(result.to_dict()).to_dict() == result.to_dict()
    with pytest.raises(InputError, match="three tokens"):
        metrics.measure_sae(model, sae, [[5, 6]])


def superposition(n: int, d: int, *, active: float, batch: int):
    """A toy model of superposition: `n` known directions in `d` dimensions, each active at random."""
    directions = torch.nn.functional.normalize(
        torch.randn(n, d, generator=torch.Generator().manual_seed(7)), dim=-1
    )

    def batches(step: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(1000 + step)
        on = torch.rand(batch, n, generator=draw) < active
        size = 3 + 2 * torch.rand(batch, n, generator=draw)
        return (on * size) @ directions

    return directions, batches


@pytest.mark.parametrize(
    ("kind", "options", "share"),
    [
        ("topk", {"k": 3, "learning_rate": 3e-3}, 0.95),
        ("standard", {"penalty": 0.5, "learning_rate": 1e-2}, 0.95),
        # where training ends goes by the last digit of its sums: the bar leaves room for that
        ("batchtopk", {"k": 2, "learning_rate": 1e-2, "auxiliary": 0.5, "silent_after": 20}, 0.9),
        ("jumprelu", {"penalty": 0.03, "learning_rate": 1.5e-2, "auxiliary": 0.5, "silent_after": 20}, 0.9),
        ("gated", {"penalty": 1.0, "learning_rate": 1e-2, "steps": 1000}, 0.95),
    ],
)
def test_known_features_are_recovered(kind, options, share):
    directions, batches = superposition(64, 24, active=0.03, batch=512)
    recipe = Recipe(**{"kind": kind, "n_features": 96, "steps": 1500, **options})
    weights, losses = train(batches, recipe)
    cosine = metrics.feature_cosine(directions, weights.W_dec)
    assert (cosine > 0.9).double().mean() >= share, cosine.sort().values[:8]
    np.testing.assert_allclose(weights.W_dec.norm(dim=-1), 1, atol=1e-5)
    assert losses.shape == (recipe.steps, len(LOSSES))
    assert losses[-1, 0] < 0.25 < losses[0, 0]


def test_what_is_general_is_in_the_smallest_of_nested_dictionaries():
    """Eight things, each in three special forms or in none of them: eight features alone reconstruct most by
    the means of the eight, which are known."""
    draw = torch.Generator().manual_seed(3)
    general, special = torch.randn(8, 32, generator=draw), torch.randn(8, 3, 32, generator=draw)
    general, special = (torch.nn.functional.normalize(x, dim=-1) for x in (general, special))

    def batches(step: int) -> torch.Tensor:
        g = torch.Generator().manual_seed(step)
        on = (torch.rand(256, 8, generator=g) < 0.12).float()
        form = torch.randint(0, 6, (256, 8), generator=g)  # half of them none
        forms = torch.nn.functional.one_hot(form, 6)[..., :3] * on[..., None]  # [batch, thing, form]
        on = on * (1 + 0.2 * torch.rand(on.shape, generator=g))
        forms = forms * (1 + 0.2 * torch.rand(forms.shape, generator=g))
        return on @ general + torch.einsum("btf,tfd->bd", forms, special)

    options = {"learning_rate": 1e-2, "auxiliary": 0.5, "silent_after": 20}
    recipe = Recipe(kind="matryoshka", n_features=64, k=2, steps=500, **options)
    assert recipe.sizes == (8, 16, 32, 64)
    weights, _ = train(batches, recipe)
    means = general + special.sum(1) / 6
    cosines = torch.nn.functional.normalize(means, dim=-1) @ weights.W_dec[:8].T
    # all of them here; the bar leaves room for another machine's rounding
    assert (cosines.amax(1) > 0.95).sum() >= 6, cosines.amax(1)
    x = batches(999)
    features = weights.activation((x - weights.b_dec) @ weights.W_enc + weights.b_enc)
    left = x - weights.b_dec - features @ weights.W_dec
    assert left.square().sum() < 0.1 * (x - x.mean(0)).square().sum(), "and all of them the rest"


def test_sparse_features_are_dense_ones_in_less_time():
    draw = torch.Generator().manual_seed(0)
    pre, W_dec, target = (torch.randn(shape, generator=draw) for shape in ((7, 40), (40, 6), (7, 6)))
    found = []
    for sparse in (True, False):
        inputs = [pre.clone().requires_grad_(), W_dec.clone().requires_grad_()]
        values, where = inputs[0].topk(30, sorted=False)
        features = SparseFeatures(values.relu(), where, 40) if sparse else DenseFeatures(TopK(30)(inputs[0]))
        out = features.decoded(inputs[1])
        found.append([out, *torch.autograd.grad(((out - target) ** 2).sum(), inputs)])
        assert features.fired.tolist() == (TopK(30)(pre) > 0).any(0).tolist()
        assert features.number == (TopK(30)(pre) > 0).sum() < 7 * 30
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_listed_features_are_dense_ones_also_in_nested_dictionaries():
    draw = torch.Generator().manual_seed(0)
    pre, W_dec, target = (torch.randn(shape, generator=draw) for shape in ((7, 40), (40, 6), (3, 7, 6)))
    pre[2] = -1.0  # a token without features
    sizes, found = (5, 10, 20), []
    chosen = pre.flatten().topk(90).indices.sort().values
    for listed in (True, False):
        inputs = [pre.clone().requires_grad_(), W_dec.clone().requires_grad_()]
        values = inputs[0].flatten()[chosen].relu()
        dense = torch.zeros(7 * 40).scatter(0, chosen, values).reshape(7, 40)
        if listed:
            features = ListedFeatures(values, chosen % 40, 40, chosen // 40, 7)
            by_size = features.decoded_by_size(inputs[1], sizes)
        else:
            features = DenseFeatures(dense)
            by_size = torch.stack([dense[:, :size] @ inputs[1][:size] for size in sizes])
        out = features.decoded(inputs[1])
        loss = ((by_size - target) ** 2).sum() + (out**2).sum()
        found.append([out, by_size, *torch.autograd.grad(loss, inputs)])
        assert features.fired.tolist() == (dense > 0).any(0).tolist()
        assert features.number == (dense > 0).sum()
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("turned", [False, True])
def test_products_are_those_of_torch(turned):
    draw = torch.Generator().manual_seed(0)
    a, b, weight = (torch.randn(shape, generator=draw) for shape in ((9, 5), (5, 7), (9, 7)))
    if turned:  # the same numbers, in another order in memory
        a, b = a.T.contiguous().T, b.T.contiguous().T
    found = []
    for multiply in (products.product, torch.matmul):
        inputs = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        out = multiply(*inputs)
        found.append([out, *torch.autograd.grad((out * weight).sum() + out.sum(), inputs)])
        found[-1] += torch.autograd.grad(multiply(*inputs).sum(), inputs)  # a gradient that is spread out
        (alone,) = torch.autograd.grad(multiply(a, inputs[1]).sum(), inputs[1:])
        found[-1].append(alone)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_geometric_median_ignores_what_is_far_out():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    x[:20] += 1000
    median = geometric_median(x)
    assert median.norm() < 0.5 < x.mean(0).norm()
    away = (x - median) / (x - median).norm(dim=-1, keepdim=True)
    assert away.sum(0).norm() < 0.1, "at the median the unit vectors to all points cancel"


def test_b_dec_and_the_threshold_are_in_the_units_of_the_activations():
    """Activations ten times as large: the same directions, and biases ten times as large."""
    _, batches = superposition(20, 12, active=0.1, batch=128)
    for kind in KINDS:
        recipe = Recipe(kind=kind, n_features=24, k=3, steps=40)
        one, _ = train(batches, recipe)
        ten, _ = train(lambda step: 10 * batches(step), recipe)
        torch.testing.assert_close(ten.W_dec, one.W_dec, atol=1e-3, rtol=0)
        torch.testing.assert_close(ten.b_dec, 10 * one.b_dec, atol=1e-2, rtol=0)
        torch.testing.assert_close(ten.b_enc, 10 * one.b_enc, atol=1e-2, rtol=0)


def sequences(model, n: int = 12, length: int = 20) -> list[list[int]]:
    draw = np.random.default_rng(0)
    return draw.integers(1, model.arch.d_vocab, size=(n, length)).tolist()


@pytest.mark.parametrize("kind", ["topk", "jumprelu", "gated"])
def test_the_same_seed_gives_the_same_weights_also_after_a_kill(load, tmp_path, kind):
    model = load("tiny-qwen3")
    recipe = Recipe(kind=kind, n_features=30, k=4, steps=20, silent_after=3, seed=5)
    options = {"batch_size": 32, "buffered": 4}
    one, losses = train_sae(model, "z", 1, sequences(model), recipe, **options)
    assert one.W_enc.shape == (width(model, "z"), 30)
    one.check_fits(model)

    class KilledError(Exception):
        pass

    def kill(task: str, done: int, total: int) -> None:
        if done == 13:
            raise KilledError

    with resuming(tmp_path), pytest.raises(KilledError), listening(kill):
        train_sae(model, "z", 1, sequences(model), recipe, **options)
    steps = []
    with resuming(tmp_path), listening(lambda task, done, total: steps.append(done)):
        again, losses_again = train_sae(model, "z", 1, sequences(model), recipe, **options)
    assert steps[0] == 13, "it goes on from the last part that was kept"
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        assert torch.equal(getattr(one, name), getattr(again, name)), name
    assert np.array_equal(losses, losses_again)
    other, _ = train_sae(model, "z", 1, sequences(model), replace(recipe, seed=6), **options)
    assert not torch.equal(one.W_enc, other.W_enc)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("transformer_lens", marks=pytest.mark.tl),
        pytest.param("nnsight", marks=pytest.mark.nnsight),
    ],
)
def test_every_backend_trains_the_same_dictionary(load, backend):
    recipe, options = Recipe(kind="topk", n_features=30, k=4, steps=10), {"batch_size": 32}
    text = sequences(load("tiny-qwen3"))
    plain, other = (
        train_sae(load("tiny-qwen3", which), "z", 1, text, recipe, **options)[0]
        for which in ("transformers", backend)
    )
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        torch.testing.assert_close(getattr(plain, name), getattr(other, name), atol=1e-3, rtol=0)


def test_the_model_runs_once_over_a_text_that_fits_the_buffer(load, monkeypatch):
    model = load("tiny-gpt2")
    text, address = sequences(model, n=8, length=9), Address("resid_post", 0)
    runs = []
    real = model.run_with_cache

    def run_with_cache(*arguments, **options):
        runs.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(model, "run_with_cache", run_with_cache)
    stream = ActivationStream(model, address, text, batch_size=16, buffered=100)
    rounds = [torch.cat([stream(4 * r + i) for i in range(4)]) for r in range(3)]
    assert len(runs) == 1
    assert not torch.equal(rounds[0], rounds[1])
    for one in rounds[1:]:
        assert torch.equal(one.sum(-1).sort().values, rounds[0].sum(-1).sort().values)
    assert torch.equal(stream(2), rounds[0][32:48])


def test_the_stream_serves_every_activation_but_the_first_of_each_sequence(load):
    model = load("tiny-gpt2")
    text = sequences(model, n=8, length=9)
    stream = ActivationStream(model, Address("resid_post", 0), text, batch_size=16, buffered=4)
    assert stream.batches == 2
    served = torch.cat([stream(step) for step in range(4)])
    expected = model.run_with_cache(text, [("resid_post", 0)])["resid_post", 0][:, 1:].flatten(0, 1)
    distance = (served[:, None] - expected).norm(dim=-1)
    assert len(served) == len(expected)
    assert sorted(distance.argmin(1).tolist()) == list(range(len(expected)))
    assert distance.amin(1).max() < 1e-3
    assert torch.equal(
        stream(1), ActivationStream(model, Address("resid_post", 0), text, batch_size=16, buffered=4)(1)
    ), "a batch depends on the step alone"
    with pytest.raises(InputError, match="fewer tokens"):
        ActivationStream(model, Address("resid_post", 0), text, batch_size=1000)
    with pytest.raises(InputError, match="one length"):
        ActivationStream(model, Address("resid_post", 0), [[1, 2, 3], [1, 2]], batch_size=1)
    with pytest.raises(InputError, match="one length"):
        ActivationStream(model, Address("resid_post", 0), [], batch_size=1)


NO_LEVELS = {"kind": "matryoshka", "levels": 7}


@pytest.mark.parametrize(
    "wrong", [{"k": 50}, {"steps": 0}, {"kind": "none"}, {"warm_up": 0.9}, {"k": 0}, NO_LEVELS]
)
def test_a_recipe_that_cannot_be_followed_is_refused(wrong):
    with pytest.raises(InputError):
        Recipe(**{"n_features": 40, **wrong})
