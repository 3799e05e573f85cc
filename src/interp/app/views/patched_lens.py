"""The page Patch without its widgets: a cell of one prompt's lens, put into another prompt by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from interp.app.views import lens
from interp.app.views.grid_data import grid_data
from interp.app.views.kept import kept_of, lens_of
from interp.app.views.lens import TOP, Colour, lens_grid
from interp.app.views.questions import LibraryQuestion
from interp.figures.engine.notation import decimal, probability, show_token
from interp.figures.engine.view import Grid, Table
from interp.figures.views import patched_lens as view

if TYPE_CHECKING:
    from interp.methods.lens.results import LogitLensResult, PatchedLensResult
    from interp.models.base import Model

Which = Literal["source", "target", "patched"]
Shade = Colour | Literal["change"]
SHADED: tuple[Shade, ...] = ("probability", "change", "rank", "entropy")
_MOST_CHARS, _FEWEST_CHARS, _IN_ALL = 9, 4, 42  # of a token in a cell, and of all tokens of a row
CELL = "cell of the source"  # the name of what is dragged

#: Pairs of prompts, one click each. Offered are those of which the model at hand answers the source.
EXAMPLES: tuple[tuple[str, dict[str, str]], ...] = tuple(
    (name, {"from_prompt": source, "into_prompt": target, "follow": show_token(token)})
    for name, source, target, token in (
        ("Two capitals", "The capital of France is", "The capital of Japan is", " Paris"),
        ("Two landmarks", "The Eiffel Tower is in the city of", "The Colosseum is in the city of", " Paris"),
        (
            "A landmark for a country",
            "The Eiffel Tower is in the city of",
            "The capital of Japan is",
            " Paris",
        ),
        (
            "Who is given it",
            "When Mary and John went to the store, John gave a drink to",
            "When Mary and John went to the store, Mary gave a drink to",
            " Mary",
        ),
    )
)


@dataclass(frozen=True)
class PatchedLens(LibraryQuestion):
    """Both prompts' lenses, and the target's with a cell of the source in it."""

    method: ClassVar[str] = "patched_lens"
    source: str
    target: str
    source_cell: tuple[int, int]  # layer (-1: the embedding) and position
    target_cell: tuple[int, int]
    answer: str | None = None
    source_positions: tuple[int, ...] | Literal["all"] = "all"
    target_positions: tuple[int, ...] | Literal["all"] = "all"
    k: int = TOP
    lens: str = "logit"

    def __call__(self, model: Model) -> PatchedLensResult:
        import interp

        given = self.arguments | {"lens": lens_of(model, self.lens)}
        return interp.patched_lens(model, **given, kept=kept_of(model))


def first_cells(
    source: Sequence[str], target: Sequence[str], n_rows: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The cells, as (row, position), that are taken and put in before one is clicked: after a third of the
    layers, at the last token in which the two prompts differ as they are read from their ends."""
    same = 0
    while same < min(len(source), len(target)) - 1 and source[-1 - same] == target[-1 - same]:
        same += 1
    row = max(n_rows // 3, 1)
    return (row, len(source) - 1 - same), (row, len(target) - 1 - same)


def patch_in_words(result: PatchedLensResult) -> str:
    """From where to where: ``Source after layer 3 at position 4 (␣France) → target after ...``."""
    taken = view.cell_in_words(result.source, result.source_cell)
    put = view.cell_in_words(result.target, result.target_cell)
    return f"Source {taken} → target {put}"


def drawn(
    result: PatchedLensResult,
    which: Which,
    colour: Shade,
    *,
    selected: tuple[int, int] | None,
) -> dict[str, Any]:
    """What the grid component shows of one of the three lenses. `selected` is a (row, position). What the
    patch can reach is hatched in the target and the patched one; cells are dragged from the source to the
    target."""
    reading: LogitLensResult = getattr(result, which)
    grid = _changes(result) if colour == "change" and which == "patched" else _lens(reading, colour)
    grid = replace(grid, title=view.lens_grid(result, which).title)
    cell = result.source_cell if which == "source" else result.target_cell
    at = cell if selected is None else (selected[0] - 1, selected[1])
    data = grid_data(grid, selected=_place(reading, at), around=0)
    for column in data["columns"]:
        token = reading.tokens[reading.positions[column["index"]]]
        column["text"] = show_token(token, max_chars=_chars(reading))
    if which == "patched":
        data["framed"] = [list(place) for place in [_place(reading, cell)] if place]
    if which != "source":
        data["reached"] = [[int(i), int(j)] for i, j in zip(*result.reached.nonzero(), strict=True)]
    roles = {"source": {"drags": CELL}, "target": {"takes": CELL}, "patched": {}}
    return data | roles[which]


def _place(reading: LogitLensResult, cell: tuple[int, int]) -> tuple[int, int] | None:
    """The row and column of a cell; None where its position is not read."""
    layer, position = cell
    return (layer + 1, reading.positions.index(position)) if position in reading.positions else None


def _lens(reading: LogitLensResult, colour: Shade) -> Grid:
    """The lens with its tokens cut, as three of them stand side by side."""
    grid = lens_grid(reading, "probability" if colour == "change" else colour)
    return replace(grid, texts=_cut(reading))


def _cut(reading: LogitLensResult) -> np.ndarray:
    tops = reading.grid["top_tokens"][..., 0]
    cut = [show_token(token, max_chars=_chars(reading)) for token in tops.ravel()]
    return np.array(cut).reshape(tops.shape)


def _chars(reading: LogitLensResult) -> int:
    """How many characters of a token there is room for, in a third of the page; of longer prompts, which are
    scrolled, the most."""
    room = _IN_ALL // len(reading.positions)
    return min(room, _MOST_CHARS) if room >= _FEWEST_CHARS else _MOST_CHARS


def _changes(result: PatchedLensResult) -> Grid:
    """The patched lens, coloured by the change of the answer's probability."""
    change, grid = view.change_grid(result), lens_grid(result.patched)
    hover = (("change with the patch", lens.texts(result.change, decimal)), *grid.hover)
    return replace(change, texts=_cut(result.patched), hover=hover, framed=())


def cell_table(result: PatchedLensResult, cell: tuple[int, int]) -> Table:
    """The likeliest tokens at a (row, column) of the target, without the patch and with it."""
    readings = result.target, result.patched
    rows: list[tuple[str | float, ...]] = []
    for rank in range(result.target.top_ids.shape[-1]):
        both = [
            text
            for one in readings
            for text in (
                show_token(one.top_tokens[cell[0]][cell[1]][rank], max_chars=20),
                probability(float(one.top_probs[(*cell, rank)])),
            )
        ]
        rows.append((rank + 1, *both))
    title = lens.cell_title(result.target, *cell)
    return Table(("rank", "without the patch", "p", "with it", "p"), tuple(rows), title=title)
