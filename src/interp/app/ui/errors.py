"""Errors as sentences on the page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from interp.app.markdown import escape_markdown
from interp.app.server.session import NotAnswered
from interp.errors import InterpError


@contextmanager
def show_errors() -> Iterator[None]:
    """Show an error of this block as a sentence, and go on with the rest of the page. A fault of the program
    is also logged in full in the terminal."""
    try:
        yield
    except NotAnswered:
        pass  # the page says why already
    except InterpError as error:
        st.error(escape_markdown(str(error)))
    except Exception:
        logging.getLogger(__name__).exception("A part of the page failed.")
        st.error(
            "This part of the page failed. That is a fault of the program, not of what you typed; the "
            "terminal in which the app runs says more."
        )
