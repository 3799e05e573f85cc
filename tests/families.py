"""A tiny model with random weights for every family in the layout table, and for its variants."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

_COMMON: dict[str, Any] = {
    "vocab_size": 257,  # the bytes, and the beginning of the sequence
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 256,
    "eos_token_id": 256,
    "pad_token_id": 0,
    "initializer_range": 0.2,  # large, so that every part of the model matters to the logits
}
_GROUPED = {"num_key_value_heads": 2, "intermediate_size": 48}
_WINDOW = {"sliding_window": 4}
_LAYER_TYPES = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
_SCALES = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.4,
    "attention_multiplier": 0.3,
    "logits_scaling": 2.0,
}
_NEO_LAYERS = {"num_layers": 3, "attention_types": [[["global", "local", "global"], 1]], "window_size": 4}

#: name -> (model_type, what its configuration says beyond `_COMMON`). Between them: tied and untied
#: unembeddings, biases, logit scales and soft caps, parallel blocks, post-norms, sliding windows, sinks,
#: learned, rotary, partly rotary and ALiBi positions, grouped and multi-query heads, experts.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {}),
    "gpt_neox": ("gpt_neox", {"intermediate_size": 48}),
    "gpt_neox-sequential": ("gpt_neox", {"intermediate_size": 48, "use_parallel_residual": False}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "llama": ("llama", _GROUPED),
    "llama-tied": (
        "llama",
        {**_GROUPED, "tie_word_embeddings": True, "attention_bias": True, "head_dim": 16},
    ),
    "mistral": ("mistral", {**_GROUPED, **_WINDOW}),
    "mixtral": ("mixtral", {**_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("qwen2", {**_GROUPED, "tie_word_embeddings": True}),
    "qwen3": ("qwen3", {**_GROUPED, "head_dim": 16}),
    "qwen3_moe": (
        "qwen3_moe",
        {**_GROUPED, "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    ),
    "gemma": ("gemma", {**_GROUPED, "num_key_value_heads": 1, "head_dim": 16}),
    "gemma2": ("gemma2", {**_GROUPED, "head_dim": 16, **_WINDOW, "query_pre_attn_scalar": 16}),
    "gemma3_text": (
        "gemma3_text",
        {**_GROUPED, "head_dim": 16, **_WINDOW, **_LAYER_TYPES, "query_pre_attn_scalar": 16},
    ),
    "gemma3-with-vision": (
        "gemma3",
        {
            "text_config": {**_COMMON, **_GROUPED, "head_dim": 16, **_WINDOW, **_LAYER_TYPES},
            "vision_config": {
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
        },
    ),
    "phi": ("phi", {"intermediate_size": 48, "partial_rotary_factor": 0.5}),
    "phi3": ("phi3", {**_GROUPED, **_WINDOW}),
    "olmo2": ("olmo2", _GROUPED),
    "stablelm": ("stablelm", {**_GROUPED, "use_qkv_bias": True}),
    "stablelm-parallel": ("stablelm", {**_GROUPED, "use_parallel_residual": True, "qk_layernorm": True}),
    "granite": ("granite", {**_GROUPED, **_SCALES}),
    "starcoder2": ("starcoder2", {**_GROUPED, **_WINDOW}),
    "smollm3": ("smollm3", {**_GROUPED, "no_rope_layers": [1, 0, 1]}),
    "gpt_oss": (
        "gpt_oss",
        {
            **_GROUPED,
            **_WINDOW,
            **_LAYER_TYPES,
            "head_dim": 16,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    "gpt_neo": ("gpt_neo", {**_NEO_LAYERS, "intermediate_size": 48}),
    "gptj": ("gptj", {"rotary_dim": 4, "n_inner": 48}),
    "bloom": ("bloom", {}),
    "falcon": ("falcon", {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True}),
    "falcon-alibi": (
        "falcon",
        {"parallel_attn": False, "multi_query": False, "alibi": True, "bias": True},
    ),
    "falcon-grouped": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
}


def family_model(name: str, *, seed: int = 0) -> PreTrainedModel:
    """The tiny model of a family or variant, norms and biases random too; always the same."""
    model_type, special = FAMILIES[name]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        config = AutoConfig.for_model(model_type, **{**_COMMON, **special})
        model = AutoModelForCausalLM.from_config(config)
        for key, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
            elif "experts" in key or "router" in key:
                parameter.copy_(0.2 * torch.randn_like(parameter))
    return model.eval()
