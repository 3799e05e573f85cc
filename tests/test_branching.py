"""Branches of one run give what plain forward passes give, cell by cell, for every family."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

import interp
from conftest import n_hooks, needs_backend
from families import FAMILIES, family_model
from interp import Edit, Readout
from interp.errors import EditError, InputError
from interp.models.base import Model
from interp.models.branching import base_run
from interp.models.branching import sweep as sweeps
from interp.models.memory import Need
from interp.sites import SITES

PROMPT, OTHER = [5, 17, 80, 3, 99, 42, 7, 11, 200], [200, 1, 64, 90, 12, 33, 150, 9, 2]
OWN_ATTENTION = {"gpt_neo", "gptj", "bloom", "falcon"}
BRANCHABLE = [name for name, (model_type, _) in FAMILIES.items() if model_type not in OWN_ATTENTION]
Load = Callable[..., Model]
#: In logits, for a model in float64. GPT-2 and gpt-oss are in float64 throughout; the other families compute
#: norms or softmax in float32 all the same, whose last digit depends on how many rows go through together and
#: on the processor (logits off by up to 2e-6). A branch that is wrong is off by more than 1e-2.
IN_FLOAT64, IN_FLOAT32_INSIDE = 1e-9, 1e-5
WHOLLY_FLOAT64 = {"gpt2", "gpt_oss"}


#: All logits, at all positions and at the last one.
WHOLE, LAST = Readout.logits(range(len(PROMPT))), Readout.logits()


def cells(model: Model) -> list[list[Edit]]:
    """Every site in every layer, at some positions and at all, by every kind of edit; and several at once."""
    other = model.run_with_cache(OTHER, model.sites)
    found: list[list[Edit]] = []
    for site in model.sites:
        for layer in range(model.arch.n_layers) if SITES[site].per_layer else [None]:
            value = other[site] if layer is None else other[site, layer]
            for positions in (None, (0,), (3,), (8, 2), (-1,)):
                at: dict[str, Any] = {"layer": layer} if layer is not None else {}
                there = value
                if positions is not None:
                    at["positions"] = positions
                    there = value[:, :, list(positions)] if site == "pattern" else value[:, list(positions)]
                found += [[Edit.set(site, **at, value=there)], [Edit.scale(site, **at, value=0.3)]]
                found.append([Edit.zero(site, **at)])
                if site != "pattern":
                    found.append([Edit.mean(site, **at)])
                if SITES[site].per_head:
                    found.append([Edit.scale(site, **at, value=-1.0, heads=-1)])
                if site in ("resid_pre", "mlp_out"):
                    found.append([Edit.project_out(site, **at, value=torch.ones(model.arch.d_model))])
    rng = random.Random(0)
    several = [[edit for one in rng.sample(found, rng.choice((2, 3, 5))) for edit in one] for _ in range(60)]
    return [*found, *several, []]


@pytest.mark.parametrize("name", BRANCHABLE)
def test_every_cell_is_what_a_plain_forward_pass_gives(name: str) -> None:
    model = interp.load_model(family_model(name).double(), device="cpu", dtype="float64")
    alike = IN_FLOAT64 if name in WHOLLY_FLOAT64 else IN_FLOAT32_INSIDE
    branches = cells(model)
    plain = model.sweep(PROMPT, branches, WHOLE, exact=True)
    ours = model.sweep(PROMPT, branches, WHOLE, exact=False)
    assert (plain.path, ours.path) == ("plain", "branching")
    torch.testing.assert_close(ours.values, plain.values, rtol=0, atol=alike)
    for some in (Readout.logits((2, 5)), LAST):  # the layers above carry fewer positions
        few = model.sweep(PROMPT, branches, some, exact=False)
        torch.testing.assert_close(few.values, plain.values[:, list(some.positions)], rtol=0, atol=alike)
    tokens = model.to_tokens(PROMPT)
    with torch.no_grad():  # in many small parts
        parts = sweeps.sweep(model, tokens, branches, WHOLE, rows_at_once=40)  # type: ignore[arg-type]
    torch.testing.assert_close(parts, plain.values, rtol=0, atol=alike)


@pytest.mark.parametrize("name", ["demo-gpt2", "demo-qwen3"])
def test_on_trained_weights_in_float32(load: Load, name: str) -> None:
    model = load(name)
    other = model.run_with_cache("The capital of Japan is", ["resid_pre", "z"])
    branches = [
        [Edit.set(site, layer, value=other[site, layer][:, [position]], positions=position)]
        for site in ("resid_pre", "z")
        for layer in range(model.arch.n_layers)
        for position in range(other.tokens.lengths[0])
    ]
    plain, ours = (model.sweep("The capital of France is", branches, LAST, exact=x) for x in (True, "auto"))
    assert ours.path == "branching"
    torch.testing.assert_close(ours.values, plain.values, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["tiny-gpt2", "tiny-qwen3"])
def test_in_half_precision_as_well(load: Load, name: str, dtype: str) -> None:
    """As near to float32 as plain passes in the same precision are, give or take."""
    model, wide = load(name, dtype=dtype), load(name)
    branches = [[Edit.scale("resid_pre", n, value=0.5, positions=p)] for n in range(3) for p in range(9)]
    ours = model.sweep(PROMPT, branches, LAST)
    plain = model.sweep(PROMPT, branches, LAST, exact=True)
    truth = wide.sweep(PROMPT, branches, LAST, exact=True).values
    assert (ours.path, ours.values.dtype) == ("branching", model.dtype)
    off, theirs = ((x.values.float() - truth).abs().max() for x in (ours, plain))
    assert off < 2 * theirs


@pytest.mark.parametrize("backend", [
    pytest.param("transformer_lens", marks=pytest.mark.tl), pytest.param("nnsight", marks=pytest.mark.nnsight)
])  # fmt: skip
def test_other_backends_take_the_plain_way(load: Load, backend: str) -> None:
    needs_backend(backend)
    branches = [[Edit.zero("mlp_out", layer)] for layer in range(3)]
    ours, theirs = (load("tiny-gpt2", b).sweep(PROMPT, branches, LAST) for b in ("transformers", backend))
    assert (ours.path, theirs.path) == ("branching", "plain")
    torch.testing.assert_close(ours.values, theirs.values, rtol=0, atol=1e-4)


def test_attention_that_is_not_ours_takes_the_plain_way() -> None:
    model = interp.load_model(family_model("gptj"), device="cpu")
    assert model.sweep(PROMPT, [[Edit.zero("z", 1)]], WHOLE, exact=False).path == "plain"


def test_what_changes_nothing_costs_nothing(load: Load, monkeypatch: Any) -> None:
    model = load("tiny-qwen3")
    cache = model.run_with_cache(PROMPT, ["resid_pre"])
    nothing = [[Edit.set("resid_pre", layer, value=cache["resid_pre", layer])] for layer in range(3)]
    monkeypatch.setattr(sweeps, "run_branches", lambda *_: pytest.fail("there was nothing to run"))
    swept = model.sweep(PROMPT, [*nothing, []], WHOLE, exact=False)
    torch.testing.assert_close(swept.values, cache.logits.expand(4, -1, -1), rtol=0, atol=1e-5)


def test_a_layer_that_takes_no_packed_batch_is_noticed(monkeypatch: Any) -> None:
    """The comparison on first use: it warns, takes the plain way, and the numbers are right."""
    model = interp.load_model(family_model("llama"), device="cpu")
    branches = [[Edit.zero("mlp_out", layer, positions=4)] for layer in range(3)]
    plain = model.sweep(PROMPT, branches, LAST, exact=True).values
    real = base_run.BaseRun.call
    monkeypatch.setattr(base_run.BaseRun, "call", lambda self, layer, x, at: 1.01 * real(self, layer, x, at))
    with pytest.warns(UserWarning, match="differ from plain forward passes"):
        swept = model.sweep(PROMPT, branches, LAST)
    assert swept.path == "plain"
    assert torch.equal(swept.values, plain)


def test_nothing_stays_behind(load: Load) -> None:
    model = load("tiny-gpt2")
    before, hooks = model.forward(PROMPT), n_hooks(model.hf_model)
    bad = Edit.set("z", 1, value=torch.zeros(99))
    for exact in (True, False):
        with pytest.raises(EditError, match="broadcast"):
            model.sweep(PROMPT, [[Edit.zero("z", 0)], [bad]], WHOLE, exact=exact)
    with pytest.raises(InputError, match="no choice"):
        model.sweep(PROMPT, [], WHOLE, exact="maybe")  # type: ignore[arg-type]
    assert n_hooks(model.hf_model) == hooks
    assert torch.equal(model.forward(PROMPT), before)


def test_out_of_memory_halves_the_batch_and_goes_on(load: Load, monkeypatch: Any) -> None:
    model = load("tiny-gpt2")
    branches = [[Edit.zero("resid_pre", layer, positions=p)] for layer in range(3) for p in range(9)]
    plain = model.sweep(PROMPT, branches, WHOLE, exact=True).values
    real, sizes = sweeps.run_branches, []

    def run(base: Any, chunk: Any, readout: Any) -> torch.Tensor:
        sizes.append(len(chunk))
        if len(chunk) > 5:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate a lot")
        return real(base, chunk, readout)

    monkeypatch.setattr(sweeps, "run_branches", run)
    swept = model.sweep(PROMPT, branches, WHOLE, exact=False)
    torch.testing.assert_close(swept.values, plain, rtol=0, atol=1e-4)
    assert sizes[0] == len(branches)
    assert sum(size for size in sizes if size <= 5) == len(branches), "each was run once, in a small part"

    monkeypatch.setattr(sweeps, "run_branches", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(InputError, match="no memory for one branch"):
        model.sweep(PROMPT, branches, WHOLE, exact=False)


@pytest.mark.parametrize("exact", [True, False])
def test_progress_is_reported_to_who_listens(load: Load, exact: bool) -> None:
    from interp.progress import listening

    seen: list[tuple[str, int, int]] = []
    branches = [[Edit.zero("mlp_out", layer, positions=p)] for layer in range(3) for p in range(9)]
    model = load("tiny-gpt2")
    with listening(lambda *event: seen.append(event)):
        model.sweep(PROMPT, branches, WHOLE, exact=exact, batch_size=10)
    assert seen[-1] == ("branches", 27, 27)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    count = len(seen)
    model.sweep(PROMPT, branches, WHOLE, exact=exact)
    assert len(seen) == count, "nobody listens any more"


def test_a_readout_is_checked_before_anything_runs(load: Load) -> None:
    model, branches = load("tiny-gpt2"), [[Edit.zero("mlp_out", 0)]]
    for readout, says in (
        (lambda logits: logits, "interp.Readout"),
        (Readout.logits(9), "position 9 is not in the prompt's 9 tokens"),
        (Readout.logit_diff(1, 10**6), "token 1000000 is none"),
    ):
        with pytest.raises(InputError, match=says):
            model.sweep(PROMPT, branches, readout)  # type: ignore[arg-type]
    for make, says in (
        (lambda: Readout.logits(()), "one position at least"),
        (lambda: Readout.log_prob((1, 2), -1), "2 answers for 1 positions"),
        (lambda: Readout.kl(torch.zeros(3, 9), (0, 1)), r"logits \[position, d_vocab\]"),
    ):
        with pytest.raises(InputError, match=says):
            make()


def test_readouts_say_what_they_are_called(load: Load) -> None:
    """Each against the logits of a forward pass, at inner positions as well."""
    model = load("tiny-qwen3")
    edit = [Edit.scale("mlp_out", 1, value=0.5, positions=3)]
    clean, logits = model.forward(PROMPT)[0].double(), model.forward(PROMPT, edit)[0].double()
    log_probs = logits.log_softmax(-1)

    def read(readout: Readout) -> torch.Tensor:
        return model.sweep(PROMPT, [edit], readout, exact=False).values[0]

    expected = {
        Readout.logit_diff(5, 7): logits[-1, 5] - logits[-1, 7],
        Readout.logit_diff(5, 7, position=4): logits[4, 5] - logits[4, 7],
        Readout.prob(5): log_probs[-1, 5].exp(),
        Readout.log_prob((4, 9), (3, -2)): torch.stack([log_probs[3, 4], log_probs[-2, 9]]),
        Readout.kl(clean[[2, 6]], (2, 6)): sum(
            (clean[p].softmax(-1) * (clean[p].log_softmax(-1) - log_probs[p])).sum() for p in (2, 6)
        ),
        Readout.logits((0, -1)): logits[[0, -1]].float(),
    }
    for readout, value in expected.items():
        torch.testing.assert_close(read(readout), value, rtol=1e-5, atol=1e-5)


def test_the_packed_batch_keeps_within_the_memory_that_it_may_take(load: Load, monkeypatch: Any) -> None:
    model = interp.load_model(load("tiny-gpt2").hf_model, device="cpu")
    branches = [[Edit.zero("resid_pre", layer, positions=p)] for layer in range(3) for p in range(9)]
    whole = model.sweep(PROMPT, branches, LAST, exact=False).values
    real, needed = sweeps.run_branches, []
    need = Need.of(model, len(PROMPT), LAST)

    def run(base: Any, chunk: Any, readout: Any) -> torch.Tensor:
        needed.append(need.bytes(rows=sum(9 - branch.first for branch in chunk), branches=len(chunk)))
        return real(base, chunk, readout)

    monkeypatch.setattr(sweeps, "run_branches", run)
    model.memory = int(need.bytes(rows=20, branches=3))
    torch.testing.assert_close(model.sweep(PROMPT, branches, LAST, exact=False).values, whole)
    assert len(needed) > 5
    assert max(needed) <= model.memory
    model.memory = 1000
    with pytest.raises(InputError, match="shorten the prompt or allow more"):
        model.sweep(PROMPT, branches, LAST, exact=False)
