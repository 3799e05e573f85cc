"""Where a feature is active, as HTML: its contexts and its histogram. The styles are in `ui/features.css`."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from interp.figures.dashboard.feature_dashboard import strength_class
from interp.figures.engine.notation import decimal, show_text, show_token

if TYPE_CHECKING:
    from interp.methods.features.profile_results import Context, FeatureProfile


def histogram_html(profile: FeatureProfile) -> str:
    """How strongly it is active, as bars whose heights go by the square root."""
    largest = max(profile.histogram.counts) or 1
    bars = "".join(
        f'<i title="{decimal(low)} to {decimal(high)}: {count}" '
        f'style="height:{100 * (count / largest) ** 0.5:.1f}%"></i>'
        for low, high, count in profile.histogram.bars
    )
    ends = f"<span>0</span><span>strength</span><span>{decimal(profile.strongest, 1)}</span>"
    return f'<div class="histogram">{bars}</div><div class="scale">{ends}</div>'


def contexts_html(contexts: tuple[Context, ...], strongest: float) -> str:
    """Contexts as rows of shaded tokens, the marked one framed; every text escaped."""
    return "".join(
        f'<div class="context"><b>{decimal(context.values[context.marked], 1)}</b>'
        f"<p>{_tokens_html(context, strongest)}</p></div>"
        for context in contexts
    )


def _tokens_html(context: Context, strongest: float) -> str:
    spans = []
    for i, (token, value) in enumerate(zip(context.tokens, context.values, strict=True)):
        shade = strength_class(value / strongest)
        classes = f"{shade} marked" if i == context.marked else shade
        hover = f"{show_token(token)}  {decimal(value)}"
        spans.append(f'<span class="{classes}" title="{escape(hover)}">{escape(show_text(token))}</span>')
    return "".join(spans)
