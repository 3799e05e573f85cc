"""The presentation of head scores, on repeated random tokens or on prompts."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, signed
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Grid, Lines, Series, Table, View, Words
from interp.figures.views.head_maps import head_map, strongest_cells, strongest_heads
from interp.figures.views.pairs_text import how_interval
from interp.methods.common.chance import standing_out
from interp.methods.common.names import head_name
from interp.methods.heads.results import HeadScoresResult, PromptHeadScoresResult
from interp.results import Estimate

_MEANING = {
    "previous_token": "to the token before",
    "duplicate_token": "to the same token in the first copy",
    "induction": "to the token after the earlier occurrence, which is the one to be said next",
    "prefix_matching": "to the tokens after all earlier occurrences, of a sequence said four times",
}
_CLEAR = 0.25  # attention to one shift that is worth a line of the table
_COSTLY = 6  # heads of each kind in the table of scores and effects
_SEEN = 0.1  # scores below are not named, nor framed


def view(result: HeadScoresResult | PromptHeadScoresResult) -> View:
    """What was found on random tokens, or on prompts."""
    return _on_prompts(result) if isinstance(result, PromptHeadScoresResult) else _on_random_tokens(result)


def _on_prompts(result: PromptHeadScoresResult) -> View:
    """A map of heads for each score."""
    few, many = min(result.lengths), max(result.lengths)
    length = str(few) if few == many else f"{few} to {many}"
    left_out = "; ".join(f"{one.what.replace('_', ' ')} ({one.why})" for one in result.left_out)
    return View(
        title="Which heads look at the token before, at duplicates, and at what came after them?",
        above=(
            f"{count(result.sequences, 'prompt')} of {length} tokens.",
            how_interval(result.attention, over="prompts"),
            *([f"Left out: {left_out}."] if left_out else []),
        ),
        blocks=(verdict(result), *(score_map(result, name) for name in result.scores)),
        below=(
            "A score is not an effect: it says where a head looks, not what it writes or whether that "
            "matters. A head that looks at everything alike has "
            "the score in brackets.",
        ),
    )


def _on_random_tokens(result: HeadScoresResult) -> View:
    """A map of heads for each score, the heads that look near the earlier occurrence, the loss by token."""
    maps = [score_map(result, name) for name in result.scores]
    return View(
        title="Which heads look at the token before, at duplicates, and at what came after them?",
        above=(
            f"{count(result.sequences, 'sequence')} of {result.copy_length} random tokens said twice"
            f"{', after a BOS' if result.bos else ''}; attention of the second copy, with intervals.",
            how_interval(result.attention, over="sequences"),
            *_losses_in_words(result),
        ),
        blocks=(verdict(result), *_costs(result), *maps, _shifts(result), *_losses(result)),
        below=(
            "A score is not an effect: it says where a head looks on random tokens, not what it writes, nor "
            "what it does on text. Without a head (its mean in its place), others may take over.",
        ),
    )


def verdict(result: HeadScoresResult | PromptHeadScoresResult) -> Words:
    """The heads that look most where each score asks."""
    highest = [f"{name.replace('_', ' ')}: {_highest(result.score(name))}" for name in result.scores]
    return Words(f"Highest: {'; '.join(highest)}.", strong=True, name="verdict")


def _costs(result: HeadScoresResult) -> list[Block]:
    """What the loss costs without each head, beside its scores: the heads of the highest induction scores,
    and those that cost most."""
    if result.cost is None:
        return []
    cost, scores = result.cost.mean, {name: result.score(name) for name in result.scores}
    rho = result.agreement("induction")
    by_score, by_cost = (strongest_cells(of)[:_COSTLY] for of in (scores["induction"], cost))
    rows = tuple(
        (head_name(at), *(decimal(of[at]) for of in scores.values()), signed(float(cost[at])))
        for at in dict.fromkeys([*by_score, *by_cost])
    )
    words = (
        "A score is not an effect: the rank correlation of induction scores with what the second copy costs "
        f"without the head, alone, is {decimal(rho or 0.0)}. {_of_how_many(result.cost)}"
    )
    names = [name.replace("_", " ") for name in result.scores]
    table = Table(
        name="scores_and_costs",
        columns=("head", *names, "loss without it (nats a token)"),
        rows=rows,
        title="Scores beside effects: the highest induction scores, and the heads that cost most",
    )
    grid = head_map(
        result.cost.interval,
        name="cost",
        unit="nats a token",
        title="What the second copy costs without each head",
        above="the loss rises",
        below="the loss falls",
        signed=True,
        limit=float(np.abs(cost).max()) or 1.0,
    )
    return [Words(words, name="agreement"), table, grid]


def _of_how_many(cost: Estimate) -> str:
    """On how many sequences the costs were measured, and whether that tells one from chance."""
    n = len(cost.each)
    told = standing_out(cost)
    if told is not None and told.n:
        return f"Costs are means over {count(n, 'sequence')}."
    return f"Costs are means over {count(n, 'sequence')}: too few to tell one from chance; raise n_ablated."


def _losses_in_words(result: HeadScoresResult) -> list[str]:
    if result.loss is None:
        return ["No loss: what the model predicts are other tokens than those that it reads."]
    return [
        f"Loss: {decimal(result.first_copy_loss)} nats a token in the first copy, "
        f"{decimal(result.second_copy_loss)} in the second (without its first token)."
    ]


def score_map(result: HeadScoresResult | PromptHeadScoresResult, name: str) -> Grid:
    """One of the scores of all heads, [layer, head]."""
    chance = result.chance[result.scores.index(name)]
    return head_map(
        result.estimate(name).interval,
        name=name,
        unit="attention",
        title=f"{name.replace('_', ' ').capitalize()} (spread evenly: {decimal(chance)})",
        above=f"attends {_MEANING[name]}",
        least=_SEEN,
    )


def _highest(score: np.ndarray) -> str:
    """The strongest heads, at most three; or that there is none."""
    seen = int((score >= _SEEN).sum())
    return strongest_heads(score, min(seen, 3)) if seen else f"none (at most {decimal(score.max())})"


def _shifts(result: HeadScoresResult) -> Table:
    """The heads that look at one place near the earlier occurrence, each with the place."""
    best = result.by_shift.argmax(0)  # [layer, head]
    rows = []
    for layer, head in np.argwhere(result.by_shift.max(0) >= _CLEAR).tolist():
        at = int(best[layer, head])
        rows.append(
            (head_name((layer, head)), _place(result.shifts[at]), float(result.by_shift[at, layer, head]))
        )
    rows.sort(key=lambda row: -row[2])
    return Table(
        name="shifts",
        columns=("head", "looks most at", "attention"),
        rows=tuple((a, b, decimal(c)) for a, b, c in rows),
        title=f"Heads that pay {_CLEAR} or more to one place near the earlier occurrence of the same token",
    )


def _place(shift: int) -> str:
    if shift == 0:
        return "the earlier occurrence (duplicate token)"
    away = f"{count(abs(shift), 'place')} {'after' if shift > 0 else 'before'} it"
    return f"{away} (induction)" if shift == 1 else away


def _losses(result: HeadScoresResult) -> list[Lines]:
    """The loss by token, where there is one."""
    loss = result.loss
    if loss is None:
        return []
    first = 2 * result.copy_length + result.bos - len(loss.mean)  # position of the first predicted
    x = tuple(float(first + i) for i in range(len(loss.mean)))
    low, high = tuple(loss.low.tolist()), tuple(loss.high.tolist())
    line = Lines(
        name="loss",
        series=(Series("loss", x, tuple(loss.mean.tolist()), low=low, high=high),),
        x_title="position of the token predicted",
        y_title="nats",
        title="Loss by token",
        note=f"The second copy begins at position {result.copy_length + result.bos}. Band: its interval.",
    )
    return [line]


figure, table, report = presentation(view)
