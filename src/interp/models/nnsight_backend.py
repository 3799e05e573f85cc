"""nnsight: the same Hugging Face modules, read and edited from inside an nnsight trace.

nnsight serves the inputs and outputs of modules, in the order in which the forward pass reaches them.
What exists only inside attention (q, k and v after norm and rotary step, and the pattern) is the input
or output of no module, so this backend leaves it to the others and says so.

nnsight instruments the modules that it wraps for good, so it gets a twin of the user's model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnsight import NNsight
from torch import Tensor

from interp.models.editing import Taps
from interp.models.hugging_face import HuggingFaceModel, in_place, merged, split, twin
from interp.models.layouts import Layout, part
from interp.sites import SITES

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class NNsightModel(HuggingFaceModel):
    """A Hugging Face causal language model, in memory, read and edited through nnsight."""

    backend = "nnsight"
    reach = frozenset(SITES) - {"q", "k", "v", "pattern"}

    def __init__(self, hf_model: PreTrainedModel, *, layout: Layout, **identity: Any) -> None:
        super().__init__(hf_model, layout=layout, **identity)
        own = twin(hf_model)
        own.set_attn_implementation("eager")  # what the other backends compute, to the last bit
        self.nnsight = NNsight(own)
        embedding = hf_model.get_input_embeddings()
        self._embedding = next(path for path, module in hf_model.named_modules() if module is embedding)

    def _run(self, ids: Tensor, taps: Taps) -> Tensor:
        logits: list[Tensor] = []  # filled inside the trace, which runs elsewhere than it is written
        with self.nnsight.trace(input_ids=ids, use_cache=False):
            self._follow(taps)
            logits.append(self.nnsight.output.logits)
        return logits[0]

    def _follow(self, taps: Taps) -> None:
        """Bring each site to `taps.visit` as the forward pass reaches it. Runs inside a trace."""
        layout = self.layout
        layers = part(self.nnsight, layout.layers)
        for site, layer in taps.keys:
            if layer is None:
                _through_output(part(self.nnsight, self._embedding), taps, site, None)
                continue
            block = layers[layer]
            match site:
                case "resid_pre":
                    _through_input(block, taps, site, layer)
                case "z":
                    projection = part(block, layout.attn_proj)
                    z = split(projection.input, self.arch.n_heads)
                    edited = taps.visit(site, layer, z)
                    if edited is not z:
                        projection.input = merged(edited)
                case "attn_out":
                    _through_output(part(block, layout.attn), taps, site, layer)
                case "resid_mid":
                    resid = part(block, layout.mlp_norm or "").input
                    in_place(resid, taps.visit(site, layer, resid))
                case "mlp_act":
                    _through_input(part(block, layout.mlp_proj), taps, site, layer)
                case "mlp_out":
                    _through_output(part(block, layout.mlp), taps, site, layer)
                case "resid_post":
                    _through_output(block, taps, site, layer)


# ---- plumbing: one tensor of a module passed through the taps ----


def _through_input(envoy: Any, taps: Taps, site: str, layer: int) -> None:
    """Pass the hidden states that a module reads through `taps`."""
    value = envoy.input
    edited = taps.visit(site, layer, value)
    if edited is not value:
        envoy.input = edited


def _through_output(envoy: Any, taps: Taps, site: str, layer: int | None) -> None:
    """Pass the hidden states that a module writes (the first of a tuple) through `taps`."""
    output = envoy.output
    value = output[0] if isinstance(output, tuple) else output
    edited = taps.visit(site, layer, value)
    if edited is not value:
        envoy.output = (edited, *output[1:]) if isinstance(output, tuple) else edited
