"""What steering does: the tracked tokens and the divergence by strength, and what is said."""

from __future__ import annotations

from interp.figures.engine.notation import brief, count, decimal, measured, probability, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Lines, Series, Table, View, Words
from interp.figures.views.text_costs import perplexity
from interp.methods.steering.results import SteeringResult
from interp.results import Interval

_TOP = 3
_OPS = {"add": "added, times the strength,", "set": "set to the strength"}


def view(result: SteeringResult) -> View:
    """The curves, and a table of each prompt."""
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict")]
    if result.tracked:
        blocks.append(_tracked(result))
    blocks.append(_divergence(result))
    if result.cost is not None and result.rise is not None:
        blocks.append(_costs(result, result.cost, result.rise))
    blocks += [_table(result, i) for i in range(len(result.prompts))]
    own = ""
    if result.activation is not None:
        own = f" Its own strongest activation in the {count(len(result.prompts), 'prompt')}: "
        own += ", ".join(map(measured, result.activation)) + "."
    what = f"{result.what[0].upper()}{result.what[1:]}"
    return View(
        title="What does the model say when it is steered?",
        above=(
            f"{show_text(what)}, at {result.site}, {_OPS[result.op]} {result.where}.{own}{_in_norms(result)}",
        ),
        blocks=tuple(blocks),
        below=(
            "KL: of the steered next-token prediction from the unsteered one. A great strength breaks what "
            "is said, whatever the direction.",
        ),
    )


figure, table, report = presentation(view)


def _in_norms(result: SteeringResult) -> str:
    """How much is added, in units of what is there."""
    if not result.relative or result.typical_norm is None:
        return ""
    least, most = min(result.relative), max(result.relative)
    return (
        f" The strengths add from {measured(least)} to {measured(most)} times the typical norm there, "
        f"{measured(result.typical_norm)}."
    )


def _verdict(result: SteeringResult) -> str:
    return "; ".join(_change(result, prompt) for prompt in range(len(result.prompts))) + "."


def _change(result: SteeringResult, prompt: int) -> str:
    """At which strengths, the smallest of either sign, another next token is the likeliest."""
    before, after = result.unsteered.likeliest[prompt], [rows[0] for rows in result.steered.top[prompt]]
    changes = []
    for sign in (-1, 1):
        of_sign = [s for s, strength in enumerate(result.strengths) if strength * sign > 0]
        by_size = sorted(of_sign, key=lambda s: abs(result.strengths[s]))
        at = next((s for s in by_size if after[s] != before), None)
        if at is not None:
            changes.append(f"{brief(after[at])} at {measured(result.strengths[at])}")
    named = f"{show_text(result.prompts[prompt], max_chars=60)}: {brief(before)}"
    return f"{named} becomes {' and '.join(changes)}" if changes else f"{named} at every strength"


def _tracked(result: SteeringResult) -> Lines:
    means = result.steered.probabilities.mean(0)  # [strength, tracked]
    return Lines(
        name="tracked",
        series=tuple(
            Series(brief(token), result.strengths, tuple(means[:, i].tolist()))
            for i, token in enumerate(result.tracked)
        ),
        x_title="strength",
        y_title="probability of the next token",
        title="The tracked tokens" + _mean(result),
    )


def _divergence(result: SteeringResult) -> Lines:
    return Lines(
        name="divergence",
        series=(Series("KL", result.strengths, tuple(result.steered.kl.mean(0).tolist())),),
        x_title="strength",
        y_title="KL(unsteered || steered), nats",
        title="How far the prediction is from the unsteered one" + _mean(result),
    )


def _costs(result: SteeringResult, cost: Interval, rise: Interval) -> Lines:
    """What the strengths cost on neutral text."""
    series = [
        Series(
            name,
            result.strengths,
            tuple(of.value.tolist()),
            low=tuple(of.low.tolist()),
            high=tuple(of.high.tolist()),
        )
        for name, of in (("KL from the unsteered prediction", cost), ("rise of the log-loss", rise))
    ]
    return Lines(
        name="cost",
        series=tuple(series),
        x_title="strength",
        y_title="nats a token",
        title=f"What it costs on {result.text_tokens} tokens of neutral text "
        f"(perplexity as it is: {perplexity(result.text_loss)})",
    )


def _mean(result: SteeringResult) -> str:
    return f", mean of {count(len(result.prompts), 'prompt')}" if len(result.prompts) > 1 else ""


def _table(result: SteeringResult, prompt: int) -> Table:
    steered = result.steered
    rows: list[tuple[str, ...]] = [("not steered", "", "", show_text(result.unsteered.continuations[prompt]))]
    for s, strength in enumerate(result.strengths):
        likeliest = zip(
            steered.top[prompt][s][:_TOP], steered.top_probabilities[prompt, s].tolist(), strict=False
        )
        top = ", ".join(f"{brief(token)} {probability(p)}" for token, p in likeliest)
        goes_on = show_text(steered.continuations[prompt][s])
        rows.append((measured(strength), top, decimal(steered.kl[prompt, s]), goes_on))
    return Table(
        ("strength", "next token", "KL", "goes on"),
        tuple(rows),
        title=f"After {show_text(result.prompts[prompt], max_chars=80)}",
        name=f"prompt_{prompt}",
    )
