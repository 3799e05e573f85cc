"""HookedTransformers in memory: each kind of toy, against its own passes, its own cache and its own hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer

import interp
from conftest import byte_tokenizer, n_hooks
from edges_by_hand import exact_effects
from hooked_toys import SIZES, needs_hooked_transformers, toy
from interp.edits import Edit
from interp.errors import InputError, ModelLoadError, SiteError
from interp.readout import Readout
from interp.tasks.base import Pair, PairDataset

pytestmark = pytest.mark.tl
needs_hooked_transformers()

IDS = [3, 17, 5, 17, 5, 11]
KINDS: dict[str, dict[str, Any]] = {
    "usual": {},
    "attention only": {"attn_only": True},
    "attention only, no norm": {"attn_only": True, "normalization_type": None},
    "shortformer": {"attn_only": True, "positional_embedding_type": "shortformer"},
    "shortformer, no norm": {"positional_embedding_type": "shortformer", "normalization_type": None},
    "other outputs": {"d_vocab_out": 7, "normalization_type": None},
    "more outputs than inputs": {"d_vocab_out": 31},
    "one layer": {"n_layers": 1, "attn_only": True},
    "rotary, grouped, gated": {
        "positional_embedding_type": "rotary", "n_key_value_heads": 2, "gated_mlp": True, "act_fn": "silu",
        "normalization_type": "RMS",
    },
    "alibi": {"positional_embedding_type": "alibi", "normalization_type": "LNPre"},
    "solu": {"act_fn": "solu_ln", "normalization_type": "LN"},
    "parallel": {"parallel_attn_mlp": True},
    "norms behind": {"use_normalization_before_and_after": True, "normalization_type": "RMS"},
    "soft cap, local attention, no scale": {
        "output_logits_soft_cap": 3.0, "use_local_attn": True, "attn_types": ["local", "global"],
        "window_size": 3, "use_attn_scale": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_activations_are_its_own(kind: str) -> None:
    hooked = toy(**KINDS[kind])
    model = interp.load_model(hooked)
    assert model.identity.self_check == "passed"
    assert (model.identity.backend, model.identity.name) == (
        "transformer_lens",
        "HookedTransformer in memory",
    )
    cache = model.run_with_cache(IDS, model.sites)
    logits, own = hooked.run_with_cache(torch.tensor([IDS]), return_type="logits")
    assert torch.equal(cache.logits, logits)
    rotary = hooked.cfg.positional_embedding_type == "rotary"
    for hook in cache:
        name = str(hook)
        if rotary and name.endswith(("hook_q", "hook_k")):
            name = name.replace("hook_", "hook_rot_")
        if name in own:
            assert torch.equal(cache[hook], own[name]), name
        else:
            assert hooked.cfg.attn_only
    assert n_hooks(hooked) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_what_its_own_hooks_do(kind: str) -> None:
    hooked = toy(**KINDS[kind])
    model = interp.load_model(hooked)
    layer = model.arch.n_layers - 1
    for site in set(model.sites) - {"embed", "pattern"}:
        edit = Edit.scale(site, layer, value=0.5, positions=2)
        name = edit.address.hook.split("[")[0]
        if name not in hooked.hook_dict:
            assert hooked.cfg.attn_only
            continue
        if hooked.cfg.positional_embedding_type == "rotary" and site in ("q", "k"):
            name = name.replace("hook_", "hook_rot_")

        def halve(value: Tensor, hook: Any) -> Tensor:
            value[:, 2] *= 0.5
            return value

        wanted = hooked.run_with_hooks(torch.tensor([IDS]), fwd_hooks=[(name, halve)])
        assert torch.equal(model.forward(IDS, [edit]), wanted), site


def test_a_model_without_mlps_has_mlps_that_write_nothing() -> None:
    hooked = toy(attn_only=True)
    model = interp.load_model(hooked)
    cache = model.run_with_cache(IDS, ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"])
    assert not cache.stack("mlp_out").any()
    assert torch.equal(cache.stack("resid_mid"), cache.stack("resid_post"))
    added = torch.randn(32, generator=torch.Generator().manual_seed(2))
    by_mlp = model.forward(IDS, [Edit.add("mlp_out", 0, value=added)])
    assert torch.equal(by_mlp, model.forward(IDS, [Edit.add("resid_post", 0, value=added)]))
    assert torch.equal(by_mlp, model.forward(IDS, [Edit.add("resid_mid", 0, value=added)]))
    with pytest.raises(SiteError, match="has no MLP, so it has no 'mlp_act'"):
        model.run_with_cache(IDS, ["mlp_act"])


@pytest.mark.parametrize("kind", KINDS)
def test_attribution_sums_to_the_logit(kind: str) -> None:
    hooked = toy(**KINDS[kind])
    model = interp.load_model(hooked)
    result = interp.direct_logit_attribution(model, IDS, 4, foil=2, views=["head", "source"])
    logits = hooked(torch.tensor([IDS]))[0, -1]
    cap = hooked.cfg.output_logits_soft_cap
    raw = cap * torch.atanh(logits / cap) if cap > 0 else logits
    assert result.by_component.mean.sum() == pytest.approx(float(raw[4] - raw[2]), abs=1e-3)


CORRUPTED = [3, 9, 5, 17, 5, 11]
SOME = ["attention only, no norm", "shortformer", "other outputs", "solu"]


def difference(logits: Tensor) -> float:
    return float(logits[0, -1, 4] - logits[0, -1, 2])


@pytest.mark.parametrize("kind", SOME)
def test_a_trace_is_what_its_own_hooks_give(kind: str) -> None:
    hooked = toy(**KINDS[kind])
    model = interp.load_model(hooked)
    ids, others = torch.tensor([IDS]), torch.tensor([CORRUPTED])
    logits, cache = hooked.run_with_cache(ids)
    base, span = difference(hooked(others)), difference(logits) - difference(hooked(others))
    answer, foil = (4, 2) if span > 0 else (2, 4)  # that which the clean prompt favours
    found = interp.causal_tracing(model, clean=IDS, corrupted=CORRUPTED, answer=answer, foil=foil).recovery
    for layer in range(2):
        name = f"blocks.{layer}.hook_resid_pre"
        for position in range(len(IDS)):

            def restore(value: Tensor, hook: Any, at: int = position) -> Tensor:
                value[:, at] = cache[hook.name][:, at]
                return value

            patched = hooked.run_with_hooks(others, fwd_hooks=[(name, restore)])
            assert found[layer, position] == pytest.approx((difference(patched) - base) / span, abs=1e-4)


@pytest.mark.parametrize("kind", SOME)
def test_edges_against_brute_force(kind: str) -> None:
    """Every edge; those of MLPs that are not there do nothing."""
    model = interp.load_model(toy(**KINDS[kind]))
    pair = Pair(clean=tuple(IDS), corrupted=tuple(CORRUPTED), answer=4, foil=2)
    found = interp.edge_attribution(model, PairDataset(name="one", pairs=(pair,)))
    wanted = exact_effects(model, pair.clean, pair.corrupted, Readout.logit_diff(4, 2))
    changes = dict(zip(found.names, found.changes.tolist(), strict=True))
    assert changes == pytest.approx({f"{s}->{r}": x for (s, r), x in wanted.items()}, abs=1e-4)


def test_the_lens_without_a_norm_is_the_unembedding() -> None:
    hooked = toy(normalization_type=None, d_vocab_out=7)
    model = interp.load_model(hooked)
    lens = interp.logit_lens(model, IDS, 4)
    _, cache = hooked.run_with_cache(torch.tensor([IDS]))
    for row, name in enumerate(["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]):
        probs = (cache[name][0, -1] @ hooked.W_U + hooked.b_U).softmax(-1)
        assert lens.answer_prob[row] == pytest.approx(float(probs[4]), abs=1e-6)
    with pytest.raises(InputError, match="between 0 and 6; got the answer 9"):
        interp.logit_lens(model, IDS, 9)


def test_its_own_hooks_its_mode_and_its_tokenizer_stay(tmp_path: Path) -> None:
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    tokenizer = byte_tokenizer()
    tokenizer.pad_token, tokenizer.padding_side = "<bos>", "left"
    tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    config = HookedTransformerConfig(**SIZES | {"d_vocab": 257}, default_prepend_bos=True)
    hooked = HookedTransformer(config, tokenizer=tokenizer, default_padding_side="left")
    hooked.add_perma_hook("blocks.0.hook_resid_pre", lambda value, hook: value * 2)
    hooked.train()
    with_hook = hooked(torch.tensor([[256, 64, 65]]), padding_side="right")
    model = interp.load_model(hooked, name="my toy")
    assert model.to_tokens("ab").row(0) == [256, 64, 65]
    assert torch.equal(model.forward("ab"), with_hook)
    assert (hooked.training, hooked.tokenizer.padding_side, n_hooks(hooked)) == (True, "left", 1)
    assert (model.identity.name, model.identity.bos) == ("my toy", "<bos>")
    assert interp.load_model(hooked, bos=False).to_tokens("ab").row(0) == [64, 65]
    hooked.cfg.default_prepend_bos = False
    assert interp.load_model(hooked).to_tokens("ab").row(0) == [64, 65]


def test_names_of_tokens_for_a_toy() -> None:
    model = interp.load_model(toy(attn_only=True), token_names=[*map(str, range(22)), "="])
    assert model.to_tokens("3 17 =").row(0) == [3, 17, 22]
    assert interp.logit_lens(model, "3 17 =", "20").answer_id == 20


def test_the_weights_are_told_apart_and_folded_ones_are_named() -> None:
    one, other = toy(), toy()
    other.b_U.data[0] += 1
    assert interp.load_model(one).identity.weights != interp.load_model(other).identity.weights
    assert interp.load_model(toy(normalization_type="LNPre")).identity.processing == "folded"


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"attention_dir": "bidirectional"}, {}, "attends to what comes after"),
        ({}, {"backend": "nnsight"}, "leave backend out"),
        ({}, {"processing": "folded", "backend": "transformer_lens"}, "leave processing out"),
        ({}, {"layout": interp.Layout()}, "leave layout out"),
        ({}, {"dtype": "float64"}, r"is torch\.float32, not float64"),
        ({"dtype": torch.float64}, {}, r"is torch\.float64, not float32"),
    ],
)
def test_what_is_refused(changes: Any, options: Any, says: str) -> None:
    with pytest.raises(ModelLoadError, match=says):
        interp.load_model(toy(**changes), **options)


def test_a_hook_that_makes_heads_write_something_else_is_noticed() -> None:
    hooked = toy()
    hooked.add_perma_hook("blocks.0.hook_attn_out", lambda value, hook: value * 2)
    with pytest.raises(ModelLoadError, match="heads write z W_O"):
        interp.load_model(hooked)


def test_a_bridge_is_refused(load: Any) -> None:
    with pytest.raises(ModelLoadError, match="TransformerBridge has changed the model"):
        interp.load_model(load("tiny-gpt2", "transformer_lens").bridge)


def test_double_precision() -> None:
    hooked = toy(dtype=torch.float64)
    model = interp.load_model(hooked, dtype="float64")
    assert torch.equal(model.forward(IDS), hooked(torch.tensor([IDS])))


def test_it_goes_on_uncached_and_says_why():
    model = interp.load_model(toy())
    edit = interp.EditFrom(interp.Edit.scale("resid_post", 0, value=0.5), "generated")
    found = model.generate([[3, 4, 1]], 3, edits=[edit], stop=())
    assert found.path == "uncached"
    assert "does not reach the model's keys and values" in found.why
    text = [3, 4, 1]
    for _ in range(3):
        said = list(range(3, len(text)))
        edits = [interp.Edit.scale("resid_post", 0, value=0.5, positions=said)] if said else []
        text.append(int(model.forward([text], edits)[0, -1].argmax()))
    assert found.tokens.row(0) == text
