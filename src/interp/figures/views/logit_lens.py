"""The picture, the table and the report of a logit lens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from interp.figures.engine import html, terminal
from interp.figures.engine.colours import css, sequential, text_on
from interp.figures.engine.notation import count, decimal, model_line, probability, show_token
from interp.figures.views import lens_drawing, lens_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from interp.methods.lens.logit_lens import LogitLensResult

_TOP_TOKENS = 5


def figure(result: LogitLensResult) -> Figure:
    """Curves and top tokens over the layers at one position; a [layer x position] map for all."""
    return lens_drawing.curves(result) if result.one_position else lens_drawing.position_map(result)


def table(result: LogitLensResult) -> RenderableType:
    """What each layer would say, with the answer's probability and rank; for a terminal."""
    parts: list[RenderableType] = [
        terminal.heading(lens_words.title(result)),
        *(Text(line) for line in lens_words.asked(result)),
        Text(),
    ]
    if not result.one_position:
        parts += [_token_grid(result), Text()]
        last = result.positions[-1]
        parts.append(Text(f"At position {last} ({show_token(result.tokens[last])}):", style="bold"))
    return Group(
        *parts,
        _layer_table(result),
        Text(lens_words.verdict(result), style="bold"),
        Text(model_line(result.provenance), style="dim"),
    )


def report(result: LogitLensResult) -> str:
    """The lens as a fragment of HTML for `html.page`; each cell tells its exact values."""
    asked = [html.paragraph(line) for line in lens_words.asked(result)]
    stops = [(html.sequential_class(p), f"{p:g}") for p in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)]
    return html.section(
        lens_words.title(result),
        *asked,
        html.paragraph(lens_words.verdict(result), strong=True),
        html.scale(stops, label="probability of the token in the cell; framed: it is the answer"),
        *([] if result.one_position else [_report_map(result)]),
        _report_layers(result),
    )


def _layer_table(result: LogitLensResult) -> Table:
    """The layers at the last position read, from the embedding down to the last."""
    grid = {name: array[:, -1] for name, array in result.grid.items()}
    crossover = lens_words.crossover_row(result)
    rows = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    rows.add_column("layer", justify="right", no_wrap=True)
    rows.add_column("would say", no_wrap=True)
    rows.add_column("prob", justify="right", no_wrap=True)
    rows.add_column(Text(f"p({show_token(result.answer, max_chars=10)})"), justify="right", no_wrap=True)
    rows.add_column("", no_wrap=True, min_width=10)
    for name in ("rank", "entropy", "KL"):
        rows.add_column(name, justify="right", no_wrap=True)
    for i, layer in enumerate(result.layers):
        top, prob = grid["top_tokens"][i][0], float(grid["top_probs"][i, 0])
        background = sequential(prob)
        is_answer = grid["answer_rank"][i] == 1
        answer_prob = float(grid["answer_prob"][i])
        rows.add_row(
            Text(f"▸ {layer}" if i == crossover else layer),
            Text(
                f" {show_token(top, max_chars=13)} ",
                style=Style(color=css(text_on(background)), bgcolor=css(background), bold=bool(is_answer)),
            ),
            probability(prob),
            probability(answer_prob),
            Text(terminal.bar(answer_prob, 10), style="green" if is_answer else "yellow"),
            str(int(grid["answer_rank"][i])),
            decimal(float(grid["entropy"][i])),
            decimal(float(grid["kl_to_final"][i])),
        )
    return rows


def _token_grid(result: LogitLensResult) -> terminal.Grid:
    """The top token at each [layer, position], the last layer on top."""
    grid = result.grid
    rows = [
        terminal.Row(
            layer,
            tuple(
                terminal.Cell(
                    show_token(tokens[0], max_chars=7), sequential(float(probs[0])), bold=bool(rank == 1)
                )
                for tokens, probs, rank in zip(
                    grid["top_tokens"][i], grid["top_probs"][i], grid["answer_rank"][i], strict=True
                )
            ),
        )
        for i, layer in enumerate(result.layers)
    ]
    columns = tuple(terminal.Column(show_token(result.tokens[p], max_chars=9)) for p in result.positions)
    return terminal.Grid("layer", columns, tuple(reversed(rows)))


def _report_layers(result: LogitLensResult) -> str:
    """One row a layer at the last position read: the answer's numbers, and the top tokens."""
    grid = {name: array[:, -1] for name, array in result.grid.items()}
    k = min(_TOP_TOKENS, grid["top_ids"].shape[1])
    answer = show_token(result.answer)
    columns = [
        html.Column(html.token(f"p({result.answer})"), f"probability of {answer}"),
        html.Column("rank", f"rank of {answer}; 1 is top"),
        html.Column("entropy", "entropy of the prediction, in nats"),
        html.Column("KL", "KL divergence of the final prediction from this layer's, in nats"),
        *(html.Column(f"top {i + 1}", f"top token {i + 1}") for i in range(k)),
    ]
    rows = []
    for i, layer in enumerate(result.layers):
        prob = float(grid["answer_prob"][i])
        cells = [
            html.Cell(probability(prob), details=(f"{prob:.6g}",), bar=prob),
            html.Cell(str(int(grid["answer_rank"][i]))),
            html.Cell(decimal(float(grid["entropy"][i])), details=(f"{grid['entropy'][i]:.6g}",)),
            html.Cell(decimal(float(grid["kl_to_final"][i])), details=(f"{grid['kl_to_final'][i]:.6g}",)),
        ]
        for token, token_id, p in zip(
            grid["top_tokens"][i][:k], grid["top_ids"][i, :k], grid["top_probs"][i, :k].tolist(), strict=True
        ):
            cells.append(
                html.Cell(
                    f"{show_token(token, max_chars=12)} {probability(p)}",
                    shade=html.sequential_class(p),
                    details=(f"{show_token(token)}: {p:.6g}",),
                    marked=bool(token_id == result.answer_id),
                )
            )
        rows.append(html.Row(layer, tuple(cells), marked=i == lens_words.crossover_row(result)))
    where = f"position {result.positions[-1]} ({show_token(result.tokens[result.positions[-1]])})"
    note = "; the line marks the crossover" if result.crossover_layer is not None else ""
    return html.grid(columns, rows, corner="layer", caption=f"Layer by layer at {where}{note}")


def _report_map(result: LogitLensResult) -> str:
    """The top token at each [layer, position]."""
    grid = result.grid
    n_layers, n_positions = grid["answer_prob"].shape
    k = min(_TOP_TOKENS, grid["top_ids"].shape[-1])
    answer = show_token(result.answer)
    names = ["top token's probability", f"probability of {answer}", f"rank of {answer}"]
    names += ["entropy (nats)", "KL to the final prediction (nats)", "top tokens"]
    columns = [
        html.Column(html.token(result.tokens[p]), f"position {p}: {show_token(result.tokens[p])}")
        for p in result.positions
    ]

    def cell(i: int, j: int, details: int) -> html.Cell:
        tokens, probs = grid["top_tokens"][i][j], grid["top_probs"][i, j].tolist()
        several = (
            f"{show_token(t, max_chars=24)} {probability(p)}" for t, p in zip(tokens[:k], probs, strict=False)
        )
        told = (
            probability(probs[0]),
            probability(float(grid["answer_prob"][i, j])),
            str(int(grid["answer_rank"][i, j])),
            decimal(float(grid["entropy"][i, j])),
            decimal(float(grid["kl_to_final"][i, j])),
            ", ".join(several),
        )
        return html.Cell(
            show_token(tokens[0], max_chars=10 if details else 3),
            shade=html.sequential_class(probs[0]),
            details=told[:details],
            marked=bool(grid["answer_rank"][i, j] == 1),
        )

    def map_of(details: int) -> str:
        rows = [
            html.Row(layer, tuple(cell(i, j, details) for j in range(n_positions)))
            for i, layer in enumerate(result.layers)
        ]
        caption = f"Top token by layer and position ({count(n_layers, 'row')}, {count(n_positions, 'token')})"
        if details < len(names):
            caption += "; for its size this page leaves out details that result.json has"
        return html.grid(columns, rows[::-1], corner="layer", names=names[:details], caption=caption)

    return html.smallest_needed(map_of, (len(names), 5, 3, 1, 0))
