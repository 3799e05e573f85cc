"""Fitting a Jacobian lens on text.

Gurnee et al. 2026, https://transformer-circuits.pub/2026/workspace/index.html

    J_l = mean over prompts and source positions p of  sum over p' >= p of  d h_target[p'] / d h_l[p]

with positions p and p' from `skip_first` on, without the last of a prompt.

1. Each prompt is run once, as far as the target layer (`interp.models.pullback`).
2. A direction u of the target, at all positions p' at once, is taken back: the gradient at p is the sum over
   p' >= p of ``u^T d h_target[p'] / d h_l[p]``, for every layer l at once. Its mean over p is the row of this
   prompt's J_l in direction u.
3. A prompt has only some of the directions, those to which the readout reacts most often
   (`interp.methods.lens.output_directions`); each row is the mean over the prompts that had it.
4. The spread of a row over its prompts gives its standard error. That of a matrix is put together from its
   rows', as a share of the matrix's norm (Frobenius).

With ``positions="same"``, only p' = p is counted: the sum over later positions is left out. There cotangents
have a random sign at each position, and their gradients the same, so that other positions cancel on average.

Within `interp.resuming`, sums are kept twenty times on the way, to go on from after a kill.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, NonFiniteError, check_choice
from interp.methods.lens.jacobian_lens import JacobianLens
from interp.methods.lens.lens import EMBEDDING, layer_names
from interp.methods.lens.output_directions import Directions, readout_directions
from interp.methods.lens.results import ErrorCurve
from interp.models.base import Model
from interp.models.modes import outside_inference_mode
from interp.models.pullback import pullback
from interp.models.unembedding import unembed_hashes
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
    directions: int | Literal["all"] = 64,
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
        directions: how many output directions each prompt has (all, where the stream has no more); ``all`` is
            the plain algorithm, with as many backward passes as the stream has dimensions at every prompt.
        layers: source layers, all below the target by default; -1 is the embedding.
        target_layer: whose stream the matrices lead to; the last by default.
        positions: ``later`` sums over target positions from the source's own on, ``same`` takes it alone.
        skip_first: how many positions of a prompt are left out, where attention sinks lie; the last is, too.
        error: stop where the standard error of every matrix, as a share of its norm, is below this.
        described: in words, which text it is; recorded.
        seed: of the directions, and of the signs of ``same``.

    Returns:
        the lens, with its standard errors, and how they fell with the number of prompts.

    Raises:
        InputError: layers, directions or positions out of range, prompts that are too short or too few.
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
    at = Address("resid_post", target)
    drawn = (
        Directions.all(model.arch.d_model)
        if directions == "all" or directions >= model.arch.d_model
        else readout_directions(model, text, at, count=directions, seed=seed)
    )
    fit = _Fit(model, text, drawn, sources, at, positions, skip_first, seed)
    question = {
        "jacobian_lens": model.identity.to_dict(),
        **unembed_hashes(model),
        "text": hashlib.sha256(json.dumps([list(map(int, ids)) for ids in text]).encode()).hexdigest(),
        "directions": directions,
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
    for start, stop in pairwise(ends):
        part = kept({**question, "from": start, "to": stop}, partial(fit.part, start, stop))
        sums = sums.plus(part)
        done.append(stop)
        errors.append(sums.error())
        report_values({"error": float(errors[-1].max())})
        if error is not None and float(errors[-1].max()) <= error:
            break
    if not sums.complete:
        raise InputError("Some direction was never drawn; give more prompts, or more directions.")
    settings = {
        "text": described,
        "directions": directions,
        "positions": positions,
        "skip_first": skip_first,
        "length": [shortest, max(map(len, text))],
        "seed": seed,
    }
    known = bool(torch.isfinite(errors[-1]).all())
    lens = JacobianLens.of_model(
        model,
        source_layers=tuple(sources),
        jacobian=sums.jacobian(drawn.basis),
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
    directions: Directions
    sources: list[int]
    target: Address
    positions: Positions
    skip_first: int
    seed: int

    def part(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The sums over the prompts [start, stop), as `_Sums` adds them up."""
        d = self.model.arch.d_model
        sums = torch.zeros(len(self.sources), d, d)  # [layer, direction, in]
        squares = torch.zeros(len(self.sources), d, dtype=torch.float64)
        counts = torch.zeros(d, dtype=torch.float64)
        for number in range(start, stop):
            chosen = self.directions.of_prompt(number)
            rows = self._rows(number, chosen)  # [layer, direction, in]
            if not torch.isfinite(rows).all():
                raise NonFiniteError(
                    f"A gradient of prompt {number} is no number; load the model in float32."
                )
            sums[:, chosen] += rows
            squares[:, chosen] += rows.double().square().sum(-1)
            counts[chosen] += 1
            report("prompts", number + 1, len(self.text))
        return {"sums": sums.numpy(), "squares": squares.numpy(), "counts": counts.numpy()}

    def _rows(self, number: int, chosen: Tensor) -> Float[Tensor, "layer direction d_model"]:
        """Rows of one prompt's Jacobians in some directions. The last token is left out: nothing comes of
        it."""
        ids = [int(token) for token in self.text[number][:-1]]
        sites = [
            Address("resid_pre", 0) if layer == EMBEDDING else Address("resid_post", layer)
            for layer in self.sources
        ]
        run = pullback(self.model, ids, sites, self.target)
        valid = torch.arange(len(ids)) >= self.skip_first
        weights = valid.to(run.target)[None].expand(len(chosen), -1)  # [direction, pos]
        if self.positions == "same":
            generator = torch.Generator().manual_seed((self.seed << 20) + number)
            signs = torch.randint(0, 2, weights.shape, generator=generator) * 2 - 1
            weights = weights * signs.to(weights)
        basis = self.directions.basis[chosen].to(run.target)  # [direction, d_model]
        parts = []
        for some in torch.arange(len(chosen)).split(run.at_once):
            own = weights[some]  # [direction, pos]
            gradients = run(own[..., None] * basis[some, None])
            rows = [torch.einsum("kp,kpd->kd", own, one) / int(valid.sum()) for one in gradients]
            parts.append(torch.stack(rows).float().cpu())
        return torch.cat(parts, 1)


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is known so far: of each layer and direction, the sum of its rows and of their squared lengths."""

    sums: Float[Tensor, "layer direction d_model"]
    squares: Float[Tensor, "layer direction"]
    counts: Float[Tensor, " direction"]

    @classmethod
    def none(cls, n_layers: int, d_model: int) -> _Sums:
        return cls(
            torch.zeros(n_layers, d_model, d_model),
            torch.zeros(n_layers, d_model, dtype=torch.float64),
            torch.zeros(d_model, dtype=torch.float64),
        )

    def plus(self, part: dict[str, np.ndarray]) -> _Sums:
        sums, squares, counts = (torch.from_numpy(part[name]) for name in ("sums", "squares", "counts"))
        return _Sums(self.sums + sums, self.squares + squares, self.counts + counts)

    @property
    def complete(self) -> bool:
        """Whether every direction was drawn."""
        return bool((self.counts > 0).all())

    def jacobian(self, basis: Float[Tensor, "direction d_model"]) -> Float[Tensor, "layer d_model d_model"]:
        """The matrices [layer, out, in]."""
        return torch.einsum("ko,lki->loi", basis, self._means())

    def _means(self) -> Float[Tensor, "layer direction d_model"]:
        return self.sums / self.counts.clamp(min=1).float()[:, None]

    def error(self) -> Float[Tensor, " layer"]:
        """The standard error of each matrix as a share of its norm; infinite where not yet known. A direction
        of a single prompt is taken to vary as the others do on average."""
        several = self.counts > 1
        if not self.complete or not several.any():
            return torch.full((len(self.sums),), torch.inf, dtype=torch.float64)
        means = self._means().double().square().sum(-1)  # [layer, direction]
        counts = self.counts.clamp(min=2)
        variance = (self.squares - self.counts * means).clamp(min=0) / (counts - 1)  # of one prompt's row
        variance[:, ~several] = variance[:, several].mean(1, keepdim=True)
        return (variance / self.counts).sum(-1).sqrt() / means.sum(-1).sqrt()
