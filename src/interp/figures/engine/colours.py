"""Colour scales as plain functions, shared by figures, tables and reports.

The diverging scale is ColorBrewer's RdBu and the sequential one its YlGnBu, both safe for colour-blind
readers. On a dark page, zero is dark and the ends are bright. A number always stands beside its colour.
"""

from __future__ import annotations

from itertools import pairwise

RGB = tuple[int, int, int]

#: Here the diverging scale is at its strongest: 1 has a strong colour, a value beyond it a stronger one.
LIMIT = 1.5

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)

# Value of the anchor -> colour. The two arms of the diverging scale have their anchors at the same distances.
_WARM = ((0, "f7f7f7"), (0.25, "fddbc7"), (0.5, "f4a582"), (0.75, "d6604d"), (1, "b2182b"), (LIMIT, "67001f"))
_COOL = ((0, "f7f7f7"), (0.25, "d1e5f0"), (0.5, "92c5de"), (0.75, "4393c3"), (1, "2166ac"), (LIMIT, "053061"))
_WARM_DARK = (
    (0, "25262a"),
    (0.25, "4a2a2a"),
    (0.5, "8a3530"),
    (0.75, "c9503f"),
    (1, "f4845f"),
    (LIMIT, "ffd0b0"),
)
_COOL_DARK = (
    (0, "25262a"),
    (0.25, "223a52"),
    (0.5, "24587f"),
    (0.75, "3382b5"),
    (1, "62b0e0"),
    (LIMIT, "bfe3fa"),
)
_SEQUENTIAL = (
    *((0, "ffffff"), (0.1, "f3fabf"), (0.2, "dff2b2"), (0.35, "9fd9b8"), (0.5, "52bcc2"), (0.65, "2394c1")),
    *((0.8, "2260a9"), (0.9, "253c98"), (1, "14246b")),
)
_SEQUENTIAL_DARK = (
    *((0, "1d2026"), (0.1, "22304a"), (0.2, "1f4062"), (0.35, "1f5f83"), (0.5, "24829a"), (0.65, "35a79c")),
    *((0.8, "74c68a"), (0.9, "b4d878"), (1, "f2e56b")),
)


def diverging(value: float, *, dark: bool = False) -> RGB:
    """Colour of a signed value: neutral at 0, warm above, blue below, equally strong at equal distance."""
    if value >= 0:
        return _between(_WARM_DARK if dark else _WARM, value)
    return _between(_COOL_DARK if dark else _COOL, -value)


def sequential(value: float, *, dark: bool = False) -> RGB:
    """Colour of a probability: pale at 0, strong at 1 (on a dark page: dim at 0, bright at 1)."""
    return _between(_SEQUENTIAL_DARK if dark else _SEQUENTIAL, value)


def text_on(background: RGB) -> RGB:
    """Black or white, whichever reads better on `background`; the contrast is at least 4.5 to 1."""
    return BLACK if contrast(BLACK, background) >= contrast(WHITE, background) else WHITE


def contrast(a: RGB, b: RGB) -> float:
    """The contrast ratio of two colours, from 1 to 21, as the web's accessibility guidelines define it."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: RGB) -> float:
    """Relative luminance from 0 (black) to 1 (white)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def css(colour: RGB) -> str:
    """``#rrggbb``, which matplotlib, rich and browsers read alike."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _between(anchors: tuple[tuple[float, str], ...], value: float) -> RGB:
    """Linear between the two anchors around `value`; the end colours beyond them."""
    for (low, start), (high, stop) in pairwise(anchors):
        if value <= high:
            share = max(0.0, (value - low) / (high - low))
            a, b = bytes.fromhex(start), bytes.fromhex(stop)
            r, g, b_ = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
            return r, g, b_
    r, g, b_ = bytes.fromhex(anchors[-1][1])
    return r, g, b_
