"""How alike the activations of two models are on a text: linear CKA, cosine, distance.

*Linear CKA* (Kornblith et al. 2019, https://arxiv.org/abs/1905.00414) compares how two spaces arrange the
same tokens: 1 where the one is a rotated, scaled or shifted form of the other. It is estimated without the
bias that makes anything alike where tokens are few for the width (unbiased HSIC, Song et al. 2012; in CKA,
Nguyen et al. 2020, https://arxiv.org/abs/2010.15327), so that a value may lie a little below 0. *Cosine* and
*distance* (the length of the difference over that of the first model's stream) compare the vectors as they
stand.

When it misleads:

- CKA is blind to rotations and scales of the stream, to which heads and neurons do what, and to directions of
  little variance, on which a behaviour may rest; a few directions of large variance can make all of it
  (Davari et al. 2023, https://arxiv.org/abs/2210.16156). High CKA does not make parts exchangeable.
- Untrained models have a high CKA with trained ones in the first layers, as both arrange the tokens by their
  identity: only what lies above that of an untrained model of the same shape says something.
- Cosine and distance depend on the axes: two trainings from different seeds have a cosine of about 0
  whatever they learned. In every measure some directions of huge activations may count more than all others.

The first position of each sequence is left out: its stream, often huge, is the same in all. Intervals are
over sequences: of CKA by the jackknife, of means as elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.methods.common.intervals import ratio_interval, within
from interp.methods.common.student_t import quantile
from interp.methods.comparison.results import Alikeness
from interp.results import Interval

Streams = Sequence[Float[Tensor, "layer pos d_model"]]  # of each sequence, without its first position


def alikeness(first: Streams, second: Streams, seed: int) -> Alikeness:
    """The measures of each layer of two models, of the same sequences."""
    cosines, distances, norms, counts = [], [], [], []
    for x, y in zip(first, second, strict=True):
        cosines.append(torch.cosine_similarity(x.double(), y.double(), dim=-1).sum(-1).numpy())
        distances.append((x.double() - y.double()).norm(dim=-1).sum(-1).numpy())
        norms.append(x.double().norm(dim=-1).sum(-1).numpy())
        counts.append(float(x.shape[1]))
    return Alikeness(
        cka=_cka_by_layer(first, second),
        cosine=within(ratio_interval(np.stack(cosines), np.array(counts), seed), -1, 1),
        distance=within(ratio_interval(np.stack(distances), np.stack(norms), seed), 0),
    )


def _cka_by_layer(first: Streams, second: Streams) -> Interval:
    lengths = [x.shape[1] for x in first]
    each = []
    for layer in range(first[0].shape[0]):
        x, y = (torch.cat([one[layer] for one in streams]) for streams in (first, second))
        each.append(linear_cka(x, y, lengths))
    value, error = np.array(each).T
    reach = error * (quantile(0.95, len(lengths) - 1) if len(lengths) > 1 else np.nan)
    found = Interval(value=value, low=value - reach, high=value + reach, error=error, clusters=len(lengths))
    return within(found, -1, 1)


def linear_cka(
    x: Float[Tensor, "token width"], y: Float[Tensor, "token other_width"], lengths: Sequence[int]
) -> tuple[float, float]:
    """Unbiased linear CKA of two lists of activations of the same tokens, and its standard error: the
    jackknife over sequences, which have these `lengths` one after the other (NaN for a single one).

    `InputError` for fewer than four tokens, or where the activations of all tokens are alike."""
    if len(x) < 4:
        raise InputError(f"CKA needs four tokens at least; there are {len(x)}.")
    x, y = (values.double() - values.double().mean(0) for values in (x, y))
    value = _cka(x, y, (x.T @ y, x.T @ x, y.T @ y))
    if len(lengths) < 2:
        return value, float("nan")
    without = []
    start = 0
    totals = x.T @ y, x.T @ x, y.T @ y
    for length in lengths:
        out = slice(start, start := start + length)
        a, b = x[out], y[out]
        left = [total - part for total, part in zip(totals, (a.T @ b, a.T @ a, b.T @ b), strict=True)]
        kept = [torch.cat([values[: out.start], values[out.stop :]]) for values in (x, y)]
        without.append(_cka(kept[0], kept[1], (left[0], left[1], left[2])))
    n = len(lengths)
    spread = np.array(without) - np.mean(without)
    return value, float(np.sqrt((n - 1) / n * (spread**2).sum()))


def _cka(x: Tensor, y: Tensor, products: tuple[Tensor, Tensor, Tensor]) -> float:
    """Of activations and the products x'y, x'x and y'y."""
    cross, own, others = _hsic(x, y, products[0]), _hsic(x, x, products[1]), _hsic(y, y, products[2])
    if not (own > 0 and others > 0):
        raise InputError("The activations of all tokens are alike, so that there is no CKA; give more text.")
    return float(cross / (own.sqrt() * others.sqrt()))


def _hsic(x: Tensor, y: Tensor, product: Float[Tensor, "width other_width"]) -> Tensor:
    """The unbiased estimate of HSIC with linear kernels K = xx' and L = yy', their diagonals left out:

    [tr KL + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2)] / (n(n-3))
    """
    n = len(x)
    k, l_ = (x * x).sum(1), (y * y).sum(1)  # the diagonals
    rows, columns = x @ x.sum(0) - k, y @ y.sum(0) - l_  # K1 and L1
    trace = (product**2).sum() - (k * l_).sum()
    total = trace + rows.sum() * columns.sum() / ((n - 1) * (n - 2)) - 2 * (rows * columns).sum() / (n - 2)
    return total / (n * (n - 3))
