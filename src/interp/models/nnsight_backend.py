"""nnsight: the same Hugging Face modules, read and edited from inside an nnsight trace.

nnsight serves the inputs and outputs of modules, in the order in which the forward pass reaches them.
What exists only inside attention (q, k and v after norm and rotary step, and the pattern) is the input
or output of no module, so this backend leaves it to the others and says so.

nnsight instruments the modules that it wraps for good, so it gets a twin of the user's model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnsight import NNsight
from torch import Tensor
from transformers import PreTrainedModel

from interp.models.editing import Taps
from interp.models.evaluation import evaluating
from interp.models.hugging_face import INSIDE_ATTENTION, HuggingFaceModel, twin
from interp.models.layouts import Layout, embedding_module, part, uses_attention_interface
from interp.sites import SITES


class NNsightModel(HuggingFaceModel):
    """A Hugging Face causal language model, in memory, read and edited through nnsight."""

    backend = "nnsight"
    reach = frozenset(SITES) - INSIDE_ATTENTION

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        self.runs = own = twin(hf_model)
        if uses_attention_interface(own, layout):
            own.set_attn_implementation("eager")  # what the other backends compute, to the last bit
        self.nnsight = NNsight(own)
        embedding = embedding_module(hf_model, layout)
        self._embedding = next(path for path, module in hf_model.named_modules() if module is embedding)

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        self.check_unchanged()
        logits: list[Tensor] = []  # filled inside the trace, which runs elsewhere than it is written
        with evaluating(self.runs), self.nnsight.trace(input_ids=ids, use_cache=False):
            self._follow(taps, len(ids))
            logits.append(self.nnsight.output.logits)
        return logits[0]

    def _follow(self, taps: Taps, n_rows: int) -> None:
        """Bring each site to `taps.visit` as the forward pass reaches it. Runs inside a trace."""
        layers = part(self.nnsight, self.layout.layers)
        for site, layer in taps.keys:

            def through(x: Tensor, site: str = site, layer: int | None = layer) -> Tensor:
                return self.through(taps, site, layer, x, n_rows)

            if layer is None:
                _through_output(part(self.nnsight, self._embedding), through)
                continue
            path, side = self.place(site)
            (_through_input if side == "input" else _through_output)(part(layers[layer], path), through)


# ---- plumbing: one tensor of a module passed through a function ----


def _through_input(envoy: Any, through: Callable[[Tensor], Tensor]) -> None:
    """Pass the hidden states that a module reads through a function."""
    value = envoy.input
    new = through(value)
    if new is not value:
        envoy.input = new


def _through_output(envoy: Any, through: Callable[[Tensor], Tensor]) -> None:
    """Pass the hidden states that a module writes (the first of a tuple) through a function."""
    output = envoy.output
    value = output[0] if isinstance(output, tuple) else output
    new = through(value)
    if new is not value:
        envoy.output = (new, *output[1:]) if isinstance(output, tuple) else new
