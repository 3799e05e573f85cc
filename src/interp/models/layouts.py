"""Where each family of architectures keeps its parts, as paths in its Hugging Face modules.

Attention itself needs no entry: q, k, v and pattern are seen in one place, by the attention function
that transformers lets us register. So a family is a line of names, and most have the usual ones.

`attn` and `mlp` name the modules *whose output is added to the residual stream*: in a family that
normalises the output of a block, that is the norm behind it. So that, everywhere,
``resid_pre + attn_out + mlp_out = resid_post``, and the self-check on loading can hold a model to it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.architecture import Architecture
from interp.errors import ModelLoadError, nearest
from interp.models.linear_map import matrix
from interp.models.rotary import longest


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Dotted paths of the parts of a causal language model; those of a layer are relative to it.

    A family whose shape depends on its configuration names the keys: ``parallel`` those that are true
    where attention and MLP read the same residual stream (True: always), ``only`` the values without
    which its layers are built differently, and such a model is refused.
    """

    layers: str = "model.layers"
    final_norm: str = "model.norm"
    attn: str = "self_attn"  # what writes attn_out
    attn_proj: str = "self_attn.o_proj"  # what reads z
    mlp: str = "mlp"  # what writes mlp_out
    mlp_proj: str = "mlp.down_proj"  # what reads mlp_act
    mlp_norm: str = "post_attention_layernorm"  # what reads resid_mid
    embed: str = ""  # what writes embed, from the model; "": its input embeddings
    parallel: bool | tuple[str, ...] = False
    only: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Layout:
        """A layout from the keys of a configuration. `ModelLoadError` for one that it does not have, or a
        value of another kind."""
        known = {one.name: one for one in fields(cls)}
        for key, value in values.items():
            if key not in known:
                raise ModelLoadError(f"A layout has no {key!r}; {nearest(key, known)}")
            fits = (
                isinstance(value, Mapping)
                if key == "only"
                else isinstance(value, bool | list | tuple)
                if key == "parallel"
                else isinstance(value, str)
            )
            if not fits:
                raise ModelLoadError(f"A layout's {key!r} is not {value!r}; see interp.Layout.")
        parallel = values.get("parallel", False)
        return cls(**{**values, "parallel": parallel if isinstance(parallel, bool) else tuple(parallel)})


_GPT2: dict[str, Any] = {
    "layers": "transformer.h",
    "final_norm": "transformer.ln_f",
    "attn": "attn",
    "mlp_norm": "ln_2",
}
_POST_NORMS: dict[str, Any] = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
_GEMMA2 = Layout(**_POST_NORMS, mlp_norm="pre_feedforward_layernorm")
_FALCON: dict[str, Any] = {
    "layers": "transformer.h",
    "final_norm": "transformer.ln_f",
    "mlp_proj": "mlp.dense_4h_to_h",
}

# Those whose parts have the usual names.
_USUAL = (
    *("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe"),
    *("gemma", "phi3", "granite", "smollm3", "gpt_oss"),
)

#: By the ``model_type`` of the configuration.
LAYOUTS: dict[str, Layout] = {
    **{family: Layout() for family in _USUAL},
    "gpt2": Layout(**_GPT2, attn_proj="attn.c_proj", mlp_proj="mlp.c_proj"),
    "gpt_neo": Layout(**_GPT2, attn_proj="attn.attention.out_proj", mlp_proj="mlp.c_proj"),
    "gptj": Layout(**_GPT2, attn_proj="attn.out_proj", mlp_proj="mlp.fc_out", parallel=True),
    "gpt_neox": Layout(
        layers="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        attn="attention",
        attn_proj="attention.dense",
        mlp_proj="mlp.dense_4h_to_h",
        parallel=("use_parallel_residual",),
    ),
    "opt": Layout(
        layers="model.decoder.layers",
        final_norm="model.decoder.final_layer_norm",
        attn_proj="self_attn.out_proj",
        mlp="fc2",
        mlp_proj="fc2",
        mlp_norm="final_layer_norm",
        only={"do_layer_norm_before": True},
    ),
    # Its attention and MLP add the residual stream themselves; what they add it to comes from these.
    "bloom": Layout(
        **_FALCON,
        embed="transformer.word_embeddings_layernorm",
        attn="self_attention.dense",
        attn_proj="self_attention.dense",
        mlp="mlp.dense_4h_to_h",
        only={"apply_residual_connection_post_layernorm": False},
    ),
    "falcon": Layout(
        **_FALCON,
        attn="self_attention",
        attn_proj="self_attention.dense",
        parallel=("parallel_attn", "new_decoder_architecture"),
    ),
    "phi": Layout(
        final_norm="model.final_layernorm", attn_proj="self_attn.dense", mlp_proj="mlp.fc2", parallel=True
    ),
    "stablelm": Layout(parallel=("use_parallel_residual",)),
    "starcoder2": Layout(mlp_proj="mlp.c_proj"),
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA2,
    "gemma3": replace(_GEMMA2, layers="model.language_model.layers", final_norm="model.language_model.norm"),
    "olmo2": Layout(**_POST_NORMS, mlp_norm="mlp"),
}


def part(root: Any, path: str) -> Any:
    """The module at a dotted path below a module, or below what nnsight puts around one; `root` itself for
    the empty path."""
    return attrgetter(path)(root) if path else root


def find_layout(model: PreTrainedModel) -> Layout:
    """The layout of a model by its configuration's ``model_type``.

    Raises `ModelLoadError` for an architecture that is not in the table: it is never guessed. The
    message says which of the usual parts it has, and which it lacks.
    """
    family = model.config.model_type
    if family in LAYOUTS:
        return LAYOUTS[family]
    usual = Layout()
    paths = (usual.attn, usual.attn_proj, usual.mlp, usual.mlp_proj, usual.mlp_norm)
    has = [path for path in (usual.layers, usual.final_norm) if _leads_somewhere(model, path)]
    if usual.layers in has and len(layers := part(model, usual.layers)):
        has += [f"{usual.layers}.0.{path}" for path in paths if _leads_somewhere(layers[0], path)]
    lacks = {usual.layers, usual.final_norm, *(f"{usual.layers}.0.{path}" for path in paths)} - set(has)
    raise ModelLoadError(
        f"The architecture {family!r} is not in the layout table ({nearest(family, LAYOUTS).rstrip('?.')}). "
        f"It has {', '.join(has) or 'none of the usual parts'}; "
        f"it lacks {', '.join(sorted(lacks)) or 'none'}. "
        "Pass layout=interp.Layout(...) with the paths of its parts."
    )


def check_layout(model: PreTrainedModel, layout: Layout) -> None:
    """Raise `ModelLoadError` where a path of the layout leads nowhere in this model, or where the model
    is of a kind that the layout does not describe."""
    family, config = model.config.model_type, model.config.get_text_config()
    for key, value in layout.only.items():
        if getattr(config, key, value) != value:
            raise ModelLoadError(
                f"This {family} model has {key}={getattr(config, key)}, so its layers are built differently; "
                f"only those with {key}={value} can be looked into."
            )
    if not _leads_somewhere(model, layout.layers) or not len(part(model, layout.layers)):
        raise ModelLoadError(f"The layout does not fit this {family} model: no layers at {layout.layers!r}.")
    paths = [layout.attn, layout.attn_proj, layout.mlp]
    if not is_parallel(model, layout):
        paths.append(layout.mlp_norm)
    whole = [path for path in (layout.final_norm, layout.embed) if not _leads_somewhere(model, path)]
    layers = part(model, layout.layers)
    lack = [[path for path in paths if not _leads_somewhere(layer, path)] for layer in layers]
    others = [number for number, paths in enumerate(lack) if paths]
    if 0 < len(others) < len(layers):
        number = others[0]
        raise ModelLoadError(
            f"The layers of this {family} model are of several kinds: layer {number} has no "
            f"{lack[number][0]!r} (its parts are {_parts(layers[number])}), as where some attend and others "
            "are recurrent; only models whose layers all attend can be looked into."
        )
    for root, lacking in ((model, whole), (layers[0], lack[0])):
        if lacking:
            raise ModelLoadError(
                f"The layout does not fit this {family} model: there is no {lacking[0]!r} in its "
                f"{type(root).__name__}, whose parts are {_parts(root)}."
            )


def _parts(module: nn.Module) -> str:
    return ", ".join(name for name, _ in module.named_children())


def _leads_somewhere(root: Any, path: str) -> bool:
    try:
        return part(root, path) is not None
    except AttributeError:
        return False


def is_parallel(model: PreTrainedModel, layout: Layout) -> bool:
    """Whether attention and MLP read the same residual stream, so that there is no resid_mid."""
    if isinstance(layout.parallel, bool):
        return layout.parallel
    config = model.config.get_text_config()
    return any(bool(getattr(config, key, False)) for key in layout.parallel)


def has_one_mlp(model: PreTrainedModel, layout: Layout) -> bool:
    """Whether every layer has one MLP: a mixture of experts has many, and so no one ``mlp_act``; or there may
    be none."""
    return all(_leads_somewhere(layer, layout.mlp_proj) for layer in part(model, layout.layers))


def uses_attention_interface(model: PreTrainedModel, layout: Layout) -> bool:
    """Whether attention goes through transformers' attention interface, where q, k, v are seen."""
    attention = type(_parent(part(model, layout.layers)[0], layout.attn_proj))
    return hasattr(sys.modules[attention.__module__], "eager_attention_forward")


def _parent(root: nn.Module, path: str) -> nn.Module:
    """The module that holds the one at `path`: for the output projection, attention itself."""
    return part(root, path.rpartition(".")[0])


def residual_scale(model: PreTrainedModel) -> float:
    """What attention and MLP outputs are multiplied by before they are added (Granite; elsewhere 1)."""
    return float(getattr(model.config.get_text_config(), "residual_multiplier", None) or 1.0)


def embedding_module(model: PreTrainedModel, layout: Layout) -> nn.Module:
    """The module whose output is ``embed``."""
    return part(model, layout.embed) if layout.embed else model.get_input_embeddings()


def embedding_scale(model: PreTrainedModel) -> float:
    """What the token embedding is multiplied by on its way into the stream (Granite; elsewhere 1)."""
    return float(getattr(model.config.get_text_config(), "embedding_multiplier", None) or 1.0)


def logits_divisor(model: PreTrainedModel) -> float:
    """What the unembedding's product is divided by (Granite; elsewhere 1)."""
    return float(getattr(model.config.get_text_config(), "logits_scaling", None) or 1.0)


def architecture(model: PreTrainedModel, layout: Layout) -> Architecture:
    """The facts of a loaded model, from its configuration and the shapes of its weights."""
    config: Any = model.config.get_text_config()
    n_heads = config.num_attention_heads
    first = part(model, layout.layers)[0]
    return Architecture(
        family=model.config.model_type,
        n_layers=len(part(model, layout.layers)),
        n_heads=n_heads,
        n_kv_heads=_n_kv_heads(config, n_heads),
        d_model=config.hidden_size,
        d_head=_width_read(part(first, layout.attn_proj), config.hidden_size) // n_heads,
        d_mlp=_width_read(part(first, layout.mlp_proj), config.hidden_size)
        if has_one_mlp(model, layout)
        else None,
        d_vocab=len(_matrix(model.get_output_embeddings())),
        d_vocab_in=len(_matrix(model.get_input_embeddings())),
        n_ctx=longest(config),
        parallel_attention=is_parallel(model, layout),
        post_norms=norm_behind(layout, "attn_out") is not None,
        attention_sinks=hasattr(_parent(first, layout.attn_proj), "sinks"),
        logit_soft_cap=getattr(config, "final_logit_softcapping", None),
    )


def norm_behind(layout: Layout, site: str) -> str | None:
    """The path of the norm behind attention (`site` "attn_out") or the MLP ("mlp_out"); None where there is
    none: what is added to the residual stream then comes from where the projection is."""
    whole, projection = (
        (layout.attn, layout.attn_proj) if site == "attn_out" else (layout.mlp, layout.mlp_proj)
    )
    return None if projection.startswith(whole) else whole


def _n_kv_heads(config: Any, n_heads: int) -> int:
    if config.model_type == "falcon":
        return (
            config.num_kv_heads if config.new_decoder_architecture else 1 if config.multi_query else n_heads
        )
    return getattr(config, "num_key_value_heads", None) or n_heads


def _matrix(module: nn.Module) -> Tensor:
    found = matrix(module)
    if found is None:
        raise ModelLoadError(
            f"A {type(module).__name__} of this model holds no matrix, so its shape is not known and it "
            "cannot be looked into; give a model with the usual Linear layers."
        )
    return found


def _width_read(projection: Any, d_model: int) -> int:
    """The width of what a projection onto the residual stream reads: Linear keeps [out, in], GPT-2's Conv1D
    [in, out]. One that is packed in few bits has no such shape, and says what it reads."""
    like = matrix(projection)
    if (like is None or not like.is_floating_point()) and isinstance(
        getattr(projection, "in_features", None), int
    ):
        return projection.in_features
    shape = _matrix(projection).shape
    if tuple(shape) == (d_model, d_model):
        return d_model
    return shape[1] if shape[0] == d_model else shape[0]
