"""Which lens it was, and how good it is on text: what every reading by a lens says of it."""

from __future__ import annotations

from interp.figures.engine.notation import decimal, show_text
from interp.figures.engine.view import Table
from interp.methods.lens.results import ContrastResult, LensCard, LogitLensResult


def lens_name(lens: str) -> str:
    """``Jacobian lens``; a patchscope is called just that."""
    named = lens.capitalize()
    return named if lens == "patchscope" else f"{named} lens"


def about_lens(result: LogitLensResult | ContrastResult) -> list[str]:
    """The lens and how good it is, in sentences; nothing where it is the logit lens."""
    if result.lens == "logit":
        return []
    what = f"{lens_name(result.lens)}: {show_text(result.lens_description)}."
    return [what, on_text(result.lens_card)]


def on_text(card: LensCard | None) -> str:
    """How good a lens is on text, beside the logit lens."""
    if card is None:
        return "How good it is on text is not recorded."
    kl, logit_kl, top1, logit_top1 = (
        decimal(float(values[:-1].mean())) for values in (card.kl, card.logit_kl, card.top1, card.logit_top1)
    )
    return (
        f"On {show_text(card.text)} ({card.n_tokens} tokens), mean over layers before the last: KL to the "
        f"model's prediction {kl} nats (logit lens {logit_kl}); its first token is the model's in {top1} of "
        f"cases ({logit_top1})."
    )


def card_table(card: LensCard) -> Table:
    """The card, layer by layer."""
    columns = (card.kl, card.logit_kl, card.top1, card.logit_top1)
    rows = tuple(
        (layer, *(decimal(float(values[i])) for values in columns)) for i, layer in enumerate(card.layers)
    )
    return Table(
        ("after layer", "KL", "of the logit lens", "first token is the model's", "by the logit lens"),
        rows,
        title=f"How good the lens is on {show_text(card.text)}",
        name="card",
        media=("page",),
    )
