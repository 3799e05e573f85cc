"""The page Knowledge without its widgets: what a model was told, beside what it makes up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.app.views.questions import LibraryQuestion
from interp.zoo import NAMES

if TYPE_CHECKING:
    from interp.methods.knowledge.results import KnowledgeResult
    from interp.models.base import Model

Data = Literal["people", "facts", "entities"]
N, FEWER = 12, 8  # entities of each status: seconds on a demo model, minutes on a real one
MOST_PROBED = 8  # layers at which probes are fitted


def offered(model: str) -> tuple[Data, ...]:
    """Of whom can be asked, what fits first: what a model was told is known of the demo models alone."""
    return ("people", "facts", "entities") if model in NAMES else ("entities", "people", "facts")


def entities(model: str) -> int:
    """How many entities of each status are asked about at first."""
    return N if model in NAMES else FEWER


def probed(n_layers: int) -> tuple[int, ...] | None:
    """The layers, from -1 for the embedding, at which probes are fitted: of a deep model some, evenly,
    with the first and the last; None: all."""
    if n_layers + 1 <= MOST_PROBED:
        return None
    return tuple(round(-1 + i * n_layers / (MOST_PROBED - 1)) for i in range(MOST_PROBED))


@dataclass(frozen=True, kw_only=True)
class Knowledge(LibraryQuestion):
    """What differs inside between what a model has and what it makes up, without steering (it takes long)."""

    method: ClassVar[str] = "knowledge"
    data: Data
    n: int
    lens: str
    probe_layers: tuple[int, ...] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return super().arguments | {"strengths": []}

    def __call__(self, model: Model) -> KnowledgeResult:
        import interp

        data = interp.make_known(self.data, model, n=self.n)
        return interp.knowledge(model, data, lens=self.lens, strengths=(), probe_layers=self.probe_layers)


def as_python(model: str, question: Knowledge) -> str:
    """A program whose `result` is the answer."""
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n"
        f"data = interp.make_known({question.data!r}, model, n={question.n})\n"
        f"result = interp.knowledge(\n    model,\n    data,\n    lens={question.lens!r},\n    strengths=(),\n"
        f"    probe_layers={question.probe_layers!r},\n)\n"
    )
