"""The page Trace: a clean and a corrupted prompt, and the exact map of what carries the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import streamlit as st

from interp.app import trace, widgets
from interp.app.model_choice import model_choice

Chosen = TypeVar("Chosen", bound=str)
_STYLE = (
    "<style>.aligned td{padding:0.1rem 0.45rem;text-align:center}.aligned .differs{font-weight:700;"
    "background:color-mix(in srgb,currentColor 14%,transparent);border-radius:4px}"
    ".aligned small{opacity:0.6}</style>"
)


def page() -> None:
    st.title("Trace an answer")
    widgets.begin_with(next(iter(trace.EXAMPLES.values())))
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    with left:
        model = model_choice()
    with right:
        widgets.examples(list(trace.EXAMPLES.items()))
    left, right = st.columns(2)
    with left:
        clean, clean_tokens = _prompt(model, "Clean prompt", "clean")
        answer, answered = _token(model, "Answer", "answer", needed=True)
    with right:
        corrupted, corrupted_tokens = _prompt(model, "Corrupted prompt", "corrupted")
        foil, foiled = _token(model, "Foil (empty: the metric is the answer's probability)", "foil")
    fits = _shown_over_each_other(clean_tokens, corrupted_tokens)
    left, right = st.columns([3, 2])
    with left:
        part = _one_of("What is patched", "part", trace.PARTS)
    with right:
        direction = _one_of("Direction", "direction", trace.DIRECTIONS)
    if fits and answered and foiled:
        with widgets.sentences():
            _map(model, trace.Sweep(clean, corrupted, answer, foil or None, part, direction))


def _prompt(model: str, label: str, key: str) -> tuple[str, tuple[str, ...]]:
    """A prompt and its tokens; none where it cannot be used, which is said below it."""
    prompt = widgets.text(label, key)
    with widgets.sentences():
        return prompt, widgets.store().ask(model, trace.Labels(prompt))
    return prompt, ()


def _token(model: str, label: str, key: str, *, needed: bool = False) -> tuple[str, bool]:
    """A text of one token, and whether it is; what is wrong is said below it."""
    token = widgets.text(label, key)
    with widgets.sentences():
        if token or needed:
            widgets.store().ask(model, trace.OneToken(token))
        return token, True
    return token, False


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


def _map(model: str, question: trace.Sweep) -> None:
    sweep = widgets.store().ask(model, question)
    cell = widgets.clicked_cell((len(sweep.recovery), len(sweep.columns)), sweep.peak)
    left, right = st.columns([3, 2])
    with left:
        widgets.show_grid(
            trace.recovery_grid(sweep),
            key="map",
            selected=cell,
            around=cell[1],
            on_click=widgets.go_to_cell,
        )
        widgets.take_along(model, question, sweep)
    with right, widgets.sentences():
        runs = widgets.store().ask(model, trace.Said(question, *cell))
        st.markdown(f"**{widgets.plain(trace.place_in_words(sweep, question.direction, cell))}**")
        widgets.show_table(trace.metric_table(sweep, runs, cell))
        widgets.show_table(trace.said_table(runs))


def _one_of(label: str, key: str, options: Iterable[Chosen]) -> Chosen:
    """One of a few, kept in the URL; another one begins with its own strongest cell."""
    names = list(options)
    chosen = {"default": names[0], "required": True, "bind": "query-params"}
    return st.segmented_control(label, names, key=key, on_change=widgets.forget_place, **chosen)
