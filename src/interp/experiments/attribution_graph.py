"""An attribution graph as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.graphs.results import AttributionGraphResult
    from interp.models.base import Model


class AttributionGraphConfig(ExperimentConfig):
    """See `interp.attribution_graph` for what each key means; `transcoders` is what `interp.load_transcoders`
    takes.

    With `named`, features are called by the labels of the demo corpus that they say, which takes a run over
    `sequences` sequences of it; of a model that reads another text, they have no names."""

    transcoders: str = "demo-gpt2"
    prompt: PromptText = "The capital of France is"
    answer: str | None = None
    foil: str | None = None
    mass: float = 0.95
    nodes: float = 0.8
    edges: float = 0.98
    heads: int = 4
    named: bool = True
    sequences: int = 96


@experiment("attribution_graph", config=AttributionGraphConfig)
def run(config: AttributionGraphConfig, model: Model) -> AttributionGraphResult:
    """Which features at which tokens made the answer, and is it true?"""
    from interp.methods.graphs.attribution_graph import attribution_graph
    from interp.methods.graphs.names import names_by_corpus
    from interp.saes.sources import load_transcoders

    for token in (config.answer, config.foil):
        if token is not None:
            model.encoder.single_token(token)
    model.to_tokens(config.prompt)
    transcoders = load_transcoders(config.transcoders, model)
    names = names_by_corpus(model, transcoders, sequences=config.sequences) if config.named else None
    return attribution_graph(
        model,
        transcoders,
        config.prompt,
        answer=config.answer,
        foil=config.foil,
        mass=config.mass,
        nodes=config.nodes,
        edges=config.edges,
        names=names,
        heads=config.heads,
        seed=config.seed,
    )
