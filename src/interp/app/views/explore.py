"""The page Explore without its widgets: what is asked about one prompt, and what is shown of the answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from interp.app.views.questions import LibraryQuestion, as_command
from interp.errors import InputError
from interp.figures.engine.notation import NEWLINE, SPACE, TAB, brief, decimal, probability, show_token
from interp.figures.engine.view import Attention, Axis, Grid, Lines, Series, Table

if TYPE_CHECKING:
    from interp.methods.attribution.direct_logit_attribution import DirectLogitAttributionResult
    from interp.methods.heads.attention import AttentionPatternsResult
    from interp.methods.lens.logit_lens import LogitLensResult
    from interp.models.base import Model

Colour = Literal["probability", "rank", "entropy"]
COLOURS: tuple[Colour, ...] = ("probability", "rank", "entropy")

#: Prompts that the demo models answer, and their answers, one click each: facts, an indirect object, and a
#: repetition.
EXAMPLES: tuple[tuple[str, str], ...] = (
    ("The Eiffel Tower is in the city of", " Paris"),
    ("The capital of France is", " Paris"),
    ("When Mary and John went to the store, John gave a drink to", " Mary"),
    (" lamp Paris river lamp Paris", " river"),
)

TOP = 10  # tokens kept of each cell


@dataclass(frozen=True)
class Lens(LibraryQuestion):
    """The logit lens, by default at every position. Without a target: the model's own next token."""

    function: ClassVar[str] = "logit_lens"
    experiment: ClassVar[str] = "logit_lens"
    prompt: str
    target: str | int | None = None
    position: int | Literal["all"] = "all"

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "answer": self.target, "position": self.position, "k": TOP}


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
    """The attention of some heads, by default of all: (layer, head)."""

    function: ClassVar[str] = "attention_patterns"
    experiment: ClassVar[str] = "attention_patterns"
    prompt: str
    heads: tuple[tuple[int, int], ...]

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "heads": [list(head) for head in self.heads]}


@dataclass(frozen=True)
class Heads:
    """How many heads a layer has."""

    def __call__(self, model: Model) -> int:
        return model.arch.n_heads


@dataclass(frozen=True)
class Vocabulary:
    """The text of every token."""

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(range(model.arch.d_vocab)))


@dataclass(frozen=True)
class Single:
    """A text that is one token, or the id of one that is shown by its id, as in ``<148>``, because it has no
    text. Otherwise `InputError`, which says how the text is divided."""

    text: str

    def __call__(self, model: Model) -> str | int:
        found = re.fullmatch(r"<(\d{1,9})>", self.text)
        if found and (i := int(found[1])) < model.arch.d_vocab and model.labels([i]) == [self.text]:
            return i
        model.to_single_token(self.text)
        return self.text


@dataclass(frozen=True)
class Tracked:
    """The probability of some tokens at each layer of one position: [layer, token]."""

    prompt: str
    position: int
    tokens: tuple[str | int, ...]

    def __call__(self, model: Model) -> np.ndarray:
        from interp.methods.lens.logit_lens import lens_logits

        ids = [model.to_single_token(token) for token in self.tokens]
        read, _ = lens_logits(model, self.prompt, [self.position])  # [layer, 1, d_vocab]
        return read[:, 0].log_softmax(-1).exp()[:, ids].numpy()


def tracked_as_python(model: str, question: Tracked) -> str:
    """A program whose `result` has the probabilities of each token, by layer."""
    prompt, position = question.prompt, question.position
    lenses = "".join(
        f"    {token!r}: interp.logit_lens(model, {prompt!r}, {token!r}, position={position}).answer_prob,\n"
        for token in question.tokens
    )
    return f"import interp\n\nmodel = interp.load_model({model!r})\nresult = {{\n{lenses}}}\n"


def tracked_as_commands(model: str, question: Tracked) -> str:
    """A command for each token."""
    lenses = (Lens(question.prompt, token, question.position) for token in question.tokens)
    return "\n".join(as_command(model, lens) for lens in lenses)


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


def read_token(text: str) -> str:
    """A token as a person writes it: as it is, or with the marks by which spaces and line ends are shown.

    >>> read_token("␣Paris"), read_token(" Paris")
    (' Paris', ' Paris')
    """
    for mark, character in ((SPACE, " "), (NEWLINE, "\n"), (TAB, "\t")):
        text = text.replace(mark, character)
    return text


def completions(vocabulary: Sequence[str], text: str, most: int = 6) -> list[str]:
    """Tokens that go on from `text`, with a leading space or without one, the shortest first. Where `text` is
    no token and none goes on from it: those that begin with as much of it as any does."""
    begun, whole = text.lstrip(" "), text in vocabulary
    while begun:
        found = [token for token in vocabulary if token.lstrip(" ").startswith(begun) and token != text]
        if found or whole:
            return sorted(found, key=lambda token: (len(token), token))[:most]
        begun = begun[:-1]
    return []


def cell_tokens(result: LogitLensResult, row: int, column: int) -> list[tuple[int, str, float]]:
    """The top tokens of one cell of the lens, and the target: (rank, token, probability)."""
    grid = result.grid
    place = _checked_cell(result, row, column)
    tokens, probs = grid["top_tokens"][place], grid["top_probs"][place]
    rows = [(i + 1, str(token), float(p)) for i, (token, p) in enumerate(zip(tokens, probs, strict=True))]
    rank = int(grid["answer_rank"][place])
    if rank > len(rows):
        rows.append((rank, result.answer, float(grid["answer_prob"][place])))
    return rows


def cell_table(result: LogitLensResult, row: int, column: int) -> Table:
    """The same as a table; strong: the target."""
    told = cell_tokens(result, row, column)
    rows = tuple((rank, show_token(token), probability(p)) for rank, token, p in told)
    rank = int(result.grid["answer_rank"][row, column])
    strong = tuple(i for i, cell in enumerate(rows) if cell[0] == rank)
    return Table(("rank", "token", "probability"), rows, title=cell_title(result, row, column), strong=strong)


def cell_title(result: LogitLensResult, row: int, column: int) -> str:
    """What stands over one cell's tokens."""
    return f"Layer {result.layers[row]}, position {column}: {brief(result.tokens[column])}"


def followed(result: LogitLensResult, column: int, given: Sequence[str], most: int = 4) -> tuple[str, ...]:
    """The tokens whose probability is drawn: those given; else the target and the model's next guesses."""
    if given:
        return tuple(map(read_token, given))
    last = map(str, result.grid["top_tokens"][-1, column])
    return tuple(dict.fromkeys((result.answer, *last)))[:most]


def tracked_lines(values: np.ndarray, layers: Sequence[str], tokens: Sequence[str]) -> Lines:
    """The answer of `Tracked` as a line for each token."""
    x = tuple(float(i) for i in range(len(layers)))
    series = tuple(
        Series(show_token(token), x, tuple(map(float, values[:, i]))) for i, token in enumerate(tokens)
    )
    ticks = tuple(zip(x, layers, strict=True))
    return Lines(series, x_title="layer", y_title="probability", ticks=ticks)


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


def attention_grid(result: AttentionPatternsResult, head: int, position: int) -> Grid:
    """The attention of one head of the result, [query, key]; framed: where `position` looks the most."""
    (layer, number), pattern = result.heads[head], result.patterns[head].astype(float)
    return Attention(
        tokens=result.tokens,
        patterns=((f"{layer}.{number}", pattern),),
        framed=((position, int(pattern[position].argmax())),),
        framed_means=f"where {brief(result.tokens[position])} looks the most",
    ).grids[0]


def heads_grid(result: AttentionPatternsResult, position: int) -> Grid:
    """Where each head of the result looks from one position, [head, key]."""
    seen = result.patterns[:, position].astype(float)
    seen[:, position + 1 :] = np.nan
    return Grid(
        values=seen,
        rows=Axis.names("head", [f"{layer}.{head}" for layer, head in result.heads]),
        columns=Axis.tokens(result.tokens, title="key"),
        unit="attention",
        title=f"Where the heads of layer {result.heads[0][0]} look from {brief(result.tokens[position])}",
        centre=None,
        limit=1.0,
        above="looks there",
        down=True,
    )


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
