"""Figures, tables and reports of both results, drawn from results that are built here without a model."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import warnings
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from rich.console import Console

from conftest import PROVENANCE, Parsed
from interp.figures.engine import colours, drawing, html, measured_text, notation
from interp.figures.engine.view import number
from interp.figures.views import causal_tracing as trace_figures
from interp.figures.views import logit_lens as lens_figures
from interp.methods.lens.results import LogitLensResult
from interp.methods.patching.results import CausalTracingResult
from interp.results import Result, read_result

CLEAN = ("<|endoftext|>", "The", " E", "iff", "el", " Tower", " is", " in", " the", " city", " of")
CORRUPTED = ("<|endoftext|>", "The", " Col", "oss", "eum", " Arena", " is", " in", " the", " city", " of")
VOCABULARY = (" Paris", " Rome", " the", " of", " London", "\n")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</table>",
    "&amp;",
    "$x^2$",
    "[red]",
    "東京",
    "\U0001f600",
    "\x1b[31m",
    "\u202e",
    "\n",
    "\t",
    " ",
    "",
    "a" * 300,
)


def trace(n_layers: int = 4, clean=CLEAN, corrupted=CORRUPTED, **changes) -> CausalTracingResult:
    rng = np.random.default_rng(n_layers)
    recovery = changes.pop("recovery", rng.normal(0.2, 0.5, (n_layers, len(clean))))
    fields = {
        "provenance": PROVENANCE,
        "clean_tokens": tuple(clean),
        "corrupted_tokens": tuple(corrupted),
        "corrupted_positions": tuple(
            i for i, (a, b) in enumerate(zip(clean, corrupted, strict=True)) if a != b
        ),
        "answer": " Paris",
        "answer_id": 0,
        "foil": " Rome",
        "foil_id": 1,
        "site": "resid_pre",
        "window": 1,
        "direction": "denoising",
        "corruption": "interchange",
        "noise_std": None,
        "samples": 1,
        "metric": "logit_diff",
        "path": "branching",
        "clean_value": 7.8125,
        "corrupted_value": -6.25,
        "clean_answer_prob": 0.9873,
        "corrupted_answer_prob": 2.1e-5,
        "clean_top": " Paris",
        "corrupted_top": " Rome",
        "values": -6.25 + recovery * 14.0625,
        "recovery": recovery,
    }
    return CausalTracingResult(**{**fields, **changes})


def lens(
    n_layers: int = 4, tokens=CLEAN, *, all_positions=False, vocabulary=VOCABULARY, **changes
) -> LogitLensResult:
    rng = np.random.default_rng(n_layers)
    n_pos, n_rows, v = len(tokens) if all_positions else 1, n_layers + 1, len(vocabulary)
    logits = rng.normal(0, 1, (n_rows, n_pos, v))
    logits[..., 0] += np.linspace(-2, 6, n_rows)[:, None]
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    probs = np.exp(log_probs)
    top = np.argsort(-probs, -1)[..., :5]

    def shape(array: np.ndarray) -> np.ndarray:
        return array if all_positions else array[:, 0]

    def texts(ids: np.ndarray) -> tuple:
        return tuple(texts(i) for i in ids) if ids.ndim > 1 else tuple(vocabulary[i] for i in ids)

    fields = {
        "provenance": PROVENANCE,
        "tokens": tuple(tokens),
        "positions": tuple(range(n_pos)) if all_positions else (len(tokens) - 1,),
        "one_position": not all_positions,
        "answer": vocabulary[0],
        "answer_id": 0,
        "site": "resid",
        "layers": ("embed", *map(str, range(n_layers))),
        "answer_prob": shape(probs[..., 0]),
        "answer_rank": shape((probs > probs[..., :1]).sum(-1) + 1),
        "entropy": shape(-(probs * log_probs).sum(-1)),
        "kl_to_final": shape((probs[-1:] * (log_probs[-1:] - log_probs)).sum(-1)),
        "top_ids": shape(top),
        "top_probs": shape(np.take_along_axis(probs, top, -1)),
        "top_tokens": texts(shape(top)),
        "final_top_token": vocabulary[top[-1, -1, 0]],
        "final_top_prob": float(probs[-1, -1].max()),
    }
    return LogitLensResult(**{**fields, **changes})


def words(n: int) -> tuple[str, ...]:
    return tuple(f" word{i}" for i in range(n))


def figures_of(result: Result):
    return lens_figures if isinstance(result, LogitLensResult) else trace_figures


def png(result) -> bytes:
    return drawing.png(figures_of(result).figure(result))


def map_axes(figure):
    """Those of the coloured cells."""
    return next(ax for ax in figure.axes if ax.images)


def page(result, **more) -> str:
    body = figures_of(result).report(result)
    return html.page(title="A report", body=body, provenance=result.provenance, **more)


def terminal(result, width: int = 80) -> str:
    out = io.StringIO()
    Console(width=width, file=out, force_terminal=False).print(figures_of(result).table(result))
    return out.getvalue()


EXAMPLES = {
    "trace": trace(),
    "trace noising": trace(direction="noising"),
    "trace noise": trace(
        corrupted=CLEAN, corruption="noise", corrupted_positions=(2, 3), noise_std=0.4, samples=10, window=3,
        metric="prob", foil=None, foil_id=None,
    ),
    "lens": lens(),
    "lens all": lens(all_positions=True),
    "lens mlp": lens(site="mlp_out", answer_rank=np.array([9, 8, 7, 1, 2])),
}  # fmt: skip


@pytest.fixture(params=EXAMPLES, name="example")
def _example(request):
    return EXAMPLES[request.param]


# --- pictures ---


@pytest.mark.parametrize(
    "result",
    [
        trace(1, [" Paris"], [" Rome"]),
        trace(48, words(60), ("x", *words(60)[1:])),
        trace(2, words(200), ("x", *words(200)[1:])),
        trace(3, HOSTILE, ("x", *HOSTILE[1:])),
        trace(2, recovery=np.zeros((2, 11))),
        lens(1, ("a",)),
        lens(48),
        lens(1, ("a",), all_positions=True),
        lens(48, words(60), all_positions=True),
        lens(3, HOSTILE, all_positions=True, vocabulary=HOSTILE),
        lens(3, HOSTILE, vocabulary=HOSTILE),
    ],
    ids=lambda r: f"{r.kind} {np.shape(r.recovery if isinstance(r, CausalTracingResult) else r.answer_prob)}",
)
def test_a_figure_is_drawn_at_any_size_and_with_any_token(result):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph is a warning in matplotlib
        data = png(result)
    assert data.startswith(b"\x89PNG")
    assert len(data) < 2_000_000


def test_the_same_result_gives_the_same_png_also_after_a_round_trip(example):
    again = read_result(json.loads(json.dumps(example.to_dict())))
    assert png(example) == png(again)


def test_a_figure_neither_reads_nor_changes_global_settings(example):
    before = dict(matplotlib.rcParams)
    plain = png(example)
    assert dict(matplotlib.rcParams) == before
    strange = {
        "font.size": 20,
        "font.family": "serif",
        "text.color": "red",
        "axes.facecolor": "black",
        "axes.grid": True,
        "axes.spines.top": False,
        "xtick.bottom": False,
        "lines.linewidth": 9,
        "figure.facecolor": "green",
        "figure.constrained_layout.use": True,
        "figure.dpi": 40,
        "savefig.bbox": "tight",
        "savefig.dpi": 30,
    }
    with matplotlib.rc_context(strange):
        assert png(example) == plain


def test_no_text_of_a_figure_leaves_it():
    for result in (
        *EXAMPLES.values(),
        trace(48, words(60), ("x" * 40, *words(60)[1:])),
        trace(1, ["a"], ["b"]),
    ):
        figure = figures_of(result).figure(result)
        renderer = figure.canvas.get_renderer()
        width, height = figure.bbox.size
        for text in [*figure.texts, *(t for ax in figure.axes for t in ax.texts)]:
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0, text.get_text()
            assert box.y0 >= 0, text.get_text()
            assert box.x1 <= width, text.get_text()
            assert box.y1 <= height, text.get_text()


@pytest.mark.parametrize("n", [1, 3, 11, 25, 60, 200])
def test_token_headings_do_not_touch_and_numbers_fit_their_cells(n):
    tokens = [f" token{i}" for i in range(n)]
    figure = trace_figures.figure(trace(6, tokens, [" Colosseum", *tokens[1:]]))
    renderer = figure.canvas.get_renderer()
    ax = map_axes(figure)
    cell = ax.bbox.width / n
    for text in ax.texts:
        if re.fullmatch(r"-?\d+\.\d+", text.get_text()):
            assert text.get_window_extent(renderer).width < cell
    headings = [t for t in ax.texts if "token" in t.get_text()]
    if headings[0].get_rotation() == 0:
        boxes = sorted((t.get_window_extent(renderer) for t in headings), key=lambda b: b.x0)
        assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    else:
        assert all(t.get_fontproperties().get_size_in_points() / 72 * drawing.DPI < cell for t in headings)


def test_a_figure_shows_its_numbers_unclipped():
    result = trace(2, recovery=np.array([[1.37] + [0.0] * 10, [-12.5] + [-0.001] * 10]))
    texts = {text.get_text() for text in map_axes(trace_figures.figure(result)).texts}
    assert {"1.37", "-12.5", "0.00"} <= texts
    assert "-0.00" not in texts


# --- colours ---


@pytest.mark.parametrize("dark", [False, True])
def test_the_diverging_scale_is_symmetric_and_neutral_at_zero(dark):
    r, g, b = colours.diverging(0, dark=dark)
    assert max(r, g, b) - min(r, g, b) <= 10
    for value in np.linspace(0.05, 2, 40):
        warm, cool = colours.diverging(value, dark=dark), colours.diverging(-value, dark=dark)
        assert warm[0] > warm[2]
        assert cool[2] > cool[0]
        assert colours.contrast(warm, cool) < 1.3, "both arms equally strong"


def test_values_beyond_one_have_a_stronger_colour():
    for sign in (1, -1):
        assert (
            colours.luminance(colours.diverging(1.5 * sign)) < colours.luminance(colours.diverging(sign)) / 2
        )
        assert colours.diverging(100 * sign) == colours.diverging(1.5 * sign)


@pytest.mark.parametrize("dark", [False, True])
def test_the_probability_scale_is_monotone(dark):
    steps = [colours.luminance(colours.sequential(p, dark=dark)) for p in np.linspace(0, 1, 101)]
    assert (np.diff(steps) > 0).all() if dark else (np.diff(steps) < 0).all()


def test_text_reads_on_every_background():
    for scale in (colours.diverging, colours.sequential):
        for dark in (False, True):
            for value in np.linspace(-2, 2, 401):
                background = scale(value, dark=dark)
                assert colours.contrast(colours.text_on(background), background) >= 4.5


def test_no_effect_is_neutral_in_both_directions():
    kept = trace(1, ["a", "b"], ["a", "c"], recovery=np.array([[1.0, 0.0]]), direction="noising")
    back = trace(1, ["a", "b"], ["a", "c"], recovery=np.array([[0.0, 1.0]]))
    neutral, strong = html.diverging_class(0), (html.diverging_class(-1), html.diverging_class(1))
    for result, end in ((kept, strong[0]), (back, strong[1])):
        cells = re.findall(r'<td class="?(\w+)', trace_figures.report(result))
        assert cells[-2:] == [neutral, end]


# --- words ---


def test_tokens_are_visible():
    assert notation.show_token(" Paris") == "␣Paris"
    assert notation.show_token("\n\t") == "↵⇥"
    assert notation.show_token("\x1b\u202e\u200b") == "\\x1b\\u202e\\u200b"
    assert notation.show_token("") == "∅"
    assert notation.show_token("東京") == "東京"
    assert notation.show_token("<|endoftext|>", max_chars=8) == "<|end…|>"
    assert measured_text.drawable("東a") == "\\u6771a"


def test_numbers_are_written_without_a_negative_zero_and_never_clipped():
    assert [notation.decimal(v) for v in (-0.001, 0.0, -0.0, -0.004, -0.006, 1.005)] == [
        "0.00", "0.00", "0.00", "0.00", "-0.01", "1.00",
    ]  # fmt: skip
    assert [notation.compact(v) for v in (1.234, -1.5, 12.34, -123.4, 123456)] == [
        "1.23", "-1.50", "12.3", "-123", "1e+05",
    ]  # fmt: skip
    assert [notation.probability(v) for v in (1.0, 0.4567, 2.13e-5, 0.0)] == [
        "1.000",
        "0.457",
        "2.1e-05",
        "0",
    ]


# --- tables ---


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_a_table_fits_the_terminal(example, width):
    text = terminal(example, width)
    assert max(map(len, text.splitlines())) <= width


def test_a_table_of_a_trace_holds_every_number():
    result = trace(5)
    text = terminal(result)
    for value in result.recovery.ravel():
        assert notation.compact(value) in text
    assert "7.812" in text
    assert "-6.25 " in text
    assert result.meaning.split(";")[0] in " ".join(text.split())
    layer, position = result.peak
    assert f"layer {layer}, position {position}" in text


def test_a_table_continues_below_where_the_terminal_is_too_narrow():
    result = trace(3, words(40), ("x", *words(40)[1:]))
    text = terminal(result, 60)
    assert all(notation.compact(value) in text for value in result.recovery.ravel())
    assert text.count("layer ") > 3


@pytest.mark.parametrize("all_positions", [False, True])
def test_a_table_of_a_lens_holds_the_answers_numbers(all_positions):
    result = lens(6, all_positions=all_positions)
    text = terminal(result)
    for prob in result.grid["answer_prob"][:, -1]:
        assert notation.probability(prob) in text
    assert "embed" in text
    assert "Crossover" in text


def test_tables_take_tokens_literally():
    for result in (
        trace(2, HOSTILE, ("x", *HOSTILE[1:])),
        lens(2, HOSTILE, all_positions=True, vocabulary=HOSTILE),
    ):
        text = terminal(result, 200)
        assert "[red]" in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_the_words_say_where_and_in_which_direction():
    recovery = np.zeros((4, 11))
    recovery[:3, 5], recovery[3, 10] = 0.9, 1.0
    told = " ".join(terminal(trace(4, recovery=recovery)).split())
    assert "brings back at least half (recovery ≥ 0.5): ␣Tower (position 5) at layers 0-2;" in told
    assert "; ␣of (position 10) at layer 3." in told
    told = " ".join(terminal(trace(4, recovery=1 - recovery, direction="noising")).split())
    assert "loses at least half (recovery ≤ 0.5): ␣Tower (position 5) at layers 0-2" in told
    assert "No single place" in " ".join(terminal(trace(2, recovery=np.full((2, 11), 0.1))).split())


# --- reports ---


def test_a_page_is_self_contained(example):
    text = page(example, config={"model": "demo-gpt2", "tags": ("a", "b")})
    assert "http:" not in text
    assert "https:" not in text
    assert "//" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "@import" not in text
    assert "url(" not in text
    elsewhere = [
        (k, v) for k, v in Parsed(text).attributes if k in ("src", "href", "srcset", "data", "action")
    ]
    assert elsewhere == [("href", "data:,")]
    assert len(text.encode()) < 60_000


def test_a_page_tells_where_its_numbers_come_from_and_how_to_get_them_again(example):
    text = page(example, config={"prompt": "The </pre> city", "layers": [1, 2]})
    parsed = Parsed(text)
    for value in (
        "demo-gpt2",
        "transformers",
        "float32",
        "cpu",
        "2.13.0",
        "0123456789abcdef",
        "uncommitted",
        "3.12.1",
    ):
        assert value in parsed.text
    assert "prompt: The </pre> city" in parsed.text
    assert parsed.tags.count("pre") == 1
    charts = parsed.attributes.count(("class", "chart"))  # each with its numbers below it
    assert parsed.tags.count("details") == 2 + charts


@pytest.mark.parametrize(
    "result",
    [
        trace(
            2, HOSTILE, ("<script>alert(2)</script>", *HOSTILE[1:]), answer=HOSTILE[0], clean_top=HOSTILE[1]
        ),
        lens(2, HOSTILE, vocabulary=HOSTILE),
        lens(2, HOSTILE, all_positions=True, vocabulary=HOSTILE),
    ],
    ids=["trace", "lens", "lens all"],
)
def test_hostile_tokens_are_inert_in_a_page(result):
    named = dataclasses.replace(PROVENANCE, model="<b onclick=alert(1)>")
    text = page(dataclasses.replace(result, provenance=named), config={"prompt": HOSTILE[0]})
    parsed = Parsed(text)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "alert(1)" in parsed.text  # it is there to read
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "script-src 'sha256-" in text
    assert "unsafe" not in text


def test_the_cells_of_a_report_tell_their_values():
    result = trace(3)
    text = trace_figures.report(result)
    for recovery, value in zip(result.recovery.ravel(), result.values.ravel(), strict=True):
        assert f'data-v="{number(recovery)}\n{number(value)}"' in text
    assert text.count("<td") == 3 * 11 + 2 * 4  # the map, and the baselines
    beyond = trace_figures.report(trace(1, ["a", "b"], ["a", "c"], recovery=np.array([[1.731, -0.52]])))
    assert ">1.73" in beyond
    assert ">-0.52" in beyond


def test_the_cells_of_a_lens_report_tell_their_values():
    result = lens(3, all_positions=True)
    text = lens_figures.report(result)
    for prob, rank in zip(result.answer_prob.ravel(), result.answer_rank.ravel(), strict=True):
        assert f"\n{notation.probability(prob)}\n{rank}\n" in text
    assert "entropy (nats)" in text


@pytest.mark.parametrize(
    ("result", "limit"),
    [
        (trace(12, words(15), ("x", *words(15)[1:])), 50_000),
        (trace(48, words(200), ("x", *words(200)[1:])), 500_000),
        (lens(48, words(200), all_positions=True), 500_000),
        (
            lens(48, tuple("<" * 20 for _ in range(200)), all_positions=True, vocabulary=("<&>" * 9,) * 6),
            520_000,
        ),
        (lens(24, words(30), all_positions=True), 500_000),
    ],
    ids=["trace 12x15", "trace 48x200", "lens 48x200", "lens 48x200 of long escapes", "lens 24x30"],
)
def test_a_page_is_small(result, limit):
    text = page(result)
    assert len(text.encode()) < limit
    if isinstance(result, CausalTracingResult):
        assert notation.compact(result.recovery[-1, -1]) in text


def test_a_report_is_a_table_that_a_screen_reader_and_a_keyboard_can_use(example):
    text = page(example)
    parsed = Parsed(text)
    grids = parsed.attributes.count(("role", "grid"))
    assert grids == (2 if "Layer by layer" in text and "Top token by layer" in text else 1)
    assert parsed.attributes.count(("tabindex", "0")) == grids
    assert parsed.tags.count("caption") >= grids
    assert ("scope", "row") in parsed.attributes
    assert ("scope", "col") in parsed.attributes
    assert ("lang", "en") in parsed.attributes
    assert ":root{color-scheme:light dark;--paper:light-dark(" in text
