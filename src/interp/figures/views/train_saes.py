"""The presentation of how good several sparse autoencoders are that were trained together."""

from __future__ import annotations

import numpy as np

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Block, Table, View, Words
from interp.figures.views.training_curves import training_curves
from interp.saes.results import SAEQualitiesResult


def view(result: SAEQualitiesResult) -> View:
    """The metrics of each dictionary, and the curves of the trainings with a line for each."""
    one = result.saes[0]
    blocks: list[Block] = [Words(_verdict(result), strong=True, name="verdict"), _by_site(result)]
    losses = [sae.losses for sae in result.saes if sae.losses is not None]
    if len(losses) == len(result.saes):
        sites = [sae.sae.site for sae in result.saes]
        blocks += training_curves(np.stack(losses), one.loss_names, sites)
    return View(
        title="How well do sparse autoencoders stand for the activations?",
        above=(
            f"{one.sae.n_features} features ({one.sae.activation}) for each of "
            f"{count(len(result.saes), 'site')}, trained for {show_text(one.sae.model)} from one stream of "
            "activations.",
            f"Measured on {show_text(one.text)}: {count(one.n_tokens, 'token')}, without {one.excluded}.",
        ),
        blocks=tuple(blocks),
        below=(
            "Each is measured alone: the model reads its reconstruction in place of the activations of its "
            "site, the others as they are.",
            "Good numbers say that a dictionary stands for the activations, not that each feature means "
            "something, nor that the model uses it.",
        ),
    )


def _verdict(result: SAEQualitiesResult) -> str:
    worst, best = (pick(result.saes, key=lambda one: one.explained_variance) for pick in (min, max))
    return (
        f"They explain {_percent(worst.explained_variance)} ({worst.sae.site}) to "
        f"{_percent(best.explained_variance)} ({best.sae.site}) of the variance."
    )


def _by_site(result: SAEQualitiesResult) -> Table:
    rows = tuple(
        (
            one.sae.site,
            decimal(one.l0, 1),
            decimal(one.explained_variance, 3),
            _percent(one.dead),
            measured(one.ce_sae),
            measured(one.ce_clean),
            measured(one.ce_mean),
        )
        for one in result.saes
    )
    columns = (
        "site",
        "L0",
        "explained variance",
        "dead",
        "nats with it",
        "nats without",
        "nats, the mean instead",
    )
    return Table(columns, rows, title="By site", name="by_site")


def _percent(share: float) -> str:
    return f"{decimal(100 * share, 1)} %"


figure, table, report = presentation(view)
