"""The logit lens of a prompt, and one cell of it: the pages Explore and Contrast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from interp.app.views.grid_data import MOST_TOKENS, window
from interp.app.views.kept import kept_of, lens_of
from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import brief, decimal, probability, show_token
from interp.figures.engine.view import Axis, Grid, Table
from interp.figures.views.by_layer import from_layer
from interp.figures.views.lens_words import lens_name

if TYPE_CHECKING:
    from interp.methods.lens.results import LogitLensResult
    from interp.models.base import Model

Colour = Literal["probability", "rank", "entropy"]
COLOURS: tuple[Colour, ...] = ("probability", "rank", "entropy")
TOP = 10  # tokens kept of each cell
FEWEST_TOKENS = 8  # positions that are drawn in any case


@dataclass(frozen=True)
class LogitLens(LibraryQuestion):
    """What a lens reads, by default at every position. Without an answer: of the model's own next token."""

    method: ClassVar[str] = "logit_lens"
    prompt: str
    answer: str | None = None
    position: int | tuple[int, ...] | Literal["all"] = "all"
    k: int = TOP
    lens: str = "logit"

    def __call__(self, model: Model) -> LogitLensResult:
        import interp

        given = self.arguments | {"lens": lens_of(model, self.lens)}
        return interp.logit_lens(model, **given, kept=kept_of(model))


@dataclass(frozen=True)
class LensNames:
    """The names of the lenses that there are for the model."""

    def __call__(self, model: Model) -> tuple[str, ...]:
        from interp.methods.lens.sources import lens_names

        return lens_names(model)


@dataclass(frozen=True)
class LensShape:
    """The tokens of a prompt, and what of its lens is drawn at once."""

    tokens: tuple[str, ...]
    n_rows: int  # the embedding and the layers
    at_once: int  # columns, of which the readings are kept for the next question

    def around(self, position: int) -> tuple[int, ...] | Literal["all"]:
        """The positions to read, around one of them."""
        n = len(self.tokens)
        return "all" if n <= self.at_once else tuple(window(n, position, self.at_once))


@dataclass(frozen=True)
class ShapeOf:
    """The shape of a prompt's lens, which takes no run of the model."""

    prompt: str

    def __call__(self, model: Model) -> LensShape:
        tokens = model.labels(model.to_tokens(self.prompt).row(0))
        n_rows = model.arch.n_layers + 1
        fit = kept_of(model).columns.most / (4 * n_rows * model.arch.d_vocab)
        return LensShape(tuple(tokens), n_rows, max(FEWEST_TOKENS, min(MOST_TOKENS, int(0.8 * fit))))


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
        columns=Axis.tokens([result.tokens[i] for i in result.positions], positions=result.positions),
        unit=unit,
        title=lens_name(result.lens),
        centre=None,
        limit=limit,
        above=above,
        texts=names.astype(str),
        hover=(
            ("top token", names.astype(str)),
            ("its probability", texts(top, probability)),
            (f"probability of {target}", texts(grid["answer_prob"], probability)),
            (f"rank of {target}", rank),
            ("entropy (nats)", texts(entropy, decimal)),
        ),
    )


def in_words(result: LogitLensResult, position: int) -> str:
    """What is said behind the token at a position and from which layer on the lens reads that; where it is
    not the target, where the target stands at the end and at its best."""
    column = result.positions.index(position)
    grid = {name: array[:, column] for name, array in result.grid.items()}
    ids, ranks = grid["top_ids"][:, 0], grid["answer_rank"]
    others = np.flatnonzero(ids != ids[-1])
    since = int(others[-1]) + 1 if len(others) else 0
    who = "the model says" if result.lens == "logit" else f"the {lens_name(result.lens).lower()} ends with"
    last = f"{brief(grid['top_tokens'][-1][0])} ({probability(float(grid['top_probs'][-1, 0]))})"
    sentence = (
        f"Behind {brief(result.tokens[position])} {who} {last}, the likeliest "
        f"{from_layer(result.layers[since])} on"
    )
    if ranks[-1] == 1:
        return f"{sentence}."
    first = int(result.layers[0] == "embed")  # there nothing is computed yet
    best = first + int(ranks[first:].argmin())
    at_best = f"at best {int(ranks[best]):,} after layer {result.layers[best]}"
    at_best = "nowhere higher" if ranks[best] == ranks[-1] else at_best
    return (
        f"{sentence}; {brief(result.answer)}, the target, has rank {int(ranks[-1]):,} "
        f"({probability(float(grid['answer_prob'][-1]))}), {at_best}."
    )


def cell_tokens(result: LogitLensResult, row: int, column: int) -> list[tuple[int, str, float]]:
    """The top tokens of one cell of the lens, and the target: (rank, token, probability)."""
    grid = result.grid
    cell = _checked_cell(result, row, column)
    tokens, probs = grid["top_tokens"][cell], grid["top_probs"][cell]
    ranked = [(i + 1, str(token), float(p)) for i, (token, p) in enumerate(zip(tokens, probs, strict=True))]
    rank = int(grid["answer_rank"][cell])
    if rank > len(ranked):
        ranked.append((rank, result.answer, float(grid["answer_prob"][cell])))
    return ranked


def cell_ids(result: LogitLensResult, row: int, column: int) -> tuple[int, ...]:
    """The ids of these tokens, in their order."""
    ids = result.grid["top_ids"][_checked_cell(result, row, column)].tolist()
    return tuple(ids if result.answer_id in ids else [*ids, result.answer_id])


def cell_table(result: LogitLensResult, row: int, column: int) -> Table:
    """The same tokens as a table, in which the target is strong."""
    ranked = cell_tokens(result, row, column)
    rows = tuple((rank, show_token(token), probability(p)) for rank, token, p in ranked)
    target = int(result.grid["answer_rank"][row, column])
    strong = tuple(i for i, (rank, _, _) in enumerate(ranked) if rank == target)
    return Table(("rank", "token", "probability"), rows, title=cell_title(result, row, column), strong=strong)


def cell_title(result: LogitLensResult, row: int, column: int) -> str:
    """The layer, position and token of one cell."""
    position = result.positions[column]
    return f"Layer {result.layers[row]}, position {position}: {brief(result.tokens[position])}"


def _checked_cell(result: LogitLensResult, row: int, column: int) -> tuple[int, int]:
    rows, columns = len(result.layers), len(result.positions)
    if not (0 <= row < rows and 0 <= column < columns):
        raise InputError(
            f"There is no cell at row {row}, column {column}; the lens has {rows} rows and {columns} columns."
        )
    return row, column


def texts(array: np.ndarray, write: Callable[[float], str]) -> np.ndarray:
    """Every value as a text."""
    return np.vectorize(write, otypes=[object])(array).astype(str)
