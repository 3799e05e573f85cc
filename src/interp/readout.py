"""What is kept of a run at its end: a logit difference, log-probabilities, a divergence, or logits.

A readout says which positions and which columns of the logits it looks at, so that a sweep computes no
others. The same readout measures a plain run, a batch, and the branches of a sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import index

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.metrics import MetricKind


@dataclass(frozen=True, eq=False)
class Readout:
    """A function of some logits of each run.

    `of` maps logits [row, position, column], those at `positions` and `columns` alone, to values [row, ...],
    by operations that torch can differentiate. Positions may be negative; None as columns means the whole
    vocabulary, which is needed for probabilities. The constructors below make the usual ones, in float64.
    """

    of: Callable[[Float[Tensor, "row position column"]], Tensor]
    positions: tuple[int, ...] = (-1,)
    columns: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.positions:
            raise InputError("A readout looks at one position at least; give some, or leave them out.")

    def __call__(self, logits: Float[Tensor, "row pos d_vocab"]) -> Tensor:
        """The values [row, ...] of runs whose logits are all there; the rows are prompts of one length."""
        chosen = logits[:, list(self.positions)]
        return self.of(chosen if self.columns is None else chosen[..., list(self.columns)])

    @classmethod
    def logits(cls, positions: int | Sequence[int] = -1) -> Readout:
        """All logits at some positions, [row, position, d_vocab], in the model's own precision."""
        return cls(lambda logits: logits, _several(positions))

    @classmethod
    def logit_diff(cls, answer: int, foil: int, *, position: int = -1) -> Readout:
        """logit(answer) - logit(foil), [row]."""
        return cls(lambda x: widened(x)[:, 0, 0] - widened(x)[:, 0, 1], (position,), (answer, foil))

    @classmethod
    def prob(cls, answer: int, *, position: int = -1) -> Readout:
        """The probability of a token, [row]."""
        return cls(lambda x: widened(x)[:, 0].softmax(-1)[:, answer], (position,))

    @classmethod
    def log_prob(cls, answers: int | Sequence[int], positions: int | Sequence[int] = -1) -> Readout:
        """Log-probabilities in nats of one token at each position, [row, position]; their negative mean is
        the loss of a text whose next tokens these are."""
        places, ids = _several(positions), torch.tensor(_several(answers))
        if len(places) != len(ids):
            raise InputError(
                f"There are {len(ids)} answers for {len(places)} positions; give one for each position."
            )

        def of(logits: Tensor) -> Tensor:
            wanted = ids.to(logits.device)[None, :, None].expand(len(logits), -1, 1)
            return widened(logits).log_softmax(-1).gather(-1, wanted)[..., 0]

        return cls(of, places)

    @classmethod
    def kl(cls, reference: Float[Tensor, "position d_vocab"], positions: int | Sequence[int] = -1) -> Readout:
        """KL(reference || run) in nats at each position, summed over them, [row]; 0 where they agree.

        `reference` are the logits of another run at these positions: the clean run's, or the base run's own.
        """
        places = _several(positions)
        if reference.ndim != 2 or len(reference) != len(places):
            raise InputError(
                f"The reference has shape {list(reference.shape)}; it must be logits [position, d_vocab] at "
                f"{len(places)} positions."
            )
        return cls(lambda x: kl_divergence(widened(reference).to(x.device), widened(x)).sum(-1), places)


def kl_divergence(
    p_logits: Float[Tensor, "*p d_vocab"], q_logits: Float[Tensor, "*q d_vocab"]
) -> Float[Tensor, "*out"]:
    """KL(p || q) in nats of two predictions given as logits; never below 0 by rounding."""
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return torch.sum(p.exp() * (p - q), -1).clamp(min=0)


def widened(x: Tensor) -> Tensor:
    """In float64; in float32 on Apple's MPS, which has no float64."""
    return x.float() if x.device.type == "mps" else x.double()


def _several(given: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(map(index, given)) if isinstance(given, Iterable) else (index(given),)


def metric_readout(
    kind: MetricKind, *, answer: int, foil: int | None, clean_logits: Float[Tensor, "row pos d_vocab"]
) -> Readout:
    """The readout [row] of a metric at the last position: ``logit_diff`` is logit(answer) - logit(foil),
    ``prob`` the answer's probability, ``kl`` the divergence KL(clean || run) in nats from the prediction of
    the clean run, of which these are the logits."""
    if kind == "logit_diff":
        assert foil is not None
        return Readout.logit_diff(answer, foil)
    if kind == "prob":
        return Readout.prob(answer)
    return Readout.kl(clean_logits[0, -1:])
