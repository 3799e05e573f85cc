"""Generating text, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from interp.errors import ConfigError
from interp.experiments.base import ExperimentConfig, Message, PromptText, experiment

if TYPE_CHECKING:
    from interp.edits import Edit, EditFrom
    from interp.methods.generation.readers import Reader
    from interp.methods.generation.results import GenerateResult
    from interp.models.base import Model
    from interp.saes.dictionary import SAE


class EditText(TypedDict):
    """An edit in a configuration: an operation at an address, or of features of the `sae`; from a position
    on, or in what is said alone, where `start` says so."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    op: str
    at: NotRequired[str]
    features: NotRequired[list[int]]
    value: NotRequired[float | list[float]]
    start: NotRequired[int | Literal["generated"]]


class GenerateConfig(ExperimentConfig):
    """See `interp.generate` for what each key means. Without `temperature`, the likeliest token is taken each
    time. `lens_tokens` are read by a lens after `lens_layer`; `features`, of the dictionary `sae`."""

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


@experiment("generate", config=GenerateConfig)
def run(config: GenerateConfig, model: Model) -> GenerateResult:
    """What does the model go on to say, edited and not, and what is read in it on the way?"""
    from interp.methods.generation.generate import generate
    from interp.saes.sources import load_sae
    from interp.sampling import Sample

    sae = None if config.sae is None else load_sae(config.sae, model)
    if config.temperature is None and config.top_p != 1:
        raise ConfigError("top_p is for tokens that are drawn; give a temperature, such as 1.0, beside it.")
    return generate(
        model,
        config.prompt,
        config.n_tokens,
        edits=[_edit(one, sae) for one in config.edits],
        sample=None
        if config.temperature is None
        else Sample(temperature=config.temperature, top_p=config.top_p, seed=config.seed),
        stop="auto" if config.stop is None else config.stop,
        read=_readers(config, model, sae),
    )


def _edit(given: EditText, sae: SAE | None) -> Edit | EditFrom:
    """The edit that a configuration says."""
    import torch

    from interp.edits import Edit, EditFrom
    from interp.saes.edits import feature_edit
    from interp.sites import Address

    value: Any = given.get("value")
    value = torch.tensor(value) if isinstance(value, list) else value
    at = None if "at" not in given else Address.parse(given["at"])
    if "features" in given:
        if sae is None:
            raise ConfigError("An edit of features needs the dictionary that they are of; give 'sae'.")
        if at is not None and (at.site, at.layer) != (sae.address.site, sae.address.layer):
            raise ConfigError(f"The features are at {sae.address}, not at {at}; leave 'at' out.")
        positions, rows = (None, None) if at is None else (at.positions, at.rows)
        op: Any = given["op"]
        edit = feature_edit(sae, op, given["features"], value=value, positions=positions, rows=rows)
    elif at is None:
        raise ConfigError("An edit needs 'at', an address such as blocks.3.hook_resid_post, or 'features'.")
    else:
        edit = Edit(given["op"], at, value)  # type: ignore[arg-type]
    return EditFrom(edit, given["start"]) if "start" in given else edit


def _readers(config: GenerateConfig, model: Model, sae: SAE | None) -> list[Reader]:
    """What is read: by a lens, of a dictionary, or both."""
    from interp.methods.generation.readers import feature_reader, lens_reader

    readers = []
    if config.lens_tokens or config.lens_layer is not None:
        layer = model.arch.n_layers - 1 if config.lens_layer is None else config.lens_layer
        readers.append(lens_reader(model, layer, config.lens_tokens, lens=config.lens))
    if config.features:
        if sae is None:
            raise ConfigError("Features are read in a dictionary; give 'sae'.")
        readers.append(feature_reader(model, sae, config.features))
    return readers
