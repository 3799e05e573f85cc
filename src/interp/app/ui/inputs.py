"""Inputs whose values are kept in the URL, by their keys; examples and suggestions that fill them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import NotAnswered, ask
from interp.app.ui.address import forget_clicks
from interp.app.views.conversation import HasChatTemplate, WrittenByTemplate
from interp.app.views.examples import Answered
from interp.app.views.generate import Slider
from interp.app.views.tokens import read_token
from interp.errors import InterpError

Option = TypeVar("Option", bound=str)
Number = TypeVar("Number", int, float)

Examples = Sequence[tuple[str, dict[str, Any]]]  # what stands on the button, and what the inputs then hold

_DEFAULTS = "default texts"  # key of the session's state
_TURNS = (
    "Each turn begins a line with its role: user: ..., assistant: ..., system: ... The model reads what its "
    "tokenizer's chat template makes of them, up to where the answer begins."
)


def set_default_texts(values: dict[str, str]) -> None:
    """What the text inputs of a page hold, by their keys, where its URL does not name them. (Streamlit leaves
    a default out of the URL; an input that was emptied stands there as empty.)"""
    st.session_state[_DEFAULTS] = values


def forget_default_texts() -> None:
    """To be called when the user has chosen another model: texts that nobody has touched become those that
    fit the new one."""
    for key, value in st.session_state.get(_DEFAULTS, {}).items():
        if st.session_state.get(key) == value:
            del st.session_state[key]


def fitting(model: str, named: Examples, *, prompt: str, answer: str) -> Examples:
    """The examples that a model answers; all where it answers none. `prompt` and `answer` are the keys of the
    inputs that hold these."""
    pairs = tuple((str(values[prompt]), read_token(str(values[answer]))) for _, values in named)
    with suppress(InterpError, NotAnswered):
        answered = ask(model, Answered(pairs))
        return [one for one, said in zip(named, answered, strict=True) if said] or named
    return named


def text(label: str, key: str, **options: Any) -> str:
    """A line of text, read as it is typed."""
    default = st.session_state.get(_DEFAULTS, {}).get(key, "")
    return st.text_input(label, default, key=key, bind="query-params", live="150ms", **options)


def prompt(label: str, key: str, *, model: str) -> str:
    """A text of one line or several, read as it is typed (`app.js` sees to that). Where the model has a chat
    template, it may be a conversation: the text is then what the template makes of its turns."""
    default = st.session_state.get(_DEFAULTS, {}).get(key, "")
    typed = st.text_area(label, default, key=key, bind="query-params", height="content")
    with suppress(InterpError, NotAnswered):  # such as a model that is refused, which is said elsewhere
        if ask(model, HasChatTemplate()) and toggle("conversation", f"{key}_turns", value=False, help=_TURNS):
            return _written(model, typed)
    return typed


def _written(model: str, typed: str) -> str:
    """A conversation as the model's template writes it; as it was typed, where that is none."""
    try:
        return ask(model, WrittenByTemplate(typed))
    except InterpError as error:
        st.caption(escape_markdown(f"{error} Until then it is read as one text."))
        return typed


def number(label: str, key: str, value: Number, **options: Any) -> Number:
    """A number; `min_value`, `max_value` and `step` as Streamlit has them."""
    return st.number_input(label, value=value, key=key, bind="query-params", **options)


def slider(key: str, drawn: Slider) -> float:
    """A number that is drawn between two ends."""
    return st.slider(
        drawn.label, drawn.least, drawn.most, drawn.first, drawn.step, key=key, bind="query-params"
    )


def toggle(label: str, key: str, *, value: bool = True, help: str | None = None) -> bool:
    """On or off; on by default."""
    return st.toggle(label, value, key=key, bind="query-params", help=help)


def select(label: str, key: str, options: Sequence[Option], **more: Any) -> Option:
    """One of several, from a list that opens."""
    return st.selectbox(label, options, key=key, bind="query-params", **more)


def switch(label: str, key: str, options: Sequence[Option], **more: Any) -> Option:
    """One of a few, in a row; the first one by default."""
    return st.segmented_control(
        label, options, key=key, bind="query-params", required=True, default=options[0],
        label_visibility="collapsed", **more,
    )  # fmt: skip


def multiselect(label: str, key: str, options: Sequence[str], *, placeholder: str) -> list[str]:
    """Any number of texts, offered or typed."""
    given = st.session_state.get(key) or st.query_params.get_all(key)
    return st.multiselect(
        label, list(dict.fromkeys((*options, *given))), key=key, bind="query-params",
        accept_new_options=True, placeholder=placeholder, label_visibility="collapsed",
    )  # fmt: skip


def fill(values: dict[str, Any]) -> None:
    """Put values into inputs, and forget what was clicked before."""
    st.session_state.update(values)
    forget_clicks()


def examples(named: Examples) -> None:
    """A button for each example, which fills the inputs with its values."""
    with st.container(horizontal=True, key="examples"):
        for i, (label, values) in enumerate(named):
            st.button(escape_markdown(label), key=f"example-{i}", on_click=fill, args=(values,))


def suggestions(key: str, texts: Sequence[str]) -> None:
    """A button for each text, which puts it into the input of this key."""
    with st.container(horizontal=True, key=f"examples-{key}"):
        for text in texts:
            st.button(
                escape_markdown(text),
                key=f"suggestion-{key}-{text}",
                on_click=st.session_state.update,
                args=({key: text},),
            )
