"""Fitting a Jacobian lens as an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from interp.experiments.base import experiment
from interp.experiments.on_text import TextConfig

if TYPE_CHECKING:
    from interp.methods.lens.results import JacobianFitResult
    from interp.models.base import Model


class TrainJacobianLensConfig(TextConfig):
    """See `interp.fit_jacobian_lens` for what each key means, and `TextConfig` for the text.

    `merge` are folders of lenses that were fitted on other text, as on other machines: what is kept and
    measured is their mean with this one, weighted by prompts. `save_to` is a new folder for it, or a file
    that ends in ``.pt``, of the reference's format.
    """

    training: int = 40
    held_out: int = 16
    length: int = 64
    layers: list[int] | None = None
    target_layer: int | None = None
    positions: Literal["later", "same"] = "later"
    skip_first: int = 16
    error: float | None = Field(default=None, gt=0)
    merge: tuple[str, ...] | list[str] = ()
    save_to: str | None = None


@experiment("train_jacobian_lens", config=TrainJacobianLensConfig)
def run(config: TrainJacobianLensConfig, model: Model) -> JacobianFitResult:
    """Fit a Jacobian lens, keep it, and measure it beside the logit lens on text that it did not see."""
    from interp.methods.lens.cards import write_card
    from interp.methods.lens.fit_jacobian_lens import fit_jacobian_lens
    from interp.methods.lens.jacobian_files import check_new
    from interp.methods.lens.jacobian_lens import JacobianLens
    from interp.methods.lens.measure_lens import measure_lens
    from interp.methods.lens.results import JacobianFitResult
    from interp.provenance import Provenance

    if config.save_to is not None:
        check_new(config.save_to)
    others = [JacobianLens.load(place, model) for place in config.merge]
    text, held_out = config.load_text(model)
    lens, curve = fit_jacobian_lens(
        model,
        text,
        layers=config.layers,
        target_layer=config.target_layer,
        positions=config.positions,
        skip_first=config.skip_first,
        error=config.error,
        described=config.text,
        seed=config.seed,
    )
    lens = JacobianLens.merge([lens, *others]) if others else lens
    if config.save_to is not None:
        lens.save(config.save_to)
    quality = measure_lens(model, lens, held_out, described=config.held_out_text, seed=config.seed)
    if config.save_to is not None and Path(config.save_to).is_dir():  # a file of the reference's has no card
        write_card(config.save_to, quality.card)
    return JacobianFitResult(
        provenance=Provenance.of(model, seed=config.seed),
        n_prompts=lens.n_prompts,
        target_layer=lens.target_layer,
        curve=curve,
        quality=quality,
    )
