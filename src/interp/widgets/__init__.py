"""Results to click through in a notebook. What is clicked is a Python value.

    grid = interp.widgets.grid(trace)      # any result with a grid
    grid                                   # click a cell ...
    grid.selected, grid.cell               # ... and it is (row, column), and what it says

The grids are those of the app and of reports. Needs the extra ``notebook`` (anywidget), which works in
JupyterLab, VS Code, Colab and marimo; nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from interp.errors import InputError, how_to_install

if TYPE_CHECKING:
    from interp.models.base import Model
    from interp.results import Result
    from interp.tokens import Prompt
    from interp.widgets.attention_widget import AttentionWidget
    from interp.widgets.grids import GridWidget
    from interp.widgets.lens_widget import LensWidget

__all__ = ["attention", "grid", "lens"]


def grid(result: Result, block: str = "") -> GridWidget:
    """A grid of a result: the block of that name of its view, by default the first one that is a grid.

    `selected` is the clicked cell as (row, column) of the grid's array, or None; it can be set and observed.
    Raises `InputError` where the result has no such grid.
    """
    return _module("grids").GridWidget.of(result, block)


def attention(
    model: Model, prompt: Prompt, *, heads: Sequence[str | Sequence[int]] | None = None
) -> AttentionWidget:
    """The attention patterns of all heads on a prompt, or of these `heads`: a map of the heads, and below it
    the pattern of the clicked one.

    The map has how much attention a head gives to other tokens than the first, on average over the tokens
    behind it: the first is often a resting place. `head` is the clicked (layer, head), `selected` the clicked
    (query, key) of its pattern, `pattern` the pattern [query, key].
    """
    return _module("attention_widget").AttentionWidget.of(model, prompt, heads)


def lens(model: Model, prompt: Prompt, answer: Any = None, *, lens: str = "logit") -> LensWidget:
    """What a lens reads at each layer and position of a prompt, and the top tokens of the chosen cell.

    `selected` is that cell as (row, position), the embedding being row 0; `tokens` has its top tokens as
    (rank, token, probability). Without an `answer`, of the model's own next token.
    """
    return _module("lens_widget").LensWidget.of(model, prompt, answer, lens)


def _module(name: str) -> Any:
    try:
        import_module("anywidget")
    except ImportError:
        raise InputError(
            f"Widgets need anywidget, which is not installed; {how_to_install('notebook')}."
        ) from None
    return import_module(f"interp.widgets.{name}")
