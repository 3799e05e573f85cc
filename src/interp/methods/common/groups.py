"""Means of groups of prompts and the difference of two, with intervals over what prompts share.

A difference of means is a sum over prompts, each of which adds ``(value - mean of its group) / n of its
group`` with the group's sign, so that the intervals of `interp.methods.common.intervals` hold for it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from interp.methods.common.intervals import Clusters, mean_interval, ratio_interval
from interp.results import Interval


def means_by_group(
    each: Float[np.ndarray, " prompt *cell"],
    groups: Sequence[Bool[np.ndarray, " prompt"]],
    seed: int,
    clusters: Sequence[str],
    *,
    interval: Callable[..., Interval] = mean_interval,
) -> Interval:
    """The mean of each group, [group, *cell], with its interval over clusters, of the kind `interval`."""
    found = [interval(each[own], seed, chosen(clusters, own)) for own in groups]
    stacked = {
        name: np.stack([getattr(one, name) for one in found]) for name in ("value", "low", "high", "error")
    }
    return Interval(**stacked, clusters=min(one.clusters for one in found))


def difference(
    each: Float[np.ndarray, " prompt *cell"],
    first: Bool[np.ndarray, " prompt"],
    second: Bool[np.ndarray, " prompt"],
    seed: int,
    clusters: Sequence[str],
) -> Interval:
    """The mean of the prompts of `second` less that of `first`, of each cell, with its interval."""
    used = first | second
    values, later = each[used], second[used]
    means = [values[~later].mean(0), values[later].mean(0)]
    value = np.asarray(means[1] - means[0])
    shape = (-1, *(1 for _ in each.shape[1:]))
    weight = np.where(later, 0.5 / later.sum(), 0.5 / (~later).sum())
    sign = np.where(later, 2.0, -2.0).reshape(shape)
    own = np.where(later.reshape(shape), means[1], means[0])
    scaled = weight.reshape(shape)
    adds = scaled * (sign * (values - own) + value)
    found = ratio_interval(np.asarray(adds), weight, seed, chosen(clusters, used))
    return Interval(value=value, low=found.low, high=found.high, error=found.error, clusters=found.clusters)


def chosen(clusters: Sequence[str], which: Bool[np.ndarray, " prompt"]) -> Clusters:
    """The clusters of some prompts."""
    return [one for one, own in zip(clusters, which, strict=True) if own]
