"""Scaling nodes of an attribution graph, as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interp.errors import ConfigError
from interp.experiments.base import ExperimentConfig, PromptText, experiment

if TYPE_CHECKING:
    from interp.methods.graphs.results import ScaledNodesResult
    from interp.models.base import Model
    from interp.saes.transcoder import Transcoders


class ScaleNodesConfig(ExperimentConfig):
    """See `interp.scale_nodes` for what each key means, and `interp.load_transcoders` for `transcoders`.

    Nodes are named as in graph files. With `graph`, such a file, and `group`, they are those of a supernode
    that was made and saved in its page. Null: the `n` features with the most influence on the answer."""

    transcoders: str = "demo-gpt2"
    prompt: PromptText = "The capital of France is"
    nodes: list[str] | None = None
    n: int = 1
    graph: str | None = None
    group: str | None = None
    factors: list[float] = [0.0, 2.0]  # noqa: RUF012  # pydantic copies it
    answer: str | None = None
    n_tokens: int = 8


@experiment("scale_nodes", config=ScaleNodesConfig)
def run(config: ScaleNodesConfig, model: Model) -> ScaledNodesResult:
    """What does the model say with nodes of its attribution graph scaled?"""
    from interp.methods.graphs.scale_nodes import scale_nodes
    from interp.saes.sources import load_transcoders

    if (config.graph is None) != (config.group is None) or (config.group and config.nodes):
        raise ConfigError("Name nodes, or a group of a graph file by both graph and group.")
    if config.n < 1:
        raise ConfigError(f"n, how many features are scaled, must be at least 1; got {config.n}.")
    if config.answer is not None:
        model.encoder.single_token(config.answer)
    model.to_tokens(config.prompt)
    nodes = config.nodes if config.group is None else _of_group(config, model)
    transcoders = load_transcoders(config.transcoders, model)
    return scale_nodes(
        model,
        transcoders,
        config.prompt,
        _most_influence(config, model, transcoders) if nodes is None else nodes,
        config.factors,
        name=config.group or "",
        answer=config.answer,
        n_tokens=config.n_tokens,
        seed=config.seed,
    )


def _of_group(config: ScaleNodesConfig, model: Model) -> list[str]:
    """The nodes of a supernode of the graph file."""
    from interp.errors import nearest
    from interp.methods.graphs.graph_files import read_graph

    assert config.graph is not None
    graph = read_graph(config.graph)
    if graph.metadata.prompt_tokens != model.labels(model.to_tokens(config.prompt).row(0)):
        raise ConfigError(
            f"{str(config.graph)!r} is the graph of {graph.metadata.prompt!r}, not of this prompt."
        )
    groups = {group[0]: group[1:] for group in graph.qParams.supernodes if group}
    if config.group not in groups:
        known = nearest(config.group or "", groups) if groups else "it has none."
        raise ConfigError(f"{str(config.graph)!r} has no group {config.group!r}; {known}")
    return groups[config.group]


def _most_influence(config: ScaleNodesConfig, model: Model, transcoders: Transcoders) -> list[str]:
    """The features with the most influence on the answer."""
    from interp.methods.graphs.attribution_graph import attribution_graph
    from interp.methods.graphs.graph_files import graph_file

    graph = attribution_graph(model, transcoders, config.prompt, answer=config.answer)
    features = [node for node in graph_file(graph).nodes if node.feature_type == "cross layer transcoder"]
    if not features:
        raise ConfigError("No feature is left in the graph of this prompt; name nodes.")
    features.sort(key=lambda node: -(node.influence or 0.0))
    return [node.node_id for node in features[: config.n]]
