"""Naming the features of an SAE, as an experiment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interp.experiments.base import experiment
from interp.experiments.on_saes import SAEConfig
from interp.experiments.on_text import reading_of

if TYPE_CHECKING:
    from interp.methods.features.describers import ByModel
    from interp.methods.features.description_results import FeatureDescriptionsResult
    from interp.models.base import Model
    from interp.saes.dictionary import SAE
    from interp.saes.reading import FeatureRecord
    from interp.saes.transcoder import Transcoder


class DescribeFeaturesConfig(SAEConfig):
    """See `interp.describe_features`. `features` are those to name (null: the `n` that are active most often,
    but at no more than a tenth of tokens).

    Without `url` the labels of the text name them, and nothing is sent. With it, contexts of the text are
    sent to that endpoint (the base of an API that speaks OpenAI's protocol) and to its model `asked`;
    `key_from` is the environment variable that holds a key. With `by`, a model on this machine is asked: a
    short name, a folder or a GGUF file. `keep` writes the names into the SAE's folder.

    With `layer`, `sae` names transcoders, and the features are those of this layer's.
    """

    layer: int | None = None

    features: list[int] | None = None
    n: int = 20
    text: str = "demo"
    field: str = "text"  # of JSON lines, tables and datasets
    sequences: int = 256
    length: int = 128
    contexts: int = 10
    held_out: int = 20
    by: str | None = None
    url: str | None = None
    asked: str = "default"
    key_from: str | None = None
    keep: bool = False


@experiment("describe_features", config=DescribeFeaturesConfig)
def run(config: DescribeFeaturesConfig, model: Model) -> FeatureDescriptionsResult:
    """What are features called, by labels or by a language model, and is the name any good?"""
    from interp.errors import ConfigError
    from interp.methods.features.describe_features import describe_features
    from interp.methods.features.surface_labels import with_surface_labels
    from interp.saes.descriptions import write_descriptions
    from interp.saes.reading import check_features, record_features
    from interp.saes.sources import load_transcoders, sae_folder, transcoder_folder

    key = None if config.key_from is None else os.environ.get(config.key_from)
    if config.key_from is not None and not key:
        raise ConfigError(f"The environment variable {config.key_from!r} (key_from) is not set.")
    if config.by is not None and config.url is not None:
        raise ConfigError("Names are given by one model; leave out by or url.")
    if config.n < 1:
        raise ConfigError(f"n, how many features to name, must be at least 1; got {config.n}.")
    sae: SAE | Transcoder
    if config.layer is None:
        sae, folder = config.dictionary(model), sae_folder(config.sae)
    else:
        folder = transcoder_folder(config.sae, config.layer)
        sae = load_transcoders(config.sae, model)[config.layer]
    if config.features is not None:
        check_features(sae.n_features, config.features)
    text = reading_of(config, model)
    describer = _describer(config, key)
    if describer is None and not text.label_names:
        text = with_surface_labels(model, text)
    record = record_features(model, sae, text)
    result = describe_features(
        model,
        record,
        _most_active(record, config.n) if config.features is None else config.features,
        describer,
        contexts=config.contexts,
        held_out=config.held_out,
        seed=config.seed,
    )
    if config.keep:
        write_descriptions(folder, result.descriptions)
    return result


def _describer(config: DescribeFeaturesConfig, key: str | None) -> ByModel | None:
    """Who names features; None: the labels of the text."""
    from interp.methods.features.chat_endpoint import ChatEndpoint
    from interp.methods.features.describers import ByModel
    from interp.methods.features.local_chat import LocalChat
    from interp.models.registry import load_model

    if config.by is not None:
        return ByModel(LocalChat(load_model(config.by, device=config.device, self_check=False)))
    if config.url is not None:
        return ByModel(ChatEndpoint(url=config.url, model=config.asked, key=key))
    return None


def _most_active(record: FeatureRecord, n: int) -> list[int]:
    """The features that are active most often, but at no more than a tenth of tokens."""
    number = record.n_active.copy()
    number[number > record.n_counted / 10] = 0
    return (-number).argsort(kind="stable")[:n].tolist()
