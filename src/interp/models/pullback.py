"""Vector-Jacobian products: what many cotangents at one site are at other sites below it.

1. One run of a prompt, as far as the site `target`; what comes after it is not computed.
2. Cotangents at the target, as many as there are, are taken back some at a time, each time in one vectorised
   backward pass through that run.
3. Only activations have gradients taken: none of a weight, and nothing below the first source.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.models.base import Model
from interp.models.editing import GradientTaps
from interp.sites import Address
from interp.tokens import Prompt

#: Rows, of a position and a cotangent each, that go back at once: enough for quick products of matrices.
_ROWS = {"cpu": 2048}
_ROWS_ELSEWHERE = 32768


@dataclass(frozen=True, eq=False, kw_only=True)
class Pullback:
    """A run of one prompt, through which cotangents at its target are taken back to its sources."""

    sources: tuple[Float[Tensor, "one pos *width"], ...]
    target: Float[Tensor, "one pos *width"]

    @property
    def at_once(self) -> int:
        """How many cotangents to give in one call: more take more memory, and no less time for each."""
        rows = _ROWS.get(self.target.device.type, _ROWS_ELSEWHERE)
        return max(1, rows // self.target.shape[1])

    def __call__(
        self, cotangents: Float[Tensor, "cotangent pos *width"]
    ) -> tuple[Float[Tensor, "cotangent pos *width"], ...]:
        """For each source, the gradient of ``sum(cotangent * target)``, for each cotangent."""
        with warnings.catch_warnings():
            # some operation has no batching rule: it is then done one by one
            warnings.filterwarnings("ignore", message=".*performance drop.*", category=UserWarning)
            found = torch.autograd.grad(
                self.target, self.sources, cotangents[:, None], retain_graph=True, is_grads_batched=True
            )
        return tuple(gradient[:, 0] for gradient in found)


def pullback(model: Model, prompt: Prompt, sources: Sequence[Address], target: Address) -> Pullback:
    """Run `prompt` as far as `target`, and keep what is needed to take cotangents back to `sources`.

    Raises `SiteError` where the model or backend has no such site, `InputError` for a prompt that cannot be
    used. A source that does not act on the target is a `RuntimeError` when it is called.
    """
    tokens = model.to_tokens(prompt).repeat(1)
    for address in (*sources, target):
        model.check_site(address.site)
    model.check_gradients()
    taps = GradientTaps([*sources, target], (), tokens.lengths)
    with model._lock, torch.enable_grad():
        model._run_to_last_site(tokens.ids.to(model.device), taps)
    taps.check_all_visited()
    return Pullback(
        sources=tuple(taps.values[address.site, address.layer] for address in sources),
        target=taps.values[target.site, target.layer],
    )
