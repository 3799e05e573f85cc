"""The page Trace without its widgets: a clean and a corrupted prompt, patched cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from interp.app.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.notation import probability, show_token
from interp.figures.view import Grid, Table
from interp.sites import Edit

if TYPE_CHECKING:
    from interp.methods.patch_sweep import PatchSweepResult
    from interp.models.base import Model

Part = Literal["resid", "attention", "MLP", "head"]

#: What is patched -> its site, and what a column of the map is.
PARTS: dict[Part, tuple[str, Literal["position", "head"]]] = {
    "resid": ("resid_pre", "position"),
    "attention": ("attn_out", "position"),
    "MLP": ("mlp_out", "position"),
    "head": ("z", "head"),
}

#: What the page begins with.
EXAMPLE = {
    "clean": "The capital of France is",
    "corrupted": "The capital of Japan is",
    "answer": " Paris",
    "foil": " Tokyo",
}


@dataclass(frozen=True)
class Sweep(LibraryQuestion):
    """Clean activations into the corrupted run, each cell by itself (denoising), exactly."""

    function: ClassVar[str] = "patch_sweep"
    experiment: ClassVar[str] = "patch_sweep"
    clean: str
    corrupted: str
    answer: str
    foil: str | None = None
    part: Part = "resid"

    @property
    def arguments(self) -> dict[str, Any]:
        site, by = PARTS[self.part]
        pair = {"clean": self.clean, "corrupted": self.corrupted, "answer": self.answer, "foil": self.foil}
        return pair | {"site": site, "by": by}


@dataclass(frozen=True)
class Patched:
    """What the corrupted run says when one cell of the sweep is patched: (token, probability), likeliest
    first."""

    sweep: Sweep
    layer: int
    column: int
    k: int = 10

    def __call__(self, model: Model) -> tuple[tuple[str, float], ...]:
        site, by = PARTS[self.sweep.part]
        clean, corrupted = model.to_tokens(self.sweep.clean), model.to_tokens(self.sweep.corrupted)
        if not 0 <= self.layer < model.arch.n_layers:
            raise InputError(
                f"There is no layer {self.layer}; layers go from 0 to {model.arch.n_layers - 1}."
            )
        n = clean.lengths[0] if by == "position" else model.arch.n_heads
        if not 0 <= self.column < n:
            raise InputError(f"There is no {by} {self.column}; they go from 0 to {n - 1}.")
        donor = model.run_with_cache(clean, [(site, self.layer)])[site, self.layer][0]  # [pos, ...]
        if by == "head":  # at all positions
            edit = Edit.set(site, self.layer, value=donor[:, self.column, None], heads=self.column)
        else:
            edit = Edit.set(site, self.layer, value=donor[self.column], positions=self.column)
        probs = model.forward(corrupted, [edit])[0, -1].double().softmax(-1)
        top = probs.topk(min(self.k, model.arch.d_vocab))
        return tuple(zip(model.labels(top.indices), top.values.tolist(), strict=True))


def recovery_grid(result: PatchSweepResult) -> Grid:
    """The map of recovery, as the figures draw it."""
    from interp.figures.patch_sweep import view

    return next(block for block in view(result).blocks if isinstance(block, Grid))


def patched_table(said: tuple[tuple[str, float], ...], *, title: str) -> Table:
    """The answer of `Patched`."""
    rows = tuple((i + 1, show_token(token), probability(p)) for i, (token, p) in enumerate(said))
    return Table(("rank", "token", "probability"), rows, title=title)


@dataclass(frozen=True)
class Labels:
    """The tokens of a prompt, BOS included."""

    prompt: str

    def __call__(self, model: Model) -> tuple[str, ...]:
        return tuple(model.labels(model.to_tokens(self.prompt).row(0)))


def alignment_table(clean: tuple[str, ...], corrupted: tuple[str, ...]) -> Table:
    """Both prompts, token over token; also where they do not align."""
    n = max(len(clean), len(corrupted))
    rows = tuple(
        (name, *(show_token(token) for token in tokens), *[""] * (n - len(tokens)))
        for name, tokens in (("clean", clean), ("corrupted", corrupted))
    )
    return Table(("", *map(str, range(n))), rows, title="Token over token")
