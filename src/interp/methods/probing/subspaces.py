"""A subspace of activations, found by interchange interventions, and what an exchange within it does.

With an orthonormal basis Q [width, k], what the base has at a place and what the source has there,

    given = base + (source - base) Q Q^T

so that the base takes the source's part within the subspace and keeps its own outside of it. Q is the QR
factor of a matrix that Adam turns, so that the loss (cross-entropy of the wanted token among those that may
be answered) falls: distributed alignment search (Geiger et al. 2023, https://arxiv.org/abs/2303.02536).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.models.base import Model
from interp.models.given_runs import GivenRuns
from interp.sites import Address
from interp.tasks.variables import Interchange, VariableDataset

Basis = Float[Tensor, "width k"]

_AT_ONCE = 64  # runs, when nothing is fitted


@dataclass(frozen=True, eq=False)
class Place:
    """The prompts of a dataset, ready to be run with an exchange at one site and layer."""

    data: VariableDataset
    runs: GivenRuns
    address: Address
    own: Float[Tensor, "prompt width"]  # in float32

    @classmethod
    def each(cls, model: Model, data: VariableDataset, addresses: Sequence[Address]) -> list[Place]:
        """A place for each address."""
        runs = GivenRuns(model, [p.ids for p in data.prompts], [p.position for p in data.prompts])
        return [
            cls(data, runs, address, own.float())
            for address, own in zip(addresses, runs.own(addresses), strict=True)
        ]

    def logits(
        self, exchanges: Sequence[Interchange], basis: Basis | None, columns: Sequence[int]
    ) -> Float[Tensor, "exchange column"]:
        """The logits of some tokens after an exchange within the subspace (None: of all that is there); all
        of one group of runs."""
        base, source = (self.own[[getattr(one, side) for one in exchanges]] for side in ("base", "source"))
        change = source - base
        given = base + (change if basis is None else (change @ basis) @ basis.T)
        return self.runs([one.base for one in exchanges], self.address, given, columns)

    def right(self, exchanges: Sequence[Interchange], basis: Basis | None) -> Bool[np.ndarray, " exchange"]:
        """Whether the wanted token is the likeliest of those that may be answered."""
        columns = self.data.tokens
        found = np.zeros(len(exchanges), dtype=bool)
        with torch.no_grad():
            for indices in self.runs.together([one.base for one in exchanges]):
                for start in range(0, len(indices), _AT_ONCE):
                    some = indices[start : start + _AT_ONCE]
                    best = self.logits([exchanges[i] for i in some], basis, columns).argmax(-1).tolist()
                    found[some] = [columns[b] == exchanges[i].wanted for b, i in zip(best, some, strict=True)]
        return found


def find_basis(
    place: Place,
    exchanges: Sequence[Interchange],
    k: int,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Basis:
    """The subspace of `k` dimensions within which the exchanges are to have what they want."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    turned = torch.linalg.qr(torch.randn(place.own.shape[1], k, generator=generator)).Q.requires_grad_()
    optimiser = torch.optim.Adam([turned], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, total_iters=steps)
    together = place.runs.together([one.base for one in exchanges])
    sizes = np.array([len(indices) for indices in together])
    columns = place.data.tokens
    with torch.enable_grad():
        for _ in range(steps):
            group = together[rng.choice(len(together), p=sizes / sizes.sum())]
            some = [exchanges[i] for i in rng.permutation(group)[:batch_size]]
            basis = torch.linalg.qr(turned).Q.to(place.own.device)
            logits = place.logits(some, basis, columns).float()
            wanted = torch.tensor([columns.index(one.wanted) for one in some], device=logits.device)
            (turned.grad,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, wanted), turned)
            optimiser.step()
            schedule.step()
    return torch.linalg.qr(turned.detach()).Q.to(place.own.device)


def random_basis(width: int, k: int, seed: int) -> Basis:
    """A subspace of no meaning."""
    return torch.linalg.qr(torch.randn(width, k, generator=torch.Generator().manual_seed(seed))).Q


def principal_basis(own: Float[Tensor, "prompt width"], k: int) -> Basis:
    """The first principal components of what the prompts have there; fewer than `k` where there are fewer."""
    centred = (own - own.mean(0)).double()
    return torch.linalg.svd(centred, full_matrices=False).Vh[:k].T.to(own)
