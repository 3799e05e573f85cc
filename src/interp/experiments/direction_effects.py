"""What a direction does, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from interp.experiments.base import AnswerText, experiment
from interp.experiments.on_labels import LabelledConfig
from interp.experiments.on_text import reading_of

if TYPE_CHECKING:
    from interp.methods.probing.results import DirectionEffectsResult
    from interp.models.base import Model


class DirectionEffectsConfig(LabelledConfig):
    """See `interp.direction_effects` for what each key means, and `LabelledConfig` for the prompts. The cost
    is measured on `sequences` of `length` tokens of `text` (`interp.reading_text`; null: not at all). `other`
    is the labelled dataset of another question, with `other_options`. `save_to` keeps the direction of all
    prompts in a new ``.safetensors`` file."""

    n: int | None = 80
    answer: AnswerText = " unknown"
    foil: AnswerText | None = None
    metric: Literal["logit_diff", "prob", "log_prob"] | None = None
    how: Literal["mean_difference", "principal_component", "logistic"] = "mean_difference"
    site: str = "resid_post"
    layer: int | None = None
    role: str = "END"
    strengths: list[float] = [-1.0, -0.5, -0.25, 0.25, 0.5, 1.0]  # noqa: RUF012  # pydantic copies it
    positions: Literal["all", "role"] = "all"
    other: str | None = None
    other_options: dict[str, Any] = {}  # noqa: RUF012
    n_random: int = 3
    n_shuffled: int = 2
    text: str | None = None
    sequences: int = 8
    length: int = 64
    save_to: str | None = None


@experiment("direction_effects", config=DirectionEffectsConfig)
def run(config: DirectionEffectsConfig, model: Model) -> DirectionEffectsResult:
    """Is the direction that tells two labels apart also a cause, and what does it cost?"""
    from interp.methods.common.direction import write_directions
    from interp.methods.probing.direction_effects import direction_effects
    from interp.methods.probing.directions import find_directions
    from interp.tasks.datasets import make_labelled

    layer = model.arch.n_layers // 2 if config.layer is None else config.layer
    data = config.labelled(model)
    other = None
    if config.other is not None:
        other = make_labelled(config.other, model, n=config.n, seed=config.seed, **config.other_options)
    text: tuple[tuple[int, ...], ...] = ()
    if config.text is not None:
        text = reading_of(config, model).sequences
    place: dict[str, Any] = {"how": config.how, "site": config.site, "role": config.role}
    result = direction_effects(
        model,
        data,
        config.answer,
        config.foil,
        text=text,
        **place,
        layer=layer,
        strengths=config.strengths,
        positions=config.positions,
        other=other,
        n_random=config.n_random,
        n_shuffled=config.n_shuffled,
        metric=config.metric,
        seed=config.seed,
    )
    if config.save_to is not None:
        write_directions(
            config.save_to, find_directions(model, data, **place, layers=[layer], seed=config.seed)
        )
    return result
