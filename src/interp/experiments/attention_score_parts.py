"""The parts of an attention score as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.graphs.results import AttentionScorePartsResult
    from interp.models.base import Model


class AttentionScorePartsConfig(ExperimentConfig):
    """See `interp.attention_score_parts` for what each key means, and `interp.load_transcoders` for
    `transcoders`."""

    transcoders: str = "demo-gpt2"
    prompt: PromptText = "The capital of France is"
    layer: int = 3
    head: int = 0
    query: int = -1
    key: int = -2
    other_key: int | None = None
    k: int = 30


@experiment("attention_score_parts", config=AttentionScorePartsConfig)
def run(config: AttentionScorePartsConfig, model: Model) -> AttentionScorePartsResult:
    """Why does a head attend there: which features in the query and the key?"""
    from interp.methods.graphs.attention_score_parts import attention_score_parts
    from interp.saes.sources import load_transcoders

    return attention_score_parts(
        model,
        load_transcoders(config.transcoders, model),
        config.prompt,
        layer=config.layer,
        head=config.head,
        query=config.query,
        key=config.key,
        other_key=config.other_key,
        k=config.k,
        seed=config.seed,
    )
