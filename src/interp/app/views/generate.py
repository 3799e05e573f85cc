"""The page Generate without its widgets: what the model goes on to say, with a part of it changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError

if TYPE_CHECKING:
    from interp.methods.generation.results import GenerateResult
    from interp.models.base import Model

Part = Literal["nothing", "head", "attention", "MLP", "feature"]
PARTS: tuple[Part, ...] = ("nothing", "head", "attention", "MLP", "feature")
#: How the part is named in the input, and one that every model has.
NAMED: dict[Part, tuple[str, str]] = {
    "head": ("Head (layer.head)", "0.0"),
    "attention": ("Layer", "0"),
    "MLP": ("Layer", "0"),
    "feature": ("Feature", "0"),
}
#: Prompts that models go on from, one click each.
EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (prompt, {"prompt": prompt})
    for prompt in ("The Eiffel Tower is in the city of", "The capital of France is", "Once upon a time")
)
N_TOKENS = 12


@dataclass(frozen=True)
class Generate(LibraryQuestion):
    """What the model says after a prompt, with one part scaled where there is an edit, and without."""

    method: ClassVar[str] = "generate"
    prompt: str
    n_tokens: int = N_TOKENS
    part: Part = "nothing"
    name: str = ""  # which one, such as 5.1 for a head
    times: float = 0.0  # by which it is multiplied: 0 takes it out, 1 leaves it
    sae: str | None = None  # whose feature it is

    @property
    def edit(self) -> dict[str, Any] | None:
        """The edit as a configuration has it; None where nothing is changed. `InputError` for a name that is
        none."""
        if self.part == "nothing":
            return None
        number = re.fullmatch(r"\s*(\d{1,6})\s*(?:\.\s*(\d{1,6})\s*)?", self.name)
        if number is None or (self.part == "head") != (number[2] is not None):
            form = "layer.head, such as 5.1" if self.part == "head" else "a number, from 0"
            raise InputError(f"{self.name!r} names no {self.part}; write it as {form}.")
        if self.part == "feature":
            return {"op": "scale", "features": [int(number[1])], "value": self.times}
        site = {
            "head": f"attn.hook_z[head={number[2]}]",
            "attention": "hook_attn_out",
            "MLP": "hook_mlp_out",
        }[self.part]
        return {"op": "scale", "at": f"blocks.{number[1]}.{site}", "value": self.times}

    @property
    def arguments(self) -> dict[str, Any]:
        given = {"prompt": self.prompt, "n_tokens": self.n_tokens}
        if self.edit is None:
            return given
        return given | {"edits": [self.edit]} | ({"sae": self.sae} if self.part == "feature" else {})

    def work(self, model: Model) -> float:
        """How many tokens go through the model, once edited and once not."""
        return (model.to_tokens(self.prompt).lengths[0] + self.n_tokens) * (1 if self.edit is None else 2)

    def __call__(self, model: Model) -> GenerateResult:
        from interp.experiments.base import find_experiment

        experiment = find_experiment(self.method)
        config = experiment.make_config({"model": model.identity.name, **self.arguments})
        result: GenerateResult = experiment.run(config, model)  # type: ignore[assignment]
        return result


def as_python(model: str, question: Generate) -> str:
    """A program whose `result` is the answer."""
    edit, sae, edits = question.edit, "", ""
    if edit is not None and question.part == "feature":
        sae = f"sae = interp.load_sae({question.sae!r}, model)\n"
        edits = f'interp.feature_edit(sae, "scale", {edit["features"]}, value={edit["value"]!r})'
    elif edit is not None:
        edits = f'interp.Edit("scale", interp.Address.parse({edit["at"]!r}), {edit["value"]!r})'
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n{sae}"
        f"result = interp.generate(\n    model,\n    {question.prompt!r},\n    {question.n_tokens},\n"
        f"    edits=[{edits}],\n)\n"
    )
