"""Generating text, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.errors import ConfigError
from interp.experiments.base import ExperimentConfig, Message, PromptText, experiment
from interp.experiments.edit_text import EditText, chosen_direction, read_edits

if TYPE_CHECKING:
    from interp.methods.common.direction import Direction
    from interp.methods.generation.readers import Reader
    from interp.methods.generation.results import GenerateResult
    from interp.models.base import Model
    from interp.saes.dictionary import SAE


class GenerateConfig(ExperimentConfig):
    """See `interp.generate` for what each key means. Without `temperature`, the likeliest token is taken each
    time. `lens_tokens` are read by a lens after `lens_layer`; `features`, of the dictionary `sae`;
    coordinates along `read_directions`, of the file `directions`. `interp.experiments.edit_text` says how
    edits are written."""

    prompt: PromptText | list[str] | list[list[Message]] = "The capital of France is"
    n_tokens: int = 20
    edits: list[EditText] = []  # noqa: RUF012  # pydantic copies it
    temperature: float | None = None
    top_p: float = 1.0
    stop: list[str] | None = None  # None: the model's own
    lens_layer: int | None = None
    lens_tokens: list[str] = []  # noqa: RUF012
    lens: str | None = None
    sae: str | None = None
    features: list[int] = []  # noqa: RUF012
    directions: str | None = None
    read_directions: list[int] = []  # noqa: RUF012


@experiment("generate", config=GenerateConfig)
def run(config: GenerateConfig, model: Model) -> GenerateResult:
    """What does the model go on to say, edited and not, and what is read in it on the way?"""
    from interp.methods.common.direction import read_directions
    from interp.methods.generation.generate import generate
    from interp.saes.sources import load_sae
    from interp.sampling import Sample

    sae = None if config.sae is None else load_sae(config.sae, model)
    directions = [] if config.directions is None else read_directions(config.directions, model)
    if config.temperature is None and config.top_p != 1:
        raise ConfigError("top_p is for tokens that are drawn; give a temperature, such as 1.0, beside it.")
    return generate(
        model,
        config.prompt,
        config.n_tokens,
        edits=read_edits(config.edits, model, sae=sae, directions=directions),
        sample=None
        if config.temperature is None
        else Sample(temperature=config.temperature, top_p=config.top_p, seed=config.seed),
        stop="auto" if config.stop is None else config.stop,
        read=_readers(config, model, sae, directions),
    )


def _readers(
    config: GenerateConfig, model: Model, sae: SAE | None, directions: list[Direction]
) -> list[Reader]:
    """What is read: by a lens, of a dictionary, along directions."""
    from interp.methods.generation.readers import direction_reader, feature_reader, lens_reader

    readers = []
    if config.lens_tokens or config.lens_layer is not None:
        layer = model.arch.n_layers - 1 if config.lens_layer is None else config.lens_layer
        readers.append(lens_reader(model, layer, config.lens_tokens, lens=config.lens))
    if config.features:
        if sae is None:
            raise ConfigError("Features are read in a dictionary; give 'sae'.")
        readers.append(feature_reader(model, sae, config.features))
    for number in config.read_directions:
        readers.append(direction_reader(model, chosen_direction(directions, number)))
    return readers
