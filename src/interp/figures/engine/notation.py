"""How tokens and numbers are written, the same in figures, tables and reports."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from interp.provenance import Provenance

SPACE, NEWLINE, TAB, CUT = "␣", "↵", "⇥", "…"
#: Letters and symbols by their class that print nothing: fillers of Hangul, Braille's blank.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_MARKS = {" ": SPACE, "\n": NEWLINE, "\t": TAB}


def show_token(text: str, *, max_chars: int | None = None) -> str:
    """A token as one visible line: spaces as ``␣``, newlines as ``↵``, the unprintable as escapes.

    Longer ones than `max_chars` lose their middle; where that is done, show the whole one on hover.

    >>> show_token(" Paris"), show_token("\\n"), show_token("<|endoftext|>", max_chars=8)
    ('␣Paris', '↵', '<|end…|>')
    """
    base = next((i for i, c in enumerate(text) if c != " " and not unicodedata.combining(c)), len(text))
    shown = [  # an accent that stands on nothing is no accent
        code_point(c) if i < base and c != " " else _MARKS.get(c) or visible(c) for i, c in enumerate(text)
    ]
    return shorten("".join(shown) or "∅", max_chars)


def brief(text: str) -> str:
    """A token within a sentence, which a very long one must not burst."""
    return show_token(text, max_chars=32)


def show_text(text: str, *, max_chars: int | None = None) -> str:
    """A running text (a prompt, a model's name) on one line: as `show_token`, with its spaces left alone."""
    return shorten("".join(c if c == " " else _MARKS.get(c) or visible(c) for c in text), max_chars)


def show_prompt(
    tokens: Sequence[str], text: str | None = None, *, bos: str, max_chars: int | None = None
) -> str:
    """A prompt as running text, without the BOS that the library put in front: its `text`, or where a result
    has none, its tokens one after the other."""
    shown = "".join(tokens) if text is None else text
    return show_text(shown.removeprefix(bos) if tokens[:1] == (bos,) else shown, max_chars=max_chars)


def visible(character: str) -> str:
    """The character, or its escape where it prints nothing or rearranges its neighbours (control, bidi)."""
    return character if character.isprintable() and character not in _BLANK else code_point(character)


def code_point(character: str) -> str:
    """The character as an escape in ASCII, such as ``\\u200b``."""
    return character.encode("unicode_escape").decode("ascii")


def shorten(text: str, max_chars: int | None) -> str:
    """`text` with its middle left out where it has more than `max_chars` characters."""
    if max_chars is None or len(text) <= max_chars:
        return text
    kept = max(max_chars - 1, 1)
    head = kept - kept // 3
    tail = kept - head
    return text[:head] + CUT + (text[-tail:] if tail else "")


def decimal(value: float, places: int = 2) -> str:
    """A number with that many decimals, and never ``-0.00``."""
    shown = f"{value:.{places}f}"
    return shown[1:] if shown.startswith("-") and not shown.strip("-0.") else shown


def signed(value: float) -> str:
    """A number to two decimals, with a plus where it is above 0."""
    return f"{'+' if value > 0 else ''}{decimal(value)}"


def compact(value: float) -> str:
    """A number for a narrow cell: two decimals, fewer where it is large. It is never clipped."""
    size = abs(value)
    if size >= 9999.5:
        return f"{value:.0e}"
    return decimal(value, 2 if size < 9.995 else 1 if size < 99.95 else 0)


def measured(value: float) -> str:
    """A number of any size to four digits, for a sentence."""
    return f"{value + 0.0:.4g}"


def interval(low: float, high: float) -> str:
    """The ends of an interval, with two decimals: ``0.71 to 0.75``; ``no interval`` where they are NaN."""
    return "no interval" if math.isnan(low) or math.isnan(high) else f"{decimal(low)} to {decimal(high)}"


def probability(value: float) -> str:
    """A probability to three decimals, in powers of ten where that would read as zero.

    >>> probability(0.4567), probability(2.13e-5), probability(0)
    ('0.457', '2.1e-05', '0')
    """
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.1e}" if value > 0 else "0"


def round_numbers(low: float, high: float) -> list[float]:
    """Three to seven round numbers from `low` to `high`, as an axis bears them."""
    unit = 10 ** math.floor(math.log10(high - low))
    step = next(s * unit for s in (0.2, 0.5, 1, 2, 5) if (high - low) / (s * unit) <= 5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def count(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def model_line(provenance: Provenance) -> str:
    """The model and how it was run, in one line."""
    revision = f" at {provenance.revision[:12]}" if provenance.revision else ""
    weights = "raw" if provenance.processing == "none" else provenance.processing
    if provenance.quantisation:
        packed = provenance.quantisation.startswith("packed")
        weights += f", {provenance.quantisation if packed else f'dequantised ({provenance.quantisation})'},"
    weights += " weights"
    if provenance.weights:
        weights += f" (SHA-256 {provenance.weights[:12]})"
    unchecked = "; SELF-CHECK SKIPPED" if provenance.self_check == "skipped" else ""
    return (
        f"Model {show_text(provenance.model + revision)}; {provenance.backend}, {provenance.dtype}, "
        f"{provenance.device}; BOS {show_token(provenance.bos)}; {weights}; "
        f"seed {provenance.seed}{unchecked}."
    )
