"""The page Explore without its widgets: examples, tracked tokens, and direct logit attribution.

Its other parts are in `lens` and `attention`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from interp.app.views.kept import kept_of, lens_of
from interp.app.views.lens import LogitLens
from interp.app.views.questions import LibraryQuestion, as_command
from interp.figures.engine.notation import show_token
from interp.figures.engine.view import Axis, Grid, Lines, Series

if TYPE_CHECKING:
    from interp.methods.attribution.results import DirectLogitAttributionResult
    from interp.methods.lens.results import LogitLensResult
    from interp.models.base import Model

#: Prompts and their answers, one click each: facts, an indirect object, and a repetition. Offered are those
#: that the model at hand answers.
_PROMPTS: tuple[tuple[str, str], ...] = (
    ("The Eiffel Tower is in the city of", " Paris"),
    ("The capital of France is", " Paris"),
    ("When Mary and John went to the store, John gave a drink to", " Mary"),
    (" lamp Paris river lamp Paris", " river"),
    ("Water is made of hydrogen and", " oxygen"),
)
EXAMPLES: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (prompt, {"prompt": prompt, "target": show_token(target), "tracked": []}) for prompt, target in _PROMPTS
)


# ---- tracked tokens ----


@dataclass(frozen=True)
class TrackedTokens:
    """The probability of some tokens at each layer of one position: [layer, token]."""

    prompt: str
    position: int
    tokens: tuple[str, ...]
    lens: str = "logit"

    def __call__(self, model: Model) -> np.ndarray:
        from interp.methods.lens.columns import read_columns

        ids = [model.to_single_token(token) for token in self.tokens]
        prompt = model.to_tokens(self.prompt).row(0)
        at = self.position % len(prompt)
        lens, kept = lens_of(model, self.lens), kept_of(model)
        column = next(read_columns(model, prompt, [at], lens=lens, kept=kept))
        return column.probs(ids).numpy()


def likeliest_tokens(result: LogitLensResult, column: int, most: int = 4) -> tuple[int, ...]:
    """The ids to track where none were given: the target's, and the model's likeliest next tokens'."""
    likeliest = map(int, result.grid["top_ids"][-1, column])
    return tuple(dict.fromkeys((result.answer_id, *likeliest)))[:most]


def tracked_lines(probabilities: np.ndarray, layers: Sequence[str], tokens: Sequence[str]) -> Lines:
    """The answer of `TrackedTokens` as a line for each token."""
    x = tuple(float(i) for i in range(len(layers)))
    series = tuple(
        Series(show_token(token), x, tuple(map(float, values)))
        for token, values in zip(tokens, probabilities.T, strict=True)
    )
    ticks = tuple(zip(x, layers, strict=True))
    return Lines(series, x_title="layer", y_title="probability", ticks=ticks)


def tracked_as_python(model: str, question: TrackedTokens) -> str:
    """A program whose `result` has the probabilities of each token, by layer."""
    rest = f"position={question.position}, lens={question.lens!r}"
    lenses = "".join(
        f"    {token!r}: interp.logit_lens(model, {question.prompt!r}, {token!r}, {rest}).answer_prob,\n"
        for token in question.tokens
    )
    return f"import interp\n\nmodel = interp.load_model({model!r})\nresult = {{\n{lenses}}}\n"


def tracked_as_commands(model: str, question: TrackedTokens) -> str:
    """A command for each token."""
    lenses = (
        LogitLens(question.prompt, token, question.position, lens=question.lens) for token in question.tokens
    )
    return "\n".join(as_command(model, lens) for lens in lenses)


# ---- direct logit attribution ----


@dataclass(frozen=True, kw_only=True)
class DirectLogitAttribution(LibraryQuestion):
    """What each component and head adds to the answer's logit at a position."""

    method: ClassVar[str] = "direct_logit_attribution"
    prompt: str
    answer: str
    foil: str | None = None
    position: int
    views: tuple[str, ...] = ("head",)


def attribution_grid(result: DirectLogitAttributionResult) -> Grid:
    """What each head and each layer's MLP adds to the target's logit, [layer, head and MLP]; where the model
    has no parts by head, what each layer's attention and MLP add."""
    parts = dict(zip(result.components, result.by_component.mean.tolist(), strict=True))
    n = len(result.states) - 1
    mlp = np.array([[parts[f"L{layer} mlp"]] for layer in range(n)])
    if result.by_head is not None:
        left, names = result.by_head.mean, [f"head {head}" for head in range(result.by_head.shape[1])]
    else:
        left, names = np.array([[parts[f"L{layer} attn"]] for layer in range(n)]), ["attention"]
    return Grid(
        values=np.concatenate([left, mlp], axis=1),
        rows=Axis.numbers("layer", n),
        columns=Axis.names("", [*names, "MLP"]),
        unit="logits",
        title=f"Direct logit attribution of {show_token(result.pairs.answers[0])}",
        above="raises the target's logit",
        below="lowers it",
    )
