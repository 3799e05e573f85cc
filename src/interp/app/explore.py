"""The page Explore without its widgets: what is asked about one prompt, and what is shown of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from interp.app.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.notation import decimal, probability, show_token
from interp.figures.view import Attention, Axis, Grid, Lines, Series, Table

if TYPE_CHECKING:
    from interp.methods.attention import AttentionPatternsResult
    from interp.methods.direct_logit_attribution import DirectLogitAttributionResult
    from interp.methods.logit_lens import LogitLensResult
    from interp.models.base import Model

Colour = Literal["probability", "rank", "entropy"]
COLOURS: tuple[Colour, ...] = ("probability", "rank", "entropy")

#: Prompts that the demo models answer, one click each.
EXAMPLES: tuple[tuple[str, str], ...] = (
    ("The Eiffel Tower is in the city of", " Paris"),
    ("The capital of France is", " Paris"),
    ("When Mary and John went to the store, John gave a drink to", " Mary"),
)

TOP = 10  # tokens kept of each cell


@dataclass(frozen=True)
class Lens(LibraryQuestion):
    """The logit lens at every position. Without a target: the model's own next token."""

    function: ClassVar[str] = "logit_lens"
    experiment: ClassVar[str] = "logit_lens"
    prompt: str
    target: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "answer": self.target, "position": "all", "k": TOP}


@dataclass(frozen=True)
class Attribution(LibraryQuestion):
    """Direct logit attribution of a target at a position, by component and head."""

    function: ClassVar[str] = "direct_logit_attribution"
    experiment: ClassVar[str] = "direct_logit_attribution"
    prompt: str
    target: str | int
    position: int

    @property
    def arguments(self) -> dict[str, Any]:
        asked = {"prompt": self.prompt, "answer": self.target, "foil": None, "position": self.position}
        return asked | {"views": ["head"]}


@dataclass(frozen=True)
class Pattern(LibraryQuestion):
    """The attention of one head."""

    function: ClassVar[str] = "attention_patterns"
    experiment: ClassVar[str] = "attention"
    prompt: str
    layer: int
    head: int

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "heads": [[self.layer, self.head]]}


@dataclass(frozen=True)
class Tracked:
    """The probability of some tokens at each layer of one position: [layer, token]."""

    prompt: str
    position: int
    tokens: tuple[str, ...]

    def __call__(self, model: Model) -> np.ndarray:
        from interp.methods.logit_lens import lens_logits

        ids = [model.to_single_token(token) for token in self.tokens]
        read, _ = lens_logits(model, self.prompt, [self.position])  # [layer, 1, d_vocab]
        return read[:, 0].softmax(-1)[:, ids].numpy()


def lens_grid(result: LogitLensResult, colour: Colour = "probability") -> Grid:
    """The top token of each [layer, position], coloured by its probability, by the target's rank or by
    entropy; the hover tells all three and the target's probability."""
    grid = result.grid
    top = grid["top_probs"][..., 0]
    rank, entropy = grid["answer_rank"], grid["entropy"]
    values, unit, limit, above = {
        "probability": (top, "probability of the top token", 1.0, "likely"),
        "rank": (1 / rank, f"1 / rank of {show_token(result.answer)}", 1.0, "ranked first"),
        "entropy": (np.maximum(entropy, 0.0), "entropy (nats)", None, "uncertain"),
    }[colour]
    names = np.vectorize(show_token, otypes=[object])(grid["top_tokens"][..., 0])
    target = show_token(result.answer)
    return Grid(
        values=values,
        rows=Axis.names("layer", result.layers),
        columns=Axis.tokens(result.tokens),
        unit=unit,
        title="Logit lens",
        centre=None,
        limit=limit,
        above=above,
        texts=names.astype(str),
        hover=(
            ("top token", names.astype(str)),
            ("its probability", _texts(top, probability)),
            (f"probability of {target}", _texts(grid["answer_prob"], probability)),
            (f"rank of {target}", rank),
            ("entropy (nats)", _texts(entropy, decimal)),
        ),
    )


def cell_table(result: LogitLensResult, row: int, column: int) -> Table:
    """The top tokens of one cell of the lens, and where the target stands."""
    grid = result.grid
    place = _checked_cell(result, row, column)
    tokens, probs = grid["top_tokens"][place], grid["top_probs"][place]
    rows: list[tuple[str | float, ...]] = [
        (i + 1, show_token(str(token)), probability(float(p)))
        for i, (token, p) in enumerate(zip(tokens, probs, strict=True))
    ]
    rank, p = int(grid["answer_rank"][place]), float(grid["answer_prob"][place])
    if rank > len(rows):
        rows.append((rank, show_token(result.answer), probability(p)))
    strong = tuple(i for i, cell in enumerate(rows) if cell[0] == rank)
    title = f"Layer {result.layers[row]}, position {column}: {show_token(result.tokens[column])}"
    return Table(("rank", "token", "probability"), tuple(rows), title=title, strong=strong)


def tracked_lines(values: np.ndarray, layers: Sequence[str], tokens: Sequence[str]) -> Lines:
    """The answer of `Tracked` as a line for each token."""
    x = tuple(float(i) for i in range(len(layers)))
    series = tuple(
        Series(show_token(token), x, tuple(map(float, values[:, i]))) for i, token in enumerate(tokens)
    )
    ticks = tuple(zip(x, layers, strict=True))
    return Lines(series, x_title="layer", y_title="probability", title="Tracked tokens", ticks=ticks)


def attribution_grid(result: DirectLogitAttributionResult) -> Grid:
    """What each head and each layer's MLP adds to the target's logit, [layer, head and MLP]; where the model
    has no parts by head, what each layer's attention and MLP add."""
    parts = dict(zip(result.components, result.by_component.tolist(), strict=True))
    n = len(result.states) - 1
    mlp = np.array([[parts[f"L{layer} mlp"]] for layer in range(n)])
    if result.by_head is not None:
        left, names = result.by_head, [f"head {head}" for head in range(result.by_head.shape[1])]
    else:
        left, names = np.array([[parts[f"L{layer} attn"]] for layer in range(n)]), ["attention"]
    return Grid(
        values=np.concatenate([left, mlp], axis=1),
        rows=Axis.numbers("layer", n),
        columns=Axis.names("", [*names, "MLP"]),
        unit="logits",
        title=f"Direct logit attribution of {show_token(result.answers[0])}",
        above="raises the target's logit",
        below="lowers it",
    )


def attention_grid(result: AttentionPatternsResult) -> Grid:
    """The attention of the (first) head of the result, [query, key]."""
    (layer, head), pattern = result.heads[0], result.patterns[0].astype(float)
    return Attention(tokens=result.tokens, patterns=((f"{layer}.{head}", pattern),)).grids[0]


def _checked_cell(result: LogitLensResult, row: int, column: int) -> tuple[int, int]:
    rows, columns = len(result.layers), len(result.positions)
    if not (0 <= row < rows and 0 <= column < columns):
        raise InputError(
            f"There is no cell at row {row}, position {column}; the lens has {rows} rows and {columns} "
            "positions."
        )
    return row, column


def _texts(array: np.ndarray, write: Callable[[float], str]) -> np.ndarray:
    return np.vectorize(write, otypes=[object])(array).astype(str)
