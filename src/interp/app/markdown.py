"""Text in Streamlit's Markdown."""

from __future__ import annotations

import re


def escape_markdown(text: str) -> str:
    """Markdown that shows just this text: no link, picture, formula or directive."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
