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
N = 12  # entities of each status: seconds on a demo model


def offered(model: str) -> tuple[Data, ...]:
    """Of whom can be asked, what fits first: what a model was told is known of the demo models alone."""
    return ("people", "facts", "entities") if model in NAMES else ("entities", "people", "facts")


@dataclass(frozen=True, kw_only=True)
class Knowledge(LibraryQuestion):
    """What differs inside between what a model has and what it makes up, without steering (it takes long)."""

    method: ClassVar[str] = "knowledge"
    data: Data
    n: int
    lens: str

    @property
    def arguments(self) -> dict[str, Any]:
        return super().arguments | {"strengths": []}

    def __call__(self, model: Model) -> KnowledgeResult:
        import interp

        data = interp.make_known(self.data, model, n=self.n)
        return interp.knowledge(model, data, lens=self.lens, strengths=())


def as_python(model: str, question: Knowledge) -> str:
    """A program whose `result` is the answer."""
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n"
        f"data = interp.make_known({question.data!r}, model, n={question.n})\n"
        f"result = interp.knowledge(model, data, lens={question.lens!r}, strengths=())\n"
    )
