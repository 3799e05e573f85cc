"""The widget of a lens: what it reads at each layer and position, and the top tokens of the clicked cell."""

from __future__ import annotations

from typing import Any

import traitlets

from interp.app.views.grid_data import token_ranking
from interp.app.views.lens import LogitLens, cell_title, cell_tokens, lens_grid
from interp.methods.lens.results import LogitLensResult
from interp.models.base import Model
from interp.widgets.grids import Grids, Place, checked, data_of


class LensWidget(Grids):
    """A lens's grid; `selected` is the clicked (row, position), `tokens` its top tokens."""

    selected = traitlets.Any(None)

    def __init__(self, result: LogitLensResult) -> None:
        super().__init__()
        self.result = result
        self.grid = lens_grid(result)
        self.put(0, data_of(self.grid, f"{self.grid.title}: the top token of each layer and position"))
        rows, columns = self.grid.values.shape
        self.selected = (rows - 1, columns - 1)

    @classmethod
    def of(cls, model: Model, prompt: Any, answer: Any, lens: str) -> LensWidget:
        """Of a prompt, read at every position."""
        return cls(LogitLens(prompt, answer, lens=lens)(model))

    @property
    def tokens(self) -> list[tuple[int, str, float]]:
        """The top tokens of the chosen cell, and the answer: (rank, token, probability)."""
        return cell_tokens(self.result, *self.selected)

    @traitlets.validate("selected")
    def _is_a_cell(self, proposal: Any) -> Place:
        return checked(proposal["value"], self.grid) or self.selected

    @traitlets.observe("selected")
    def _draw_tokens(self, _: Any) -> None:
        rank = int(self.result.grid["answer_rank"][self.selected])
        title = cell_title(self.result, *self.selected)
        ranking = token_ranking(self.tokens, label="Top tokens of the cell", framed_rank=rank)
        self.put(0, self.parts[0], self.selected)
        self.put(1, ranking | {"caption": title})

    @traitlets.observe("places")
    def _clicked(self, _: Any) -> None:
        self.selected = self.place(0) or self.selected
