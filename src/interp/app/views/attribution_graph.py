"""The page Graph without its widgets: which features at which tokens made the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import show_text
from interp.zoo import NAMES

if TYPE_CHECKING:
    from interp.methods.graphs.results import AttributionGraphResult, ScaledNodesResult
    from interp.models.base import Model

#: Prompts, one click each; offered are those that the model at hand answers.
EXAMPLES: tuple[tuple[str, dict[str, str]], ...] = tuple(
    (prompt, {"prompt": prompt, "answer": answer})
    for prompt, answer in (
        ("The capital of France is", "␣Paris"),
        ("The Eiffel Tower is in the city of", "␣Paris"),
        ("People in Italy speak", "␣Italian"),
    )
)

#: What to do where a model has no transcoders.
WITHOUT = (
    "give a folder that interp run train_transcoders wrote, or the name of published ones, which interp saes "
    "lists."
)


def own_transcoders(model: str) -> str:
    """The transcoders that come with a model."""
    if model in NAMES:
        return model
    raise InputError(f"No transcoders of {model!r} are known here; {WITHOUT}")


def has_transcoders(model: str) -> bool:
    """Whether transcoders of a model are known here."""
    return model in NAMES


@dataclass(frozen=True, kw_only=True)
class AttributionGraph(LibraryQuestion):
    """The pruned graph of a prompt, with what knocking out each node does to the model."""

    method: ClassVar[str] = "attribution_graph"
    transcoders: str
    prompt: str
    answer: str | None
    nodes: float

    def __call__(self, model: Model) -> AttributionGraphResult:
        from interp.experiments.attribution_graph import AttributionGraphConfig, run

        config = AttributionGraphConfig(model=model.identity.name, **self.arguments)
        return cast("AttributionGraphResult", run(config, model))


@dataclass(frozen=True, kw_only=True)
class ScaleNodes(LibraryQuestion):
    """What the model says with nodes of the graph scaled."""

    method: ClassVar[str] = "scale_nodes"
    transcoders: str
    prompt: str
    answer: str | None
    nodes: tuple[str, ...]
    factors: tuple[float, ...]

    def __call__(self, model: Model) -> ScaledNodesResult:
        from interp.experiments.scale_nodes import ScaleNodesConfig, run

        config = ScaleNodesConfig(model=model.identity.name, **self.arguments)
        return cast("ScaledNodesResult", run(config, model))


def node_names(graph: AttributionGraphResult) -> dict[str, str]:
    """The nodes of a graph that can be scaled: what they are called, by their names in files; features with
    the most influence first."""
    from interp.figures.views.attribution_graph import name_of
    from interp.methods.graphs.graph_files import graph_file

    files, nodes = graph_file(graph).nodes, graph.nodes
    order = sorted(
        (i for i in range(len(nodes)) if nodes.kinds[i] != "logit"),
        key=lambda i: (nodes.kinds[i] != "feature", -float(nodes.influence[i])),
    )
    says = {i: nodes.labels[i] if nodes.kinds[i] == "feature" else "" for i in order}
    return {
        files[i].node_id: name_of(graph, i) + (f" ({show_text(says[i])})" if says[i] else "") for i in order
    }


def as_python(model: str, question: AttributionGraph) -> str:
    """A program whose `result` is the answer."""
    given: dict[str, Any] = {"prompt": question.prompt, "answer": question.answer, "nodes": question.nodes}
    keywords = "".join(f"    {key}={value!r},\n" for key, value in given.items())
    return (
        "import interp\nfrom interp.methods.graphs.names import names_by_corpus\n\n"
        f"model = interp.load_model({model!r})\n"
        f"transcoders = interp.load_transcoders({question.transcoders!r}, model)\n"
        "names = names_by_corpus(model, transcoders)  # None but for the demo models\n"
        f"result = interp.attribution_graph(\n    model,\n    transcoders,\n{keywords}    names=names,\n)\n"
    )
