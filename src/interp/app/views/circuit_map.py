"""The page Circuit map without its widgets: picked heads, their scores and ablation, and circuit files."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from interp.app.views.questions import LibraryQuestion
from interp.app.views.tokens import read_token
from interp.errors import InputError
from interp.figures.engine.notation import count
from interp.figures.engine.view import Grid
from interp.methods.common.heads import HEADS
from interp.methods.common.names import NODES, head_name, parse, parse_edge
from interp.zoo import NAMES

if TYPE_CHECKING:
    from interp.methods.heads.results import HeadScoresResult
    from interp.models.base import Model

#: Prompts that the demo models answer, with heads that matter in one of them.
EXAMPLES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Who is given it",
        {
            "heads": "0.5",
            "prompt": "When Mary and John went to the store, John gave a drink to",
            "answer": "␣Mary",
            "foil": "␣John",
        },
    ),
    (
        "Copying",
        {
            "heads": "2.3,2.4,2.5",
            "prompt": " Mary Tom Paul Anna Mary Tom Paul",
            "answer": "␣Anna",
            "foil": "␣Tom",
        },
    ),
    (
        "A capital",
        {"heads": "0.5,3.1", "prompt": "The capital of France is", "answer": "␣Paris", "foil": "␣Tokyo"},
    ),
)
SCORES = ("induction", "duplicate_token", "previous_token")
FILE = "circuit.json"  # the name of the download
MOST_PATTERNS = 4  # of the picked heads, the first ones


def examples_of(model: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """The examples; but for a demo model without heads, as those of these numbers are others elsewhere."""
    if model in NAMES:
        return EXAMPLES
    return tuple((label, values | {"heads": ""}) for label, values in EXAMPLES)


# ---- the heads that are picked ----


def parse_heads(text: str) -> tuple[str, ...]:
    """The heads in a text such as ``0.2, 3.1``, as they are written there; each once."""
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def toggle_head(text: str, layer: int, head: int) -> str:
    """The text with a head put in, or taken out where it is in it."""
    name, names = head_name((layer, head)), parse_heads(text)
    others = [other for other in names if other != name]
    return ",".join(others if name in names else [*names, name])


def cells_of_heads(heads: tuple[str, ...], shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The cells (layer, head) of a map of this shape; what names no head in it is left out."""
    cells = []
    for name in heads:
        with suppress(InputError):
            head = parse(name, HEADS)
            cells.append((head.layer, head.index or 0))
    return tuple(cell for cell in cells if cell[0] < shape[0] and cell[1] < shape[1])


# ---- what is asked ----


@dataclass(frozen=True)
class HeadScores(LibraryQuestion):
    """The scores of all heads on repeated random tokens."""

    method: ClassVar[str] = "head_scores"
    n: int = 10
    length: int | None = None
    n_ablated: int = 0  # what heads cost is measured on the page for those that are picked
    seed: int = 0


@dataclass(frozen=True)
class CheckInputs:
    """Raises what is wrong with a prompt or with heads: once, before they are used in several questions."""

    prompt: str
    heads: tuple[str, ...]

    def __call__(self, model: Model) -> None:
        from interp.methods.common.heads import find_heads

        find_heads(model.arch, self.heads)
        model.to_tokens(self.prompt)


@dataclass(frozen=True)
class HeadAblation(LibraryQuestion):
    """The prompt and text without the picked heads, and without as many random ones."""

    method: ClassVar[str] = "head_ablation"
    prompt: str
    heads: tuple[str, ...]
    answer: str
    foil: str | None
    kinds: tuple[str, ...] = ("zero", "mean", "resample")
    seed: int = 0

    @classmethod
    def typed(cls, *, prompt: str, heads: str, answer: str, foil: str) -> HeadAblation:
        """The question as a person types it: heads in a line, tokens with visible spaces, perhaps no foil."""
        return cls(prompt, parse_heads(heads), read_token(answer), read_token(foil) or None)

    def work(self, model: Model) -> float:
        """About how many tokens go through the whole model, with the numbers of texts that
        `interp.head_ablation` has by itself: the reference, and half of each branch, as one begins at its
        first head."""
        prompt = model.to_tokens(self.prompt).lengths[0]
        return 12 * max(prompt, 64) + (prompt + 2 * (64 + 51)) * (1 + 4 * 4 / 2)


@dataclass(frozen=True)
class CircuitFile:
    """The picked heads as a circuit file: the text that `interp.write_circuit` writes."""

    heads: tuple[str, ...]

    def __call__(self, model: Model) -> str:
        from interp.methods.circuits.files import circuit_text
        from interp.methods.common.circuit import Circuit
        from interp.methods.common.heads import find_heads

        return circuit_text(Circuit.of(model, find_heads(model.arch, self.heads)), model)


@dataclass(frozen=True)
class HeadsOfCircuitFile:
    """The heads of a circuit file, and its other nodes; of a circuit of edges, those on a path."""

    name: str
    content: bytes

    def __call__(self, model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
        from interp.methods.circuits.files import parse_circuit

        circuit = parse_circuit(self.content, model, name=self.name)
        names = circuit.names
        if circuit.level == "edge":
            senders = {str(parse_edge(edge).sender) for edge in circuit.pruned().members}
            names = tuple(name for name in circuit.graph.senders if name in senders - {"input"})
        nodes = [parse(name, NODES) for name in names]
        heads = tuple(head_name((node.layer, node.index or 0)) for node in nodes if node.kind == "head")
        if not heads:
            raise InputError(f"The circuit {self.name!r} has no head in it; there is nothing to pick.")
        return heads, tuple(str(node) for node in nodes if node.kind != "head")


# ---- what is shown ----


def score_grids(result: HeadScoresResult, picked: tuple[tuple[int, int], ...]) -> tuple[Grid, ...]:
    """The map of each of `SCORES`, [layer, head], as the figures draw it; the picked heads are framed."""
    from interp.figures.views.head_scores import view

    drawn = view(result)
    shown = [name for name in SCORES if name in result.scores]
    return tuple(replace(drawn.block(name, Grid), framed=picked, framed_means="picked") for name in shown)


def faithfulness_command(model: str) -> str:
    """The command that measures how much of a task the downloaded circuit carries."""
    words = ["interp", "run", "faithfulness", "--model", model, "--set", f"circuit={FILE}"]
    return shlex.join([*words, "--set", "keep_mlps=true"])


def left_out(others: tuple[str, ...]) -> str:
    """What of a circuit file is not picked, in a sentence; empty where all is."""
    return f"Its {count(len(others), 'MLP')} cannot be picked here." if others else ""
