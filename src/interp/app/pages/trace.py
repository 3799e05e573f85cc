"""The page Trace: a clean and a corrupted prompt, and the exact map of what carries the answer."""

from __future__ import annotations

import streamlit as st

from interp.app.ui import widgets
from interp.app.ui.model_choice import model_choice
from interp.app.views import explore, trace
from interp.figures.engine.notation import show_token

_STYLE = (
    "<style>.aligned td{padding:0.1rem 0.45rem;text-align:center}.aligned .differs{font-weight:700;"
    "background:color-mix(in srgb,currentColor 14%,transparent);border-radius:4px}"
    ".aligned small{opacity:0.6}</style>"
)


def page() -> None:
    st.title("Trace an answer")
    widgets.begin_with(next(iter(trace.EXAMPLES.values())))
    left, middle, right = st.columns([6, 3, 2])
    with right:
        model = model_choice()
    with left:
        clean, clean_tokens = _prompt(model, "Clean prompt", "clean")
        corrupted, corrupted_tokens = _prompt(model, "Corrupted prompt", "corrupted")
    with middle:
        answer = _token(model, "Answer", "answer")
        foil = _token(model, "Foil", "foil", placeholder="none: the metric is the answer's probability")
    widgets.examples(list(trace.EXAMPLES.items()))
    if _shown_over_each_other(clean_tokens, corrupted_tokens) and answer is not None and foil is not None:
        with widgets.sentences():
            _map(model, clean, corrupted, answer, None if foil == "" else foil)


def _prompt(model: str, label: str, key: str) -> tuple[str, tuple[str, ...]]:
    """A prompt and its tokens; none where it cannot be used, which is said below it."""
    prompt = widgets.text(label, key)
    with widgets.sentences():
        return prompt, widgets.store().ask(model, trace.Labels(prompt))
    return prompt, ()


def _token(model: str, label: str, key: str, *, placeholder: str = "") -> str | int | None:
    """What was typed, with tokens that go on from it; nothing, where a placeholder stands for that. None
    where it is no single token, which is said."""
    given = widgets.text(label, key, placeholder=placeholder)
    if not given and placeholder:
        return given
    with widgets.sentences():
        token = explore.read_token(given)
        vocabulary = widgets.store().ask(model, explore.Vocabulary())
        try:
            return widgets.store().ask(model, explore.Single(token))
        finally:
            offered = explore.completions(vocabulary, token)
            widgets.offer(key, [show_token(text) for text in offered])
    return None


def _shown_over_each_other(clean: tuple[str, ...], corrupted: tuple[str, ...]) -> bool:
    """Both prompts, token over token; whether something can be patched between them."""
    if not clean or not corrupted:
        return False
    pair = trace.Alignment.of(clean, corrupted)
    st.html(f'{_STYLE}<div class="interp">{pair.html}</div>')
    if pair.fault:
        st.error(widgets.plain(pair.fault))
    else:
        st.caption(widgets.plain(pair.words))
    return not pair.fault


def _map(model: str, clean: str, corrupted: str, answer: str | int, foil: str | int | None) -> None:
    left, right = st.columns([5, 4], gap="medium")
    with left, widgets.title("Patched", key="map"):
        part = widgets.switch(
            "What is patched", "part", tuple(trace.PARTS), on_change=widgets.forget_place
        )  # another one begins with its own strongest cell
        direction = widgets.switch("Direction", "direction", tuple(trace.DIRECTIONS))
        question = trace.Sweep(clean, corrupted, answer, foil, part, direction)
        copies = st.container(width="content")
    with left:
        sweep = widgets.store().ask(model, question)
        cell = widgets.clicked_cell((len(sweep.recovery), len(sweep.columns)), sweep.peak)
        widgets.show_grid(
            trace.recovery_grid(sweep), key="map", selected=cell, around=cell[1], on_click=widgets.go_to_cell
        )
    with copies:
        widgets.take_along(model, question, sweep)
    with right, widgets.sentences():
        runs = widgets.store().ask(model, trace.Said(question, *cell))
        with widgets.title(trace.place_in_words(sweep, direction, cell), key="said"):
            pass
        widgets.show_table(trace.metric_table(sweep, runs, cell))
        widgets.show_table(trace.said_table(runs))
