"""docs/coming-from.md: what stands on our side runs, and is what the other library computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from hooked_toys import needs_hooked_transformers
from interp import Model, zoo
from pages import ROOT, TRANSLATIONS, Read, blocks


@pytest.fixture(scope="module")
def page(reading: Callable[[str], Read]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The names of the page at its end, and the values of what is done here, by what is done there."""
    found = reading(TRANSLATIONS)
    with contextlib.chdir(found.folder):
        found.to_the_end()
    return found.names, found.rows


@pytest.fixture(scope="module")
def hooked(page: Any) -> Any:
    """The model of the page in TransformerLens, as `from_pretrained_no_processing` gives it."""
    return hooked_transformer(page[0]["model"], processed=False)


def hooked_transformer(model: Model, *, processed: bool) -> Any:
    """The same weights in TransformerLens, as they are, or with norms folded and what is written centred."""
    needs_hooked_transformers()
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

    c = model.hf_model.config
    config = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
        n_ctx=c.n_positions, d_vocab=c.vocab_size, act_fn="gelu_new", eps=c.layer_norm_epsilon,
        normalization_type="LN", device="cpu",
    )  # fmt: skip
    other = HookedTransformer(config)
    other.load_and_process_state_dict(
        convert_gpt2_weights(model.hf_model, config),
        fold_ln=processed,
        center_writing_weights=processed,
        center_unembed=processed,
        fold_value_biases=False,
    )
    return other


def same(theirs: Any, ours: Any) -> None:
    """The same numbers, up to rounding in float32."""
    theirs, ours = (np.asarray(x.detach() if isinstance(x, torch.Tensor) else x) for x in (theirs, ours))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * max(1.0, np.abs(theirs).max()))


def ids(model: Model, text: str) -> torch.Tensor:
    return model.to_tokens(text).ids


def test_every_call_of_the_page_runs(page: Any) -> None:
    names, rows = page
    lines = [line for line in (ROOT / TRANSLATIONS).read_text().splitlines() if line.startswith("| `")]
    assert sum(block.kind == "row" for block in blocks(TRANSLATIONS)) == len(lines) == len(rows)
    nothing = [there for there, values in rows.items() if any(value is None for value in values)]
    assert nothing == ['sae.save_model("my-sae")']
    assert rows['model.to_single_token(" Paris")'] == [names["paris"]]
    assert rows['utils.get_act_name("z", 3)'] == ["blocks.3.attn.hook_z"]


def test_what_edits_do_is_seen_in_the_logits(page: Any) -> None:
    names, _ = page
    before = names["logits"]
    for name in ("ablated", "clamped", "without"):
        assert (names[name] - before).abs().max() > 1e-3, name
    assert (names["steered"] - names["model"].forward(names["corrupted"])).abs().max() > 1e-3
    assert len(names["kept"]) == 6 + 4


def test_a_dictionary_comes_back_from_its_folder(page: Any) -> None:
    names, rows = page
    (read,) = rows['SAE.load_from_disk("my-sae")']
    torch.testing.assert_close(read.encode(names["x"]), names["features"])
    assert rows["sae.cfg.d_in`, `sae.cfg.d_sae"] == [192, 1536]


@pytest.mark.tl
def test_caches_and_hooks_are_those_of_transformer_lens(page: Any, hooked: Any) -> None:
    names, rows = page
    clean, corrupted = (ids(names["model"], names[text]) for text in ("clean", "corrupted"))
    logits, cache = hooked.run_with_cache(clean)
    same(logits.softmax(-1), names["logits"].softmax(-1))
    for there in ("resid_post", "pattern"):
        same(cache[there, 3], names["cache"][there, 3])
    same(cache.stack_activation("z"), rows['cache.stack_activation("z")'][0])
    hooked.set_use_attn_result(True)
    same(hooked.run_with_cache(clean)[1]["result", 3], rows['cache["result", 3]'][0])
    hooked.set_use_attn_result(False)

    def ablate(z: torch.Tensor, hook: Any) -> torch.Tensor:
        z[:, :, 2] = 0
        return z

    def steer(resid: torch.Tensor, hook: Any) -> torch.Tensor:
        resid[:, -1] += names["direction"]
        return resid

    def clamp(x: torch.Tensor, hook: Any) -> torch.Tensor:
        return x.clamp(max=1)

    for name, text, point, hook in (
        ("ablated", clean, "blocks.3.attn.hook_z", ablate),
        ("steered", corrupted, "blocks.2.hook_resid_post", steer),
        ("clamped", clean, "blocks.3.mlp.hook_post", clamp),
    ):
        with torch.no_grad():
            found = hooked.run_with_hooks(text, fwd_hooks=[(point, hook)])
        same(found.softmax(-1), names[name].softmax(-1))


@pytest.mark.tl
def test_patching_is_that_of_transformer_lens(page: Any, hooked: Any) -> None:
    from transformer_lens import patching

    names, rows = page
    clean, corrupted = (ids(names["model"], names[text]) for text in ("clean", "corrupted"))

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, names["paris"]] - logits[0, -1, names["tokyo"]]

    compared = {there: values[0].values[0] for there, values in rows.items() if there.startswith("patching.")}
    assert len(compared) == 9
    compared["patching.get_act_patch_attn_head_out_by_pos"] = names["by_position"]
    with torch.no_grad():
        _, cache = hooked.run_with_cache(clean)
        for there, ours in compared.items():
            patch = getattr(patching, there.removeprefix("patching."))
            same(patch(hooked, corrupted, cache, metric), ours)


@pytest.mark.tl
def test_attribution_is_that_of_transformer_lens(page: Any) -> None:
    names, rows = page
    with torch.no_grad():
        processed = hooked_transformer(names["model"], processed=True)
        _, cache = processed.run_with_cache(ids(names["model"], names["clean"]))
        given = {" Paris": names["paris"], " Tokyo": names["tokyo"]}
        calls = {there: values[0] for there, values in rows.items() if there.startswith("cache.logit_attrs")}
        assert len(calls) == 3
        for there, ours in calls.items():
            for text, token in given.items():
                there = there.replace(f'"{text}"', str(token))
            theirs = eval(there, {"cache": cache})
            same(theirs.reshape(ours.shape), ours)


@pytest.mark.nnsight
def test_traces_are_those_of_nnsight(page: Any) -> None:
    nnsight = pytest.importorskip("nnsight")
    names, _ = page
    ours: Model = names["model"]
    hf_model = AutoModelForCausalLM.from_pretrained(zoo.path("demo-gpt2"), dtype=torch.float32).eval()
    model = nnsight.TransformersModel(hf_model, task="text-generation", tokenizer=ours.tokenizer)
    clean, corrupted = ids(ours, names["clean"]), ids(ours, names["corrupted"])
    paris, tokyo = names["paris"], names["tokyo"]
    with model.trace(clean):
        hidden = model.transformer.h[3].output.save()
        logits = model.lm_head.output.save()
    same(hidden, names["hidden"])
    same(logits, names["run"].logits)
    with model.trace(clean):
        model.transformer.h[3].mlp.output[:, -1] = 0
        logits = model.lm_head.output.save()
    same(logits, names["without"])
    with model.trace() as tracer:
        barrier = tracer.barrier(2)
        with tracer.invoke(clean):
            state = model.transformer.h[1].output[:, 4]
            barrier()
        with tracer.invoke(corrupted):
            barrier()
            model.transformer.h[1].output[:, 4] = state
            patched = model.lm_head.output[:, -1].save()
    same(patched, names["patched"])
    with model.trace(clean):
        hidden = model.transformer.h[3].output
        logits = model.lm_head.output[0, -1]
        with (logits[paris] - logits[tokyo]).backward():
            gradient = hidden.grad.save()
    same(gradient, names["gradient"])
    with model.generate(clean, max_new_tokens=4) as tracer:
        for _ in tracer.iter[:4]:
            model.transformer.h[2].mlp.output *= 0.5
        found = tracer.result.save()
    assert found[0].tolist() == names["said"].tokens.row(0)
