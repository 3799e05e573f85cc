"""Questions that one library function answers; how the same is asked in Python and at the command line."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from interp.models.base import Model


class LibraryQuestion:
    """A question that one call of `function` answers; its keywords are also the keys of `experiment`."""

    function: ClassVar[str]
    experiment: ClassVar[str]

    @property
    def arguments(self) -> dict[str, Any]:
        """The keywords, in plain values."""
        raise NotImplementedError

    def __call__(self, model: Model) -> Any:
        import interp

        return getattr(interp, self.function)(model, **self.arguments)


def as_python(model: str, question: LibraryQuestion) -> str:
    """A program whose `result` is the answer."""
    given = "".join(f"    {key}={value!r},\n" for key, value in question.arguments.items())
    return (
        f"import interp\n\nmodel = interp.load_model({model!r})\n"
        f"result = interp.{question.function}(\n    model,\n{given})\n"
    )


def as_command(model: str, question: LibraryQuestion) -> str:
    """A command whose run folder holds the answer."""
    settings = [f"{key}={json.dumps(value)}" for key, value in question.arguments.items()]
    words = ["interp", "run", question.experiment, "--model", model]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])
