"""The page Circuit map without its widgets: where heads look on random tokens, and what some of them do."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from interp.app.views.explore import read_token
from interp.app.views.questions import LibraryQuestion
from interp.errors import InputError
from interp.figures.engine.notation import count
from interp.figures.engine.view import Attention, Grid

if TYPE_CHECKING:
    from interp.methods.heads.attention import AttentionPatternsResult
    from interp.methods.heads.head_scores import HeadScoresResult
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
FILE = "circuit.json"  # as it is downloaded
PATTERNS = 4  # of more heads, the first are drawn


def picked(text: str) -> tuple[str, ...]:
    """The heads in a text such as ``0.2, 3.1``, as they are written there; each once."""
    return tuple(dict.fromkeys(name for name in re.split(r"[,\s]+", text) if name))


def toggled(text: str, layer: int, head: int) -> str:
    """The text with a head put in, or taken out where it stands there."""
    name, names = f"{layer}.{head}", picked(text)
    kept = [one for one in names if one != name]
    return ",".join(kept if name in names else [*names, name])


def places(heads: tuple[str, ...], shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """The (layer, head) of those that a map of this shape has."""
    found = (re.fullmatch(r"(\d{1,6})\.(\d{1,6})", name) for name in heads)
    every = ((int(one[1]), int(one[2])) for one in found if one is not None)
    return tuple(place for place in every if place[0] < shape[0] and place[1] < shape[1])


@dataclass(frozen=True)
class Scores(LibraryQuestion):
    """The scores of all heads on repeated random tokens."""

    function: ClassVar[str] = "head_scores"
    experiment: ClassVar[str] = "head_scores"
    n: int = 10
    length: int = 25
    seed: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        return {"n": self.n, "length": self.length, "seed": self.seed}


@dataclass(frozen=True)
class Usable:
    """Raises what is wrong with a prompt or with heads, once for all that is asked of them."""

    prompt: str
    heads: tuple[str, ...]

    def __call__(self, model: Model) -> None:
        from interp.methods.common.heads import find_heads

        find_heads(model.arch, self.heads)
        model.to_tokens(self.prompt)


@dataclass(frozen=True)
class Patterns(LibraryQuestion):
    """The attention of the picked heads on the prompt."""

    function: ClassVar[str] = "attention_patterns"
    experiment: ClassVar[str] = "attention_patterns"
    prompt: str
    heads: tuple[str, ...]

    @property
    def arguments(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "heads": list(self.heads)}


@dataclass(frozen=True)
class HeadAblation(LibraryQuestion):
    """The prompt and text without the picked heads, and without as many random ones."""

    function: ClassVar[str] = "head_ablation"
    experiment: ClassVar[str] = "head_ablation"
    prompt: str
    heads: tuple[str, ...]
    answer: str
    foil: str | None

    @classmethod
    def typed(cls, *, prompt: str, heads: str, answer: str, foil: str) -> HeadAblation:
        """As a person writes it: heads in a line, tokens with visible spaces, no foil where it is empty."""
        return cls(prompt, picked(heads), read_token(answer), read_token(foil) or None)

    def work(self, model: Model) -> float:
        """About how many tokens go through the whole model, with the numbers of texts that
        `interp.head_ablation` has by itself: the reference, and half of each branch, as one begins at its
        first head."""
        prompt = model.to_tokens(self.prompt).lengths[0]
        return 12 * max(prompt, 64) + (prompt + 2 * (64 + 51)) * (1 + 4 * 4 / 2)

    @property
    def arguments(self) -> dict[str, Any]:
        asked = {"prompt": self.prompt, "heads": list(self.heads), "answer": self.answer, "foil": self.foil}
        return asked | {"kinds": ["zero", "mean", "resample"], "seed": 0}


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
class HeadsOfFile:
    """The heads of a circuit file, and what is in it besides; of a circuit of edges, those on a path."""

    name: str
    content: bytes

    def __call__(self, model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
        from interp.methods.circuits.files import parse_circuit

        circuit = parse_circuit(self.content, model, name=self.name)
        nodes = circuit.names
        if circuit.level == "edge":
            senders = {edge.partition("->")[0] for edge in circuit.pruned().members}
            nodes = tuple(name for name in circuit.graph.senders if name in senders - {"input"})
        heads = tuple(f"{m[1]}.{m[2]}" for name in nodes if (m := re.fullmatch(r"a(\d+)\.h(\d+)", name)))
        if not heads:
            raise InputError(f"The circuit {self.name!r} has no head in it; there is nothing to pick.")
        return heads, tuple(name for name in nodes if name[0] != "a")


def score_grids(result: HeadScoresResult, heads: tuple[tuple[int, int], ...]) -> tuple[Grid, ...]:
    """The map of each of `SCORES`, [layer, head], as the figures draw it; the picked heads are framed."""
    from interp.figures.views.head_scores import score_map

    return tuple(replace(score_map(result, name), framed=heads, framed_means="picked") for name in SCORES)


def pattern_grids(result: AttentionPatternsResult) -> list[Grid]:
    """The attention of the first of the picked heads, [query, key] each."""
    names = [f"{layer}.{head}" for layer, head in result.heads[:PATTERNS]]
    patterns = tuple((name, result.patterns[i].astype(float)) for i, name in enumerate(names))
    return Attention(tokens=result.tokens, patterns=patterns).grids


def circuit_command(model: str) -> str:
    """The command that measures the downloaded circuit."""
    words = ["interp", "run", "faithfulness", "--model", model, "--set", f"circuit={FILE}"]
    return shlex.join([*words, "--set", "keep_mlps=true"])


def left_out(others: tuple[str, ...]) -> str:
    """What of a circuit file is not picked, in a sentence; nothing where all is."""
    return f"Its {count(len(others), 'MLP')} cannot be picked here." if others else ""
