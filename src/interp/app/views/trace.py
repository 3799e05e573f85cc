"""The page Trace without its widgets: a clean and a corrupted prompt, patched cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.app.views.cells import window
from interp.app.views.questions import LibraryQuestion
from interp.edits import Edit
from interp.errors import InputError
from interp.figures.engine import html
from interp.figures.engine.notation import brief, count, decimal, probability, show_token
from interp.figures.engine.view import Grid, Table
from interp.tokens import differing_positions

if TYPE_CHECKING:
    import torch

    from interp.methods.patching.activation_patching import ActivationPatchingResult
    from interp.models.base import Model

Part = Literal["resid", "attention", "MLP", "head"]
Direction = Literal["denoising", "noising"]

#: What is patched -> its site, and what a column of the map is.
PARTS: dict[Part, tuple[str, Literal["position", "head"]]] = {
    "resid": ("resid_pre", "position"),
    "attention": ("attn_out", "position"),
    "MLP": ("mlp_out", "position"),
    "head": ("z", "head"),
}
#: Which way activations are carried, and the run that they are patched into.
DIRECTIONS: dict[Direction, str] = {"denoising": "corrupted", "noising": "clean"}

#: What stands in the inputs: pairs that both demo models tell apart; the page begins with the first.
EXAMPLES: dict[str, dict[str, str]] = {
    name: {"clean": clean, "corrupted": corrupted, "answer": show_token(answer), "foil": show_token(foil)}
    for name, clean, corrupted, answer, foil in (
        ("A capital", "The capital of France is", "The capital of Japan is", " Paris", " Tokyo"),
        ("A language", "People in Spain speak", "People in Germany speak", " Spanish", " German"),
        (
            "Indirect object",
            "When Mary and John went to the store, John gave a drink to",
            "When Mary and John went to the store, Mary gave a drink to",
            " Mary",
            " John",
        ),
    )
}


@dataclass(frozen=True)
class Sweep(LibraryQuestion):
    """Each cell's activation carried from one run into the other, by itself, exactly."""

    function: ClassVar[str] = "activation_patching"
    experiment: ClassVar[str] = "activation_patching"
    clean: str
    corrupted: str
    answer: str | int
    foil: str | int | None = None
    part: Part = "resid"
    direction: Direction = "denoising"

    @property
    def arguments(self) -> dict[str, Any]:
        site, by = PARTS[self.part]
        pair = {"clean": self.clean, "corrupted": self.corrupted, "answer": self.answer, "foil": self.foil}
        return pair | {"site": site, "by": by, "direction": self.direction}

    def work(self, model: Model) -> float:
        """How many tokens go through the whole model: four plain runs, and from each cell's layer and first
        position on its branch; cells before the first difference change nothing and cost nothing."""
        clean, corrupted = (model.to_tokens(prompt).row(0) for prompt in (self.clean, self.corrupted))
        n, later = len(clean), len(clean) - differing_positions(clean, corrupted)[0]
        tokens = n * model.arch.n_heads if self.part == "head" else later * (later + 1) / 2
        return 4 * n + tokens * (model.arch.n_layers + 1) / 2


@dataclass(frozen=True)
class Run:
    """What one run says: its likeliest next tokens, and its probabilities of the answer and the foil."""

    name: str
    top: tuple[tuple[str, float], ...]
    answer: float
    foil: float | None


@dataclass(frozen=True)
class Said:
    """What the clean, the corrupted and the patched run say, where one cell of the sweep is patched."""

    sweep: Sweep
    layer: int
    column: int
    k: int = 10

    def __call__(self, model: Model) -> tuple[Run, ...]:
        prompts = [model.to_tokens(prompt) for prompt in (self.sweep.clean, self.sweep.corrupted)]
        differing_positions(*(tokens.row(0) for tokens in prompts))  # refuses prompts that do not align
        site, by = PARTS[self.sweep.part]
        arch = model.arch
        if not 0 <= self.layer < arch.n_layers:
            raise InputError(f"There is no layer {self.layer}; layers go from 0 to {arch.n_layers - 1}.")
        n = prompts[0].lengths[0] if by == "position" else arch.n_heads
        if not 0 <= self.column < n:
            raise InputError(f"There is no {by} {self.column}; they go from 0 to {n - 1}.")
        unpatched = model.run_with_cache([tokens.row(0) for tokens in prompts], [(site, self.layer)])
        donor, base = (0, 1) if self.sweep.direction == "denoising" else (1, 0)
        value = unpatched[site, self.layer][donor]  # [pos, (head,) width]
        if by == "head":  # at all positions
            edit = Edit.set(site, self.layer, value=value[:, self.column, None], heads=self.column)
        else:
            edit = Edit.set(site, self.layer, value=value[self.column], positions=self.column)
        patched = model.forward(prompts[base], [edit])
        last = (*unpatched.logits[:, -1], patched[0, -1])
        names = ("clean", "corrupted", "patched")
        return tuple(self._run(model, name, logits) for name, logits in zip(names, last, strict=True))

    def _run(self, model: Model, name: str, logits: torch.Tensor) -> Run:
        probs = logits.double().softmax(-1)
        top = probs.topk(min(self.k, model.arch.d_vocab))
        foil = None if self.sweep.foil is None else float(probs[model.to_single_token(self.sweep.foil)])
        return Run(
            name,
            tuple(zip(model.labels(top.indices), top.values.tolist(), strict=True)),
            float(probs[model.to_single_token(self.sweep.answer)]),
            foil,
        )


@dataclass(frozen=True)
class Labels:
    """The tokens of a prompt, BOS included."""

    prompt: str

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(model.to_tokens(self.prompt).row(0)))


# ---- both prompts, token over token ----


@dataclass(frozen=True)
class Alignment:
    """Two prompts, token over token: (clean, corrupted) columns, with None in the gaps where the prompts have
    different numbers of tokens."""

    columns: tuple[tuple[str | None, str | None], ...]

    @classmethod
    def of(cls, clean: tuple[str, ...], corrupted: tuple[str, ...]) -> Alignment:
        if len(clean) == len(corrupted):
            return cls(tuple(zip(clean, corrupted, strict=True)))
        same = SequenceMatcher(None, clean, corrupted, autojunk=False).get_opcodes()
        parts = [zip_longest(clean[a:b], corrupted[c:d]) for _, a, b, c, d in same]
        return cls(tuple(pair for part in parts for pair in part))

    @property
    def lengths(self) -> tuple[int, int]:
        clean, corrupted = (sum(pair[side] is not None for pair in self.columns) for side in (0, 1))
        return clean, corrupted

    @property
    def differing(self) -> list[int]:
        return [i for i, (clean, corrupted) in enumerate(self.columns) if clean != corrupted]

    @property
    def fault(self) -> str:
        """Why nothing can be patched between the two; empty where it can."""
        clean, corrupted = self.lengths
        if clean != corrupted:
            return (
                f"The clean prompt has {count(clean, 'token')} and the corrupted one {corrupted}. Patching "
                "needs the same number: change the marked words for others of as many tokens."
            )
        return "" if self.differing else "Both prompts are the same: change what the answer depends on."

    @property
    def words(self) -> str:
        """Where prompts that align differ."""
        named = [f"{i} ({' / '.join(brief(t or '') for t in self.columns[i])})" for i in self.differing[:5]]
        more = f" and {len(self.differing) - 5} more" if len(self.differing) > 5 else ""
        where = "position" if len(self.differing) == 1 else "positions"
        part = f" Drawn: {self.drawn[0]} to {self.drawn[-1]}." if len(self.drawn) < self.lengths[0] else ""
        return f"{self.lengths[0]} tokens each; they differ at {where} {', '.join(named)}{more}.{part}"

    @property
    def drawn(self) -> range:
        """The columns that are drawn: of long prompts, those around the first difference."""
        return window(len(self.columns), self.differing[0] if self.differing else 0)

    @property
    def html(self) -> str:
        """Two lines of tokens, every text escaped; differing ones are marked, gaps are empty."""
        numbers = "".join(f"<td><small>{i}</small></td>" for i in self.drawn)
        lines = [f"<tr><th></th>{numbers}</tr>"]
        for side, name in enumerate(("clean", "corrupted")):
            cells = [
                f'<td class="{"" if pair[0] == pair[1] else "differs"}">{_escaped(pair[side])}</td>'
                for pair in self.columns[self.drawn.start : self.drawn.stop]
            ]
            lines.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
        return f'<table class="aligned">{"".join(lines)}</table>'


def _escaped(token: str | None) -> str:
    return "" if token is None else html.name(show_token(token))


# ---- what is shown ----


def recovery_grid(result: ActivationPatchingResult) -> Grid:
    """The map of recovery, as the figures draw it."""
    from interp.figures.views.activation_patching import view

    grid = view(result).block("recovery", Grid)
    return replace(grid, title=f"Recovery at {result.site}, by layer and {result.by}")


def metric_table(result: ActivationPatchingResult, runs: tuple[Run, ...], cell: tuple[int, int]) -> Table:
    """The metric, and the probabilities that it is made of, in the three runs; and the cell's recovery."""
    clean, corrupted = float(result.clean_values[0]), float(result.corrupted_values[0])
    recovery = float(result.recovery[cell])
    patched = corrupted + recovery * (clean - corrupted)
    rows: list[tuple[str | float, ...]] = [
        (_metric(result), *map(decimal, (clean, corrupted, patched))),
        ("recovery", "1", "0", decimal(recovery)),
        (f"probability of {show_token(result.answers[0])}", *(probability(run.answer) for run in runs)),
    ]
    if result.foils is not None:
        foils = [probability(run.foil) for run in runs if run.foil is not None]
        rows.append((f"probability of {show_token(result.foils[0])}", *foils))
    return Table(("", "clean", "corrupted", "patched"), tuple(rows))


def said_table(runs: tuple[Run, ...]) -> Table:
    """The likeliest next tokens of the three runs, side by side."""
    columns = ("rank", *(text for run in runs for text in (f"{run.name} says", "p")))
    rows: list[tuple[str | float, ...]] = []
    for rank, line in enumerate(zip(*(run.top for run in runs), strict=True), start=1):
        rows.append((rank, *(text for token, p in line for text in (show_token(token), probability(p)))))
    return Table(columns, tuple(rows))


def place_in_words(result: ActivationPatchingResult, direction: Direction, cell: tuple[int, int]) -> str:
    """Which cell is patched, from which run into which."""
    layer, column = cell
    into = DIRECTIONS[direction]
    source = "clean" if into == "corrupted" else "corrupted"
    if result.by == "head":
        where = f"Head {layer}.{column}"
    else:
        token = (result.columns if source == "clean" else result.corrupted_columns)[column]
        where = f"{result.site}, layer {layer}, position {column} ({show_token(token)})"
    return f"{where}: from the {source} run into the {into} one"


def _metric(result: ActivationPatchingResult) -> str:
    if result.foils is None:
        return f"probability of {show_token(result.answers[0])}, the metric"
    return f"logit({show_token(result.answers[0])}) - logit({show_token(result.foils[0])}), the metric"
