"""The presentation of a contrast of two prompts."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import brief, probability, show_prompt, show_token
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Axis, Grid, Lines, Table, View, Words, block_name
from interp.figures.views.by_layer import from_layer, lines_by_layer
from interp.figures.views.lens_words import about_lens, card_table, lens_name
from interp.methods.lens.results import COMPETITOR, NEITHER, TARGET, ContrastResult

_NAMES = ("first", "second")


def view(result: ContrastResult) -> View:
    """Who is ahead at each layer, the two traces, and all numbers."""
    target, competitor = brief(result.target), brief(result.competitor)
    prompts = (
        show_prompt(tokens, text, bos=result.provenance.bos)
        for tokens, text in zip(result.tokens, result.prompts or (None, None), strict=True)
    )
    differ = (
        " | ".join(show_token(token) for token in tokens[start:stop]) or "nothing"
        for tokens, (start, stop) in zip(result.tokens, result.differing, strict=True)
    )
    return View(
        title=f"Where do the two prompts part: {target} or {competitor}?",
        above=(
            *(f"{name.capitalize()} prompt: {text}" for name, text in zip(_NAMES, prompts, strict=True)),
            f"They differ in: {' / '.join(differ)}.",
            f"A token is ahead where its logit is {result.margin:g} or more above the other's, read by the "
            f"{lens_name(result.lens).lower()} at {_where(result)}.",
            *about_lens(result),
        ),
        blocks=(
            Words(verdict(result), strong=True, name="verdict"),
            _marks(result),
            traces(result),
            *(_table(result, prompt) for prompt in range(2)),
            *(() if result.lens_card is None else (card_table(result.lens_card),)),
        ),
        below=(
            "At early layers the lens may read what the model does not mean: look at the probabilities too.",
        ),
    )


def _where(result: ContrastResult) -> str:
    if result.position == -1:
        return "the last position"
    read = (show_token(tokens[result.position]) for tokens in result.tokens)
    return f"position {result.position} ({' / '.join(read)})"


def verdict(result: ContrastResult) -> str:
    """Where the prompts part, who takes over, and whether that is what the model says, in a few sentences."""
    parting = result.parting
    if parting is None:
        sentences = ["At the end the two prompts do not differ in who is ahead."]
    else:
        sentences = [f"Who is ahead differs {from_layer(result.layers[parting])} on."]
    sentences += [_leader(result, prompt) for prompt in range(len(_NAMES))]
    return " ".join(sentences)


def _leader(result: ContrastResult, prompt: int) -> str:
    """Who is ahead at the end of one prompt and from where on, from where on that is the likeliest of all,
    and what the model says."""
    end, column = int(result.marks[prompt, -1]), result.hand_offs[prompt]
    says = result.top_tokens[prompt][-1]
    the_model = f"the model says {brief(says)} ({probability(float(result.top_probs[prompt, -1]))})"
    if end == NEITHER:
        return f"In the {_NAMES[prompt]}, neither is ahead at the end; {the_model}."
    leader, other = result.target, result.competitor
    if end == COMPETITOR:
        leader, other = other, leader
    since = 0 if column is None else column
    lead = (
        f"{brief(leader)} is ahead of {brief(other)} {from_layer(result.layers[since])} on "
        f"({standing(result, prompt, since, end)} there)"
    )
    if leader == says:
        on_top = _likeliest_from(result, prompt, leader)
        likeliest = f"the likeliest of all {from_layer(result.layers[on_top])} on"
        return f"In the {_NAMES[prompt]}, {lead}, and {likeliest}: {the_model}."
    return (
        f"In the {_NAMES[prompt]}, {lead}, but only ahead of that one: {the_model}, and "
        f"{brief(leader)} has {standing(result, prompt, -1, end)}."
    )


def _likeliest_from(result: ContrastResult, prompt: int, token: str) -> int:
    """The column from which a token that the model says is what the lens would say, up to the end."""
    others = [i for i, top in enumerate(result.top_tokens[prompt]) if top != token]
    return others[-1] + 1 if others else 0


def standing(result: ContrastResult, prompt: int, column: int, mark: int) -> str:
    """The rank of the token of a mark at a layer, or where that was not kept its probability."""
    ranks = result.target_rank if mark == TARGET else result.competitor_rank
    if ranks is not None:
        return f"rank {int(ranks[prompt, column]):,}"
    probs = result.target_prob if mark == TARGET else result.competitor_prob
    return f"probability {probability(float(probs[prompt, column]))}"


def _names_of_marks(result: ContrastResult) -> dict[int, str]:
    return {NEITHER: "neither", TARGET: brief(result.target), COMPETITOR: brief(result.competitor)}


def _marks(result: ContrastResult) -> Grid:
    names = np.vectorize(_names_of_marks(result).__getitem__, otypes=[object])(result.marks).astype(str)
    tops = np.array([[show_token(token) for token in row] for row in result.top_tokens])
    hand_offs = tuple((row, c) for row, c in enumerate(result.hand_offs) if c is not None)
    return Grid(
        name="marks",
        values=result.ahead,
        rows=Axis.names("prompt", _NAMES),
        columns=Axis.names("after layer", result.layers),
        unit="logits",
        title=f"Who is ahead: logit({brief(result.target)}) - logit({brief(result.competitor)})",
        above=f"{brief(result.target)} is ahead",
        below=f"{brief(result.competitor)} is ahead",
        hover=(("ahead", names), ("top", tops)),
        framed=hand_offs,
        framed_means="the hand-off to the token that leads at the end",
        texts=names,
        down=True,
    )


def traces(result: ContrastResult) -> Lines:
    """By how much the target is ahead at each layer of both prompts."""
    target, competitor = brief(result.target), brief(result.competitor)
    return lines_by_layer(
        result.layers,
        {f"{name} prompt": row for name, row in zip(_NAMES, result.ahead, strict=True)},
        name="traces",
        title="The two traces",
        y_title=f"logit({target}) - logit({competitor})",
        levels=((result.margin, f"{target} ahead"), (-result.margin, f"{competitor} ahead")),
        note="Between the levels neither is ahead.",
    )


def _table(result: ContrastResult, prompt: int) -> Table:
    """What the lens reads of one prompt; the layers of the parting and of its hand-off stand out."""
    target, competitor = brief(result.target), brief(result.competitor)
    names = _names_of_marks(result)
    rows = tuple(
        (
            layer,
            show_token(result.top_tokens[prompt][i], max_chars=14),
            probability(float(result.top_probs[prompt, i])),
            probability(float(result.target_prob[prompt, i])),
            probability(float(result.competitor_prob[prompt, i])),
            names[int(result.marks[prompt, i])],
        )
        for i, layer in enumerate(result.layers)
    )
    changes = {c for c in (result.hand_offs[prompt], result.parting) if c is not None}
    return Table(
        ("after layer", "would say", "prob", f"p({target})", f"p({competitor})", "ahead"),
        rows,
        title=f"The {_NAMES[prompt]} prompt",
        strong=tuple(sorted(changes)),
        name=block_name(_NAMES[prompt], "prompt"),
    )


figure, table, report = presentation(view)
