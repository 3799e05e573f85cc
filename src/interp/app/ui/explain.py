"""The head of a page: its title, its one question, and how to read it, with the words that it uses."""

from __future__ import annotations

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.views.explanations import EXPLANATIONS, GLOSSARY


def explain(page: str) -> None:
    """The title of a page, its question, and what opens below it."""
    explanation = EXPLANATIONS[page]
    st.title(explanation.title, anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="question"):
        st.markdown(f"*{escape_markdown(explanation.question)}*", width="content")
        with st.popover("How to read this", type="tertiary", icon=":material/help:"):
            st.markdown(escape_markdown(explanation.how))
            for term in explanation.terms:
                st.markdown(f"**{escape_markdown(term)}**: {escape_markdown(GLOSSARY[term])}")
