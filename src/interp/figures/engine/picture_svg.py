"""A picture as an SVG element; its colours are classes of `chart.css`."""

from __future__ import annotations

from html import escape

from interp.figures.engine.picture import Area, Dot, Label, Mark, Picture

_PER_INCH = 120  # units of an SVG


def svg(picture: Picture, *, label: str) -> str:
    """The picture as an SVG element; marks with a tip tell it on hover."""
    inner = "\n".join(_element(mark) for mark in picture.marks)
    width, height = _units(picture.width), _units(picture.height)
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n{inner}\n</svg>'
    )


def _element(mark: Mark) -> str:
    tip = f"<title>{escape(mark.tip)}</title>" if mark.tip else ""
    if isinstance(mark, Label):
        return _text(mark, tip)
    if isinstance(mark, Dot):
        place = f'cx="{_units(mark.x)}" cy="{_units(mark.y)}" r="{_units(mark.radius)}"'
        ring = " ring" if mark.hollow else ""
        return f'<circle class="{mark.colour}{ring}" {place}>{tip}</circle>'
    points = " ".join(f"{_units(x)},{_units(y)}" for x, y in mark.points)
    opacity = f' opacity="{mark.opacity:g}"' if mark.opacity < 1 else ""
    if isinstance(mark, Area):
        return f'<polygon class="{mark.colour}" points="{points}"{opacity}>{tip}</polygon>'
    dash = " ".join(_units(d / 72) for d in mark.dash)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline class="{mark.colour}" points="{points}" stroke-width="{_units(mark.width / 72)}"'
        f"{dashes}{opacity}>{tip}</polyline>"
    )


def _text(mark: Label, tip: str) -> str:
    x, y = _units(mark.x), _units(mark.y)
    turn = f' transform="rotate(-90 {x} {y})"' if mark.upright else ""
    bold = ' font-weight="600"' if mark.bold else ""
    anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
    size = _units(mark.size / 72)
    return (
        f'<text class="{mark.colour}" x="{x}" y="{y}" dy=".35em" font-size="{size}"{anchor}{bold}{turn}>'
        f"{escape(mark.text)}{tip}</text>"
    )


def _units(inches: float) -> str:
    return f"{inches * _PER_INCH:.4g}"
