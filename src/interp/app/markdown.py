"""Text in Streamlit's Markdown."""

from __future__ import annotations

import re


def escape_markdown(text: str) -> str:
    """Markdown that shows just this text: no link, picture, formula or directive. What UTF-8 has no place for
    (half a surrogate pair, as names of files that are not in UTF-8 have) is shown as its escape."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
