"""Fitting a Jacobian lens on text.

Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html

    J_l = mean over prompts and source positions p of  sum over p' >= p of  d h_target[p'] / d h_l[p]

with positions p and p' from `skip_first` on, without the last of a prompt.

1. Each prompt is run once, as far as the target layer (`interp.models.pullback`).
2. A coordinate u of the target, at all positions p' at once, is taken back: the gradient at p is the sum over
   p' >= p of ``u^T d h_target[p'] / d h_l[p]``, for every layer l at once. Its mean over p is a row of this
   prompt's J_l. All rows share the run, and go back many at a time.
3. A prompt has all of its rows or none. A few rows at each of more prompts are as far from the mean, for the
   same number of backward passes, but read worse: what one prompt's Jacobian has of its own, such as its
   size, is then no longer the same in every row.
4. The spread over prompts gives the standard error of each matrix, as a share of its norm (Frobenius).

With ``positions="same"``, only p' = p is counted: the sum over later positions is left out. There cotangents
have a random sign at each position, and their gradients the same, so that other positions cancel on average.

A model in bfloat16 does for fitting: its rounding is far below the standard error of any few prompts, and
where the processor has it, it is quicker. The lens is then for the model in float32 too.

Within `interp.resuming`, sums are kept twenty times on the way, to go on from after a kill. These twenty
parts are also what several workers share (`interp.workers`), which gives the same lens to the last bit; but
not where the fit stops at an `error`, which is known only when the parts before it are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, NonFiniteError, check_choice
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import EMBEDDING, layer_names
from interp.methods.lens.results import ErrorCurve
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.models.pullback import pullback
from interp.models.unembedding import unembed_hashes
from interp.parts import Arrays, Work, parts_in_turn
from interp.progress import report, report_values
from interp.resume import kept
from interp.sites import Address

Positions = Literal["later", "same"]
_PARTS = 20  # how often sums are kept, and the error is looked at


@outside_inference_mode
def fit_jacobian_lens(
    model: Model,
    text: Sequence[Sequence[int]],
    *,
    layers: Sequence[int] | None = None,
    target_layer: int | None = None,
    positions: Positions = "later",
    skip_first: int = 16,
    error: float | None = None,
    described: str = "the given text",
    seed: int = 0,
) -> tuple[JacobianLens, ErrorCurve]:
    """Fit a Jacobian lens on `text`, prompts of token ids.

    Args:
        layers: source layers, all below the target by default; -1 is the embedding.
        target_layer: whose stream the matrices lead to; the last by default.
        positions: ``later`` sums over target positions from the source's own on, ``same`` takes it alone.
        skip_first: how many positions of a prompt are left out, where attention sinks lie; the last is, too.
        error: stop where the standard error of every matrix, as a share of its norm, is below this.
        described: in words, which text it is; recorded.
        seed: of the signs of ``same``; ``later`` draws nothing.

    Returns:
        the lens, with its standard errors, and how they fell with the number of prompts.

    Raises:
        InputError: layers or positions out of range, no prompt, or one that is too short.
        NonFiniteError: a gradient that is no number.
    """
    check_choice("positions", positions, get_args(Positions))
    target, sources = _layers(model, layers, target_layer)
    shortest = min(map(len, text), default=0)
    if skip_first < 0 or shortest < skip_first + 2:
        raise InputError(
            f"The shortest prompt has {shortest} tokens, but {skip_first} are skipped and the last is, too; "
            "give longer prompts, or a smaller skip_first."
        )
    fit = _Fit(model, text, sources, Address("resid_post", target), positions, skip_first, seed)
    question = {
        "jacobian_lens": model.identity.to_dict(),
        **unembed_hashes(model),
        "text": hashlib.sha256(json.dumps([list(map(int, ids)) for ids in text]).encode()).hexdigest(),
        "layers": sources,
        "target": target,
        "positions": positions,
        "skip_first": skip_first,
        "seed": seed,
    }
    sums = _Sums.none(len(sources), model.arch.d_model)
    done: list[int] = []
    errors: list[Float[Tensor, " layer"]] = []
    ends = np.unique(np.linspace(0, len(text), _PARTS + 1).astype(int)).tolist()

    def part(index: int) -> Arrays:
        start, stop = ends[index : index + 2]
        return kept({**question, "from": start, "to": stop}, partial(fit.part, start, stop))

    def describe(index: int) -> str:
        return f"prompts {ends[index]} to {ends[index + 1] - 1}"

    work = Work(task="parts of the text", total=len(ends) - 1, compute=part, describe=describe)
    for stop, part_sums in zip(ends[1:], parts_in_turn(work, stops_early=error is not None), strict=False):
        sums = sums.plus(part_sums)
        done.append(stop)
        errors.append(sums.error())
        report_values({"error": float(errors[-1].max())})
        if error is not None and float(errors[-1].max()) <= error:
            break
    settings = {
        "text": described,
        "positions": positions,
        "skip_first": skip_first,
        "length": [shortest, max(map(len, text))],
        "dtype": model.identity.dtype,
        "seed": seed,
    }
    known = bool(torch.isfinite(errors[-1]).all())
    lens = JacobianLens.of_model(
        model,
        source_layers=tuple(sources),
        jacobian=sums.sums / sums.count,
        target_layer=target,
        n_prompts=done[-1],
        error=errors[-1].float() if known else None,
        settings=settings,
    )
    return lens, _curve(sources, done, errors)


def _curve(
    sources: Sequence[int], done: Sequence[int], errors: Sequence[Float[Tensor, " layer"]]
) -> ErrorCurve:
    error = torch.stack(list(errors)).numpy()
    return ErrorCurve(
        layers=layer_names(sources),
        prompts=tuple(done),
        error=np.where(np.isfinite(error), error, np.nan),
    )


def _layers(model: Model, layers: Sequence[int] | None, target_layer: int | None) -> tuple[int, list[int]]:
    """The target and the sources; `InputError` where they are out of range."""
    last = model.arch.n_layers - 1
    target = last if target_layer is None else target_layer
    sources = list(range(EMBEDDING, target)) if layers is None else sorted(set(layers))
    if not 0 <= target <= last or not sources or sources[0] < EMBEDDING or sources[-1] >= target:
        raise InputError(
            f"The source layers {sources} of target {target} are out of range; this model has layers 0 to "
            f"{last}, and sources, -1 being the embedding, lie below the target."
        )
    return target, sources


@dataclass(frozen=True, eq=False)
class _Fit:
    """What the prompts are asked."""

    model: Model
    text: Sequence[Sequence[int]]
    sources: list[int]
    target: Address
    positions: Positions
    skip_first: int
    seed: int

    def part(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The sums over the prompts [start, stop), as `_Sums` adds them up."""
        d = self.model.arch.d_model
        sums = torch.zeros(len(self.sources), d, d)
        squares = torch.zeros(len(self.sources), dtype=torch.float64)
        for number in range(start, stop):
            own = self._jacobian(number)  # [layer, out, in]
            if not torch.isfinite(own).all():
                raise NonFiniteError(
                    f"A gradient of prompt {number} is no number; load the model in float32."
                )
            sums += own
            squares += own.double().square().sum((1, 2))
            report("prompts", number + 1, len(self.text))
        return {"sums": sums.numpy(), "squares": squares.numpy(), "count": np.array(stop - start)}

    def _jacobian(self, number: int) -> Float[Tensor, "layer d_model d_model"]:
        """One prompt's Jacobians. Its last token is left out, as nothing comes of it."""
        ids = [int(token) for token in self.text[number][:-1]]
        sites = [
            Address("resid_pre", 0) if layer == EMBEDDING else Address("resid_post", layer)
            for layer in self.sources
        ]
        run = pullback(self.model, ids, sites, self.target)
        valid = (torch.arange(len(ids)) >= self.skip_first).to(run.target)  # [pos]
        generator = torch.Generator().manual_seed((self.seed << 20) + number)
        parts = []
        for rows in torch.eye(self.model.arch.d_model).to(run.target).split(run.at_once):
            weights = valid.expand(len(rows), -1)  # [row, pos]
            if self.positions == "same":
                signs = torch.randint(0, 2, weights.shape, generator=generator) * 2 - 1
                weights = weights * signs.to(weights)
            gradients = run(weights[..., None] * rows[:, None])
            means = [torch.einsum("rp,rpd->rd", weights, one) / valid.sum() for one in gradients]
            parts.append(torch.stack(means).float().cpu())  # [layer, row, in]
        return torch.cat(parts, 1)


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is known so far: of each layer, the sum over prompts of its matrix, and of its squared norm."""

    sums: Float[Tensor, "layer d_model d_model"]
    squares: Float[Tensor, " layer"]
    count: int

    @classmethod
    def none(cls, n_layers: int, d_model: int) -> _Sums:
        return cls(torch.zeros(n_layers, d_model, d_model), torch.zeros(n_layers, dtype=torch.float64), 0)

    def plus(self, part: dict[str, np.ndarray]) -> _Sums:
        return _Sums(
            self.sums + torch.from_numpy(part["sums"]),
            self.squares + torch.from_numpy(part["squares"]),
            self.count + int(part["count"]),
        )

    def error(self) -> Float[Tensor, " layer"]:
        """The standard error of each matrix as a share of its norm; infinite of a single prompt."""
        if self.count < 2:
            return torch.full_like(self.squares, torch.inf)
        norm = (self.sums / self.count).double().square().sum((1, 2))  # squared, of the mean
        variance = (self.squares / self.count - norm).clamp(min=0) * self.count / (self.count - 1)
        return (variance / self.count / norm).sqrt()
