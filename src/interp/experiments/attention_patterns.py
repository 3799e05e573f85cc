"""Attention patterns as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.heads.results import AttentionPatternsResult
    from interp.models.base import Model


class AttentionPatternsConfig(ExperimentConfig):
    """See `interp.attention_patterns` for what each key means."""

    prompt: PromptText = "When John and Mary went to the store, John gave a drink to"
    heads: list[str | list[int]] | None = None


@experiment("attention_patterns", config=AttentionPatternsConfig)
def run(config: AttentionPatternsConfig, model: Model) -> AttentionPatternsResult:
    """Where do the heads look? Their attention patterns on a prompt."""
    from interp.methods.heads.attention_patterns import attention_patterns

    return attention_patterns(model, config.prompt, heads=config.heads, seed=config.seed)
