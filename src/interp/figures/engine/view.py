"""A `View`: all that is shown of a result, as words, tables, grids and charts, written once for all media.

An experiment is presented by one function from its result to a `View`; `presentation` makes of it the three
that `interp.runs` asks for:

    from interp.figures.engine.presentation import presentation
    from interp.figures.engine.view import Axis, Grid, View, Words

    def view(result: HeadsResult) -> View:
        layers, heads = result.recovery.shape
        return View(
            title="Which heads carry the answer?",
            above=("Denoising at z.", "Metric: logit(␣Mary) - logit(␣John). Clean 3.2, corrupted -2.9."),
            blocks=(
                Words("Head 5.1 alone brings back half.", strong=True, name="verdict"),
                Grid(
                    name="recovery",                      # view(result).block("recovery", Grid) finds it
                    values=result.recovery,               # [row, column]
                    rows=Axis.numbers("layer", layers),   # row 0 at the bottom; with down=True at the top
                    columns=Axis.numbers("head", heads),  # or Axis.tokens(clean, others=corrupted)
                    unit="recovery",
                    centre=0,                             # the value of no effect; None: from 0 upwards
                    limit=1.5,                            # where the colour is strongest; None: the largest
                    above="towards the clean answer",     # what the two colours mean
                    below="away from it",
                    hover=(("interval", intervals),),     # more of each cell: numbers or texts
                    framed=(result.peak,),
                ),
            ),
            below=("Sufficient here does not mean necessary.",),
        )

    figure, table, report = presentation(view)

The module's `figure`, `table` and `report` then draw with matplotlib, in a terminal and as HTML. The other
blocks are `Table` (whose cells may be a `Cell` with a bar or a colour), `Bars`, `Lines`, `Panels` (small
lines with one x axis), `Scatter`, `Attention` and `Graph`. A block with `media` is shown in those media
alone; one with `beside` stands, in a figure, to the right of the block before it.

Texts are plain: they are escaped where they are drawn, and what prints nothing is made visible when the
`View` is built. Write tokens with `notation.show_token`, but give raw ones to `Axis.tokens` and `Attention`.
Values are drawn as they are, never clipped; in a grid, NaN is a cell without a value. An array must have the
shape that the labels say. The model's own line is put at the end by `presentation`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from interp.errors import InputError, nearest
from interp.figures.engine.axis import Axis, Heading
from interp.figures.engine.blocks import (
    MEDIA,
    Block,
    Cell,
    Chart,
    Medium,
    Table,
    TitledBlock,
    Words,
    block_name,
    check_shown,
    number,
)
from interp.figures.engine.chart_blocks import Bars, Lines, Panels, Scatter, Series
from interp.figures.engine.graph_block import Edge, Graph, Node
from interp.figures.engine.grid import Arrays, Attention, Grid
from interp.figures.engine.notation import show_text

__all__ = [
    "MEDIA",
    "Arrays",
    "Attention",
    "Axis",
    "Bars",
    "Block",
    "Cell",
    "Chart",
    "Edge",
    "Graph",
    "Grid",
    "Heading",
    "Lines",
    "Medium",
    "Node",
    "Panels",
    "Scatter",
    "Series",
    "Table",
    "TitledBlock",
    "View",
    "Words",
    "block_name",
    "number",
]

OneBlock = TypeVar("OneBlock", bound=Block)


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """All that is shown of a result: a title, its setting, the blocks, and notes."""

    title: str
    above: tuple[str, ...]
    blocks: tuple[Block, ...]
    below: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [block.name for block in self.blocks if block.name]
        check_shown(len(set(names)) == len(names), f"two blocks of one name among {', '.join(names)}")
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _made_visible(getattr(self, f.name)))

    def shown_in(self, medium: Medium) -> list[Block]:
        """The blocks that a figure, a terminal or a page shows, as they are drawn."""
        return [block.drawable for block in self.blocks if medium in block.media]

    def block(self, name: str, kind: type[OneBlock]) -> OneBlock:
        """The block of that name, which is of that kind; `InputError`, in a sentence, where there is none."""
        named = {block.name: block for block in self.blocks if block.name}
        if name not in named:
            raise InputError(f"{self.title!r} has no block {name!r}; {nearest(name, named)}")
        found = named[name]
        if not isinstance(found, kind):
            raise InputError(
                f"The block {name!r} of {self.title!r} is of kind {type(found).__name__}, "
                f"not {kind.__name__}."
            )
        return found


def _made_visible(value: Any) -> Any:
    """The value with every text in it made visible (line ends, control characters), but for the tokens of an
    axis, which `Heading` shows."""
    if isinstance(value, str):
        return show_text(value)
    if isinstance(value, tuple):
        return tuple(_made_visible(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        return np.array([show_text(str(text)) for text in value.ravel()]).reshape(value.shape)
    if isinstance(value, Attention):
        return dataclasses.replace(
            value, title=show_text(value.title), patterns=_made_visible(value.patterns)
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Heading):
        changed = {f.name: _made_visible(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value
