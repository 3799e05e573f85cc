"""Text whose width is known before it is drawn, in the font that comes with matplotlib."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

from interp.figures.engine.notation import code_point, shorten

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def font(size: float, *, bold: bool = False) -> FontProperties:
    """The font that comes with matplotlib, by its file, so that every machine draws the same."""
    return FontProperties(fname=str(_file(bold)), size=size)


def drawable(text: str) -> str:
    """`text` with the characters that the font lacks (CJK, most emoji) as escapes instead of empty boxes."""
    known = _characters()
    return "".join(c if c in known else code_point(c) for c in text)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in inches of `text` on one line."""
    return text_to_path.get_text_width_height_descent(drawable(text), font(size, bold=bold), False)[0] / 72


def fit(text: str, size: float, width: float, *, least: int = 3) -> str:
    """`text` with its middle left out as `width` inches need; empty where almost none would remain."""
    for chars in range(len(text), min(least, len(text)) - 1, -1):
        shown = shorten(text, chars)
        if text_width(shown, size) <= width:
            return shown
    return ""


def wrap(text: str, size: float, width: float) -> list[str]:
    """Lines of at most `width` inches, broken at spaces, and within a word where it alone is too long."""
    space = text_width(" ", size)
    lines, used = [""], 0.0
    for word in text.split(" "):
        for i, part in enumerate(_parts(word, size, width)):
            needed = text_width(part, size)
            if i or (lines[-1] and used + space + needed > width):
                lines.append(part)
                used = needed
            else:
                joined = bool(lines[-1])
                lines[-1] += " " * joined + part
                used += space * joined + needed
    return lines


def _parts(word: str, size: float, width: float) -> list[str]:
    """The word, in pieces that fit where it does not."""
    if text_width(word, size) <= width:
        return [word]
    pieces = [""]
    for character in word:
        if pieces[-1] and text_width(pieces[-1] + character, size) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def line_height(size: float) -> float:
    """Inches from one line of text to the next."""
    return size * 1.42 / 72


def _file(bold: bool) -> Path:
    return _FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


@lru_cache
def _characters() -> frozenset[str]:
    """The characters that the regular and the bold font both have."""
    known = [set(FT2Font(str(_file(bold))).get_charmap()) for bold in (False, True)]
    return frozenset(map(chr, known[0] & known[1]))
