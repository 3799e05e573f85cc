"""Three backends, one behaviour: every site and every kind of edit, read and as an effect on logits.

The plain transformers backend is the reference. Tiny models with large random weights (a mistake
anywhere moves their logits) are compared, and the trained demo models.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import interp
from conftest import TINY, hf_model, n_hooks, needs_backend, tiny_model
from interp import Edit
from interp.errors import EditError, ModelLoadError, SiteError
from interp.models.base import Model
from interp.sites import SITES

Load = Callable[..., Model]

TL = pytest.param("transformer_lens", marks=pytest.mark.tl)
NNSIGHT = pytest.param("nnsight", marks=pytest.mark.nnsight)
BACKENDS = ["transformers", TL, NNSIGHT]
OTHERS = [TL, NNSIGHT]  # those compared with the reference
MODELS = ["tiny-gpt2", "tiny-qwen3", "demo-gpt2", "demo-qwen3"]
FAMILIES = list(TINY)

ATOL = 1e-4
PROMPTS = [[5, 17, 80, 3, 99, 42, 7], [200, 1, 1], [9, 50, 120, 33, 2]]
OPS = ["set", "add", "scale", "zero", "mean", "project_out"]


def assert_agree(a: Tensor, b: Tensor, lengths: Sequence[int], site: str = "", atol: float = ATOL) -> None:
    """Equal shapes, and equal numbers at all real positions; padding means nothing."""
    assert a.shape == b.shape
    for row, n in enumerate(lengths):
        if site == "pattern":
            torch.testing.assert_close(a[row, :, :n, :n], b[row, :, :n, :n], rtol=0, atol=atol)
        else:
            torch.testing.assert_close(a[row, :n], b[row, :n], rtol=0, atol=atol)


def assert_runs_agree(model: Model, reference: Model, edits: Sequence[Edit] = (), atol: float = ATOL) -> None:
    """The same activation at every site that `model` reaches, and the same logits."""
    cache = model.run_with_cache(PROMPTS, model.sites, edits)
    expected = reference.run_with_cache(PROMPTS, model.sites, edits)
    assert list(cache) == list(expected)
    for hook in cache:
        site = interp.Address.parse(str(hook)).site
        assert_agree(cache[hook], expected[hook], cache.tokens.lengths, site, atol)
    assert_agree(cache.logits, expected.logits, cache.tokens.lengths, atol=atol)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def width(model: Model, site: str) -> int:
    arch = model.arch
    last = SITES[site].axes[-1]
    return {"d_model": arch.d_model, "d_head": arch.d_head, "d_mlp": arch.d_mlp, "key": len(PROMPTS[0])}[last]


def where(site: str, layer: int) -> dict[str, Any]:
    return {"layer": layer} if SITES[site].per_layer else {}


def key(site: str, layer: int) -> Any:
    return (site, layer) if SITES[site].per_layer else site


def an_edit(model: Model, op: str, site: str, layer: int, **selection: Any) -> Edit:
    """An edit of this kind with a value of the right width, and more than rounding in its effect."""
    n = width(model, site)
    value = {
        "set": random(n).abs() if site == "pattern" else random(n),
        "add": random(n),
        "scale": 0.3,
        "project_out": random(n),
    }.get(op)
    rest = {} if value is None else {"value": value}
    return getattr(Edit, op)(site, **where(site, layer), **rest, **selection)


# ---- agreement ----


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", OTHERS)
def test_every_site_and_the_logits_agree(load: Load, name: str, backend: str) -> None:
    assert_runs_agree(load(name, backend), load(name))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", OTHERS)
def test_unembedding_and_weights_agree(load: Load, name: str, backend: str) -> None:
    model, reference = load(name, backend), load(name)
    resid = 3 * random(2, 5, model.arch.d_model)
    torch.testing.assert_close(model.unembed(resid), reference.unembed(resid), rtol=0, atol=ATOL)
    assert torch.equal(model.W_U, reference.W_U)
    assert torch.equal(model.W_E, reference.W_E)
    for layer in range(model.arch.n_layers):
        assert torch.equal(model.W_O(layer), reference.W_O(layer))
    assert model.arch == reference.arch


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", OTHERS)
def test_every_edit_at_every_site_agrees(load: Load, name: str, backend: str, op: str) -> None:
    model, reference = load(name, backend), load(name)
    clean = reference.forward(PROMPTS)
    last = reference.arch.n_layers - 1  # where every head still acts on the logits in a trained model
    for site in model.sites:
        if (op, site) == ("mean", "pattern"):
            continue
        selections: list[dict[str, Any]] = [{}, {"positions": (1, -1), "rows": (0, 2)}]
        if SITES[site].per_head:
            selections.append({"heads": (0, -1), "positions": -1})
        for selection in selections:
            edit = an_edit(reference, op, site, last, **selection)
            cache = model.run_with_cache(PROMPTS, [key(site, last)], [edit])
            expected = reference.run_with_cache(PROMPTS, [key(site, last)], [edit])
            lengths = cache.tokens.lengths
            assert_agree(cache[key(site, last)], expected[key(site, last)], lengths, site)
            assert_agree(cache.logits, expected.logits, lengths)
            # the same added to all keys cancels in the softmax; the final norm divides a scale out
            if (op, site, selection) != ("add", "k", {}) and (op, site) != ("scale", "resid_post"):
                effect = (expected.logits - clean).abs().max()
                assert effect > 1e-3, f"{edit} does nothing, so this shows nothing"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", OTHERS)
def test_many_edits_in_one_pass_agree(load: Load, name: str, backend: str) -> None:
    model, reference = load(name, backend), load(name)
    edits = [
        an_edit(reference, op, site, layer, positions=(0, -1))
        for layer, op in ((0, "add"), (2, "scale"))
        for site in model.sites
        if layer == 0 or SITES[site].per_layer
    ]
    edits += [Edit.add("z", 1, value=1.0), Edit.scale("z", 1, value=2.0, heads=0)]  # both at one site
    assert_runs_agree(model, reference, edits, 2 * ATOL)


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-neox"])
@pytest.mark.parametrize("backend", OTHERS)
def test_other_architectures_agree_where_they_are_reached(load: Load, name: str, backend: str) -> None:
    model, reference = load(name, backend), load(name)
    edits = [an_edit(reference, "add", site, 1, positions=-1) for site in model.sites]
    for these in ([], edits):
        assert_runs_agree(model, reference, these)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", OTHERS)
def test_text_becomes_the_same_ids(load: Load, name: str, backend: str) -> None:
    model, reference = load(name, backend), load(name)
    texts = ["The capital of France is", "Paris"]
    assert torch.equal(model.to_tokens(texts).ids, reference.to_tokens(texts).ids)
    assert model.identity.bos == reference.identity.bos


# ---- what a site is ----


@pytest.mark.parametrize("name", [*MODELS, "tiny-llama", "tiny-neox"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_sites_are_parts_of_one_computation(load: Load, name: str, backend: str) -> None:
    """The residual stream adds up, heads write what W_O says, the pattern is of q and k, and z of v."""
    model = load(name, backend)
    cache = model.run_with_cache(PROMPTS[0], model.sites)
    arch = model.arch

    def close(a: Tensor, b: Tensor) -> None:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=ATOL)

    for layer in range(arch.n_layers):
        get = {site: cache[site, layer] for site in model.sites if site != "embed"}
        written = get["attn_out"] + get["mlp_out"]
        close(get["resid_pre"] + written, get["resid_post"])
        if not arch.parallel_attention:
            close(get["resid_pre"] + get["attn_out"], get["resid_mid"])
        from_heads = torch.einsum("bphd,hdm->bpm", get["z"], model.W_O(layer))
        bias = get["attn_out"] - from_heads
        close(bias, bias[:, :1].expand_as(bias))  # what is left is a bias, the same at every position
        groups = arch.n_heads // arch.n_kv_heads
        if "pattern" in get:
            v = get["v"].repeat_interleave(groups, dim=2)
            close(torch.einsum("bhqk,bkhd->bqhd", get["pattern"], v), get["z"])
        if "q" in get:
            k = get["k"].repeat_interleave(groups, dim=2)
            scores = torch.einsum("bqhd,bkhd->bhqk", get["q"], k) / arch.d_head**0.5
            causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
            close(scores.masked_fill(~causal, -torch.inf).softmax(-1), get["pattern"])
    close(model.unembed(cache["resid_post", arch.n_layers - 1]), cache.logits)
    close(cache["embed"][0], model.W_E[PROMPTS[0]])


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_edit_of_resid_mid_reaches_the_residual_stream_and_the_mlp(
    load: Load, name: str, backend: str
) -> None:
    model = load(name, backend)
    value = random(model.arch.d_model)
    edits = [Edit.set("resid_mid", 1, value=value)]
    cache = model.run_with_cache(PROMPTS[0], ["resid_mid", "mlp_out", "resid_post"], edits)
    torch.testing.assert_close(
        cache["resid_post", 1] - cache["mlp_out", 1], value.expand_as(cache["resid_post", 1])
    )
    same = cache["mlp_out", 1]
    torch.testing.assert_close(same, same[:, :1].expand_as(same))  # one input at every position, one output


@pytest.mark.nnsight
@pytest.mark.parametrize("site", ["q", "k", "v", "pattern"])
def test_nnsight_names_a_backend_that_reaches_inside_attention(load: Load, site: str) -> None:
    model = load("tiny-gpt2", "nnsight")
    assert site not in model.sites
    with pytest.raises(SiteError, match=r"nnsight.*backend='transformers'"):
        model.run_with_cache(PROMPTS, [(site, 0)])
    with pytest.raises(SiteError, match=r"nnsight.*backend='transformers'"):
        model.forward(PROMPTS, [Edit.zero(site, 0)])


@pytest.mark.tl
@pytest.mark.parametrize("site", ["q", "k"])
def test_transformer_lens_does_not_pass_off_unrotated_queries_as_rotated(load: Load, site: str) -> None:
    model = load("tiny-neox", "transformer_lens")  # TransformerLens leaves out hook_rot_q and hook_rot_k here
    if site in model.sites:
        pytest.skip("this TransformerLens has the hook, and the tests of agreement cover it")
    with pytest.raises(SiteError, match=r"transformer_lens.*backend='transformers'"):
        model.run_with_cache(PROMPTS, [(site, 0)])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_every_backend_reaches(load: Load, name: str, backend: str) -> None:
    model = load(name, backend)
    everywhere = set(SITES) - {"q", "k", "v", "pattern"}
    if model.arch.parallel_attention:
        everywhere -= {"resid_mid"}
    assert everywhere <= set(model.sites)
    if name in ("tiny-gpt2", "tiny-qwen3") and backend != "nnsight":
        assert model.sites == list(SITES)


# ---- identities ----


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_site_set_to_its_own_value_changes_nothing(load: Load, name: str, backend: str) -> None:
    model = load(name, backend)
    clean = model.run_with_cache(PROMPTS, model.sites)
    for site in model.sites:
        layers = range(model.arch.n_layers) if SITES[site].per_layer else [0]
        edits = []
        for layer in layers:
            edits.append(Edit.set(site, **where(site, layer), value=clean[key(site, layer)]))
        assert_agree(model.forward(PROMPTS, edits), clean.logits, clean.tokens.lengths)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_whole_first_residual_stream_carries_the_run(load: Load, name: str, backend: str) -> None:
    model = load(name, backend)
    clean = model.run_with_cache(PROMPTS[0], ["resid_pre"])
    other = list(reversed(PROMPTS[0]))
    assert (model.forward(other) - clean.logits).abs().max() > 0.1
    patched = model.forward(other, [Edit.set("resid_pre", 0, value=clean["resid_pre", 0])])
    torch.testing.assert_close(patched, clean.logits, rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_gives_the_numbers_of_its_prompts_one_at_a_time(load: Load, name: str, backend: str) -> None:
    """In float64 to its last digits at every site, and the logits in float32 to 1e-4."""
    edits = [Edit.scale("attn_out", 1, value=0.5, positions=-1), Edit.mean("mlp_out", 0)]
    model = load(name, backend, dtype="float64")
    batch = model.run_with_cache(PROMPTS, model.sites, edits)
    logits = load(name, backend).forward(PROMPTS, edits)
    for row, prompt in enumerate(PROMPTS):
        alone = model.run_with_cache(prompt, model.sites, edits)
        n = len(prompt)
        torch.testing.assert_close(batch.logits[row, :n], alone.logits[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(
            logits[row, :n], load(name, backend).forward(prompt, edits)[0], rtol=0, atol=ATOL
        )
        for hook in alone:
            mine = batch[hook][row]
            mine = mine[:, :n, :n] if "pattern" in str(hook) else mine[:n]
            torch.testing.assert_close(mine, alone[hook][0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cache_keeps_what_was_seen(load: Load, backend: str) -> None:
    """Values that were read do not change with what the model, or a later pass, goes on to do."""
    model = load("tiny-gpt2", backend)
    edits = [Edit.add("resid_mid", 1, value=5.0)]
    together = model.run_with_cache(PROMPTS, model.sites, edits)
    model.forward(PROMPTS, [Edit.zero("resid_mid", 1)])
    for site in model.sites:
        alone = model.run_with_cache(PROMPTS, [key(site, 1)], edits)
        assert torch.equal(together[key(site, 1)], alone[key(site, 1)])


# ---- borrowed state is given back ----


def running(model: Any) -> nn.Module:
    """The module whose forward pass the backend runs."""
    if model.backend == "transformer_lens":
        return model.bridge
    return model.nnsight._module if model.backend == "nnsight" else model.hf_model


@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_stays_behind_after_an_exception(load: Load, name: str, backend: str) -> None:
    model = load(name, backend)
    before = model.forward(PROMPTS)  # first, as backends may set up hooks of their own in a first pass
    hooks, implementation = n_hooks(running(model)), running(model).config._attn_implementation
    for site in model.sites:
        bad = Edit.set(site, **where(site, 1), value=torch.zeros(width(model, site) + 1))
        with pytest.raises(EditError, match="broadcast") as caught:
            model.run_with_cache(PROMPTS, model.sites, [bad])
        assert type(caught.value) is EditError
        assert n_hooks(running(model)) == hooks
        assert running(model).config._attn_implementation == implementation
    assert torch.equal(model.forward(PROMPTS), before)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_in_memory_stays_as_it_was(name: str, backend: Any) -> None:
    needs_backend(backend)
    mine = tiny_model(name)
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        logits = mine(ids).logits
    modules = {path: type(module) for path, module in mine.named_modules()}
    weights = {path: weight.clone() for path, weight in mine.state_dict().items()}
    implementation, hooks = mine.config._attn_implementation, n_hooks(mine)

    model = interp.load_model(mine, backend=backend, device="cpu")
    cache = model.run_with_cache(PROMPTS[0], model.sites, [an_edit(model, "add", "z", 1)])
    assert len(cache) > 10

    assert {path: type(module) for path, module in mine.named_modules()} == modules
    assert mine.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[path]) for path, weight in mine.state_dict().items())
    assert mine.config._attn_implementation == implementation
    assert n_hooks(mine) == hooks
    with torch.no_grad():
        assert torch.equal(mine(ids).logits, logits)
    torch.testing.assert_close(model.forward(PROMPTS[0]), logits, rtol=0, atol=ATOL)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_weight_is_held_twice(backend: Any) -> None:
    needs_backend(backend)
    mine = tiny_model("tiny-qwen3")
    model = interp.load_model(mine, backend=backend, device="cpu")
    assert model.W_E.data_ptr() == mine.get_input_embeddings().weight.data_ptr()
    assert model.W_U.data_ptr() == mine.get_output_embeddings().weight.data_ptr()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_without_a_tokenizer_takes_ids(backend: Any) -> None:
    needs_backend(backend)
    model = interp.load_model(tiny_model("tiny-gpt2"), backend=backend, device="cpu")
    assert model.tokenizer is None
    assert model.forward(PROMPTS).shape == (3, 7, 257)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_stay_switched_on(load: Load, backend: str) -> None:
    model = load("tiny-gpt2", backend)
    model.forward(PROMPTS)
    assert torch.is_grad_enabled()
    weight = torch.ones(1, requires_grad=True)
    assert (weight * 2).requires_grad


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_threads_get_what_they_would_get_alone(load: Load, backend: str) -> None:
    model = load("tiny-qwen3", backend)
    jobs = [(PROMPTS[:2], [Edit.zero("mlp_out", 1)]), (PROMPTS[2:], [Edit.scale("z", 0, value=3.0, heads=1)])]
    alone = [model.forward(prompts, edits) for prompts, edits in jobs]
    wrong: list[Any] = []
    start = threading.Barrier(len(jobs))

    def work(job: int) -> None:
        try:
            start.wait()
            for _ in range(10):
                if not torch.equal(model.forward(*jobs[job]), alone[job]):
                    wrong.append(job)
        except BaseException as error:  # an exception in a thread would otherwise pass unseen
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- folded weights ----


@pytest.mark.tl
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3", "demo-gpt2", "demo-qwen3"])
def test_folded_weights_give_the_same_predictions(load: Load, name: str) -> None:
    folded = load(name, "transformer_lens", processing="folded")
    raw = load(name, "transformer_lens")
    assert (folded.identity.processing, raw.identity.processing) == ("folded", "none")
    cache = folded.run_with_cache(PROMPTS, folded.sites)
    lengths = cache.tokens.lengths
    assert_agree(cache.logits.log_softmax(-1), raw.forward(PROMPTS).log_softmax(-1), lengths, atol=1e-3)
    assert cache.logits.mean(-1).abs().max() < 1e-3  # the unembedding is centred
    last = folded.arch.n_layers - 1
    torch.testing.assert_close(folded.unembed(cache["resid_post", last]), cache.logits, rtol=0, atol=ATOL)
    assert folded.W_U.mean(-1).abs().max() < 1e-5
    for layer in range(folded.arch.n_layers):
        from_heads = torch.einsum("bphd,hdm->bpm", cache["z", layer], folded.W_O(layer))
        bias = (cache["attn_out", layer] - from_heads)[0]
        torch.testing.assert_close(bias, bias[:1].expand_as(bias), rtol=0, atol=ATOL)


@pytest.mark.tl
def test_folding_centres_what_gpt2_writes(load: Load) -> None:
    folded = load("tiny-gpt2", "transformer_lens", processing="folded")
    cache = folded.run_with_cache(PROMPTS[0], ["resid_post"])
    assert cache.stack("resid_post").mean(-1).abs().max() < 1e-5


@pytest.mark.tl
@pytest.mark.parametrize("site", list(SITES))
def test_an_edit_of_a_folded_model_is_carried_out_once(load: Load, site: str) -> None:
    folded = load("tiny-gpt2", "transformer_lens", processing="folded")
    here = key(site, 1)
    clean = folded.run_with_cache(PROMPTS, [here])
    value = random(width(folded, site))
    edited = folded.run_with_cache(PROMPTS, [here], [Edit.add(site, **where(site, 1), value=value)])
    assert_agree(edited[here], clean[here] + value, clean.tokens.lengths, site)


@pytest.mark.tl
def test_folding_leaves_a_model_in_memory_alone() -> None:
    needs_backend("transformer_lens")
    mine = tiny_model("tiny-gpt2")
    weights = {path: weight.clone() for path, weight in mine.state_dict().items()}
    interp.load_model(mine, backend="transformer_lens", processing="folded", device="cpu")
    assert mine.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[path]) for path, weight in mine.state_dict().items())


@pytest.mark.parametrize("backend", ["transformers", NNSIGHT])
def test_folding_is_refused_elsewhere(tiny_gpt2: Path, backend: Any) -> None:
    with pytest.raises(ModelLoadError, match="transformer_lens"):
        interp.load_model(tiny_gpt2, backend=backend, processing="folded")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_tiny_models_load_as_plain_hugging_face_models(
    tiny_folder: Callable[[str], Path], name: str
) -> None:
    with torch.no_grad():
        logits = hf_model(tiny_folder(name))(torch.tensor([PROMPTS[0]])).logits
        expected = tiny_model(name)(torch.tensor([PROMPTS[0]])).logits
    torch.testing.assert_close(logits, expected)
