"""The architectures of the demo models, with fresh weights."""

from __future__ import annotations

from typing import Any

from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from interp.zoo.making.warm_start import start_with_previous_token_heads


def build_model(name: str, vocab_size: int) -> Any:
    """A model of the named architecture with fresh weights, drawn from torch's current seed.

    Token embeddings start larger than the library's default (standard deviation 0.1), and the first heads of
    layer 0 start as previous-token heads (`warm_start`).
    """
    if name == "demo-gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=128,
                n_embd=192,
                n_layer=6,
                n_head=6,
                initializer_range=0.05,
                # the same function as gelu_new, in one kernel; saved as gelu_new, as in GPT-2
                activation_function="gelu_pytorch_tanh",
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    else:
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=vocab_size,
                hidden_size=192,
                intermediate_size=512,
                num_hidden_layers=6,
                num_attention_heads=6,
                num_key_value_heads=2,
                head_dim=32,
                max_position_embeddings=512,
                initializer_range=0.05,
                tie_word_embeddings=True,
                attention_dropout=0.0,
                bos_token_id=None,
                eos_token_id=0,
            )
        )
    model.get_input_embeddings().weight.data.mul_(2.0)  # 0.05 -> 0.1
    start_with_previous_token_heads(model)
    return model
