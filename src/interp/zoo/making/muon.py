"""The optimizers: Muon for matrices, AdamW for the rest."""

from __future__ import annotations

from typing import Any

import torch

from interp.zoo.making.recipes import Recipe


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is made orthogonal by five Newton-Schulz steps.

    Keller Jordan 2024, https://kellerjordan.github.io/posts/muon/; the update is scaled to the size of Adam's
    (0.2 root mean square, Liu et al. 2025, arXiv:2502.16982). With Adam, copying from context did not begin
    within this recipe's steps; every direction of an attention matrix moving alike is what it needs.
    (torch's own Muon takes matrices one by one; here those of one shape share their products.)
    """

    def __init__(
        self,
        matrices: list[torch.Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            for shape, matrices in by_shape.items():
                updates = torch.stack([self._with_momentum(p, group["momentum"]) for p in matrices])
                size = 0.2 * max(shape) ** 0.5
                for p, update in zip(matrices, orthogonal(updates.to(self.dtype)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * size)

    def _with_momentum(self, p: torch.Tensor, momentum: float) -> torch.Tensor:
        state = self.state[p]
        buffer = state.setdefault("momentum", torch.zeros_like(p))
        assert p.grad is not None
        buffer.mul_(momentum).add_(p.grad)
        return p.grad.add(buffer, alpha=momentum)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices [n, rows, columns] with all singular values brought near 1 (five Newton-Schulz steps)."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(5):
        product = x @ x.mT
        x = 3.4445 * x + (-4.7750 * product + 2.0315 * product @ product) @ x
    return x.mT if tall else x


def build_optimizers(model: Any, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and vectors."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    matrices = [p for p in model.parameters() if p.dim() >= 2 and id(p) not in tables]
    others = [p for p in model.parameters() if p.dim() < 2 or id(p) in tables]
    return [
        Muon(
            matrices,
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            dtype=torch.bfloat16 if recipe.bfloat16 else torch.float32,
        ),
        torch.optim.AdamW(others, lr=recipe.lr_adam, betas=recipe.betas, weight_decay=0.0, fused=True),
    ]
