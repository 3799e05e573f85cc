"""Patchscope: what would the model's own remaining layers make of a state, away from its prompt?

Ghandeharioun et al. 2024, https://arxiv.org/abs/2401.06102

Nothing is fitted. The state after a layer is put in the place of the last position's, after the same layer
of another, neutral prompt (the *context*), and the layers above run on from there: what is read is what the
model says next. The default context is the paper's for token identity, which asks the model to repeat what it
is given. All states of a reading are branches of one run of the context (`interp.models.branching`), each of
which pays for its own position and layers alone.

When it misleads: the state is read at a position and behind words that it was not made for, so the context
is part of the answer, and its name stands in the result; a model that cannot do what the context asks of it
(a small one, or one of another language) says something else. A state of the last layer is the model's own
prediction, whatever the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError
from interp.methods.lens.lens import EMBEDDING, Lens
from interp.models.base import Model
from interp.models.precise import precise_unembed
from interp.readout import Readout
from interp.tokens import Prompt

#: The paper's context for token identity; what stands in the place of the last token is to be repeated.
TOKEN_IDENTITY = "cat -> cat; 1135 -> 1135; hello -> hello; ?"
_AT_ONCE = 2**24  # logits that are held together


@dataclass(frozen=True, eq=False, kw_only=True)
class Patchscope(Lens):
    """The model's own layers, as a lens: `context` is the prompt at whose last position a state is put."""

    name = "patchscope"
    context: Prompt = TOKEN_IDENTITY

    @property
    def description(self) -> str:
        return f"the model's own layers above, behind the context {self.context!r}, with nothing fitted"

    def check_fits(self, model: Model) -> None:
        """Raise `InputError` where the context is no prompt for this model."""
        model.to_tokens(self.context).repeat(1)

    def translate(self, resid: Float[Tensor, "*any d_model"], layer: int) -> Float[Tensor, "*any d_model"]:
        raise InputError("A patchscope has no map of a stream; ask it for logits.")

    def logits(
        self, model: Model, resid: Float[Tensor, "*any d_model"], layer: int
    ) -> Float[Tensor, "*any d_vocab"]:
        return self.logits_of_layers(model, resid[None], [layer])[0]

    def logits_of_layers(
        self, model: Model, resid: Float[Tensor, "layer *any d_model"], layers: Sequence[int]
    ) -> Float[Tensor, "layer *any d_vocab"]:
        last = model.arch.n_layers - 1
        branches = [
            [_put(state, layer)]
            for states, layer in zip(resid, layers, strict=True)
            if layer != last
            for state in states.reshape(-1, resid.shape[-1])
        ]
        step = max(1, _AT_ONCE // model.arch.d_vocab)
        parts = [
            model.sweep(self.context, branches[start : start + step], Readout.logits(-1)).values[:, 0]
            for start in range(0, len(branches), step)
        ]
        swept = iter(torch.cat(parts).float().split(resid[0].numel() // resid.shape[-1]) if parts else ())
        shape = (*resid.shape[1:-1], model.arch.d_vocab)
        rows = [
            precise_unembed(model, states).cpu().float() if layer == last else next(swept).reshape(shape)
            for states, layer in zip(resid, layers, strict=True)
        ]
        return torch.stack(rows)


def _put(state: Float[Tensor, " d_model"], layer: int) -> Edit:
    """A state in the place of the last position's after a layer."""
    if layer == EMBEDDING:
        return Edit.set("resid_pre", 0, value=state, positions=-1)
    return Edit.set("resid_post", layer, value=state, positions=-1)
