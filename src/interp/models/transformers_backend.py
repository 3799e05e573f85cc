"""Plain Hugging Face modules with hooks: the default backend, and the reference for the others.

1. Residual stream, attention and MLP outputs, z and mlp_act are inputs or outputs of modules that the
   layout names; ordinary hooks reach them.
2. q, k, v and pattern exist only inside attention. transformers lets one register an attention
   function; ours (`_attention`) sees q, k, v after norm and rotary step, together with the mask, for
   every architecture alike. The pattern is computed by the architecture's own eager function, so that
   soft caps, sinks and scalings are its own. The few architectures that do not attend through that
   interface (GPT-Neo, GPT-J, BLOOM, Falcon) have all other sites.
3. Hooks and the registered function are borrowed for one forward pass, and always given back. They
   act in the thread that borrowed them alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interp.models.editing import Taps
from interp.models.hugging_face import INSIDE_ATTENTION, HuggingFaceModel
from interp.models.layouts import Layout, part, uses_attention_interface
from interp.sites import SITES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ATTENTION = "interp"
#: Whose attention was replaced by ours, by the id of the configuration: what it was, and will be again.
_BORROWED_FROM: dict[int, str] = {}
_taps: ContextVar[Taps | None] = ContextVar("taps", default=None)


class TransformersModel(HuggingFaceModel):
    """A Hugging Face causal language model, in memory, read and edited through hooks."""

    backend = "transformers"

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        if not uses_attention_interface(hf_model, layout):
            self.reach = frozenset(SITES) - INSIDE_ATTENTION

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        with ExitStack() as borrowed:
            borrowed.callback(_taps.reset, _taps.set(taps))
            if self.reach >= INSIDE_ATTENTION:
                borrowed.enter_context(_own_attention(self.hf_model))
            for site, layer in taps.keys:
                if site not in INSIDE_ATTENTION:
                    borrowed.callback(self._hook(site, layer, taps, len(ids)).remove)
            return self.hf_model(input_ids=ids, use_cache=False).logits

    def _hook(self, site: str, layer: int | None, taps: Taps, n_rows: int) -> Any:
        """A hook on the module whose input or output is `site`."""

        def through(x: Tensor) -> Tensor:
            if _taps.get() is not taps:  # another thread, which runs the same modules for itself
                return x
            return self.through(taps, site, layer, x, n_rows)

        if layer is None:
            return on_output(self.hf_model.get_input_embeddings(), through)
        path, side = self.place(site)
        module = part(self.layers[layer], path)
        return on_input(module, through) if side == "input" else on_output(module, through)


# ---- plumbing: hooks that pass one tensor through a function ----


def on_input(module: nn.Module, through: Callable[[Tensor], Tensor]) -> Any:
    """Pass the hidden states that `module` reads through a function."""

    def hook(_: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        if args:
            return (through(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": through(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def on_output(module: nn.Module, through: Callable[[Tensor], Tensor]) -> Any:
    """Pass the hidden states that `module` writes (the first of a tuple) through a function."""

    def hook(_: nn.Module, args: tuple, output: Any) -> Any:
        return (through(output[0]), *output[1:]) if isinstance(output, tuple) else through(output)

    return module.register_forward_hook(hook)


# ---- attention: the one place where q, k, v and pattern are seen ----


@contextmanager
def _own_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` attend through `_attention` for as long as the context lasts."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    _BORROWED_FROM[id(config)] = before
    config._attn_implementation = _ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Eager attention that lets the current taps see q, k, v and pattern.

    query [batch, head, pos, d_head], key and value [batch, kv_head, pos, d_head]; returns the heads'
    outputs [batch, pos, head, d_head] and the pattern [batch, head, query, key].
    """
    taps, layer = _taps.get(), module.layer_idx
    eager = sys.modules[type(module).__module__].eager_attention_forward
    if taps is None:  # a pass in another thread; its mask is for the attention that it found when it began
        own = ALL_ATTENTION_FUNCTIONS.get_interface(_BORROWED_FROM[id(module.config)], eager)
        return own(module, query, key, value, attention_mask, **kwargs)
    query, key, value = (
        taps.visit(site, layer, x.transpose(1, 2)).transpose(1, 2)
        for site, x in (("q", query), ("k", key), ("v", value))
    )
    z, own_pattern = eager(module, query, key, value, attention_mask, **kwargs)
    pattern = taps.visit("pattern", layer, own_pattern)
    if pattern is not own_pattern:
        groups = query.shape[1] // value.shape[1]
        z = (pattern @ value.repeat_interleave(groups, dim=1)).transpose(1, 2)
    return z, pattern


AttentionInterface.register(_ATTENTION, _attention)
AttentionMaskInterface.register(_ATTENTION, eager_mask)
