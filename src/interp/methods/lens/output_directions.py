"""In which output directions, and how often, a Jacobian is sampled.

A vector-Jacobian product gives one row of a Jacobian, in any orthonormal basis of its output, and costs a
backward pass. Rows are not equally worth it: a lens is read through the final norm and the unembedding, and
to some directions of the last stream the prediction hardly reacts.

1. The basis is that of the readout: the eigenvectors of ``G = E[g g^T]`` with ``g = d log p(token) / d h``,
   tokens drawn from the prediction p at streams h of the text. G is the Fisher metric of the readout: a small
   error e of the stream costs ``e^T G e / 2`` nats of KL, so that an error in direction i counts
   with its eigenvalue.
2. Where each direction has the same variance over prompts, the sum of their variances in nats is least if
   directions are drawn in proportion to the root of their eigenvalue (Neyman 1934). A part of the draws is
   kept for all alike, so that each direction is drawn in some prompts.
3. A prompt has a fixed number of directions, each at most once (systematic sampling, Madow 1949), from a
   start that moves by the golden ratio from prompt to prompt, so that each is drawn nearly as often as it
   should.

Which directions a prompt has does not depend on what it says: the mean of a row over the prompts that drew it
is unbiased, and rows that were drawn less often are only less certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.models.base import Model
from interp.sites import Address
from interp.tokens import Prompt

_GOLDEN = (5**0.5 - 1) / 2
_DRAWN_FOR_G = 1024  # tokens, at least as many as there are dimensions
_LOGITS_AT_ONCE = 2**25
_ALIKE = 0.25  # the share of draws that all directions have alike
_LEAST = 2.0  # how often each direction is drawn at least, on average: two samples have a variance


@dataclass(frozen=True, eq=False, kw_only=True)
class Directions:
    """An orthonormal basis of the output, and of each direction the share of prompts that have it."""

    basis: Float[Tensor, "direction d_model"]  # float32, on the CPU
    share: Float[Tensor, " direction"]  # above 0, at most 1; they add up to the directions of a prompt
    seed: int = 0

    @classmethod
    def all(cls, d_model: int) -> Directions:
        """Every coordinate, at every prompt: the plain Jacobian."""
        return cls(basis=torch.eye(d_model), share=torch.ones(d_model, dtype=torch.float64))

    def of_prompt(self, number: int) -> Int[Tensor, " direction"]:
        """The directions that the prompt of this number has."""
        if bool((self.share == 1).all()):
            return torch.arange(len(self.share))
        ends = self.share.cumsum(0)
        count = round(float(ends[-1]))
        start = (self.seed * 0.7548776662466927 + number * _GOLDEN) % 1.0
        at = (start + torch.arange(count, dtype=torch.float64)) * (float(ends[-1]) / count)
        return torch.searchsorted(ends, at).clamp(max=len(ends) - 1).unique()


def readout_directions(
    model: Model, text: Sequence[Prompt], target: Address, *, count: int, seed: int
) -> Directions:
    """`count` directions a prompt, drawn for the readout of `model`; G is measured on the first prompts.

    Raises `InputError` where `count` is out of range, or too small for so few prompts.
    """
    d = model.arch.d_model
    if not 1 <= count < d:
        raise InputError(f"A prompt has 1 to {d} directions in this model; got {count}.")
    needed = -(-int(_LEAST * d) // count)
    if len(text) < needed:
        raise InputError(
            f"{len(text)} prompts of {count} directions do not draw each of {d} directions twice; give "
            f"{needed} prompts, more directions, or all of them."
        )
    values, vectors = torch.linalg.eigh(_metric(model, text, target, seed=seed))
    order = values.argsort(descending=True)
    wanted = values[order].clamp(min=0).sqrt()
    least = max(_LEAST / len(text), _ALIKE * count / d)
    return Directions(basis=vectors.T[order].float(), share=_shares(wanted, count, least), seed=seed)


def _shares(wanted: Float[Tensor, " direction"], count: int, least: float) -> Float[Tensor, " direction"]:
    """Shares between `least` and 1 that add up to `count`, in proportion to what is wanted in between."""
    low, high = 0.0, count / max(float(wanted[wanted > 0].min()), 1e-300) if bool(wanted.any()) else 1.0
    for _ in range(200):  # the sum rises with the factor
        factor = (low + high) / 2
        if float((factor * wanted).clamp(least, 1.0).sum()) < count:
            low = factor
        else:
            high = factor
    share = (high * wanted).clamp(least, 1.0)
    return share * (count / share.sum()) if float(share.max()) * count / float(share.sum()) <= 1 else share


def _metric(
    model: Model, text: Sequence[Prompt], target: Address, *, seed: int
) -> Float[Tensor, "d_model d_model"]:
    """The Fisher metric of the readout at streams of `target`, in float64 on the CPU."""
    wanted = max(_DRAWN_FOR_G, 2 * model.arch.d_model)
    states = _states(model, text, target, wanted)
    at_once = max(1, _LOGITS_AT_ONCE // model.arch.d_vocab)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(model.arch.d_model, model.arch.d_model, dtype=torch.float64)
    drawn = 0
    while drawn < wanted:
        for some in states.split(at_once):
            h = some.detach().clone().requires_grad_()
            log_probs = model.unembed(h, differentiable=True).float().log_softmax(-1)
            tokens = torch.multinomial(log_probs.detach().exp().cpu(), 1, generator=generator)
            (log_probs.gather(-1, tokens.to(log_probs.device)).sum()).backward(inputs=[h])
            assert h.grad is not None
            gradient = h.grad.double().cpu()
            total += gradient.T @ gradient
            drawn += len(some)
    return total / drawn


def _states(
    model: Model, text: Sequence[Prompt], target: Address, wanted: int
) -> Float[Tensor, "token d_model"]:
    """Streams of the first prompts, without those of the first position, which may be far out."""
    found: list[Tensor] = []
    for prompt in text:
        cache = model.run_with_cache(prompt, [target])
        found.append(cache[target][0, 1:])
        if sum(map(len, found)) >= wanted:
            break
    return torch.cat(found)[:wanted]
