"""The page Trace without its widgets: a clean and a corrupted prompt, patched cell by cell.

How the two prompts stand over each other is in `alignment`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import brief, decimal, probability, show_token
from interp.figures.engine.view import Grid, Table
from interp.figures.views.pairs_text import doubts, metric_with_tokens
from interp.methods.common.names import head_name
from interp.tokens import differing_positions

if TYPE_CHECKING:
    import torch

    from interp.edits import Edit
    from interp.methods.common.pairs import Direction
    from interp.methods.patching.results import ActivationPatchingResult
    from interp.models.base import Model
    from interp.tokens import Tokens

Part = Literal["resid", "attention", "MLP", "head"]

#: What is patched -> its site, and what a column of the map is.
PARTS: dict[Part, tuple[str, Literal["position", "head"]]] = {
    "resid": ("resid_pre", "position"),
    "attention": ("attn_out", "position"),
    "MLP": ("mlp_out", "position"),
    "head": ("z", "head"),
}
#: Which way activations are carried, and the run that they are patched into.
DIRECTIONS: dict[Direction, str] = {"denoising": "corrupted", "noising": "clean"}

#: What stands in the inputs: pairs that both demo models tell apart, and one for real models. Offered are
#: those of which the model at hand answers the clean prompt; the page begins with the first.
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
        ("A salt", "Water is made of hydrogen and", "Salt is made of sodium and", " oxygen", " chloride"),
    )
}


@dataclass(frozen=True)
class ActivationPatching(LibraryQuestion):
    """The recovery of each cell: its activation from one run, patched into the other by itself, exactly."""

    method: ClassVar[str] = "activation_patching"
    clean: str
    corrupted: str
    answer: str
    foil: str | None = None
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
class Prediction:
    """What one run predicts: its likeliest next tokens, and its probabilities of the answer and the foil."""

    run: str  # "clean", "corrupted" or "patched"
    top: tuple[tuple[str, float], ...]  # token, probability
    answer: float
    foil: float | None


@dataclass(frozen=True)
class CellPredictions:
    """What the clean, the corrupted and the patched run predict, where one cell of the map is patched."""

    patching: ActivationPatching
    layer: int
    column: int
    k: int = 10

    def __call__(self, model: Model) -> tuple[Prediction, ...]:
        from interp.methods.patching.cells import Cells

        patching, (site, by) = self.patching, PARTS[self.patching.part]
        clean, corrupted = (model.to_tokens(prompt) for prompt in (patching.clean, patching.corrupted))
        differing_positions(clean.row(0), corrupted.row(0))  # refuses prompts that do not align
        self._check_cell(model.arch.n_layers, clean.lengths[0] if by == "position" else model.arch.n_heads)
        unpatched = model.run_with_cache([clean.row(0), corrupted.row(0)], [(site, self.layer)])
        donor, base = (0, corrupted) if patching.direction == "denoising" else (1, clean)
        value = unpatched[site, self.layer][donor : donor + 1]
        patched = model.forward(base, [Cells(site, by).patch(self.layer, self.column, value)])
        last = {
            "clean": unpatched.logits[0, -1],
            "corrupted": unpatched.logits[1, -1],
            "patched": patched[0, -1],
        }
        answers = [self._probs(model, one, tuple(last.values())) for one in (patching.answer, patching.foil)]
        return tuple(
            self._predict(model, run, logits, *(None if of is None else of[i] for of in answers))
            for i, (run, logits) in enumerate(last.items())
        )

    def _probs(
        self, model: Model, given: str | int | None, last: tuple[torch.Tensor, ...]
    ) -> tuple[float, ...] | None:
        """The probability of an answer in the clean, the corrupted and the patched run, whose last logits
        these are; None of none."""
        from interp.methods.patching.cells import Cells
        from interp.readout import Readout

        if given is None:
            return None
        answer, (site, by) = model.to_answer(given), PARTS[self.patching.part]
        readout = Readout.prob(answer)
        if answer.at_once:
            return tuple(float(readout(logits[None, None])[0]) for logits in last)
        clean, corrupted = (model.to_tokens(text) for text in (self.patching.clean, self.patching.corrupted))
        base, donor = (corrupted, clean) if self.patching.direction == "denoising" else (clean, corrupted)
        value = model.run_with_cache(readout.runs(donor), [(site, self.layer)], logits=False)[
            site, self.layer
        ]
        patch = [Cells(site, by).patch(self.layer, self.column, value)]
        runs: list[tuple[Tokens, list[Edit]]] = [(clean, []), (corrupted, []), (base, patch)]
        return tuple(float(model.sweep(run, [edits], readout, exact=True).values[0]) for run, edits in runs)

    def _check_cell(self, n_layers: int, n_columns: int) -> None:
        """`InputError` for a cell that is not in the map."""
        by = PARTS[self.patching.part][1]
        if not 0 <= self.layer < n_layers:
            raise InputError(f"There is no layer {self.layer}; layers go from 0 to {n_layers - 1}.")
        if not 0 <= self.column < n_columns:
            raise InputError(f"There is no {by} {self.column}; they go from 0 to {n_columns - 1}.")

    def _predict(
        self, model: Model, run: str, logits: torch.Tensor, answer: float | None, foil: float | None
    ) -> Prediction:
        top = logits.double().softmax(-1).topk(min(self.k, model.arch.d_vocab))
        likeliest = tuple(zip(model.labels(top.indices), top.values.tolist(), strict=True))
        assert answer is not None
        return Prediction(run, likeliest, answer, foil)


# ---- what is shown ----


def doubts_of(result: ActivationPatchingResult) -> tuple[str, ...]:
    """What speaks against calling the clean run clean: its answer is not the model's."""
    return doubts(result.pairs, result.metric, result.clean_values)


def recovery_grid(result: ActivationPatchingResult) -> Grid:
    """The map of recovery, as the figures draw it."""
    from interp.figures.views.activation_patching import view

    grid = view(result).block("recovery", Grid)
    return replace(grid, title=f"Recovery at {result.site}, by layer and {result.by}")


def metric_table(
    result: ActivationPatchingResult, predictions: tuple[Prediction, ...], cell: tuple[int, int]
) -> Table:
    """The metric, the cell's recovery, and the probabilities of answer and foil, in the three runs."""
    clean, corrupted = float(result.clean_values[0]), float(result.corrupted_values[0])
    recovery = float(result.recovery.mean[cell])
    patched = corrupted + recovery * (clean - corrupted)
    answer, foil = result.pairs.answers[0], result.pairs.foils[0] if result.pairs.foils else None
    metric = metric_with_tokens(result.metric, answer, foil, several_tokens=result.pairs.several_tokens)
    rows: list[tuple[str | float, ...]] = [
        (f"{metric}, the metric", *map(decimal, (clean, corrupted, patched))),
        ("recovery", "1", "0", decimal(recovery)),
        (f"probability of {brief(answer)}", *(probability(p.answer) for p in predictions)),
    ]
    if foil is not None:
        foils = [probability(p.foil) for p in predictions if p.foil is not None]
        rows.append((f"probability of {brief(foil)}", *foils))
    return Table(("", "clean", "corrupted", "patched"), tuple(rows))


def prediction_table(predictions: tuple[Prediction, ...]) -> Table:
    """The likeliest next tokens of the three runs, side by side."""
    columns = ("rank", *(text for p in predictions for text in (f"{p.run} says", "p")))
    rows: list[tuple[str | float, ...]] = []
    for rank, tokens in enumerate(zip(*(p.top for p in predictions), strict=True), start=1):
        rows.append(
            (
                rank,
                *(text for token, p in tokens for text in (show_token(token, max_chars=10), probability(p))),
            )
        )
    return Table(columns, tuple(rows))


def cell_in_words(result: ActivationPatchingResult, direction: Direction, cell: tuple[int, int]) -> str:
    """Which cell is patched, from which run into which."""
    layer, column = cell
    into = DIRECTIONS[direction]
    source = "clean" if into == "corrupted" else "corrupted"
    if result.by == "head":
        where = f"Head {head_name((layer, column))}"
    else:
        token = (result.columns if source == "clean" else result.corrupted_columns)[column]
        where = f"{result.site}, layer {layer}, position {column} ({show_token(token)})"
    return f"{where}: from the {source} run into the {into} one"
