"""The analysis of indirect objects as an argument: what each step shows, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from interp.figures.engine.notation import brief, count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Table, View, Words, block_name
from interp.figures.views.head_maps import head_map, strongest_cells, strongest_heads
from interp.figures.views.pairs_text import doubts, intervals_sentence
from interp.methods.studies.published import PUBLISHED, PUBLISHED_HEADS
from interp.methods.studies.results import CircuitAlone, ClassAblation, IOIBaseline, IOIResult
from interp.results import Interval

_RESTS_ON = {
    "name mover": "lowers the difference when its direct effect is taken away; looks from END to IO; copies",
    "negative name mover": "raises it; looks from END to IO; copies with the sign turned round",
    "other direct": "acts on the logits, but does not pass the movers' tests",
    "S-inhibition": "acts on the queries of those that act on the logits; looks from END to S2",
    "induction": "acts on what S-inhibition heads read at S2; looks from S2 to S1+1",
    "duplicate token": "acts on what S-inhibition heads read at S2; looks from S2 to S1",
    "previous token": "acts on the induction heads' keys at S1+1; looks from S1+1 to S1",
    "other total": "has a total effect, through other heads, and is in none of the classes",
}
_LISTED = 8  # heads in the table of those that act on the logits
_SIGN = {"above": "the difference rises when the head is corrupted", "below": "it falls: the head is needed"}


def view(result: IOIResult) -> View:
    """Baseline, effects, classes, knock-outs and faithfulness, in the order in which they follow."""
    found = {name: heads for name, heads in result.classes.items() if heads}
    return View(
        title="Indirect objects: who received it, and which heads know?",
        above=(
            *doubts(result.pairs, "logit_diff", result.baseline.logit_diff),
            f"{count(len(result.pairs), 'prompt')}; the first: {show_text(result.pairs.prompts[0])}",
            "Metric: logit(IO) - logit(S). Corrupted prompts have three other names in place of IO, S and S "
            "(p_ABC). " + intervals_sentence(result.pairs, result.maps["direct"]),
            f"A head acts where it changes the metric by {100 * result.least:g} % of its clean mean, and "
            f"looks somewhere with {100 * result.attends:g} % of its attention.",
        ),
        blocks=(
            *_baseline(result.baseline),
            *_effects(result),
            *_looking(result),
            *_chain(result),
            Words("Classes: " + _sentence(found), strong=True, name="verdict"),
            _classes(result),
            *_without(result),
        ),
        below=(
            "Thresholds make classes of what comes in degrees: the maps say how near the others are. Heads "
            "that act only when others are gone (backup name movers) are not looked for.",
            *_norms(result),
        ),
    )


def _norms(result: IOIResult) -> tuple[str, ...]:
    """How norms behind attention are treated, step by step."""
    if not result.provenance.post_norms:
        return ()
    return (
        "Norms behind attention are frozen in effects, attribution and circuits, and recomputed where a "
        "class is taken out.",
    )


def _baseline(baseline: IOIBaseline) -> list[Block]:
    clean = baseline.logit_diff
    share = f"{100 * (clean > 0).mean():.1f} %"
    rows: list[tuple[str | float, ...]] = [
        ("mean logit(IO) - logit(S)", measured(clean.mean()), decimal(PUBLISHED["logit_diff"])),
        ("IO above S", share, f"{100 * PUBLISHED['accuracy']:.1f} %"),
        ("mean probability of IO", decimal(baseline.prob.mean()), decimal(PUBLISHED["prob"])),
        ("the same difference in p_ABC", measured(baseline.corrupted_logit_diff.mean()), ""),
    ]
    rows += [
        (f"{show_text(swap.prompt)} ({brief(swap.answer)})", measured(swap.logit_diff), "")
        for swap in baseline.swaps
    ]
    verdict = (
        "whichever name is the subject, so it does not just prefer a name"
        if all(swap.logit_diff > 0 for swap in baseline.swaps)
        else "but not with both roles of the swapped names: it prefers one of them"
    )
    return [
        Words(
            f"Step 1. The model puts IO above S in {share} of the prompts, {verdict}.",
            strong=True,
            name="step_1",
        ),
        Table(("", "here", "GPT-2 small, Wang et al."), tuple(rows), title="Baseline", name="baseline"),
    ]


def _effects(result: IOIResult) -> list[Block]:
    total, direct = result.map("total"), result.map("direct")
    limit = float(max(abs(total).max(), abs(direct).max()))
    return [
        Words(
            f"Step 2. Corrupting one head at a time: the largest total effects are {strongest_heads(total)}; "
            f"the largest direct effects on the logits: {strongest_heads(direct)}. A large total effect "
            "without a direct one means that other heads read it. Direct is without other heads, but through "
            "MLPs; attribution is without either, so that where it is small, MLPs turn what the head says "
            "into the answer.",
            strong=True,
            name="step_2",
        ),
        _map(result, "total", "Total effect of each head", limit),
        _map(result, "direct", "Direct effect on the logits (path patching, MLPs recomputed)", limit),
        _map(result, "attribution", "Direct logit attribution: what each head adds to the difference", None),
    ]


def _looking(result: IOIResult) -> list[Block]:
    looked = ("END to IO", "END to S2", "S2 to S1", "S2 to S1+1", "S1+1 to S1")
    return [
        Words(
            "Step 3. Where the heads look, and whether they copy what they see: from END to IO "
            f"{strongest_heads(result.map('END to IO'))}; to S2 {strongest_heads(result.map('END to S2'))}.",
            strong=True,
            name="step_3",
        ),
        *(_share(result, name, f"Attention from {name}", "it looks there") for name in looked),
        _share(result, "copying", "Copying score", "the name is among the likeliest tokens"),
        _share(result, "negative copying", "Copying score, sign turned round", "it suppresses the name"),
        _on_the_logits(result),
    ]


def _on_the_logits(result: IOIResult) -> Table:
    """The heads of the largest direct effects: where they look from END, and what they write of a name."""
    direct = result.map("direct")
    names = ("direct", "END to IO", "END to S1", "END to S2", "copying", "negative copying")
    rows = []
    for layer, head in strongest_cells(direct)[:_LISTED]:
        rows.append((f"{layer}.{head}", *(decimal(result.map(name)[layer, head]) for name in names)))
    columns = ("head", "direct effect", "looks at IO", "at S1", "at S2", "copies a name", "suppresses it")
    return Table(
        columns,
        tuple(rows),
        title=f"The {len(rows)} heads of the largest direct effects, together",
        name="on_the_logits",
    )


_ACTING_ON = {
    "on movers' queries": "Step 4. What tells the heads that act on the logits where to look: heads that act "
    "on their queries at END",
    "on S-inhibition values": "Step 5. What tells S-inhibition heads that S was said twice: heads that act "
    "on what they read at S2",
    "on induction keys": "What the induction heads' keys at S1+1 rest on",
}


def _chain(result: IOIResult) -> list[Block]:
    """Steps 4 and 5: what acts on the heads of the step before, as far back as there are any."""
    blocks = [block for name in _ACTING_ON if name in result.maps for block in _link(result, name)]
    if "on S-inhibition values" not in result.maps:
        text = "No S-inhibition head is found, so there is none to follow back (step 5)."
        blocks.append(Words(text, name="no_step_5"))
    return blocks


def _link(result: IOIResult, name: str) -> list[Block]:
    """The heads that act on others, in words and as a map."""
    effect, acts = result.map(name), result.least * result.baseline.logit_diff.mean()
    largest = strongest_heads(effect)
    if not effect.any():
        largest = "none, there is no head before them"
    elif (np.abs(effect) < acts).all():
        largest = f"none that acts (largest: {largest})"
    words = Words(f"{_ACTING_ON[name]}: {largest}.", strong=True, name=block_name(name, "in words"))
    return [words, _map(result, name, f"Effect of each head {name}", None)] if effect.any() else [words]


def _classes(result: IOIResult) -> Table:
    return Table(
        ("class", "heads here", "GPT-2 small, Wang et al.", "what it rests on"),
        tuple(
            (name, ", ".join(heads) or "none", ", ".join(PUBLISHED_HEADS.get(name, ())), _RESTS_ON[name])
            for name, heads in result.classes.items()
        ),
        title="Classes of heads, by the paper's own tests",
        name="classes",
    )


def _without(result: IOIResult) -> list[Block]:
    before, after = result.baseline.logit_diff.mean(), result.ablations[-1].after
    alone = float(result.circuits[-1].faithfulness.value)
    return [
        Words(
            f"Step 6. Without these heads, the model falls to {decimal(after)} of {decimal(before)} logits; "
            f"they alone, with all MLPs, keep {decimal(alone)} of the difference. {_agreement(result)}",
            strong=True,
            name="step_6",
        ),
        _knock_outs(result),
        _alone(result),
        Words(
            "Knocked out heads, and in a circuit all other heads, are set to their mean over the corrupted "
            "prompts of the same template. A circuit's faithfulness is the share of the difference between "
            "the whole model (1) and the model without any head's work (0) that it keeps; the gap is what it "
            "lacks, or has too much, in logits.",
            name="how_measured",
        ),
    ]


def _knock_outs(result: IOIResult) -> Table:
    """The metric before, and without each class of heads."""
    before = float(result.baseline.logit_diff.mean())
    columns = ("knocked out", "heads", "logit(IO) - logit(S)", "change (logits)", "interval", "change")
    return Table(
        columns,
        (
            ("nothing: the whole model", "", decimal(before), "", "", ""),
            *(_knock_out(one, before, of_class=one.name in result.classes) for one in result.ablations),
        ),
        title="Knock-outs: what the model loses without each class",
        name="knock_outs",
    )


def _knock_out(one: ClassAblation, before: float, *, of_class: bool) -> tuple[str, ...]:
    change = float(one.change.value)
    return (
        f"{one.name} heads" if of_class else one.name,
        str(len(one.heads)),
        decimal(one.after),
        decimal(change),
        _ends(one.change),
        f"{100 * change / before:+.0f} %",
    )


def _alone(result: IOIResult) -> Table:
    """The circuits that were found, beside as many random heads, and the paper's."""
    titles = ("the paper's classes", "all heads that act")[-len(result.circuits) :]
    rows = [_circuit(title, circuit) for title, circuit in zip(titles, result.circuits, strict=True)]
    published = (decimal(PUBLISHED["faithfulness"]), "", decimal(PUBLISHED["gap"]), "")
    rows.append(("GPT-2 small, Wang et al.", "26", *published))
    columns = ("circuit", "heads", "faithfulness", "interval", "gap (logits)", "as many random heads")
    return Table(
        columns,
        tuple(rows),
        title="Circuits alone: what they keep when all other heads are gone",
        name="circuits_alone",
    )


def _circuit(title: str, circuit: CircuitAlone) -> tuple[str, ...]:
    random = circuit.random
    beside = (
        f"{decimal(random.min())} to {decimal(random.max())} ({len(random)} draws)" if random.size else ""
    )
    share = circuit.faithfulness
    return (
        title,
        str(len(circuit.heads)),
        decimal(float(share.value)),
        _ends(share),
        decimal(circuit.gap),
        beside,
    )


def _ends(of: Interval) -> str:
    return f"{decimal(float(of.low))} to {decimal(float(of.high))}"


def _agreement(result: IOIResult) -> str:
    """Whether the model does the task as GPT-2 small does."""
    missing = [name for name in PUBLISHED_HEADS if not result.heads(name)]
    if not missing:
        return "Every class of the paper has heads here."
    if len(missing) == len(PUBLISHED_HEADS):
        return "None of the paper's classes has a head here: this model does the task in another way."
    return f"Of the paper's classes, these stay empty here: {', '.join(missing)}."


def _sentence(found: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name} {', '.join(heads)}" for name, heads in found.items()) + "."


def _map(result: IOIResult, name: str, title: str, limit: float | None) -> Block:
    """An effect of each head, in logits."""
    found = result.maps[name]
    words = _SIGN
    if name == "attribution":
        words = {"above": "adds to IO over S", "below": "adds to S over IO"}
    return head_map(
        found,
        name=block_name(name),
        unit="logits",
        title=title,
        signed=True,
        limit=limit,
        above=words["above"],
        below=words["below"],
    )


def _share(result: IOIResult, name: str, title: str, above: str) -> Block:
    """A share of attention, or a copying score, of each head."""
    found = result.maps[name]
    return head_map(
        found,
        name=block_name(name),
        unit="share",
        title=title,
        above=above,
    )


figure, table, report = presentation(view)
