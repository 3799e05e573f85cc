"""Models and files as people have them: right, or refused in one sentence that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    PreTrainedModel,
)

import interp
from conftest import byte_tokenizer, needs_backend, tiny_model
from families import family_model
from interp.errors import InputError, InterpError, ModelLoadError
from interp.models.self_check import self_check
from interp.readout import Readout

IDS = [5, 17, 80, 3]
BACKENDS = ("transformers", "transformer_lens", "nnsight")


def one_sentence(caught: Any) -> str:
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.endswith(".")
    return text


# ---- causality ----


def looks_ahead(hf: PreTrainedModel) -> None:
    """Each position reads the mean of all embeddings."""
    hf.get_input_embeddings().register_forward_hook(
        lambda module, args, output: output + output.mean(-2, keepdim=True)
    )


def attends_both_ways(hf: PreTrainedModel) -> None:
    hf.config.is_causal = False
    for layer in hf.model.layers:
        layer.self_attn.is_causal = False


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("change", [looks_ahead, attends_both_ways])
def test_a_model_that_looks_ahead_is_refused_on_every_backend(change: Any, backend: Any) -> None:
    needs_backend(backend)
    hf = tiny_model("tiny-llama")
    change(hf)
    with torch.no_grad():
        a, b = hf(torch.tensor([IDS, [*IDS[:-1], 9]])).logits
    if torch.allclose(a[:-1], b[:-1], atol=1e-4):
        pytest.skip("this transformers masks the future all the same")
    with pytest.raises(ModelLoadError, match=r"changes no earlier logits|looks ahead|not with the same"):
        interp.load_model(hf, backend=backend, device="cpu")


# ---- right models that the self-check must let pass ----


def small_gpt2(**special: Any) -> GPT2LMHeadModel:
    sizes: dict[str, Any] = {"vocab_size": 40, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GPT2LMHeadModel(GPT2Config(**{**sizes, **special}, initializer_range=0.2)).eval()


def attention_only() -> PreTrainedModel:
    """In GPT-2's shape: its MLPs write nothing."""
    hf = small_gpt2()
    for block in hf.transformer.h:
        nn.init.zeros_(block.mlp.c_proj.weight)
    return hf


def uniform_attention() -> PreTrainedModel:
    hf = small_gpt2()
    for block in hf.transformer.h:
        block.attn.c_attn.weight.data[:, :64] = 0
        block.attn.c_attn.bias.data[:64] = 0
    return hf


def without_keys() -> PreTrainedModel:
    hf = tiny_model("tiny-llama")
    for layer in hf.model.layers:
        nn.init.zeros_(layer.self_attn.k_proj.weight)
    return hf


def silent_heads() -> PreTrainedModel:
    """All heads of one layer and the first head of each write nothing."""
    hf = small_gpt2()
    hf.transformer.h[0].attn.c_proj.weight.data[:] = 0
    hf.transformer.h[1].attn.c_proj.weight.data[:8] = 0
    return hf


def without_attention() -> PreTrainedModel:
    hf = small_gpt2()
    for block in hf.transformer.h:
        nn.init.zeros_(block.attn.c_proj.weight)
    return hf


def two_tokens() -> PreTrainedModel:
    return small_gpt2(vocab_size=2)


def one_position() -> PreTrainedModel:
    return small_gpt2(n_positions=1)


def two_tokens_without_positions() -> PreTrainedModel:
    config = AutoConfig.for_model(
        "llama",
        vocab_size=2,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=16,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


#: What makes the model, and where it says that the weights leave no effect.
RIGHT: dict[str, tuple[Callable[[], PreTrainedModel], set[str]]] = {
    "attention only": (attention_only, {"mlp_act"}),
    "uniform attention": (uniform_attention, {"q", "k"}),
    "queries without keys": (without_keys, {"q"}),
    "silent heads": (silent_heads, set()),
    "attention that writes nothing": (without_attention, {"q", "k", "v", "pattern", "z"}),
    "two tokens": (two_tokens, set()),
    "two tokens in one layer": (two_tokens_without_positions, set()),
    "one position": (one_position, {"q", "k"}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", RIGHT)
def test_the_self_check_passes_right_models_and_says_what_has_no_effect(name: str, backend: Any) -> None:
    needs_backend(backend)
    make, silent = RIGHT[name]
    model = interp.load_model(make(), backend=backend, device="cpu")
    assert model.identity.self_check == "passed"
    (check,) = (one for one in self_check(model) if one.name == "an edit at any site changes the logits")
    noted = set(check.note.rpartition("none at ")[2].split(", ")) - {""}
    assert noted == silent & set(model.sites)


def test_an_edit_that_is_not_carried_out_still_fails(monkeypatch: Any) -> None:
    """A backend that forgets what was edited at one site."""
    from interp.models.hugging_face import HuggingFaceModel

    through = HuggingFaceModel.through

    def forgetful(self: Any, taps: Any, site: str, layer: Any, own: Tensor, n_rows: int) -> Tensor:
        value = through(self, taps, site, layer, own, n_rows)
        return own if site in ("z", "mlp_act") else value

    monkeypatch.setattr(HuggingFaceModel, "through", forgetful)
    for hf in (tiny_model("tiny-llama"), small_gpt2()):
        with pytest.raises(ModelLoadError, match=r"changes the logits.*mlp_act"):
            interp.load_model(hf, device="cpu")


def test_a_failed_self_check_names_the_owners_hooks() -> None:
    hf = tiny_model("tiny-llama")
    hf.model.layers[1].register_forward_hook(lambda module, args, output: output + 1)
    with pytest.raises(ModelLoadError, match=r"hooks that it brings \(on model.layers.1\)"):
        interp.load_model(hf, device="cpu")


def test_neurons_that_write_something_else_fail_the_self_check() -> None:
    """As where a backend reads the weight of a part that an adapter goes around."""
    model = interp.load_model(tiny_model("tiny-llama"), device="cpu")
    weights = model.W_out
    model.W_out = lambda layer: weights(layer) * (1.5 if layer == 1 else 1.0)  # type: ignore[method-assign]
    failed = {check.name: check.where for check in self_check(model) if not check.passed}
    assert failed == {"neurons write mlp_act W_out, and a bias": "layer 1"}


# ---- the embedding's rows and the unembedding's ----


def other_vocabulary(n_out: int) -> PreTrainedModel:
    hf = small_gpt2(tie_word_embeddings=False)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        hf.lm_head = nn.Linear(32, n_out, bias=False)
    return hf


@pytest.mark.parametrize("n_out", [10, 70])
def test_prompts_are_held_to_the_rows_of_the_embedding(n_out: int) -> None:
    model = interp.load_model(other_vocabulary(n_out), device="cpu")
    assert (model.arch.d_vocab_in, model.arch.d_vocab) == (40, n_out)
    assert model.forward([39, 1]).shape == (1, 2, n_out)
    with pytest.raises(InputError, match="between 0 and 39; got 1 to 40"):
        model.forward([40, 1])
    with pytest.raises(InputError, match=f"between 0 and {n_out - 1}"):
        model.to_single_token(n_out)
    found = interp.direct_logit_attribution(model, [39, 1, 20], 9, 0)
    assert found.by_component.interval.value.sum() == pytest.approx(found.logits[0], abs=1e-3)


def test_a_tokenizer_of_another_model_is_found_out() -> None:
    model = interp.load_model(small_gpt2(vocab_size=100), byte_tokenizer(), device="cpu", bos=False)
    with pytest.raises(InputError, match="embedding has 100 rows") as caught:
        model.forward("é")
    one_sentence(caught)


# ---- what is given as a prompt ----


@pytest.fixture(scope="module")
def model() -> interp.Model:
    return interp.load_model(tiny_model("tiny-gpt2"), byte_tokenizer(), device="cpu", bos=False)


def test_ids_from_numpy_are_ids(model: interp.Model) -> None:
    expected = model.forward(IDS)
    assert torch.equal(model.forward(np.array(IDS)), expected)
    assert torch.equal(model.forward(np.array([IDS], dtype=np.int32)), expected)
    assert torch.equal(model.forward([np.array(IDS), np.array(IDS)])[1:], expected)
    assert model.to_tokens([*map(np.int64, IDS)]).row(0) == IDS
    padded = {"input_ids": np.array([[0, *IDS]]), "attention_mask": np.array([[0, 1, 1, 1, 1]])}
    assert torch.equal(model.forward(padded), expected)
    with pytest.raises(InputError, match="integers"):
        model.forward(np.array([0.5, 1.0]))  # type: ignore[arg-type]


def test_a_batch_that_a_tokenizer_did_not_pad(model: interp.Model) -> None:
    tokenizer = byte_tokenizer()
    ragged = tokenizer(["abc", "d", "efghi"])
    tokens = model.to_tokens(ragged)
    assert tokens.lengths == (3, 1, 5)
    assert [tokens.row(row) for row in range(3)] == ragged["input_ids"]
    with pytest.raises(InputError, match="mask of its own"):
        model.to_tokens({"input_ids": [[1, 2], [3]], "attention_mask": [[1, 1], [1, 1]]})


def test_a_line_break_has_a_position(model: interp.Model) -> None:
    assert model.positions_of("ab\ncd", "\n") == [2]
    assert model.positions_of("ab cd", " ") == [2]
    assert model.positions_of("ab cd", " cd") == [3, 4]
    assert model.positions_of("ab\n\ncd", span=(2, 4)) == [2, 3]


# ---- models that cannot be looked into ----


def packed_in_8_bits() -> Any:
    """As bitsandbytes leaves a Linear: its weight is of integers."""
    hf = tiny_model("tiny-llama")
    for layer in hf.model.layers:
        weight = layer.mlp.down_proj.weight
        layer.mlp.down_proj.weight = nn.Parameter(weight.to(torch.int8), requires_grad=False)
    hf.config.quantization_config = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    return hf


def packed_in_4_bits() -> Any:
    hf = tiny_model("tiny-llama")
    hf.is_quantized = hf.is_loaded_in_4bit = True
    hf.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    return hf


def offloaded() -> Any:
    hf = tiny_model("tiny-llama")
    hf.model.layers[2].to("meta")
    hf.hf_device_map = {"model.layers.2": "disk", "": "cpu"}
    return hf


def classifier() -> Any:
    return AutoModelForSequenceClassification.from_config(tiny_model("tiny-llama").config)


def encoder_alone() -> Any:
    return tiny_model("tiny-llama").model


def _without_attention(number: int) -> Any:
    hf = tiny_model("tiny-llama")
    layer = hf.model.layers[number]
    layer.linear_attn = nn.Linear(32, 32)
    del layer.self_attn
    return hf


def prompt_tuned() -> Any:
    class Config:
        is_prompt_learning = True

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.peft_config = {"default": Config()}

        def get_base_model(self) -> Any:
            raise AssertionError

    return Wrapped()


UNFIT: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "8 bits": (packed_in_8_bits, ("few bits", "bitsandbytes", "unquantised")),
    "4 bits": (packed_in_4_bits, ("few bits", "gptq", "unquantised")),
    "offloaded": (offloaded, ("offloaded", "device_map")),
    "a classifier": (classifier, ("LlamaForSequenceClassification", "no unembedding")),
    "no head": (encoder_alone, ("LlamaModel", "no unembedding")),
    "linear attention first": (lambda: _without_attention(0), ("several kinds", "layer 0", "linear_attn")),
    "linear attention last": (lambda: _without_attention(2), ("several kinds", "layer 2", "linear_attn")),
    "learned vectors before the prompt": (prompt_tuned, ("before the prompt",)),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_model_that_cannot_be_looked_into(name: str) -> None:
    make, says = UNFIT[name]
    with pytest.raises(ModelLoadError) as caught:
        interp.load_model(make())
    sentence = one_sentence(caught)
    for part in says:
        assert part in sentence


# ---- folders ----


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("tiny-llama").save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def _add(folder: Path, **tensors: Tensor) -> None:
    file = folder / "model.safetensors"
    save_file(
        {**load_file(file), **{key.replace("__", "."): x for key, x in tensors.items()}},
        file,
        {"format": "pt"},
    )


@pytest.mark.parametrize("extra", ["lm_head__bias", "model__layers__0__self_attn__q_proj__bias"])
def test_a_tensor_that_the_architecture_has_no_place_for_is_a_refusal(extra: str, folder: Path) -> None:
    _add(folder, **{extra: torch.ones(257 if "head" in extra else 32)})
    with pytest.raises(ModelLoadError, match="has no place for") as caught:
        interp.load_model(folder, device="cpu")
    assert extra.replace("__", ".") in one_sentence(caught)


def test_masks_and_frequencies_of_older_files_are_no_weights(folder: Path, tmp_path_factory: Any) -> None:
    _add(folder, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))
    assert interp.load_model(folder, device="cpu").identity.self_check == "passed"
    other = tmp_path_factory.mktemp("gptj")
    family_model("gptj").save_pretrained(other)
    byte_tokenizer().save_pretrained(other)
    mask = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    _add(other, transformer__h__0__attn__bias=mask, transformer__h__0__attn__masked_bias=torch.tensor(-1e9))
    assert interp.load_model(other, device="cpu").identity.self_check == "passed"


def test_the_folder_of_a_classifier_says_what_it_was_saved_as(folder: Path) -> None:
    hf = AutoModelForSequenceClassification.from_config(family_model("llama-tied").config)
    hf.save_pretrained(folder)
    with pytest.raises(ModelLoadError) as caught:
        interp.load_model(folder, device="cpu")
    sentence = one_sentence(caught)
    assert "score.weight" in sentence
    assert "LlamaForSequenceClassification" in sentence


def test_weights_in_few_bits_on_the_disk(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match="few bits") as caught:
        interp.load_model(folder, device="cpu")
    one_sentence(caught)


def test_a_pickled_file_in_the_cache_that_is_allowed(
    folder: Path, monkeypatch: Any, tmp_path_factory: Any
) -> None:
    """As the hub leaves it: blobs, and snapshots of links."""
    import huggingface_hub.constants as hub

    cache = tmp_path_factory.mktemp("hub")
    snapshot = cache / "models--someone--small" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        if file.suffix == ".json":
            (snapshot / file.name).write_bytes(file.read_bytes())
    torch.save(load_file(folder / "model.safetensors"), snapshot / "pytorch_model.bin")
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)
    from interp.models.names import in_cache

    assert not in_cache("someone/small")
    assert in_cache("someone/small", pickled=True)


def test_a_home_folder_is_found(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    loaded = interp.load_model(f"~/{folder.name}", device="cpu")
    assert torch.allclose(loaded.forward(IDS), interp.load_model(folder, device="cpu").forward(IDS))


@pytest.mark.parametrize(
    ("load", "kind"),
    [
        (lambda file, model: interp.load_model(file), "is a file"),
        (lambda file, model: interp.load_sae(file, model), "is a file"),
        (lambda file, model: interp.TunedLens.load(file, model), "is a file"),
    ],
)
def test_a_file_that_is_there_is_not_said_to_be_missing(
    load: Any, kind: str, model: interp.Model, tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"x": torch.ones(2)}, file)
    with pytest.raises(InterpError, match=kind) as caught:
        load(str(file), model)
    assert "folder" in one_sentence(caught)


def test_a_null_in_a_text_file_is_named(tmp_path: Path) -> None:
    from interp.text.sources import documents

    file = tmp_path / "stories.jsonl"
    file.write_text('{"text": "one"}\n{"text": null}\n')
    with pytest.raises(InputError, match=r"Record 2 .* has null in its field 'text'") as caught:
        list(documents(str(file)))
    one_sentence(caught)


def test_a_null_in_a_file_of_pairs_is_named(tmp_path: Path, model: interp.Model) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "ab", "corrupted": null, "answer": "c", "foil": null}\n')
    with pytest.raises(InputError, match=r"'foil' missing .null") as caught:
        interp.make_dataset("user_pairs", model, path=file)
    assert "line 1" in one_sentence(caught)


def test_readouts_of_such_models_are_the_plain_ones() -> None:
    """Of models that the self-check used to refuse, a sweep gives what plain passes give."""
    for make in (attention_only, uniform_attention):
        model = interp.load_model(make(), device="cpu")
        branches = [
            [interp.Edit.zero("attn_out", layer, positions=p)] for layer in range(2) for p in range(4)
        ]
        readout = Readout.logit_diff(7, 20)
        values = [
            model.sweep([5, 17, 30, 3], branches, readout, exact=exact).values for exact in (True, False)
        ]
        assert torch.allclose(*values, atol=1e-5)
