"""An answer as it is typed: how it is divided, or why it is none yet, and tokens that go on from it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import NotAnswered, ask
from interp.app.ui import inputs
from interp.app.ui.errors import show_errors
from interp.app.views.tokens import LikeliestTokens, SingleToken, TypedAnswer, completions, read_token
from interp.errors import InputError, InterpError
from interp.figures.engine.notation import show_token


def typed_token(model: str, typed: str) -> str | None:
    """The one token that was typed; None where it is none, which is said as what is missing and not as an
    error: it may be half of one."""
    try:
        return ask(model, SingleToken(read_token(typed)))
    except InputError as error:
        st.caption(escape_markdown(f"No token yet: {error}"))
        return None


def typed_answer(model: str, typed: str) -> str | None:
    """The answer that was typed, of one token or several; None as of `typed_token`."""
    try:
        answer = ask(model, TypedAnswer(read_token(typed)))
    except InputError as error:
        st.caption(escape_markdown(f"No answer yet: {error}"))
        return None
    if answer.in_words:
        st.caption(escape_markdown(f"{show_token(answer.text)} is {answer.in_words}"))
    return answer.text


def read_answers(model: str, *typed: tuple[str, Any, bool]) -> list[str | None]:
    """What each input holds as an answer, said at its place: (text, place, whether it may be empty). Empty
    where it may be and is; None where it is no answer.

    To be called when all inputs of the page are drawn: a run that is interrupted before an input is drawn
    forgets it.
    """
    answers: list[str | None] = []
    for text, place, may_be_empty in typed:
        answer: str | None = ""
        if text or not may_be_empty:
            answer = None
            with place, show_errors():
                answer = typed_answer(model, text)
        answers.append(answer)
    return answers


def suggest(model: str, prompt: str, **places: Any) -> None:
    """At each place, buttons for tokens that go on from what the input of that key holds, the likeliest after
    the prompt first. To be called when the rest of the page is drawn, which is not kept waiting; a prompt
    that cannot be used has been refused there."""
    with suppress(InterpError, NotAnswered):
        likeliest = ask(model, LikeliestTokens(prompt))
        for key, place in places.items():
            with place:
                found = completions(likeliest, read_token(str(st.session_state.get(key, ""))))
                inputs.suggestions(key, [show_token(text) for text in found])
