"""The presentation of how good a sparse autoencoder is, and of its training."""

from __future__ import annotations

from itertools import pairwise

from interp.figures.engine.notation import count, decimal, measured, show_text
from interp.figures.engine.presentation import presentation
from interp.figures.engine.view import Bars, Block, Table, View, Words
from interp.figures.views import train_saes
from interp.figures.views.training_curves import training_curves
from interp.saes.results import SAEQualitiesResult, SAEQualityResult, density_histogram

_BINS = 12


def view(result: SAEQualityResult | SAEQualitiesResult) -> View:
    """The metrics, how often features are active, and the curves of the training where there was one; of
    several dictionaries, those of all of them."""
    if isinstance(result, SAEQualitiesResult):
        return train_saes.view(result)
    blocks: list[Block] = [
        Words(_verdict(result), strong=True, name="verdict"),
        _metrics(result),
        _densities(result),
    ]
    if result.losses is not None:
        blocks += training_curves(result.losses[None], result.loss_names)
    return View(
        title="How well does a sparse autoencoder stand for the activations?",
        above=(
            f"{result.sae.n_features} features ({result.sae.activation}) of {result.sae.site}, trained for "
            f"{show_text(result.sae.model)}.",
            f"Measured on {show_text(result.text)}: {count(result.n_tokens, 'token')}, without "
            f"{result.excluded}.",
        ),
        blocks=tuple(blocks),
        below=(
            *_better(result),
            "Good numbers say that the dictionary stands for the activations, not that each feature means "
            "something, nor that the model uses it.",
        ),
    )


def _verdict(result: SAEQualityResult) -> str:
    return (
        f"{decimal(result.l0, 1)} of {result.sae.n_features} features at a token explain "
        f"{_percent(result.explained_variance)} of the variance; the model that reads their sum in place of "
        f"the activation predicts the next token at {measured(result.ce_sae)} nats, as it is at "
        f"{measured(result.ce_clean)}; {_percent(result.dead)} of the features are dead."
    )


def _better(result: SAEQualityResult) -> list[str]:
    if result.ce_sae >= result.ce_clean:
        return []
    return ["CE recovered above 1: the model predicts this text better through the dictionary than without."]


def _metrics(result: SAEQualityResult) -> Table:
    rows = (
        ("L0", measured(result.l0), "features above 0 at a token, mean"),
        (
            "explained variance",
            decimal(result.explained_variance, 4),
            "1 - error / variance, both summed over tokens (1 - FVU)",
        ),
        (
            "explained variance per token",
            decimal(result.explained_variance_per_token, 4),
            "the mean over tokens of 1 - error / squared distance from the mean",
        ),
        (
            "CE recovered, against zeros",
            decimal(result.recovered_from_zero, 4),
            f"nats: clean {measured(result.ce_clean)}, SAE {measured(result.ce_sae)}, zeros "
            f"{measured(result.ce_zero)}",
        ),
        (
            "CE recovered, against the mean",
            decimal(result.recovered_from_mean, 4),
            f"the mean activation in place of zeros: {measured(result.ce_mean)} nats",
        ),
        (
            "dead",
            _percent(result.dead),
            f"{count(int((result.density == 0).sum()), 'feature')} never active on this text",
        ),
    )
    return Table(("metric", "value", "what it is"), rows, title="Metrics", name="metrics")


def _densities(result: SAEQualityResult) -> Bars:
    edges, counts = density_histogram(result.density, bins=_BINS)
    return Bars(
        name="densities",
        labels=tuple(f"{10**low:.1e} to {10**high:.1e}" for low, high in pairwise(edges)),
        values=tuple(counts.astype(float).tolist()),
        unit="features",
        title="How often features are active: the share of tokens, on a logarithmic scale",
        note="Features that are dead on this text are left out.",
    )


def _percent(share: float) -> str:
    return f"{decimal(100 * share, 1)} %"


figure, table, report = presentation(view)
