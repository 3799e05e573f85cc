"""A model that its owner has in memory: in training, with gradients, compiled; used as it is, and given back
so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

import interp
from conftest import needs_backend, tiny_model
from families import family_model
from interp.edits import Edit
from interp.errors import InputError, ModelLoadError
from interp.readout import Readout

IDS = [5, 17, 80, 3]
BACKENDS = ("transformers", "transformer_lens", "nnsight")
READOUT = Readout.logit_diff(7, 200)


def with_dropout() -> PreTrainedModel:
    """A GPT-2 in training: its dropout makes each pass another."""
    hf = tiny_model("tiny-gpt2")
    for part in hf.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
    return hf.train()


def state(hf: PreTrainedModel) -> list[Any]:
    modes = [part.training for part in hf.modules()]
    hooks = [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in hf.modules()]
    wants = [p.requires_grad for p in hf.parameters()]
    grads = [None if p.grad is None else p.grad.clone().sum().item() for p in hf.parameters()]
    return [modes, hooks, wants, grads, hf.config._attn_implementation, hf.device, hf.dtype]


EVERY: dict[str, Callable[[interp.Model], Any]] = {
    "forward": lambda m: m.forward(IDS),
    "activations": lambda m: m.run_with_cache(IDS, ["resid_post"])["resid_post", 1],
    "sweep": lambda m: (
        m.sweep(IDS, [[Edit.zero("resid_post", 0, positions=p)] for p in range(4)], READOUT).values
    ),
    "plain sweep": lambda m: m.sweep(IDS, [[Edit.zero("z", 1)]], READOUT, exact=True).values,
    "gradients": lambda m: m.gradients(IDS, [("resid_pre", 1)], READOUT)[0],
    "a layer": lambda m: m.run_layer(IDS, 1, torch.ones(1, 4, 32), ["resid_post"])["resid_post"],
    "a layer's gradient": lambda m: m.layer_gradients(
        IDS, 1, torch.ones(1, 4, 32), "resid_pre", {"attn_out": torch.ones(1, 4, 32)}
    ),
    "unembed": lambda m: m.unembed(torch.ones(2, 32)),
    "what heads write": lambda m: m.W_O(1),
    "attribution": lambda m: torch.tensor(interp.direct_logit_attribution(m, IDS, 7, 200).logits),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_in_training_is_run_in_evaluation_and_given_back(backend: Any) -> None:
    needs_backend(backend)
    hf = with_dropout()
    hf.transformer.h[1].eval()  # modes may be mixed
    hf.transformer.h[0].requires_grad_(False)
    hf(torch.tensor([IDS])).logits.sum().backward()
    before = state(hf)
    model = interp.load_model(hf, backend=backend)
    reference = interp.load_model(tiny_model("tiny-gpt2"), backend=backend, device="cpu")
    assert state(hf) == before
    for name, ask in EVERY.items():
        assert torch.allclose(ask(model), ask(reference), atol=1e-5), name
        assert state(hf) == before, name


def test_it_is_given_back_after_an_error_too() -> None:
    hf = with_dropout()
    before = state(hf)
    model = interp.load_model(hf)

    def broken(*_: Any) -> None:
        raise RuntimeError("the owner's own hook")

    handle = hf.transformer.h[1].register_forward_hook(broken)
    with pytest.raises(RuntimeError, match="own hook"):
        model.forward(IDS)
    handle.remove()
    assert state(hf) == before


def test_a_mode_that_its_owner_changes_later_makes_no_difference() -> None:
    hf = with_dropout().eval()
    model = interp.load_model(hf)
    before = [ask(model) for ask in EVERY.values()]
    hf.train()
    for old, ask in zip(before, EVERY.values(), strict=True):
        assert torch.allclose(ask(model), old, atol=1e-5)


def test_training_a_lens_leaves_no_gradient_behind() -> None:
    hf = tiny_model("tiny-llama")
    before = state(hf)
    model = interp.load_model(hf)
    resid = model.run_with_cache(IDS, ["resid_post"])["resid_post", 1].requires_grad_()
    (slope,) = torch.autograd.grad(model.unembed(resid, differentiable=True).sum(), resid)
    assert slope.abs().max() > 0
    assert state(hf) == before


def test_checkpoints_of_gradients_make_no_difference() -> None:
    hf = tiny_model("tiny-llama")
    expected = interp.load_model(hf).gradients(IDS, [("resid_pre", 1), ("z", 2)], READOUT)
    hf.gradient_checkpointing_enable()
    hf.train()
    model = interp.load_model(hf)
    found = model.gradients(IDS, [("resid_pre", 1), ("z", 2)], READOUT)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True))
    assert hf.is_gradient_checkpointing
    assert hf.training


def compiled_whole(hf: PreTrainedModel) -> Any:
    return torch.compile(hf, backend="eager")


def compiled_in_place(hf: PreTrainedModel) -> Any:
    hf.compile(backend="eager")
    return hf


def compiled_layers(hf: PreTrainedModel) -> Any:
    for index, layer in enumerate(hf.model.layers):
        hf.model.layers[index] = torch.compile(layer, backend="eager")
    return hf


@pytest.mark.parametrize("compile_it", [compiled_whole, compiled_in_place, compiled_layers])
def test_a_compiled_model_is_run_as_it_was_written(compile_it: Any) -> None:
    reference = interp.load_model(tiny_model("tiny-llama"))
    hf = compile_it(tiny_model("tiny-llama"))
    with torch.no_grad():
        own = hf(torch.tensor([IDS])).logits  # compiled before there is any hook
    model = interp.load_model(hf)
    for name, ask in EVERY.items():
        assert torch.allclose(ask(model), ask(reference), atol=1e-5), name
    with torch.no_grad():
        assert torch.allclose(hf(torch.tensor([IDS])).logits, own, atol=1e-5)


@pytest.mark.parametrize("backend", ["transformer_lens", "nnsight"])
def test_a_twin_is_of_the_model_as_it_was_loaded(backend: Any) -> None:
    needs_backend(backend)
    hf = tiny_model("tiny-llama")
    model = interp.load_model(hf, backend=backend, device="cpu")
    handle = hf.lm_head.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(InputError, match="since it was loaded"):
        model.forward(IDS)
    again = interp.load_model(hf, backend=backend, device="cpu").forward(IDS)
    handle.remove()
    assert torch.allclose(again, 2 * model.forward(IDS), atol=1e-4)


def test_a_model_stays_on_its_device() -> None:
    hf = tiny_model("tiny-llama")
    assert interp.load_model(hf).device == hf.device
    with pytest.raises(ModelLoadError, match="holds no numbers"):
        interp.load_model(hf, device="meta")


# ---- positions whose scale depends on how long a prompt is ----

_SIZES: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.2,
    "bos_token_id": 256,
    "eos_token_id": 256,
    "pad_token_id": 0,
}
LENGTHS = (7, 12, 8, 3, 15)


def scaled_by_length(kind: str) -> PreTrainedModel:
    if kind == "longrope":
        rope = {
            "rope_type": "longrope",
            "rope_theta": 100.0,
            "short_factor": [1.0] * 4,
            "long_factor": [1.0, 3.0, 6.0, 9.0],
            "original_max_position_embeddings": 8,
            "factor": 8.0,
        }
        special = {"max_position_embeddings": 64, "original_max_position_embeddings": 8}
    else:
        rope = {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}
        special = {"max_position_embeddings": 8}
    family = "phi3" if kind == "longrope" else "llama"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **_SIZES, **special, rope_parameters=rope)
        return AutoModelForCausalLM.from_config(config).eval()


def alone(kind: str, ids: list[int]) -> Tensor:
    """The logits of a prompt in a model that has seen no other."""
    with torch.no_grad():
        return scaled_by_length(kind)(torch.tensor([ids]), use_cache=False).logits[0]


@pytest.fixture
def prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(1, 250, (n,), generator=generator).tolist() for n in LENGTHS]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_a_batch_gives_the_numbers_of_its_prompts_whatever_the_longest(
    kind: str, backend: Any, prompts: list[list[int]]
) -> None:
    needs_backend(backend)
    model = interp.load_model(scaled_by_length(kind), backend=backend)
    whole = model.forward(prompts)
    for row, ids in enumerate(prompts):
        assert torch.allclose(whole[row, : len(ids)], alone(kind, ids), atol=1e-4), row
        assert torch.allclose(model.forward(ids)[0], alone(kind, ids), atol=1e-4), row


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_the_scale_matters_in_the_plain_model(kind: str, prompts: list[list[int]]) -> None:
    """Else the test above shows nothing."""
    hf = scaled_by_length(kind)
    hf.config.pad_token_id = 0
    tokens = interp.Tokens.pad(prompts)
    with torch.no_grad():
        whole = hf(tokens.ids, attention_mask=tokens.mask.long()).logits
    assert (whole[3, :3] - alone(kind, prompts[3])).abs().max() > 0.05


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_activations_and_edits_of_such_a_batch_are_those_of_its_prompts(
    kind: str, prompts: list[list[int]]
) -> None:
    model = interp.load_model(scaled_by_length(kind))
    shift = torch.randn(5, 1, 32, generator=torch.Generator().manual_seed(0))
    edits = [
        Edit.add("resid_mid", 0, positions=-2, value=shift),
        Edit.scale("q", 1, heads=2, rows=(1, 3), value=-2.0),
        Edit.mean("mlp_out", 0, rows=0),
        Edit.scale("pattern", 0, positions=(-1,), heads=1, rows=(4,), value=0.5),
    ]
    sites = model.sites
    whole = model.run_with_cache(prompts, sites, edits)
    for row, ids in enumerate(prompts):
        own = [Edit.add("resid_mid", 0, positions=-2, value=shift[row : row + 1])]
        own += [
            Edit(e.op, interp.Address(*_place(e)), e.value)
            for e in edits[1:]
            if row in (e.address.rows or ())
        ]
        single = model.run_with_cache(ids, sites, own)
        n = len(ids)
        for hook in single:
            there, here = whole[hook][row], single[hook][0]
            there = there[:, :n, :n] if "pattern" in str(hook) else there[:n]
            assert torch.allclose(there, here, atol=1e-4), (row, hook)
        assert torch.allclose(whole.logits[row, :n], single.logits[0], atol=1e-4)


def _place(edit: Edit) -> tuple[Any, ...]:
    return edit.address.site, edit.address.layer, edit.address.positions, edit.address.heads


def test_earlier_passes_make_no_difference_and_are_left_as_they_were(prompts: list[list[int]]) -> None:
    hf = scaled_by_length("dynamic")
    model = interp.load_model(hf)
    with torch.no_grad():
        hf(torch.tensor([prompts[4]]))  # its owner's pass: frequencies are now those of 15 tokens
    seen = hf.model.rotary_emb.inv_freq.clone()
    assert torch.allclose(model.forward(prompts[1])[0], alone("dynamic", prompts[1]), atol=1e-4)
    swept = [[Edit.zero("z", 1, positions=p)] for p in range(12)]
    values = [model.sweep(prompts[1], swept, READOUT, exact=exact).values for exact in (True, False)]
    assert torch.allclose(*values, atol=1e-4)
    assert torch.equal(hf.model.rotary_emb.inv_freq, seen)
    assert int(hf.model.rotary_emb.max_seq_len_cached) == 15


def test_dynamic_positions_reach_beyond_those_of_pretraining() -> None:
    model = interp.load_model(scaled_by_length("dynamic"))
    assert model.arch.n_ctx == 32
    with pytest.raises(InputError, match="at most 32"):
        model.forward([1] * 33)


def test_two_lengths_of_a_family_without_such_positions_share_a_pass() -> None:
    hf = family_model("llama")
    calls: list[int] = []
    hf.model.register_forward_pre_hook(lambda *_: calls.append(1))
    model = interp.load_model(hf, self_check=False)
    model.forward([IDS, IDS[:2]])
    assert len(calls) == 1
