"""Parts that are more than their weight: adapters, scales, hooks of the owner's, and embeddings that
scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

import interp
from conftest import needs_backend, tiny_model
from families import FAMILIES, family_model
from interp.edits import Edit
from interp.errors import DecompositionError, SiteError
from interp.readout import Readout

IDS = [5, 17, 80, 3]
BACKENDS = ("transformers", "transformer_lens", "nnsight")


class Adapted(nn.Module):
    """A Linear with a low-rank adapter beside it, as PEFT's LoRA wraps one, and a scale."""

    def __init__(self, base: nn.Linear, *, scale: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.base_layer, self.scale = base, scale
        generator = torch.Generator().manual_seed(seed)
        n_out, n_in = base.weight.shape
        self.down = nn.Parameter(0.5 * torch.randn(n_in, 2, generator=generator))
        self.up = nn.Parameter(0.5 * torch.randn(2, n_out, generator=generator))
        self.dropout = nn.Dropout(0.5)

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (self.base_layer(x) + self.dropout(x) @ self.down @ self.up)


def adapted_head(model: PreTrainedModel) -> None:
    model.lm_head = Adapted(model.lm_head)


def scaled_head(model: PreTrainedModel) -> None:
    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 0.3 * super().forward(x)

    model.lm_head.__class__ = Scaled


def hook_on_the_head(model: PreTrainedModel) -> None:
    shift = torch.linspace(-2, 2, model.lm_head.out_features)
    model.lm_head.register_forward_hook(lambda module, args, output: output * -0.5 + shift)


def hook_before_the_head(model: PreTrainedModel) -> None:
    model.lm_head.register_forward_pre_hook(lambda module, args: (args[0].flip(-1),))


def replaced_forward(model: PreTrainedModel) -> None:
    own = model.lm_head.forward
    model.lm_head.forward = lambda x: 2.0 * own(x)


def curved_head(model: PreTrainedModel) -> None:
    model.lm_head.register_forward_hook(lambda module, args, output: output + output.tanh())


def adapted_layers(model: PreTrainedModel) -> None:
    for seed, layer in enumerate(model.model.layers):
        layer.self_attn.o_proj = Adapted(layer.self_attn.o_proj, seed=seed)
        layer.mlp.down_proj = Adapted(layer.mlp.down_proj, scale=0.7, seed=seed)
        layer.mlp.up_proj = Adapted(layer.mlp.up_proj, seed=seed)


LINEAR = (adapted_head, scaled_head, hook_on_the_head, hook_before_the_head, replaced_forward)
WRAPS = (*LINEAR, curved_head, adapted_layers)


def wrapped(wrap: Any) -> PreTrainedModel:
    model = tiny_model("tiny-llama")
    wrap(model)
    return model.eval()


def swept(model: interp.Model, **options: Any) -> Tensor:
    branches = [[Edit.zero("resid_mid", layer, positions=p)] for layer in range(3) for p in range(4)]
    return model.sweep(IDS, branches, Readout.logit_diff(7, 200), **options).values


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_sweep_reads_the_head_and_not_its_weight(wrap: Any) -> None:
    model = interp.load_model(wrapped(wrap), device="cpu")
    assert model.sweep(IDS, [[Edit.zero("z", 1)]], Readout.logit_diff(7, 200)).path == "branching"
    assert torch.allclose(swept(model, exact=False), swept(model, exact=True), atol=1e-4)


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_wrap_that_comes_after_the_first_sweep_is_seen(wrap: Any) -> None:
    hf = tiny_model("tiny-llama")
    model = interp.load_model(hf, device="cpu")
    before = swept(model)
    wrap(hf.train())
    after = swept(model)
    assert not torch.allclose(before, after, atol=1e-2)
    assert torch.allclose(after, swept(model, exact=True), atol=1e-4)


def test_a_hook_by_place_in_a_layer_takes_the_plain_way() -> None:
    """It acts on the last row of what the layer reads: of a packed batch, that is one branch's alone."""
    hf = tiny_model("tiny-llama")
    model = interp.load_model(hf, device="cpu")
    swept(model)

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return torch.cat([output[:, :-1], output[:, -1:] + 3.0], 1)

    hf.model.layers[1].mlp.register_forward_hook(hook)
    with pytest.warns(UserWarning, match="plain, slower way"):
        after = swept(model)
    assert torch.allclose(after, swept(model, exact=True), atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrap", LINEAR)
def test_weights_are_what_the_modules_do(wrap: Any, backend: Any) -> None:
    needs_backend(backend)
    hf = wrapped(wrap)
    model = interp.load_model(hf, device="cpu", backend=backend)
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = hf.lm_head(x) - hf.lm_head(torch.zeros_like(x))
    assert torch.allclose(x @ model.W_U, expected, atol=1e-4)
    assert torch.allclose(model.forward(IDS)[0], hf(torch.tensor([IDS])).logits[0], atol=1e-5)
    resid = model.run_with_cache(IDS, ["resid_post"])["resid_post", 2]
    assert torch.allclose(model.unembed(resid), model.forward(IDS), atol=1e-4)


@pytest.mark.parametrize("wrap", [*LINEAR, adapted_layers])
def test_the_parts_of_a_logit_difference_sum_to_it(wrap: Any) -> None:
    model = interp.load_model(wrapped(wrap), device="cpu", dtype="float32")
    logits = model.forward(IDS)[0, -1].double()
    found = interp.direct_logit_attribution(model, IDS, 7, 200)
    assert found.left_out == ()
    assert found.logits[0] == pytest.approx(float(logits[7] - logits[200]), abs=1e-4)
    assert found.by_component.interval.value.sum() == pytest.approx(found.logits[0], abs=1e-3)


def test_a_head_that_is_no_linear_map_has_no_columns() -> None:
    model = interp.load_model(wrapped(curved_head), device="cpu")
    with pytest.raises(SiteError, match=r"unembedding .* is no linear map"):
        _ = model.W_U
    with pytest.raises(DecompositionError):
        interp.direct_logit_attribution(model, IDS, 7, 200)
    lens = interp.logit_lens(model, IDS, 7)
    last = model.forward(IDS)[0, -1].double().log_softmax(-1)
    assert lens.answer_prob.ravel()[-1] == pytest.approx(float(last[7].exp()), abs=1e-5)


def test_a_lens_for_the_bare_head_is_not_one_for_the_adapted_head() -> None:
    from interp.models.unembedding import unembed_hashes

    bare, adapted = (
        interp.load_model(hf, device="cpu") for hf in (tiny_model("tiny-llama"), wrapped(adapted_head))
    )
    assert unembed_hashes(bare) != unembed_hashes(adapted)


def test_adapters_inside_layers_are_part_of_what_heads_and_neurons_write() -> None:
    hf = wrapped(adapted_layers)
    model = interp.load_model(hf, device="cpu")
    cache = model.run_with_cache(IDS, ["z", "attn_out", "mlp_act", "mlp_out"])
    for layer in range(3):
        by_heads = torch.einsum("bphd,hdm->bpm", cache["z", layer], model.W_O(layer)) + model.b_O(layer)
        assert torch.allclose(by_heads, cache["attn_out", layer], atol=1e-4)
        by_neurons = cache["mlp_act", layer] @ model.W_out(layer) + model.b_out(layer)
        assert torch.allclose(by_neurons, cache["mlp_out", layer], atol=1e-4)


def test_real_peft_adapters() -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["lm_head", "o_proj", "down_proj"], init_lora_weights=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = peft.get_peft_model(tiny_model("tiny-llama"), config)
    model = interp.load_model(adapted, device="cpu")
    assert adapted.training, "given back as it was"
    assert torch.allclose(swept(model, exact=False), swept(model, exact=True), atol=1e-4)
    assert interp.direct_logit_attribution(model, IDS, 7, 200).left_out == ()


# ---- what the embedding does ----


@pytest.mark.parametrize("name", FAMILIES)
def test_embed_is_in_the_units_of_what_the_first_layer_reads(name: str) -> None:
    """Between `embed` and the first layer there is only what goes by position, the same for all tokens."""
    model = interp.load_model(family_model(name), device="cpu")
    cache = model.run_with_cache([IDS, [200, 1, 9, 60]], ["embed", ("resid_pre", 0)])
    by_position = cache["resid_pre", 0] - cache["embed"]
    assert torch.allclose(by_position[0], by_position[1], atol=1e-5)
    rows = model.W_E[torch.tensor([IDS])]
    assert torch.allclose(rows, cache["embed"][:1], atol=1e-5)


@pytest.mark.parametrize("name", ["gemma", "gemma2", "gemma3_text", "granite", "bloom", "gpt2"])
def test_an_edit_of_embed_moves_the_first_layer_by_as_much(name: str) -> None:
    model = interp.load_model(family_model(name), device="cpu")
    shift = torch.randn(32, generator=torch.Generator().manual_seed(0))
    plain, moved = (
        model.run_with_cache(IDS, [("resid_pre", 0)], edits)["resid_pre", 0]
        for edits in ((), [Edit.add("embed", positions=1, value=shift)])
    )
    assert torch.allclose((moved - plain)[0, 1], shift, atol=1e-5)
    branches = [[Edit.add("embed", positions=p, value=shift)] for p in range(4)]
    readout = Readout.logit_diff(7, 200)
    values = [model.sweep(IDS, branches, readout, exact=exact).values for exact in (True, False)]
    assert torch.allclose(*values, atol=1e-4)


@pytest.mark.parametrize("name", ["gemma", "gemma3_text", "granite", "bloom"])
def test_noise_is_in_standard_deviations_of_what_the_first_layer_reads(name: str) -> None:
    """No position embedding is added in these: the first layer reads the token embedding alone."""
    from interp.methods.patching.causal_tracing import embedding_std

    model = interp.load_model(family_model(name), device="cpu")
    tokens = model.to_tokens(IDS)
    read = model.run_with_cache(tokens, [("resid_pre", 0)])["resid_pre", 0][0, 1:3]
    assert embedding_std(model, tokens, [1, 2]) == pytest.approx(float(read.std()), rel=1e-5)
    assert float(model.W_E.std()) == pytest.approx(float(read.std()), rel=0.5), "no factor of a scale apart"
