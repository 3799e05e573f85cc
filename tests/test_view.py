"""Views: every block in a figure, in a terminal and in a page; and the experiment that is shown by one."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
import warnings
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console

from conftest import PROVENANCE, Parsed, run
from interp.errors import InputError
from interp.figures.engine import drawing, html, measured_text
from interp.figures.engine.graph_chart import graph
from interp.figures.engine.line_chart import lines
from interp.figures.engine.notation import round_numbers
from interp.figures.engine.picture import Area, Dot, Label, Picture
from interp.figures.engine.scatter_chart import scatter
from interp.figures.engine.view import (
    Attention,
    Axis,
    Bars,
    Cell,
    Chart,
    Edge,
    Graph,
    Grid,
    Lines,
    Node,
    Panels,
    Scatter,
    Series,
    Table,
    View,
    Words,
    block_name,
)
from interp.figures.engine.view_figure import chart, figure_of
from interp.figures.engine.view_html import fragment
from interp.figures.engine.view_terminal import renderable
from interp.figures.views import activation_patching as sweep_figures
from interp.methods.patching.results import ActivationPatchingResult, ComparedActivationPatchingResult
from interp.results import Estimate, Pairs, read_result
from interp.runs import read_run

HOSTILE = (
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;"),
    *("[red]", "\x1b[31m", "\u202e", "東京"),
)
NAN = float("nan")


def grid(n_rows: int = 6, n_columns: int = 6, **changes) -> Grid:
    values = np.random.default_rng(n_rows).normal(0, 0.3, (n_rows, n_columns))
    fields = {
        "values": values,
        "rows": Axis.numbers("layer", n_rows),
        "columns": Axis.numbers("head", n_columns),
        "unit": "recovery",
        "limit": 1.5,
        "above": "towards the clean answer",
        "below": "away from it",
        "marks": ((1.0, "as clean: answer brought back"), (0.0, "as corrupted: nothing comes back")),
        "hover": (("interval", np.full(values.shape, "0.1 to 0.2")), ("metric", values * 10)),
        "framed": ((n_rows - 1, n_columns - 1),),
    }
    return Grid(**{**fields, **changes})


def attention(n: int = 5, heads: int = 1) -> Attention:
    pattern = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    tokens = ("<|endoftext|>", *(f" token{i}" for i in range(n - 1)))
    return Attention(tokens=tokens, patterns=tuple((f"5.{h}", pattern) for h in range(heads)), title="Where")


def circuit(n_layers: int = 3, heads: int = 3, edges: int = 12) -> Graph:
    rng = np.random.default_rng(edges)
    nodes = [Node("embed", -1)]
    for layer in range(n_layers):
        nodes += [Node(f"a{layer}.h{h}", layer, h) for h in range(heads)] + [Node(f"m{layer}", layer + 0.5)]
    nodes.append(Node("logits", n_layers))
    upwards = [(a.name, b.name) for a, b in combinations(nodes, 2) if a.layer < b.layer]
    chosen = rng.choice(len(upwards), edges, replace=False)
    weights = rng.normal(size=edges).tolist()
    drawn = tuple(Edge(*upwards[i], w) for i, w in zip(chosen, weights, strict=True))
    return Graph(tuple(nodes), drawn, "logits")


def curves(n: int = 2, log_x: bool = True) -> Lines:
    x = (0.001, 0.01, 0.1, 1.0)
    y = np.array([0.1, 0.5, 0.9, 1.0])
    series = tuple(
        Series(f"method {i}", x, tuple(y - i / 10), low=tuple(y - 0.2), high=tuple(y + 0.1)) for i in range(n)
    )
    return Lines(
        series, "edges", "faithfulness", log_x=log_x, levels=((1.0, "the full model"), (0.99, "nearly"))
    )


def points(n: int = 60, **changes) -> Scatter:
    x, y = np.random.default_rng(n).normal(size=(2, n))
    names = tuple(f"{i // 12}.{i % 12}" for i in range(n))
    labelled = tuple(range(min(n, 8)))
    return Scatter(
        x=tuple(x), y=tuple(y), labels=names, x_title="attribution", y_title="patching", labelled=labelled,
        **changes,
    )  # fmt: skip


def bars(n: int = 5) -> Bars:
    values = tuple(np.linspace(-1, 2, n))
    spread = tuple(v - 0.1 for v in values), tuple(v + 0.2 for v in values)
    return Bars(tuple(f"head {i}" for i in range(n)), values, "logits", low=spread[0], high=spread[1])


def panels(n: int = 7) -> Panels:
    """A probability, a rank and two entropies over layers."""
    x = tuple(map(float, range(n)))
    axis = {"x_title": "layer", "ticks": tuple((i, f"layer {i:g}") for i in x)}
    up, ranks = tuple(i / n for i in x), tuple(1000.0 ** (1 - i / n) for i in x)
    at, unnamed = ((3.0, "crossover: from layer 3 on"),), ((3.0, ""),)
    return Panels(
        (
            Lines((Series("p", x, up, hollow=(0, 1)),), y_title="p", y_range=(0.0, 1.0), x_marks=at, **axis),
            Lines(
                (Series("rank", x, ranks),), y_title="rank", log_y=True, downwards=True, x_marks=unnamed,
                note="Rings.", **axis,
            ),
            Lines((Series("a", x, up), Series("b", x, up[::-1])), y_title="nats", note="Rings.", **axis),
        )
    )  # fmt: skip


def texts(n_rows: int = 4, n_columns: int = 5, text: str = "␣Paris", **changes) -> Grid:
    values = np.linspace(0, 1, n_rows * n_columns).reshape(n_rows, n_columns)
    fields = {"texts": np.full(values.shape, text), "hover": (), "marks": (), "framed": ((0, 1), (1, 1))}
    return grid(n_rows, n_columns, values=values, centre=None, limit=1.0, below="", **{**fields, **changes})


RANKED = Table(
    ("layer", "says", "p"),
    tuple((f"{i}", Cell("␣the", shade=i / 9, strong=i > 5), Cell(f"0.{i}", bar=i / 9)) for i in range(9)),
    marked=(6,),
)
TOKENS = Axis.tokens((" a", " France", " is"), others=(" a", " Japan", " is"))
KINDS = Axis.names("kind", ["zero", "mean of all the templates", "none"])
BLOCKS = {
    "words": Words("Head 5.1 alone brings back half.", strong=True),
    "table": Table(("head", "role", "found"), (("9.9", "mover", 3.5), ("10.0", "so " * 60, -2)), strong=(0,)),
    "grid": grid(),
    "grid of one cell": grid(1, 1),
    "grid of tokens": grid(3, 3, columns=TOKENS),
    "grid upwards": grid(2, 2, values=np.array([[0.0, 1.0], [0.5, NAN]]), centre=None, limit=None, marks=()),
    "grid around 1": grid(2, 2, values=np.array([[0.0, 1.0], [0.5, 3.0]]), centre=1.0),
    "grid of zeros": grid(2, 2, values=np.zeros((2, 2)), limit=None),
    "grid without a value": grid(2, 2, values=np.full((2, 2), NAN)),
    "48 layers": grid(48, 25),
    "neurons": grid(6, 768, columns=Axis.numbers("neuron", 768)),
    "grid of texts": texts(),
    "grid of texts and numbers": texts(notes=np.full((4, 5), "0.25")),
    "grid of long texts": texts(3, 12, "␣internationalisation"),
    "grid of texts in many columns": texts(6, 60, columns=Axis.tokens(tuple(f" t{i}" for i in range(60)))),
    "grid of noised tokens": grid(3, 3, columns=Axis.tokens((" a", " France", " is"), notes={1: "noised"})),
    "panels": panels(),
    "table with bars": RANKED,
    "named": grid(2, 3, rows=Axis.names("", ["name movers", "x"]), columns=KINDS),
    "bars": bars(),
    "one bar": bars(1),
    "many bars": bars(100),
    "lines": curves(),
    "linear lines": curves(9, log_x=False),
    "a single point": Lines((Series("x", (3.0,), (0.0,)),), "x", "y"),
    "scatter": points(),
    "scatter on a square": points(3, diagonal=True, pearson=0.64, spearman=-0.001),
    "one point": points(1),
    "attention": attention(),
    "attention of several": attention(15, 5),
    "attention of one token": attention(1),
    "graph": circuit(),
    "graph of many edges": circuit(6, 6, 100),
    "graph of one node": Graph((Node("logits", 0),), (), "logits"),
    "no rows": Table(("a", "b"), (), title="Heads"),
    "no cells": grid(0, 3, values=np.zeros((0, 3)), hover=(), framed=()),
    "no bars": Bars((), (), "logits"),
    "no lines": Lines((), "x", "y"),
    "no points": Scatter(x=(), y=(), labels=(), x_title="x", y_title="y"),
    "no heads": Attention(("a",), ()),
    "no nodes": Graph((), (), "logits"),
}  # fmt: skip
CHARTS = [name for name, block in BLOCKS.items() if isinstance(block, Chart)]


def view_of(*blocks, title: str = "Which heads carry it?") -> View:
    return View(title=title, above=("Denoising at z.",), blocks=blocks, below=("Sufficient here.",))


def terminal(view: View, width: int = 80) -> str:
    out = io.StringIO()
    Console(width=width, file=out, force_terminal=False).print(renderable(view, notes=["Model demo-gpt2."]))
    return out.getvalue()


def page(view: View) -> str:
    return html.page(title="A report", body=fragment(view), provenance=PROVENANCE)


# --- every block, everywhere ---


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_drawn_within_its_figure_and_always_the_same(name):
    view = view_of(BLOCKS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of(view, notes=["Model demo-gpt2."])
        data = drawing.png(figure)
    assert data == drawing.png(figure_of(view, notes=["Model demo-gpt2."]))
    renderer = figure.canvas.get_renderer()
    for text in [*figure.texts, *(t for ax in figure.axes for t in ax.texts)]:
        box = text.get_window_extent(renderer)
        if text.get_text():
            assert box.x0 >= 0, text.get_text()
            assert box.y0 >= 0, text.get_text()
            assert box.x1 <= figure.bbox.width, text.get_text()
            assert box.y1 <= figure.bbox.height, text.get_text()


@pytest.mark.parametrize("name", BLOCKS)
def test_no_two_texts_of_a_figure_overlap(name):
    figure = figure_of(view_of(BLOCKS["words"], BLOCKS[name], BLOCKS["words"]), notes=["Model demo-gpt2."])
    renderer = figure.canvas.get_renderer()
    texts = [t for t in [*figure.texts, *(t for ax in figure.axes for t in ax.texts)] if t.get_text().strip()]
    level = [t for t in texts if t.get_rotation() in (0, 90)]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in level]
    for (a, first), (b, second) in combinations(boxes, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across <= 1 or down <= 3, (a, b)  # lines of text may touch by a pixel's rounding


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_fits_a_terminal(name, width):
    assert max(map(len, terminal(view_of(BLOCKS[name]), width).splitlines())) <= width


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_a_page_of_its_own(name):
    text = page(view_of(BLOCKS[name]))
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "//" not in outside
    assert "style=" not in outside, "the content policy would not apply it"
    assert "nan" not in outside.lower().replace("provenance", "")
    assert len(text.encode()) < 500_000
    parsed = Parsed(text)
    charts = parsed.attributes.count(("class", "chart"))
    assert charts == parsed.tags.count("details") - 1  # each chart has its numbers below it
    assert charts == parsed.attributes.count(("role", "img"))


@pytest.mark.parametrize("name", CHARTS)
def test_the_texts_of_a_chart_keep_apart_and_stay_on_it(name):
    block = BLOCKS[name].drawable
    if isinstance(block, Words):
        return
    picture = chart(block)
    boxes = [_box(mark) for mark in picture.marks if isinstance(mark, Label) and mark.text]
    for box in boxes:
        assert box[0] >= -0.01
        assert box[1] >= -0.01
        assert box[2] <= picture.width + 0.01
        assert box[3] <= picture.height + 0.01
    for a, b in combinations(boxes, 2):
        assert min(a[2], b[2]) - max(a[0], b[0]) <= 0 or min(a[3], b[3]) - max(a[1], b[1]) <= 0


def _box(label: Label) -> tuple[float, float, float, float]:
    width = measured_text.text_width(label.text, label.size, bold=label.bold)
    left = label.x - {"start": 0, "middle": width / 2, "end": width}[label.anchor]
    half = label.size / 72 * 0.45
    return left, label.y - half, left + width, label.y + half


# --- texts are inert ---


def hostile_view() -> View:
    bad = HOSTILE
    n = len(bad)
    zeros = np.zeros((n, n))
    return View(
        title=bad[0],
        above=bad,
        below=bad,
        blocks=(
            Words(bad[0]),
            Table(bad, (bad,), title=bad[0]),
            grid(
                n, n, values=zeros, rows=Axis.names(bad[0], bad), columns=Axis.tokens(bad, others=bad[::-1]),
                unit=bad[0], title=bad[1], above=bad[0], below=bad[1], marks=((0.0, bad[0]),), framed=(),
                hover=((bad[0], np.array([bad] * n)),), texts=np.array([bad] * n),
            ),
            Bars(bad, (1.0,) * n, bad[0], title=bad[1], note=bad[0]),
            Lines(
                tuple(Series(b, (1.0, 2.0), (1.0, 2.0)) for b in bad), bad[0], bad[1],
                ticks=((1.0, bad[0]),), levels=((1.0, bad[0]),),
            ),
            Scatter(
                x=(1.0,) * n, y=tuple(map(float, range(n))), labels=bad, x_title=bad[0], y_title=bad[1],
                labelled=tuple(range(n)),
            ),
            Attention(bad, ((bad[0], np.eye(n)),), title=bad[1]),
            Graph(
                tuple(Node(b, i) for i, b in enumerate(bad)), (Edge(bad[0], bad[1], 1.0, note=bad[2]),),
                bad[0], note=bad[1],
            ),
        ),
    )  # fmt: skip


def test_hostile_texts_are_inert_in_a_page():
    text = page(hostile_view())
    parsed = Parsed(text)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "<script>alert" not in text
    assert "alert(1)" in parsed.text  # it is there to read
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_hostile_texts_are_inert_in_a_terminal_and_in_a_figure():
    text = terminal(hostile_view(), 200)
    assert "[red]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawing.png(figure_of(hostile_view())).startswith(b"\x89PNG")


# --- numbers ---


def test_numbers_are_never_clipped_and_zero_has_no_sign():
    block = grid(1, 4, values=np.array([[-1e-9, 7.25, -0.001, -12.5]]), framed=())
    assert block.cells == [["0.00", "7.25", "0.00", "-12.5"]]
    for shown in (terminal(view_of(block)), page(view_of(block))):
        assert "7.25" in shown
        assert "-12.5" in shown
        assert "-0.00<" not in shown
        assert "-0.00 " not in shown
    assert Table(("a",), ((-0.0,),)).texts == [["0"]]
    assert block.beyond == (True, True)


def test_small_numbers_keep_their_digits():
    assert grid(1, 2, values=np.array([[0.0031, -0.00002]]), framed=()).cells == [["0.0031", "0.0000"]]
    assert grid(1, 2, values=np.array([[3e-9, 0.0]]), framed=()).cells == [["3e-09", "0"]]


def test_colours_are_symmetric_about_no_effect():
    block = grid(1, 3, values=np.array([[0.5, 1.0, 1.5]]), centre=1.0, limit=None, framed=())
    assert [block.shade(v) for v in (0.5, 1.0, 1.5)] == [-1.5, 0.0, 1.5]
    assert "no effect" in block.key


def test_a_wide_grid_is_shown_by_its_strongest_columns():
    values = np.zeros((2, 500))
    values[0, 123], values[1, 7], values[1, 400] = 0.9, -0.8, 0.3
    block = grid(2, 500, values=values, columns=Axis.numbers("neuron", 500), framed=((0, 123),)).drawable
    assert isinstance(block, Grid)
    assert block.cells[0][0] == "123: 0.90"
    assert block.cells[1][:2] == ["7: -0.80", "400: 0.30"]
    assert block.framed == ((0, 0),)
    assert "500" in block.title
    assert "10 of each row" in block.title


def test_what_is_left_out_is_said():
    assert "The 60 largest of 100 edges are drawn." in BLOCKS["graph of many edges"].key
    assert len(graph(circuit(6, 6, 100)).marks) > 60
    assert "The 60 largest of 100 values are drawn." in terminal(view_of(BLOCKS["many bars"]))
    assert "The first 24 of 60" in terminal(view_of(points()))
    assert page(view_of(circuit(6, 6, 100))).count("→") >= 100, "the report has them all"


def test_all_the_numbers_of_a_chart_are_in_its_table():
    assert [row[0] for row in curves().table.rows] == ["0.001", "0.01", "0.1", "1"]
    assert points().table.rows[0][1:] == (points().x[0], points().y[0])
    text = page(view_of(bars()))
    for value in bars().table.texts:
        assert value[1] in text


def test_a_correlation_is_written_with_the_points():
    text = BLOCKS["scatter on a square"].key
    assert "Pearson 0.64, Spearman 0.00" in text


def test_labels_that_find_no_room_are_named():
    crowd = Scatter(
        x=(0.0,) * 80,
        y=(0.0,) * 80,
        labels=tuple(f"a long label {i}" for i in range(80)),
        x_title="x",
        y_title="y",
        labelled=tuple(range(80)),
    )
    labels = [mark.text for mark in scatter(crowd).marks if isinstance(mark, Label)]
    assert any(text.startswith("no room for") for text in labels)


@pytest.mark.parametrize("name", ["scatter", "scatter on a square", "bars", "lines"])
def test_a_chart_for_a_column_keeps_the_size_of_its_type(name):
    """Drawn for fewer inches, it is not wider than they are and has no smaller type."""
    narrow, wide = chart(BLOCKS[name], width=4.1), chart(BLOCKS[name])
    assert narrow.width == 4.1
    sizes = [{mark.size for mark in one.marks if isinstance(mark, Label)} for one in (narrow, wide)]
    assert sizes[0] == sizes[1]
    dots = [mark for mark in narrow.marks if isinstance(mark, Dot)]
    assert all(0 <= dot.x <= 4.1 and 0 <= dot.y <= narrow.height for dot in dots)


@pytest.mark.parametrize(("worse", "colours"), [("", "wc"), ("above", "wc"), ("below", "cw")])
def test_what_is_worse_is_warm(worse, colours):
    """Of a metric that falls and of a loss that rises alike."""
    block = Bars(("up", "down"), (1.0, -1.0), unit="nats", worse=worse)
    drawn = [mark.colour[0] for mark in chart(block).marks if isinstance(mark, Area)]
    assert drawn == list(colours)
    assert ("Warm: worse" in block.key) == bool(worse)


def test_log_axes_have_their_powers_of_ten():
    labels = {mark.text for mark in lines(curves()).marks if isinstance(mark, Label)}
    assert {"0.001", "0.01", "0.1", "1", "the full model", "nearly"} <= labels


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1.5, [0, 0.5, 1, 1.5]), (0, 0.3, [0, 0.1, 0.2, 0.3]), (-2, 2, [-2, -1, 0, 1, 2]),
        (0.91, 1.0, [0.92, 0.94, 0.96, 0.98, 1]),
    ],
)  # fmt: skip
def test_round_numbers(low, high, found):
    assert round_numbers(low, high) == pytest.approx(found)


def test_edges_go_around_the_nodes_between():
    nodes = tuple(Node(f"m{i}", i) for i in range(5))
    picture = graph(Graph(nodes, (Edge("m0", "m4", 1.0), Edge("m0", "m1", 0.5)), "logits"))
    assert isinstance(picture, Picture)
    boxes = {
        m.text: _box(m)
        for m in picture.marks
        if isinstance(m, Label) and m.text.startswith("m") and "→" not in m.text
    }
    curve = max((m.points for m in picture.marks if getattr(m, "tip", "").startswith("m0 → m4")), key=len)
    for name in ("m1", "m2", "m3"):
        left, top, right, bottom = boxes[name]
        assert not any(left < x < right and top < y < bottom for x, y in curve)


# --- where a block is shown ---


def test_a_block_is_shown_in_its_media_alone():
    view = view_of(
        Words("In a terminal.", media=("terminal",)), Words("On a page.", media=("page",)), BLOCKS["words"]
    )
    assert "In a terminal." in terminal(view)
    assert "On a page." not in terminal(view)
    assert "On a page." in page(view)
    assert "In a terminal." not in page(view)
    assert len(view.shown_in("figure")) == 1
    assert dataclasses.replace(BLOCKS["no bars"], media=("page",)).drawable.media == ("page",)


def test_a_block_stands_beside_the_one_before_it_where_there_is_room():
    below, beside = (dataclasses.replace(texts(), beside=aside) for aside in (False, True))
    height = [figure_of(view_of(panels(), block)).get_figheight() for block in (below, beside)]
    assert height[1] < height[0] - 1
    assert figure_of(view_of(panels(), beside)).get_figwidth() > 8


def test_panels_have_one_axis_and_all_their_numbers():
    labels = [mark.text for mark in chart(panels()).marks if isinstance(mark, Label)]
    assert labels.count("layer") == 1
    assert {"p", "rank", "nats", "a", "b", "crossover: from layer 3 on"} <= set(labels)
    assert [mark.hollow for mark in chart(panels()).marks if isinstance(mark, Dot)][:3] == [True, True, False]
    assert panels().table.columns == ("layer", "p", "rank", "a", "b")
    assert panels().key == "Rings."
    ys = {mark.text: mark.y for mark in chart(panels()).marks if isinstance(mark, Label)}
    assert ys["1"] < ys["10"] < ys["100"], "the first rank at the top"


def test_bars_and_colours_of_a_table_are_shown_everywhere():
    text = terminal(view_of(RANKED))
    assert "▸ 6" in text
    assert "██████████" not in text
    assert "████████▉" in text
    parsed = Parsed(page(view_of(RANKED)))
    assert parsed.attributes.count(("class", "bar")) == 9
    assert ("class", "s40 strong") not in parsed.attributes
    assert ("class", "s36 strong") in parsed.attributes


def test_long_texts_of_a_grid_lose_their_middle_but_never_their_number():
    block = texts(2, 12, "␣internationalisation", notes=np.full((2, 12), "0.25"), framed=())
    drawn = {text.get_text() for ax in figure_of(view_of(block)).axes for text in ax.texts}
    assert "0.25" in drawn
    assert any(text.startswith("␣int") and "…" in text for text in drawn)
    for shown in (terminal(view_of(block)), re.sub("</?u>", "", page(view_of(block)))):
        assert shown.count(": 0.25") >= 24
        assert "␣internationalisation: " not in shown


# --- names ---


def test_a_block_is_found_by_its_name_and_kind():
    verdict, found = Words("Head 5.1.", name="verdict"), dataclasses.replace(grid(), name="recovery")
    view = view_of(verdict, found)
    assert view.block("verdict", Words) == verdict
    assert view.block("recovery", Grid).unit == "recovery"
    with pytest.raises(InputError, match=r"no block 'recovry'; did you mean 'recovery'\?"):
        view.block("recovry", Grid)
    with pytest.raises(InputError, match="is of kind Grid, not Table"):
        view.block("recovery", Table)
    with pytest.raises(InputError, match="two blocks of one name"):
        view_of(verdict, verdict)
    with pytest.raises(InputError, match="'The verdict'"):
        Words("Head 5.1.", name="The verdict")
    assert block_name("END to S1+1") == "end_to_s1_1"
    assert dataclasses.replace(BLOCKS["no bars"], name="scores").drawable.name == "scores"


# --- what cannot be shown ---


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: grid(2, 2, values=np.zeros((2, 3))), "2, 3"),
        (lambda: grid(2, 2, hover=(("low", np.zeros((1, 2))),)), "1, 2"),
        (lambda: grid(1, 1, values=np.array([[np.inf]])), "infinity"),
        (lambda: grid(1, 1, values=np.array([[-1.0]]), centre=None), "below 0"),
        (lambda: Table(("a", "b"), (("only one",),)), "2 columns"),
        (lambda: Bars(("a",), (1.0, 2.0), "x"), "1 bars"),
        (lambda: Bars(("a",), (NAN,), "x"), "NaN"),
        (lambda: Series("s", (1.0,), (1.0, 2.0)), "1 places"),
        (lambda: Lines((Series("s", (0.0,), (1.0,)),), "x", "y", log_x=True), "logarithmic"),
        (lambda: Scatter(x=(1.0,), y=(1.0, 2.0), labels=("a",), x_title="x", y_title="y"), "lengths"),
        (lambda: Graph((Node("a", 0),), (Edge("a", "b", 1.0),), "x"), "not there"),
        (lambda: Graph((Node("a", 0), Node("a", 1)), (), "x"), "one name"),
        (lambda: Axis.tokens(("a",), others=("a", "b")), "2 tokens under 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(build, says):
    with pytest.raises(InputError, match=says):
        build()


# --- the patch sweep ---


def recovered(by_pair: np.ndarray) -> Estimate:
    mean = by_pair.mean(0)
    return Estimate(mean=mean, low=mean - 0.05, high=mean + 0.05, each=by_pair)


def sweep(n_pairs: int = 1, shape: tuple[int, int] = (6, 6), **changes) -> ActivationPatchingResult:
    by_pair = np.random.default_rng(n_pairs).normal(0.1, 0.2, (n_pairs, *shape))
    fields = {
        "provenance": PROVENANCE, "site": "z", "by": "head", "direction": "denoising", "method": "exact",
        "steps": 0, "metric": "logit_diff", "path": "branching", "columns": tuple(map(str, range(shape[1]))),
        "pairs": Pairs(
            task=None, prompts=("<|endoftext|>The capital of France is",) * n_pairs,
            corrupted=("<|endoftext|>The capital of Japan is",) * n_pairs,
            answers=(" Paris",) * n_pairs, foils=(" Tokyo",) * n_pairs,
        ),
        "clean_values": np.full(n_pairs, 3.25), "corrupted_values": np.full(n_pairs, -2.5),
        "recovery": recovered(by_pair),
    }  # fmt: skip
    return ActivationPatchingResult(**{**fields, **changes})


def told(result: ActivationPatchingResult | ComparedActivationPatchingResult, width: int = 100) -> str:
    out = io.StringIO()
    Console(width=width, file=out, force_terminal=False).print(sweep_figures.table(result))
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (sweep(), ["sufficient in this context", "(path “branching”)", "1 pair of prompts", "Clean: 3.25"]),
        (sweep(), ["Corrupted: -2.5", "“The capital of France is”", "logit(␣Paris) - logit(␣Tokyo)"]),
        (sweep(direction="noising"), ["necessary in this context", "pale: recovery 1, no effect"]),
        (sweep(3), ["3 pairs of prompts", "percentile bootstrap", "too narrow", "the strongest: "]),
        (sweep(path="plain"), ["(path “plain”)"]),
        (sweep(method="attribution", path="gradients"), ["(path “gradients”)", "estimate of first order"]),
        (sweep(method="attribution", path="gradients"), ["estimated recovery", "By the estimate: Strongest"]),
        (sweep(method="integrated", steps=7, path="gradients"), ["averaged over 7 steps"]),
        (sweep(recovery=recovered(np.zeros((1, 6, 6)))),
         ["No cell changes the recovery by 0.1", "All effects are small"]),
        (sweep(site="k"), ["kv head"]),
        (sweep(by="layer", shape=(6, 1)), ["one whole layer"]),
        (sweep(shape=(2, 3), by="position", columns=(" a", " a", " b"), corrupted_columns=(" a", " a", " c"),
               recovery=recovered(np.array([[[0.0, 0.9, 0.0], [0.0, 0.0, 0.5]]]))),
         ["layer 0 ␣a at 1 (0.90), layer 1 ␣b (0.50)"]),
        (sweep(metric="prob", pairs=dataclasses.replace(sweep().pairs, foils=None)),
         ["probability of the answer"]),
    ],
)  # fmt: skip
def test_a_sweep_is_told_in_words(result, says):
    for part in says:
        assert part in told(result)
    page_text = re.sub(r"</?u>", "", sweep_figures.report(result))
    assert all(part in page_text for part in says if "“" not in part and "kv" not in part)


def test_the_report_of_several_pairs_has_the_interval_and_the_metric_in_each_cell():
    result = sweep(2)
    text = sweep_figures.report(result)
    mean, low, high = (end[3, 2] for end in (result.recovery.mean, result.recovery.low, result.recovery.high))
    metric = -2.5 + 5.75 * mean
    assert f'data-v="{mean:.4g}\n{low:.3f} to {high:.3f}\n{metric:.4g}"' in text
    assert "interval" not in sweep_figures.report(sweep(1))


def test_an_approximation_is_shown_beside_the_exact_sweep():
    plain = sweep(method="attribution", path="gradients")
    exact = plain.recovery.each.copy()
    exact[0, 2, 4] += 0.5
    result = ComparedActivationPatchingResult(
        provenance=PROVENANCE, approximate=plain, exact=sweep(recovery=recovered(exact)),
        rank_correlation=0.91, worst_cell=(2, 4), worst_difference=0.5,
    )  # fmt: skip
    assert "rank correlation 0.91 over all cells; farthest off at 2.4:" in told(result)
    assert sweep_figures.report(result).count("<svg") == 1
    again = read_result(json.loads(json.dumps(result.to_dict())))
    assert drawing.png(sweep_figures.figure(result)) == drawing.png(sweep_figures.figure(again))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["site=z", "by=head", "direction=noising"],
        ["site=mlp_act", "by=neuron", "method=attribution"],
        ["site=mlp_out", "by=layer", "method=integrated", "compare_exact=true"],
        [
            'clean=["The capital of France is","The capital of Italy is"]', 'answer=[" Paris"," Rome"]',
            'corrupted=["The capital of Japan is","The capital of Japan is"]', "site=z", "by=head",
        ],
    ],
    ids=["positions", "heads", "neurons", "compared", "two pairs"],
)  # fmt: skip
def test_a_run_from_the_command_line(tmp_path, capsys, arguments):
    sets = [part for text in arguments for part in ("--set", text)]
    assert run("run", "activation_patching", "--tag", "t", "--out", tmp_path, *sets) == 0
    folder = tmp_path / "activation_patching" / "t"
    assert {f.name for f in folder.iterdir()} == {
        "result.json",
        "config.yaml",
        "activation_patching.png",
        "report.html",
    }
    assert (folder / "report.html").stat().st_size < 500_000
    picture = (folder / "activation_patching.png").read_bytes()
    assert run("show", folder, "--redraw") == 0
    assert (folder / "activation_patching.png").read_bytes() == picture
    compared = "compare_exact=true" in arguments
    expected = ComparedActivationPatchingResult if compared else ActivationPatchingResult
    assert type(read_run(folder).result) is expected
    assert "Patching" in capsys.readouterr().out


def test_an_exact_sweep_has_nothing_to_be_compared_with(tmp_path, capsys):
    arguments = ("--set", "compare_exact=true", "--out", tmp_path)
    assert run("run", "activation_patching", *arguments) == 2
    assert "attribution" in capsys.readouterr().err


def test_a_run_is_shown_in_a_fresh_process(tmp_path):
    """In which no method has been imported, so that no kind of result is known yet."""
    assert run("run", "activation_patching", "--tag", "t", "--out", tmp_path) == 0
    command = [sys.executable, "-m", "interp", "show", str(tmp_path / "activation_patching" / "t")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Patching" in done.stdout


@pytest.mark.parametrize("width", [200, 80, 60, 40, 24])
def test_numbers_in_a_table_are_whole_at_any_width(width):
    """Each number stands in one piece on its row's line; texts are continued on further lines, not cut."""
    names = (
        "layer",
        "the plain lens would say",
        "prob",
        "rank",
        "KL",
        "the tuned lens would say",
        "interval",
    )
    rows = tuple(
        (
            f"L{i} attention and its bias",
            Cell("internationalisation of everything", shade=0.3),
            Cell("0.000123", bar=0.4),
            125443 + i,
            f"704.{i}23",
            "another long text of several words",
            f"+0.7{i} (0.61 to 12.8{i})",
        )
        for i in range(3)
    )
    table = Table(names, rows, strong=(1,))
    lines = terminal(view_of(table), width).splitlines()
    for row in rows:
        words = [w for cell in row for w in (cell.text if isinstance(cell, Cell) else str(cell)).split()]
        for number in (w for w in words if any(c.isdigit() for c in w)):
            assert any(number in line for line in lines), (number, width)
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) <= width
    texts = [cell.text if isinstance(cell, Cell) else str(cell) for row in rows for cell in row]
    written = Counter("".join(texts))
    assert written <= Counter("".join(lines)) + Counter({" ": written[" "]}), "nothing of the texts is cut"


def test_numbers_in_a_drawn_table_are_on_one_line():
    from interp.figures.engine.table_drawing import TablePlan

    long = "a text of many words that gives way to the numbers, as much as is needed " * 3
    rows = tuple(
        (long, Cell("0.000123", bar=1.0), 125443, "704.123", long, "(0.61 to 12.8)") for _ in range(3)
    )
    plan = TablePlan(Table(("a", "probability of the answer", "rank", "KL", "b", "interval"), rows))
    for line in plan.lines[1:]:
        assert [line[i] for i in (1, 2, 3)] == [["0.000123"], ["125443"], ["704.123"]]
        assert {"(0.61", "12.8)"} <= set(" ".join(line[5]).split())
    assert plan.width <= 8.7


def test_a_single_measurement_has_no_interval_beside_those_that_have_one():
    bars = Bars(("one", "many"), (1.0, 2.0), "logits", low=(1.0, 1.5), high=(1.0, 2.5))
    numbers = {mark.text for mark in chart(bars).marks if isinstance(mark, Label)}
    assert {"1.00", "2.00 [1.50, 2.50]"} <= numbers
