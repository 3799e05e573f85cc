"""Where each family of architectures keeps its parts, as paths in its Hugging Face modules.

Attention itself needs no entry: q, k, v and pattern are seen in one place, by the attention function
that transformers lets us register. So a family is a line of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from interp.errors import ModelLoadError, nearest
from interp.models.base import Architecture

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Layout:
    """Dotted paths of the parts of a causal language model; those of a layer are relative to it."""

    layers: str = "model.layers"
    final_norm: str = "model.norm"
    attn: str = "self_attn"
    attn_proj: str = "self_attn.o_proj"  # what reads z
    mlp: str = "mlp"
    mlp_proj: str = "mlp.down_proj"  # what reads mlp_act
    mlp_norm: str | None = "post_attention_layernorm"  # what reads resid_mid
    parallel_attention: bool = False


LLAMA = Layout()

LAYOUTS: dict[str, Layout] = {
    "gpt2": Layout(
        layers="transformer.h",
        final_norm="transformer.ln_f",
        attn="attn",
        attn_proj="attn.c_proj",
        mlp_proj="mlp.c_proj",
        mlp_norm="ln_2",
    ),
    "gpt_neox": Layout(
        layers="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        attn="attention",
        attn_proj="attention.dense",
        mlp_proj="mlp.dense_4h_to_h",
    ),
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
}


def part(root: nn.Module, path: str) -> Any:
    """The module at a dotted path."""
    return attrgetter(path)(root)


def find_layout(model: PreTrainedModel) -> Layout:
    """The layout of a model by its configuration's ``model_type``, its paths checked.

    Raises `ModelLoadError` for an architecture that is not in the table: it is never guessed.
    """
    family = model.config.model_type
    if family not in LAYOUTS:
        raise ModelLoadError(
            f"The architecture {family!r} is not in the layout table ({nearest(family, LAYOUTS)}) "
            "Pass layout=interp.Layout(...) with the paths of its parts."
        )
    return LAYOUTS[family]


def check_layout(model: PreTrainedModel, layout: Layout) -> None:
    """Raise `ModelLoadError` where a path of the layout leads nowhere in this model."""
    roots = [(model, path) for path in (layout.layers, layout.final_norm)]
    try:
        first = part(model, layout.layers)[0]
        roots += [
            (first, p)
            for p in (layout.attn, layout.attn_proj, layout.mlp, layout.mlp_proj, layout.mlp_norm)
            if p
        ]
        for root, path in roots:
            part(root, path)
    except (AttributeError, IndexError, TypeError) as error:
        raise ModelLoadError(
            f"The layout does not fit this {model.config.model_type} model: {error}."
        ) from None


def architecture(model: PreTrainedModel, layout: Layout) -> Architecture:
    """The facts of a loaded model, from its configuration and the shapes of its weights."""
    config: Any = model.config
    n_heads = config.num_attention_heads
    d_head = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    projection = part(part(model, layout.layers)[0], layout.mlp_proj)
    return Architecture(
        family=config.model_type,
        n_layers=len(part(model, layout.layers)),
        n_heads=n_heads,
        n_kv_heads=getattr(config, "num_key_value_heads", None) or n_heads,
        d_model=config.hidden_size,
        d_head=d_head,
        d_mlp=max(set(projection.weight.shape) - {config.hidden_size}, default=config.hidden_size),
        d_vocab=model.get_output_embeddings().weight.shape[0],
        n_ctx=getattr(config, "max_position_embeddings", None),
        parallel_attention=layout.parallel_attention or bool(getattr(config, "use_parallel_residual", False)),
    )
