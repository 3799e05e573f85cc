"""Hugging Face modules with hooks: where every site is seen in a forward pass of ours.

1. Residual stream, attention and MLP outputs, z and mlp_act are inputs or outputs of modules that the
   layout names; ordinary hooks reach them.
2. q, k, v and pattern exist only inside attention. transformers lets one register an attention
   function; ours (`Pass.attend`) sees q, k, v after norm and rotary step, together with the mask, for
   every architecture alike. The pattern is computed by the architecture's own eager function, so that
   soft caps, sinks and scalings are its own. The few architectures that do not attend through that
   interface (GPT-Neo, GPT-J, BLOOM, Falcon) have all other sites.
3. Hooks and the registered function are borrowed for one forward pass, and always given back. They
   act in the thread that borrowed them alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interp.models.devices import free_bytes
from interp.models.editing import Key, Taps
from interp.models.evaluation import evaluating
from interp.models.hugging_face import INSIDE_ATTENTION, HuggingFaceModel
from interp.models.layouts import Layout, embedding_module, part, uses_attention_interface
from interp.models.memory import SHARE_OF_FREE
from interp.models.shards import Shards, least_of_all
from interp.sites import SITES

_ATTENTION = "interp"
#: Whose attention was replaced by ours, by the id of the configuration: what it was, and will be again.
_BORROWED_FROM: dict[int, str] = {}
#: The pass of ours that this thread is in.
_current: ContextVar[Pass | None] = ContextVar("current", default=None)


class Pass:
    """One forward pass of ours: what it reads and edits, at modules and inside attention."""

    #: How sites are cut over processes, and those that are wanted; of a model that is whole, None.
    shards: Shards | None = None
    wanted: frozenset[Key] = frozenset()

    def __init__(self, taps: Taps) -> None:
        self.visit = taps.visit

    def attend(
        self, module: Any, eager: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Eager attention, with q, k, v and pattern brought to `visit`.

        q [batch, head, pos, d_head], k and v [batch, kv_head, pos, d_head]; returns the heads' outputs
        [batch, pos, head, d_head] and the pattern [batch, head, query, key].
        """
        layer = module.layer_idx
        q, k, v = self.visit_qkv(layer, q, k, v)
        z, own_pattern = eager(module, q, k, v, mask, **kwargs)
        pattern = self.bring("pattern", layer, own_pattern, heads=1)
        if pattern is not own_pattern:
            z = mix(pattern, v)
        return z, pattern

    def visit_qkv(self, layer: int, *qkv: Tensor) -> Iterator[Tensor]:
        """Queries, keys and values [batch, head, pos, d_head], each brought to `visit` with heads last."""
        for site, x in zip(("q", "k", "v"), qkv, strict=True):
            yield self.bring(site, layer, x.transpose(1, 2), heads=2).transpose(1, 2)

    def bring(self, site: str, layer: int, own: Tensor, *, heads: int) -> Tensor:
        """A site inside attention brought to `visit`, with all heads, along the dimension `heads`, also where
        this process has some of them."""
        if self.shards is None or (site, layer) not in self.wanted:
            return self.visit(site, layer, own)
        return self.shards.around(site, own, heads, lambda whole: self.visit(site, layer, whole))


class AllVisited(Exception):
    """Thrown out of a pass of which all that is wanted has been seen."""


class PartialPass(Pass):
    """A pass that ends with the last site that `taps` want: what comes after is not computed."""

    def __init__(self, taps: Taps) -> None:
        self.taps = taps

    def visit(self, site: str, layer: int | None, value: Tensor) -> Tensor:
        value = self.taps.visit(site, layer, value)
        if self.taps.all_visited:
            raise AllVisited
        return value


def mix(pattern: Tensor, v: Tensor) -> Tensor:
    """What the heads write, [batch, pos, head, d_head], given patterns and values (of fewer heads)."""
    groups = pattern.shape[1] // v.shape[1]
    return (pattern @ v.repeat_interleave(groups, dim=1)).transpose(1, 2)


class HookedModel(HuggingFaceModel):
    """A Hugging Face causal language model, in memory, read and edited through hooks."""

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        #: Whether q, k, v and pattern are seen here, and so whether branches can be computed.
        self.sees_attention = uses_attention_interface(hf_model, layout)
        #: How it is cut over processes; None: it is whole in this one.
        self.shards = Shards.of(hf_model, self.arch)
        if self.shards is not None:  # how a sweep is cut must be the same in every process
            self.memory = int(least_of_all(SHARE_OF_FREE * free_bytes(self.device)))
            where = f"{self.device.type}, in {self.shards.n} processes"
            self.identity = replace(self.identity, device=where)
        if not self.sees_attention:
            self.reach = frozenset(SITES) - INSIDE_ATTENTION

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        with self.borrowed(Pass(taps), taps.keys, len(ids)):
            return self.hf_model(input_ids=ids, use_cache=False).logits

    def _run_to_last_site(self, ids: Tensor, taps: Taps, past: Any | None = None) -> None:
        kept = {} if past is None else {"past_key_values": past.cache}
        with suppress(AllVisited), self.borrowed(PartialPass(taps), taps.keys, len(ids)):
            self.hf_model(input_ids=ids, use_cache=past is not None, **kept)

    @contextmanager
    def borrowed(self, this: Pass, keys: Iterable[Key], n_rows: int) -> Iterator[None]:
        """For as long as the context lasts, what this thread runs brings the sites `keys` to `this`, in
        evaluation mode."""
        this.shards, this.wanted = self.shards, frozenset(keys)
        with evaluating(self.hf_model), ExitStack() as borrowed:
            borrowed.callback(_current.reset, _current.set(this))
            if self.sees_attention:
                borrowed.enter_context(_own_attention(self.hf_model))
            for site, layer in this.wanted:
                if site not in INSIDE_ATTENTION:
                    borrowed.callback(self._hook(site, layer, this, n_rows).remove)
            yield

    def _hook(self, site: str, layer: int | None, this: Pass, n_rows: int) -> Any:
        """A hook on the module whose input or output is `site`."""

        def through(x: Tensor) -> Tensor:
            if _current.get() is not this:  # another thread, which runs the same modules for itself
                return x
            if self.shards is None:
                return self.through(this, site, layer, x, n_rows)
            return self.shards.around(
                site, x, -1, lambda whole: self.through(this, site, layer, whole, n_rows)
            )

        if layer is None:
            return on_output(embedding_module(self.hf_model, self.layout), through)
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
) -> tuple[Tensor, Tensor | None]:
    """The attention that transformers calls meanwhile: that of this thread's pass."""
    this = _current.get()
    eager = sys.modules[type(module).__module__].eager_attention_forward
    if this is not None:
        return this.attend(module, eager, query, key, value, attention_mask, **kwargs)
    # a pass in another thread; its mask is for the attention that it found when it began
    own = ALL_ATTENTION_FUNCTIONS.get_interface(_BORROWED_FROM[id(module.config)], eager)
    return own(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(_ATTENTION, _attention)
AttentionMaskInterface.register(_ATTENTION, eager_mask)
