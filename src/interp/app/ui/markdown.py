"""Text in Streamlit's Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """`text` as Markdown that shows just that text: no link, picture, formula or directive."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
