"""What a result shows, said once: a `View` of words, tables, grids and charts, shown in three ways.

A presentation of an experiment is one function from its result to a `View`, and `presented` makes of it the
three that `interp.runs` asks for:

    from interp.figures.engine.presented import presented
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
                    hover=(("interval", intervals),),     # more to tell of each cell: numbers or texts
                    framed=(result.peak,),
                ),
            ),
            below=("Sufficient here does not mean necessary.",),
        )

    figure, table, report = presented(view)

The module's `figure`, `table` and `report` then draw with matplotlib, in a terminal and as HTML. Texts are
plain: they are escaped where they are drawn, and what prints nothing is made visible when the `View` is
built. Write tokens with `notation.show_token`, but give raw ones to `Axis.tokens` and `Attention`. Values are
drawn as they are, never clipped; in a grid, NaN is a cell without a value. An array must have the shape that
the labels say. The model's own line is put at the end by `presented`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from interp.errors import InputError, nearest
from interp.figures.engine.colours import LIMIT, RGB, diverging, sequential
from interp.figures.engine.notation import compact, count, decimal, show_text, show_token

#: A grid of more columns is shown by the strongest of each row.
MOST_COLUMNS = 160
STRONGEST = 10

Arrays: TypeAlias = "tuple[tuple[str, np.ndarray], ...]"  # names and arrays


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a view, with a name by which `View.block` finds it: snake_case, unique within its view."""

    _: KW_ONLY
    name: str = ""

    def __post_init__(self) -> None:
        _check(re.fullmatch("[a-z0-9_]*", self.name) is not None, f"a block of the name {self.name!r}")


@dataclass(frozen=True, eq=False)
class TitledBlock(Block):
    """A block with a title above it."""

    _: KW_ONLY
    title: str = ""


def block_name(*parts: str) -> str:
    """A block's name out of free texts: ``block_name("END to S1+1")`` is ``end_to_s1_1``."""
    return re.sub("[^a-z0-9]+", "_", " ".join(parts).lower()).strip("_")


@dataclass(frozen=True)
class Words(Block):
    """A paragraph."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table(TitledBlock):
    """Rows of texts and numbers; the first column labels them. Rows in `strong` stand out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    strong: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for row in self.rows:
            _check(len(row) == len(self.columns), f"a row of {len(row)} under {len(self.columns)} columns")

    @property
    def texts(self) -> list[list[str]]:
        """The cells as they are written: numbers to four digits."""
        return [[number(cell) for cell in row] for row in self.rows]

    @property
    def right(self) -> list[bool]:
        """For each column, whether it holds numbers alone, which stand right; beside the first, written
        ones too."""
        return [
            bool(self.rows) and all(_is_number(row[i], written=i > 0) for row in self.rows)
            for i in range(len(self.columns))
        ]


@dataclass(frozen=True)
class Heading:
    """A token; where another stands there in the corrupted prompt, that too; strong where it matters.
    Or, with `name`, some other label, whose spaces are left alone."""

    token: str
    other: str | None = None
    strong: bool = False
    name: bool = False

    def shown(self, max_chars: int | None = None) -> str:
        show = show_text if self.name else show_token
        return show(self.token, max_chars=max_chars)


@dataclass(frozen=True)
class Axis:
    """What the rows or columns of a grid are: layers, heads, tokens, or anything with a name."""

    title: str
    headings: tuple[Heading, ...]

    @classmethod
    def numbers(cls, title: str, n: int) -> Axis:
        """0, 1, ... : layers, heads, neurons."""
        return cls.names(title, range(n))

    @classmethod
    def names(cls, title: str, labels: Sequence[object]) -> Axis:
        """Any names."""
        return cls(title, tuple(Heading(str(label), name=True) for label in labels))

    @classmethod
    def tokens(cls, tokens: Sequence[str], *, others: Sequence[str] = (), title: str = "position") -> Axis:
        """The tokens of a prompt, as they come from the tokenizer; where those of the corrupted prompt
        (`others`, as many) are different, they stand below and both are strong."""
        _check(not others or len(others) == len(tokens), f"{len(others)} tokens under {len(tokens)}")
        pairs = zip(tokens, others or tokens, strict=True)
        return cls(title, tuple(Heading(a, b if a != b else None, strong=a != b) for a, b in pairs))

    def __len__(self) -> int:
        return len(self.headings)

    @property
    def of_tokens(self) -> bool:
        return any(not heading.name for heading in self.headings)

    def short(self, max_chars: int | None = None) -> list[str]:
        """The labels, each on one line."""
        return [heading.shown(max_chars) for heading in self.headings]

    def full(self, i: int) -> str:
        """A label in full, as in ``head 3`` or ``position 4: ␣France, corrupted: ␣Japan``."""
        heading = self.headings[i]
        if heading.name:
            return f"{self.title} {heading.shown()}".strip()
        other = "" if heading.other is None else f", corrupted: {show_token(heading.other)}"
        return f"{self.title} {i}: {heading.shown()}{other}"


@dataclass(frozen=True, eq=False)
class Grid(TitledBlock):
    """Coloured cells [row, column], with a number in each where there is room."""

    values: np.ndarray  # [row, column]
    rows: Axis
    columns: Axis
    unit: str  # what the number is: "recovery", "logits", "probability"
    centre: float | None = 0.0  # the value of no effect, neutral in colour; None: from 0 upwards
    limit: float | None = None  # the distance from `centre` that has the strongest colour; None: the largest
    above: str = ""  # what it means to be above the centre; from 0 upwards: what a high value means
    below: str = ""
    marks: tuple[tuple[float, str], ...] = ()  # words beside values of the colour scale: (1, "as clean")
    hover: Arrays = ()  # more to tell of each cell, numbers or texts, each [row, column]
    framed: tuple[tuple[int, int], ...] = ()
    framed_means: str = "the strongest effect"
    texts: np.ndarray | None = None  # [row, column]: what stands in the cells instead of the number
    down: bool = False  # row 0 at the top; else at the bottom, as layers stand

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.rows), len(self.columns))
        arrays = [self.values, *(a for _, a in self.hover), *([] if self.texts is None else [self.texts])]
        for array in arrays:
            _check(np.shape(array) == shape, f"an array {list(np.shape(array))} for a grid {list(shape)}")
        _check(self.centre is not None or not (self.values < -1e-9).any(), "values below 0 from 0 upwards")
        _check(not np.isinf(self.values).any(), "infinity")

    @property
    def reach(self) -> float:
        """The distance from the centre (or from 0) at which the colour is strongest."""
        if self.limit is not None:
            return self.limit
        away = np.abs(self.values - (self.centre or 0))
        return float(np.nanmax(away, initial=0)) or 1.0

    @property
    def beyond(self) -> tuple[bool, bool]:
        """Whether values lie beyond the two ends of the colour scale: (low, high)."""
        centre = self.centre or 0.0
        low = self.centre is not None and bool((self.values < centre - self.reach * (1 + 1e-9)).any())
        return low, bool((self.values > centre + self.reach * (1 + 1e-9)).any())

    def shade(self, value: float) -> float:
        """Where a value stands on the colour scale: from -LIMIT to LIMIT, or from 0 to 1 where upwards."""
        if self.centre is None:
            return min(max(value / self.reach, 0.0), 1.0)
        return min(max((value - self.centre) / self.reach, -1.0), 1.0) * LIMIT

    def colour(self, value: float) -> RGB:
        """The colour of a value; white where there is none."""
        if math.isnan(value):
            return 255, 255, 255
        return (sequential if self.centre is None else diverging)(self.shade(value))

    @property
    def colours(self) -> list[list[RGB]]:
        return [[self.colour(value) for value in row] for row in self.values.tolist()]

    @property
    def cells(self) -> list[list[str]]:
        """What stands in each cell; nothing where there is no value."""
        if self.texts is not None:
            return [[str(text) for text in row] for row in self.texts.tolist()]
        write = cell_number(self.values)
        return [["" if math.isnan(v) else write(v) for v in row] for row in self.values.tolist()]

    @property
    def key(self) -> str:
        """What the colours and frames mean, in a sentence."""
        parts = []
        if self.above:
            parts.append(f"{'strong' if self.centre is None else 'warm'}: {self.above}")
        if self.below:
            parts.append(f"blue: {self.below}")
        if self.centre:
            parts.append(f"pale: {self.unit} {self.centre:g}, no effect")
        if self.framed:
            parts.append(f"framed: {self.framed_means}")
        said = "; ".join(parts)
        return f"{said[0].upper()}{said[1:]}." if said else ""

    @property
    def marks_in_words(self) -> str:
        """What stands beside the colour scale, in brackets; nothing where there is nothing."""
        said = "; ".join(f"{value:g} {words}" for value, words in self.marks)
        return f" ({said})" if said else ""

    def farthest(self, n: int = 5) -> str:
        """The cells farthest from the centre, in a sentence: for where there is no room for numbers."""
        away = np.nan_to_num(np.abs(self.values - (self.centre or 0)), nan=-1)
        order = np.argsort(-away, axis=None, kind="stable")[:n]
        cells, columns = self.cells, len(self.columns)
        places = [(int(i) // columns, int(i) % columns) for i in order]
        said = [f"{self.rows.full(r)}, {self.columns.full(c)}: {cells[r][c]}" for r, c in places]
        return f"Farthest from {self.centre or 0:g}: {'; '.join(said)}."

    def strongest(self, n: int = STRONGEST) -> Grid:
        """The `n` columns of each row farthest from the centre, in that order, named in their cells."""
        away = np.nan_to_num(np.abs(self.values - (self.centre or 0)), nan=-1)
        order = np.argsort(-away, axis=1, kind="stable")[:, :n]  # [row, rank]

        def take(array: np.ndarray) -> np.ndarray:
            return np.take_along_axis(array, order, axis=1)

        names, numbers = np.array(self.columns.short(12))[order], take(np.array(self.cells))
        texts = np.char.add(np.char.add(names, ": "), numbers)
        places = {(row, int(c)): i for row, line in enumerate(order) for i, c in enumerate(line)}
        what = self.columns.title
        return dataclasses.replace(
            self,
            values=take(self.values),
            columns=Axis.names("rank", range(1, order.shape[1] + 1)),
            title=f"{self.title or self.unit.capitalize()}: of {len(self.columns)} columns ({what}), "
            f"the {order.shape[1]} of each row farthest from {self.centre or 0:g}",
            hover=((what, names), *((name, take(array)) for name, array in self.hover)),
            framed=tuple(
                (row, places[row, column]) for row, column in self.framed if (row, column) in places
            ),
            texts=texts,
        )


@dataclass(frozen=True)
class Chart(TitledBlock):
    """A block that is drawn as a picture: bars, lines, points or a graph."""

    @property
    def key(self) -> str:
        """What the marks of the picture mean."""
        raise NotImplementedError

    @property
    def table(self) -> Table:
        """All its numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Bars(Chart):
    """Labelled values from 0, to the right or to the left, perhaps with an interval each."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    unit: str
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    note: str = ""  # what the sign and the intervals mean
    most: int = 60  # of more, the largest are drawn, and it is said

    def __post_init__(self) -> None:
        super().__post_init__()
        for values in (self.values, self.low or self.values, self.high or self.values):
            _check(len(values) == len(self.labels), f"{len(values)} values for {len(self.labels)} bars")
            _check_finite(values)

    @property
    def drawn(self) -> list[int]:
        """Which are drawn: all, or the `most` largest, in their given order."""
        return _largest(self.values, self.most)

    @property
    def key(self) -> str:
        """What the signs mean, and whether all are drawn."""
        return _sentences(self.note, omitted(len(self.drawn), len(self.values), "value"))

    @property
    def table(self) -> Table:
        """All numbers."""
        columns = [self.labels, self.values, *(c for c in (self.low, self.high) if c)]
        names = ("", self.unit, *(n for n, c in (("low", self.low), ("high", self.high)) if c))
        return Table(names, tuple(zip(*columns, strict=True)), title=self.title or self.unit)


@dataclass(frozen=True)
class Series:
    """A line of `Lines`: its points from left to right, perhaps with a band."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for values in (self.y, self.low or self.x, self.high or self.x):
            _check(len(values) == len(self.x), f"{len(values)} values at {len(self.x)} places")
            _check_finite((*values, *self.x))


@dataclass(frozen=True)
class Lines(Chart):
    """Series over a common x axis."""

    series: tuple[Series, ...]
    x_title: str
    y_title: str
    log_x: bool = False
    ticks: tuple[tuple[float, str], ...] = ()  # labels of the x axis, such as layers; none: round numbers
    levels: tuple[tuple[float, str], ...] = ()  # named heights: (1, "the full model")
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        xs = [x for series in self.series for x in series.x]
        _check(not self.log_x or all(x > 0 for x in xs), "x at or below 0 on a logarithmic axis")

    @property
    def key(self) -> str:
        """What the lines and bands mean."""
        return self.note

    @property
    def table(self) -> Table:
        """All numbers: a row for each x, a column for each series."""
        xs = sorted({x for series in self.series for x in series.x})
        named = dict(self.ticks)
        columns: list[tuple[str, dict[float, str | float]]] = []
        for one in self.series:
            bands = (("", one.y), (" low", one.low), (" high", one.high))
            columns += [(one.name + of, dict(zip(one.x, ys, strict=True))) for of, ys in bands if ys]
        rows = tuple((named.get(x, number(x)), *(values.get(x, "") for _, values in columns)) for x in xs)
        title = self.title or f"{self.y_title} by {self.x_title}"
        return Table((self.x_title, *(name for name, _ in columns)), rows, title=title)


@dataclass(frozen=True)
class Scatter(Chart):
    """Points, the notable ones labelled."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    labels: tuple[str, ...]
    x_title: str
    y_title: str
    labelled: tuple[int, ...] = ()  # which points bear their label in the picture
    diagonal: bool = False  # the line y = x, and one scale for both axes
    pearson: float | None = None
    spearman: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(len(self.x) == len(self.y) == len(self.labels), "x, y and labels of different lengths")
        _check_finite((*self.x, *self.y))

    @property
    def correlations(self) -> str:
        """Pearson's and Spearman's, where given."""
        given = (("Pearson", self.pearson), ("Spearman", self.spearman))
        return ", ".join(f"{name} {decimal(value)}" for name, value in given if value is not None)

    @property
    def key(self) -> str:
        """The correlations, and what the picture says."""
        found = f"Correlation: {self.correlations}." if self.correlations else ""
        return _sentences(found, "Dashed: y = x." if self.diagonal else "", self.note)

    @property
    def table(self) -> Table:
        """All points, the labelled ones first."""
        first = [*self.labelled, *(i for i in range(len(self.x)) if i not in set(self.labelled))]
        rows = tuple((self.labels[i], self.x[i], self.y[i]) for i in first)
        return Table(("", self.x_title, self.y_title), rows, title=self.title or f"{len(self.x)} points")


@dataclass(frozen=True, eq=False)
class Attention(TitledBlock):
    """Attention patterns over one prompt, of one head or of several side by side."""

    tokens: tuple[str, ...]
    patterns: Arrays  # the name of a head, such as "5.1", and its pattern [query, key]
    framed: tuple[tuple[int, int], ...] = ()
    framed_means: str = "where the head is said to look"

    @property
    def grids(self) -> list[Grid]:
        """A grid for each head, on one scale; what a query cannot see (0 after it) is left empty."""
        n = len(self.tokens)
        later = np.triu(np.ones((n, n), dtype=bool), 1)
        return [
            Grid(
                values=np.where(later & (pattern == 0), np.nan, pattern),
                rows=Axis.tokens(self.tokens, title="query"),
                columns=Axis.tokens(self.tokens, title="key"),
                unit="attention",
                title=f"Head {name}",
                centre=None,
                limit=1.0,
                above="attends there (each row sums to 1)",
                framed=self.framed,
                framed_means=self.framed_means,
                down=True,
            )
            for name, pattern in self.patterns
        ]


@dataclass(frozen=True)
class Node:
    """A node of a circuit, such as ``a3.h1``, ``m2`` or ``logits``: its height, and its place among equals.

    The layer may lie between two: attention of layer 3 at 3, its MLP at 3.5, the embedding at -1.
    """

    name: str
    layer: float
    order: int = 0


@dataclass(frozen=True)
class Edge:
    """An edge between two nodes by name; `note` may say which input it is (q, k or v)."""

    source: str
    target: str
    weight: float
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.source} → {self.target}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Graph(Chart):
    """A circuit, drawn from the lowest layer up; the sign of an edge by colour, its size by width."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unit: str
    note: str = ""  # what the sign means
    most: int = 60  # of more edges, the largest are drawn, and it is said

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [node.name for node in self.nodes]
        _check(len(set(names)) == len(names), "two nodes of one name")
        for edge in self.edges:
            _check(
                {edge.source, edge.target} <= set(names), f"an edge {edge.name} of a node that is not there"
            )
        _check_finite([edge.weight for edge in self.edges])

    @property
    def drawn(self) -> list[Edge]:
        """The edges that are drawn, the largest first."""
        chosen = _largest([edge.weight for edge in self.edges], self.most)
        return sorted((self.edges[i] for i in chosen), key=lambda edge: -abs(edge.weight))

    @property
    def drawn_nodes(self) -> list[Node]:
        """All nodes; where edges are left out, those that still have one."""
        drawn = self.drawn
        ends = {name for edge in drawn for name in (edge.source, edge.target)}
        return [n for n in self.nodes if n.name in ends or len(drawn) == len(self.edges)]

    @property
    def key(self) -> str:
        """What the colour and width of an edge mean, and whether all are drawn."""
        largest = max((abs(edge.weight) for edge in self.edges), default=0.0)
        widths = (
            f"Edges run upwards; warm: positive, blue: negative; the widest is {number(largest)} {self.unit}."
        )
        left_out = omitted(len(self.drawn), len(self.edges), "edge")
        nodes = omitted(len(self.drawn_nodes), len(self.nodes), "node").replace("largest", "that they join")
        return _sentences(widths if self.edges else "No edges.", self.note, left_out, nodes)

    @property
    def table(self) -> Table:
        """All edges, the largest first."""
        edges = sorted(self.edges, key=lambda edge: -abs(edge.weight))
        rows = tuple((edge.name, edge.weight) for edge in edges)
        return Table(("edge", self.unit), rows, title=self.title or f"{len(edges)} edges")


OneBlock = TypeVar("OneBlock", bound=Block)


@dataclass(frozen=True, eq=False)
class View:
    """All that is shown of a result: a title, its setting, the blocks, and notes."""

    title: str
    above: tuple[str, ...]
    blocks: tuple[Block, ...]
    below: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [block.name for block in self.blocks if block.name]
        _check(len(set(names)) == len(names), f"two blocks of one name among {', '.join(names)}")
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _legible(getattr(self, f.name)))

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


def drawable_block(block: Block) -> Block:
    """The block as it is drawn: words in place of an empty one, of a very wide grid the strongest cells."""
    empty = {
        Grid: lambda b: 0 in b.values.shape,
        Table: lambda b: not b.rows,
        Bars: lambda b: not b.labels,
        Lines: lambda b: not any(series.x for series in b.series),
        Scatter: lambda b: not b.x,
        Attention: lambda b: not b.patterns or not b.tokens,
        Graph: lambda b: not b.nodes,
    }
    test: Callable[[Any], bool] | None = empty.get(type(block))
    if test is not None and test(block):
        title = block.title if isinstance(block, TitledBlock) else ""
        return Words(f"{title}: nothing to show." if title else "Nothing to show.", name=block.name)
    if isinstance(block, Grid) and len(block.columns) > MOST_COLUMNS and not block.columns.of_tokens:
        return block.strongest()
    return block


def omitted(n: int, of: int, what: str) -> str:
    """That some are not drawn; nothing where all are."""
    return "" if n == of else f"The {n} largest of {count(of, what)} are drawn."


def _is_number(cell: str | float, *, written: bool) -> bool:
    """Whether a cell is a number, or empty, or, where `written` ones count, a text such as ``-2.40 %``."""
    if not isinstance(cell, str) or not cell:
        return True
    return written and re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?( %)?", cell) is not None


def number(value: str | float) -> str:
    """A text as it is; a number to four digits, never ``-0``."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | np.integer) else f"{value + 0.0:.4g}"


def cell_number(values: np.ndarray) -> Callable[[float], str]:
    """How the numbers of a grid are written: two decimals, more where all are small."""
    largest = float(np.nanmax(np.abs(values), initial=0))
    if largest == 0 or largest >= 0.095:
        return compact
    places = 1 - math.floor(math.log10(largest))
    if places > 5:
        return lambda value: f"{value + 0.0:.0e}" if value else "0"
    return lambda value: decimal(value, places)


def _largest(values: Sequence[float], most: int) -> list[int]:
    order = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))
    return sorted(order[:most])


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _legible(value: Any) -> Any:
    """The same with every text made visible (line ends, control characters), but for tokens on an axis."""
    if isinstance(value, str):
        return show_text(value)
    if isinstance(value, tuple):
        return tuple(_legible(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        return np.array([show_text(str(text)) for text in value.ravel()]).reshape(value.shape)
    if isinstance(value, Attention):
        return dataclasses.replace(value, title=show_text(value.title), patterns=_legible(value.patterns))
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Heading):
        changed = {f.name: _legible(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(f"This cannot be shown: {otherwise}.")


def _check_finite(values: Sequence[float]) -> None:
    _check(bool(np.isfinite(np.asarray(values, dtype=float)).all()), "NaN or infinity among the values")
