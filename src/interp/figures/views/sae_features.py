"""Which features of an SAE are active on a prompt, by number: what they are about is asked of a text."""

from __future__ import annotations

from interp.figures.engine.notation import count, show_prompt, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import View, Words
from interp.figures.views.prompt_features import prompt_grid, token_table
from interp.methods.features.results import SAEFeaturesResult

_ROWS = 16  # features in the grid


def view(result: SAEFeaturesResult) -> View:
    """The strongest features over the tokens of the prompt, and each token's."""
    last = int(result.n_active[-1])
    return View(
        title="Which features does the prompt have?",
        above=(
            f"Prompt: {show_prompt(result.tokens, result.prompt, bos=result.provenance.bos)}",
            f"SAE of {show_text(result.sae.model)} at {result.sae.site}: {result.sae.n_features} features, "
            f"{result.sae.activation}.",
        ),
        blocks=(
            Words(f"Active at the last token: {count(last, 'feature')}.", strong=True, name="verdict"),
            prompt_grid(result, {}, rows=_ROWS),
            token_table(result, {}),
        ),
        below=("A feature is a number until it is read on a text; an active one need not be used.",),
    )


figure, table, report = presentation(view)
