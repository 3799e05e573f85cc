"""What is said in words of known, unknown and made-up answers, also where the answer is no."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import decimal, interval, show_token
from interp.methods.common.chance import standing_out
from interp.methods.knowledge.results import SURE, KnowledgeResult, Telling, WhereItComesFrom
from interp.results import Interval


def sentences(result: KnowledgeResult) -> tuple[str, ...]:
    """One for each question that was asked."""
    found = [_said(result), _settles(result), *_where(result)]
    found += [_telling(result, one) for one in result.telling]
    if result.steered is not None:
        found.append(_steered(result))
    return tuple(found)


def with_ends(of: Interval, cell: tuple[int, ...] = ()) -> str:
    """``0.71 (0.65 to 0.76)``."""
    return f"{decimal(of.value[cell])} ({interval(float(of.low[cell]), float(of.high[cell]))})"


def _told(of: Interval, cell: tuple[int, ...] = ()) -> bool:
    """Whether a difference is told from 0."""
    return bool(of.low[cell] > 0 or of.high[cell] < 0)


def _said(result: KnowledgeResult) -> str:
    said, has, made_up = result.said, result.statuses[0], result.statuses[-1]
    parts = []
    if said.right is not None:
        parts.append(f"of {has} ones the answer is right in {with_ends(said.right, (0,))}")
    if said.abstains is not None:
        shares = ", ".join(
            f"{with_ends(said.abstains, (i,))} of {status} ones" for i, status in enumerate(result.statuses)
        )
        parts.append(f"{show_token(result.abstaining or '')} is said to {shares}")
    parts.append(
        f"the likeliest token has a mean probability of {with_ends(said.probability, (0,))} for {has} and "
        f"{with_ends(said.probability, (len(result.statuses) - 1,))} for {made_up} ones"
    )
    return f"What it says: {'; '.join(parts)}."


def _settles(result: KnowledgeResult) -> str:
    of, has, made_up = result.trajectories, result.groups[0], result.groups[-1]
    means = [of.settles_mean.value[i] - 1 for i in (0, len(result.groups) - 1)]
    later = of.settles_difference
    if not _told(later):
        verdict = f"no, there is no difference that is told from 0 ({with_ends(later)} layers)"
    else:
        way = "later" if later.value > 0 else "earlier"
        verdict = f"yes, {way}, by {with_ends(later)} layers"
    sure = ""
    if of.settles_difference_sure is not None:
        sure = (
            f" Of answers said with a probability of {SURE:g} or more alone: "
            f"{with_ends(of.settles_difference_sure)} layers."
        )
    return (
        f"Does it settle at another layer? From layer {decimal(means[0], 1)} on (mean) for {has!r}, from "
        f"{decimal(means[1], 1)} on for {made_up!r}: {verdict}.{sure}"
    )


def _where(result: KnowledgeResult) -> list[str]:
    if result.where is None:
        return []
    where, has, made_up = result.where, result.groups[0], result.groups[-1]
    last = len(result.groups) - 1
    half = [_half_lost(where.exchanged.value[i]) for i in (0, last)]
    said = [
        f"nothing is lost at layer {where.layers[0]}"
        if layer is None
        else f"half of what is lost at layer {where.layers[0]} is lost still at layer {where.layers[layer]}, "
        "and no later"
        for layer in half
    ]
    ends = [with_ends(where.exchanged, (i, 0)) for i in (0, last)]
    return [
        "Where does it come from? With the subject's stream after the first layer taken from another prompt "
        f"of the status, the answer's log-probability changes by {ends[0]} nats for {has!r} ({said[0]}) and "
        f"by {ends[1]} for {made_up!r} ({said[1]}).{_heads(where)}"
    ]


def _heads(where: WhereItComesFrom) -> str:
    """How many heads write more or less of what is made up, and which do most."""
    of = where.by_head_difference
    told = None if of is None else standing_out(of)
    if of is None or told is None:
        return ""
    if told.n == 0:
        return " No head writes more or less of it that is told from chance."
    largest = sorted(np.argwhere(told.cells).tolist(), key=lambda cell: -abs(of.value[tuple(cell)]))[:3]
    named = ", ".join(f"{layer}.{head} by {with_ends(of, (layer, head))}" for layer, head in largest)
    return (
        f" Heads that write more or less of the answer over the runner-up when it is made up, told from "
        f"chance: {told.n} of {of.value.size}, most {named} logits."
    )


def _half_lost(lost: np.ndarray) -> int | None:
    """The last layer at which at least half of what is lost at the first one is; None where nothing is."""
    if lost[0] >= 0:
        return None
    return int(np.flatnonzero(lost <= lost[0] / 2)[-1])


def _telling(result: KnowledgeResult, one: Telling) -> str:
    role = result.roles.index("END")
    best = int(np.argmax(one.auroc.value[role]))
    layers = one.layers
    other = [("entropy", one.by_entropy), ("1 - top probability", one.by_top_probability)]
    if one.by_abstaining is not None:
        other.append((f"the probability of {show_token(result.abstaining or '')}", one.by_abstaining))
    if one.by_frequency is not None:
        other.append(("how rare the name is in the text", one.by_frequency))
    beside = ", ".join(f"{name} {with_ends(value)}" for name, value in other)
    return (
        f"Is {one.yes!r} told from {one.no!r} {one.how}? At END with an AUROC of "
        f"{with_ends(one.auroc, (role, best))} at {layers[best]}, the best layer, and "
        f"{with_ends(one.auroc, (role, len(layers) - 1))} at the last; {beside}; the surface "
        f"{decimal(result.surface.value[result.telling.index(one)])}."
    )


def _steered(result: KnowledgeResult) -> str:
    of = result.steered
    assert of is not None
    own, made_up = of.ways[0], result.statuses[-1]
    what = "made up" if result.abstaining else "the same"
    kept = np.flatnonzero(own.lost <= 0.05)
    at = int(kept[np.argmin(own.made_up[kept])]) if len(kept) else 0
    drawn = [float(one.made_up[at]) for one in of.ways[1:]]
    beside = f"; with random directions {decimal(min(drawn))} to {decimal(max(drawn))}" if drawn else ""
    cost = "at most 5 % of the known answers lost" if len(kept) else "no strength that spares the known ones"
    out = of.taken_out[0]
    return (
        f"Does pushing help? With {cost}, at {of.strengths[at]:g} times the typical norm, "
        f"{decimal(own.made_up[at])} of {made_up} answers are still {what} (as it is, "
        f"{decimal(of.made_up_before)}){beside}. With the direction taken "
        f"out: {decimal(out.made_up[0])}, and {decimal(out.lost[0])} of the known answers lost."
    )
