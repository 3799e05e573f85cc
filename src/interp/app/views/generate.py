"""The page Generate without its widgets: what the model goes on to say, with a part of it changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from interp.app.views.kept import kept_of
from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import brief, probability, show_token
from interp.figures.engine.view import Lines, Table
from interp.figures.views.by_layer import lines_by_layer

if TYPE_CHECKING:
    from interp.methods.generation.results import GenerateResult
    from interp.methods.lens.results import LogitLensResult
    from interp.models.base import Model

Part = Literal["nothing", "head", "attention", "MLP", "neuron", "feature", "direction"]
PARTS: tuple[Part, ...] = ("nothing", "head", "attention", "MLP", "neuron", "feature", "direction")
How = Literal["multiply", "add", "take out"]
#: What can be done with each part; first what is done by default.
HOW: dict[Part, tuple[How, ...]] = {
    "head": ("multiply",),
    "attention": ("multiply",),
    "MLP": ("multiply",),
    "neuron": ("multiply", "add"),
    "feature": ("multiply", "add"),
    "direction": ("add", "take out"),
}
#: How the part is named in the input, and one that every model has.
NAMED: dict[Part, tuple[str, str]] = {
    "head": ("Head (layer.head)", "0.0"),
    "attention": ("Layer", "0"),
    "MLP": ("Layer", "0"),
    "neuron": ("Neuron (layer.neuron)", "0.0"),
    "feature": ("Feature", "0"),
    "direction": ("Direction (its number in the file)", "0"),
}
_TWO_NUMBERS = "head", "neuron"


@dataclass(frozen=True)
class Slider:
    """How far a change can be drawn: its name, its ends, where it stands first and its steps."""

    label: str
    least: float
    most: float
    first: float
    step: float


MULTIPLY = Slider("Times (0 takes it out, 1 leaves it as it is)", -2.0, 10.0, 0.0, 0.25)
#: What is added to each part.
ADD: dict[Part, Slider] = {
    "neuron": Slider("Added to its activation", -20.0, 20.0, 5.0, 0.5),
    "feature": Slider("Added to its activation", -100.0, 100.0, 20.0, 1.0),
    "direction": Slider("Added, in units of the typical norm there", -2.0, 2.0, 0.5, 0.05),
}

#: Prompts that models go on from, one click each.
EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (prompt, {"prompt": prompt})
    for prompt in ("The Eiffel Tower is in the city of", "The capital of France is", "Once upon a time")
)
N_TOKENS = 12
STRIP = 8  # tokens that Explore lets the model go on for


@dataclass(frozen=True)
class Change:
    """One part of the model changed."""

    part: Part = "nothing"
    name: str = ""  # which one, such as 5.1 for a head
    value: float = 0.0  # by which it is multiplied (0 takes it out), or what is added
    how: How = "multiply"
    sae: str | None = None  # whose feature it is
    directions: str | None = None  # the file that a direction is of

    @property
    def edit(self) -> dict[str, Any] | None:
        """The edit as a configuration has it; None where nothing is changed. `InputError` for a name that is
        none."""
        if self.part == "nothing":
            return None
        number = re.fullmatch(r"\s*(\d{1,6})\s*(?:\.\s*(\d{1,6})\s*)?", self.name)
        if number is None or (self.part in _TWO_NUMBERS) != (number[2] is not None):
            form = f"layer.{self.part}, such as 5.1" if self.part in _TWO_NUMBERS else "a number, from 0"
            raise InputError(f"{self.name!r} names no {self.part}; write it as {form}.")
        if self.part == "direction":
            along = {"direction": int(number[1])}
            if self.how == "take out":
                return {"op": "project_out", **along}
            return {"op": "add", **along, "value": self.value}
        op = "scale" if self.how == "multiply" else "add"
        if self.part == "feature":
            return {"op": op, "features": [int(number[1])], "value": self.value}
        if self.part == "neuron":
            at = {"at": f"blocks.{number[1]}.mlp.hook_post", "neurons": [int(number[2])]}
            return {"op": op, **at, "value": self.value}
        site = {
            "head": f"attn.hook_z[head={number[2]}]",
            "attention": "hook_attn_out",
            "MLP": "hook_mlp_out",
        }[self.part]
        return {"op": op, "at": f"blocks.{number[1]}.{site}", "value": self.value}

    @property
    def settings(self) -> dict[str, Any]:
        """The keys of a configuration that say it; none where nothing is changed."""
        if self.edit is None:
            return {}
        sources = {"feature": {"sae": self.sae}, "direction": {"directions": self.directions}}
        return {"edits": [self.edit], **sources.get(self.part, {})}

    def as_python(self) -> tuple[str, str]:
        """What makes it in a program that has `model`: the lines before, and its edits as an expression."""
        edit = self.edit
        if edit is None:
            return "", "[]"
        value = f"value={edit.get('value')!r}"
        if self.part == "feature":
            made = f'[interp.feature_edit(sae, "{edit["op"]}", {edit["features"]}, {value})]'
            return f"sae = interp.load_sae({self.sae!r}, model)\n", made
        if self.part == "direction":
            call = "project_out()" if self.how == "take out" else f"add({edit['value']!r})"
            before = f"direction = interp.read_directions({self.directions!r}, model)[{edit['direction']}]\n"
            return before, f"direction.{call}"
        if self.part == "neuron":
            layer, neuron = re.findall(r"\d+", self.name)
            made = f'[interp.neuron_edit(model, "{edit["op"]}", {int(layer)}, {int(neuron)}, {value})]'
            return "", made
        where = f"interp.Address.parse({edit['at']!r})"
        return "", f'[interp.Edit("{edit["op"]}", {where}, {edit["value"]!r})]'


NOTHING = Change()


@dataclass(frozen=True)
class Generate(LibraryQuestion):
    """What the model says after a prompt, with one part changed where there is a change, and without."""

    method: ClassVar[str] = "generate"
    prompt: str
    n_tokens: int = N_TOKENS
    change: Change = NOTHING

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "n_tokens": self.n_tokens, **self.change.settings}

    def work(self, model: Model) -> float:
        """How many tokens go through the model, once edited and once not."""
        runs = 1 if self.change.edit is None else 2
        return (model.to_tokens(self.prompt).lengths[0] + self.n_tokens) * runs

    def __call__(self, model: Model) -> GenerateResult:
        from interp.experiments.base import find_experiment

        experiment = find_experiment(self.method)
        config = experiment.make_config({"model": model.identity.name, **self.arguments})
        result: GenerateResult = experiment.run(config, model)  # type: ignore[assignment]
        return result


def as_python(model: str, question: Generate) -> str:
    """A program whose `result` is the answer."""
    before, edits = question.change.as_python()
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n{before}"
        f"result = interp.generate(\n    model,\n    {question.prompt!r},\n    {question.n_tokens},\n"
        f"    edits={edits},\n)\n"
    )


# ---- the prompt's last position, with the change and without ----


@dataclass(frozen=True)
class LensAtEnd(LibraryQuestion):
    """What the logit lens reads at the end of a prompt, with one part changed where there is a change."""

    method: ClassVar[str] = "logit_lens"
    prompt: str
    answer: str | None = None
    change: Change = NOTHING

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "answer": self.answer, "position": -1, **self.change.settings}

    def __call__(self, model: Model) -> LogitLensResult:
        from interp.experiments.edit_text import read_prompt_edits
        from interp.methods.lens.logit_lens import logit_lens

        change = self.change.settings
        sources = {"sae": change.get("sae"), "directions": change.get("directions")}
        edits = read_prompt_edits(change.get("edits", ()), model, **sources)
        return logit_lens(model, self.prompt, self.answer, edits=edits, kept=kept_of(model))


def lens_as_python(model: str, question: LensAtEnd) -> str:
    """A program whose `result` is the answer."""
    before, edits = question.change.as_python()
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n{before}"
        f"result = interp.logit_lens(\n    model,\n    {question.prompt!r},\n    {question.answer!r},\n"
        f"    edits={edits},\n)\n"
    )


def followed(unedited: LogitLensResult, edited: LogitLensResult) -> str:
    """What the change does to the token that is followed, behind the prompt, in a sentence."""
    before, after = (
        f"{probability(float(one.answer_prob[-1]))} (rank {int(one.answer_rank[-1]):,})"
        for one in (unedited, edited)
    )
    return f"{brief(unedited.answer)} behind the prompt: {before} without the change, {after} with it."


def lens_table(unedited: LogitLensResult, edited: LogitLensResult) -> Table:
    """What each layer would say at the end of the prompt, without the change and with it."""
    rows: list[tuple[str | float, ...]] = []
    for row in reversed(range(len(unedited.layers))):
        said = [
            text
            for one in (unedited, edited)
            for text in (
                show_token(one.top_tokens[row][0], max_chars=16),
                probability(float(one.top_probs[row, 0])),
            )
        ]
        rows.append((unedited.layers[row], *said))
    differs = [
        i
        for i, row in enumerate(reversed(range(len(unedited.layers))))
        if unedited.top_ids[row, 0] != edited.top_ids[row, 0]
    ]
    return Table(
        ("after layer", "unedited says", "p", "edited says", "p"),
        tuple(rows),
        title="The lens behind the prompt; strong: another token",
        strong=tuple(differs),
    )


def lens_lines(unedited: LogitLensResult, edited: LogitLensResult) -> Lines:
    """The followed token's probability over the layers, without the change and with it."""
    return lines_by_layer(
        unedited.layers,
        {"unedited": unedited.answer_prob, "edited": edited.answer_prob},
        y_title=f"probability of {brief(unedited.answer)}",
    )


# ---- what is said, as Explore shows it ----


@dataclass(frozen=True)
class Continuation:
    """What a model goes on to say, token by token."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    texts: tuple[str, ...]  # the prompt with what was said up to each token
    ended: bool  # by a token that ends a text


@dataclass(frozen=True)
class GoesOn:
    """What the model goes on to say after a prompt, the likeliest token each time."""

    prompt: str
    n_tokens: int = STRIP

    def __call__(self, model: Model) -> Continuation:
        from interp.methods.generation.generate import generate

        (said,) = generate(model, self.prompt, self.n_tokens).texts
        texts = (self.prompt + model.to_text(said.ids[: n + 1], goes_on=True) for n in range(len(said.ids)))
        return Continuation(
            tokens=said.tokens[said.n_prompt :],
            probabilities=tuple(map(float, np.exp(said.log_probs))),
            texts=tuple(texts),
            ended=said.ended,
        )
