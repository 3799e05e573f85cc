"""Questions that one function of the library answers, and how the same is asked in Python and at the command
line."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from interp.models.base import Model


@dataclasses.dataclass(frozen=True)
class LibraryQuestion:
    """A question that a function of the library answers, and an experiment of the same name.

    A subclass is a frozen dataclass. Its fields are the function's keywords and the experiment's keys, unless
    its `arguments` say otherwise; a token is its text, or its id in angle brackets.
    """

    method: ClassVar[str]  # the name of the function and of the experiment

    @property
    def arguments(self) -> dict[str, Any]:
        """The keywords, as plain values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: _plain(value) for key, value in values.items()}

    def __call__(self, model: Model) -> Any:
        import interp

        return getattr(interp, self.method)(model, **self.arguments)


def as_python(model: str, question: LibraryQuestion) -> str:
    """A program whose `result` is the answer."""
    keywords = "".join(f"    {key}={value!r},\n" for key, value in question.arguments.items())
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n"
        f"result = interp.{question.method}(\n    model,\n{keywords})\n"
    )


def as_command(model: str, question: LibraryQuestion) -> str:
    """A command whose run folder holds the answer."""
    settings = [f"{key}={json.dumps(value)}" for key, value in question.arguments.items()]
    words = ["interp", "run", question.method, "--model", model]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
