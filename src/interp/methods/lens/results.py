"""What the lenses found: predictions by layer, two prompts side by side, and how good a lens is on text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.results import Result, Stored

TARGET, NEITHER, COMPETITOR = 1, 0, -1  # marks of a contrast: who is ahead at a layer
_LOGIT = "the model's own final norm and unembedding"


@dataclass(frozen=True, eq=False, kw_only=True)
class LensCard(Stored):
    """How good a lens is on text that its training did not see, beside the logit lens: means over tokens.

    Made by `interp.measure_lens` (`LensQualityResult.card`), kept with a saved lens
    (`interp.methods.lens.cards`), and told by every result that was read with it.
    """

    kind: ClassVar[str] = "lens_card"
    text: str  # what it was measured on, in words
    n_tokens: int
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    kl: Float[np.ndarray, " layer"]  # KL(final || lens), nats
    top1: Float[np.ndarray, " layer"]  # share of tokens of which the likeliest next one is the model's
    logit_kl: Float[np.ndarray, " layer"]  # the same of the logit lens
    logit_top1: Float[np.ndarray, " layer"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LogitLensResult(Result):
    """The prediction that a lens reads off at each layer of one prompt.

    The arrays are [layer] for one position and [layer, position] for all. The first row is the embedding
    where `site` is ``resid``.
    """

    kind: ClassVar[str] = "logit_lens"
    tokens: tuple[str, ...]  # the whole prompt, BOS included
    positions: tuple[int, ...]  # those that were read
    one_position: bool
    answer: str
    answer_id: int  # of several tokens or forms, the first token of the first form
    site: str  # resid | attn_out | mlp_out
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    answer_prob: Float[np.ndarray, " layer *position"]
    #: 1 is top, and alone so: ties count against it. Of several tokens, of the one that ranks last.
    answer_rank: Int[np.ndarray, " layer *position"]
    entropy: Float[np.ndarray, " layer *position"]  # nats
    kl_to_final: Float[np.ndarray, " layer *position"]  # KL(final || layer), nats
    top_ids: Int[np.ndarray, "layer *position k"]
    top_probs: Float[np.ndarray, "layer *position k"]
    top_tokens: tuple[tuple, ...]  # texts, nested as top_ids
    final_top_token: str  # the model's own prediction at the last position read
    final_top_prob: float
    lens: str = "logit"  # the name of the lens: logit | tuned | jacobian | patchscope | ...
    lens_description: str = _LOGIT
    answer_tokens: tuple[tuple[str, ...], ...] = ()  # of each form, where it is not one token in one form
    #: Of an answer of several tokens in one form, at one position, each token behind those before it; nats.
    answer_token_log_probs: Float[np.ndarray, "layer token"] | None = None
    prompt: str | None = None  # as running text; None in runs of earlier versions
    answer_ties: Int[np.ndarray, " layer *position"] | None = None  # other tokens of its logit
    lens_card: LensCard | None = None  # how good the lens is on text, where that was recorded
    edits: tuple[str, ...] = ()  # of the run that was read: operations and addresses

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The logit lens was called plain in runs of earlier versions."""
        return super().from_dict(_lens_renamed(data))

    @property
    def crossover_layer(self) -> int | None:
        """The first layer from which on the answer is top-1 up to the last, at the last position read.

        -1 is the embedding; None where the answer is not top-1 at the end.
        """
        rank = self.answer_rank if self.one_position else self.answer_rank[:, -1]
        return crossover(rank, self.layers)

    @property
    def grid(self) -> dict[str, np.ndarray]:
        """The arrays as [layer, position, ...], also where there is one position."""
        arrays = {
            "answer_prob": self.answer_prob,
            "answer_rank": self.answer_rank,
            "entropy": self.entropy,
            "kl_to_final": self.kl_to_final,
            "top_ids": self.top_ids,
            "top_probs": self.top_probs,
            "top_tokens": np.array(self.top_tokens, dtype=object),
        }
        return {name: a[:, None] if self.one_position else a for name, a in arrays.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class LensesOnPromptResult(Result):
    """What several lenses read at each layer, at one position of a prompt, in the order they were asked for.

    At the last layer all of them are the model itself.
    """

    kind: ClassVar[str] = "lenses_on_prompt"
    readings: tuple[LogitLensResult, ...]

    @property
    def crossover_layers(self) -> tuple[int | None, ...]:
        """By each lens: see `LogitLensResult.crossover_layer`."""
        return tuple(reading.crossover_layer for reading in self.readings)


@dataclass(frozen=True, eq=False, kw_only=True)
class PatchedLensResult(Result):
    """What a lens reads of two prompts, and of the second with one cell of the first put into it.

    A cell is (layer, position): the residual stream after that layer, -1 being the embedding. Followed in all
    three is one token, the `answer` of the readings.
    """

    kind: ClassVar[str] = "patched_lens"
    source: LogitLensResult
    target: LogitLensResult
    patched: LogitLensResult  # of the target's positions
    source_cell: tuple[int, int]  # counted from the start
    target_cell: tuple[int, int]

    @property
    def reached(self) -> Bool[np.ndarray, "layer position"]:
        """The cells of the patched prompt that the patch can reach: its own, later layers at its position,
        and later layers at later positions."""
        layer, position = self.target_cell
        layers = np.arange(len(self.patched.layers))[:, None] - 1  # the embedding is -1
        positions = np.array(self.patched.positions)
        own = (positions == position) & (layers >= layer)
        return own | ((positions > position) & (layers > layer))

    @property
    def change(self) -> Float[np.ndarray, "layer position"]:
        """The answer's probability with the patch less that without it."""
        return self.patched.answer_prob - self.target.answer_prob


class TunedLensResult(LensesOnPromptResult):
    """How runs of earlier versions keep the plain and a tuned lens; it is read as `LensesOnPromptResult`."""

    kind: ClassVar[str] = "tuned_lens"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LensesOnPromptResult:  # type: ignore[override]
        readings = [data[name] for name in ("plain", "tuned")]
        return LensesOnPromptResult.from_dict({"provenance": data["provenance"], "readings": readings})


@dataclass(frozen=True, eq=False, kw_only=True)
class LensQualityResult(Result):
    """How well two lenses say, at each layer, what the model says. Means over the tokens of a text.

    Rows are the logit lens and the one that was measured beside it; columns the embedding and each layer. At
    the last, both are the model.
    """

    kind: ClassVar[str] = "lens_quality"
    shown_by: ClassVar[str] = "interp.figures.views.train_tuned_lens"
    text: str  # what it was measured on, in words
    n_tokens: int
    lenses: tuple[str, str]  # their names: logit, and tuned or another
    lens_description: str  # of the second
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    kl: Float[np.ndarray, "lens layer"]  # KL(final || lens), nats
    cross_entropy: Float[np.ndarray, "lens layer"]  # of the next token, nats
    bias: Float[np.ndarray, "lens layer"]  # lens bias, bits
    #: KL in training, nats, of every layer but the last; None for a lens that was loaded.
    losses: Float[np.ndarray, "step trained_layer"] | None
    #: Share of tokens of which the likeliest next one is the model's; None in runs of earlier versions.
    top1: Float[np.ndarray, "lens layer"] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The logit lens was called plain in runs of earlier versions."""
        return super().from_dict(_lens_renamed(data))

    @property
    def card(self) -> LensCard | None:
        """The second lens's card, to be kept with it; None of a run of an earlier version."""
        if self.top1 is None:
            return None
        return LensCard(
            text=self.text,
            n_tokens=self.n_tokens,
            layers=self.layers,
            kl=self.kl[1],
            top1=self.top1[1],
            logit_kl=self.kl[0],
            logit_top1=self.top1[0],
        )

    @property
    def perplexity(self) -> Float[np.ndarray, "lens layer"]:
        """Of the next token; infinite where the cross-entropy is beyond the range of a number."""
        with np.errstate(over="ignore"):
            return np.exp(self.cross_entropy)


@dataclass(frozen=True, eq=False, kw_only=True)
class ContrastResult(Result):
    """Two prompts' lens traces. Arrays are [prompt, layer], at one position of each."""

    kind: ClassVar[str] = "contrast"
    tokens: tuple[tuple[str, ...], ...]  # of both prompts, BOS included
    differing: tuple[tuple[int, int], ...]  # of both, the positions [start, stop) in which they differ
    target: str
    competitor: str
    margin: float  # in logits, by which a token must be ahead to be marked so
    position: int = -1  # where both are read; negative: from the end of each
    lens: str  # the name of the lens: logit | tuned | jacobian | patchscope | ...
    lens_description: str
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    target_prob: Float[np.ndarray, "prompt layer"]
    competitor_prob: Float[np.ndarray, "prompt layer"]
    ahead: Float[np.ndarray, "prompt layer"]  # logit(target) - logit(competitor)
    marks: Int[np.ndarray, "prompt layer"]  # 1: target ahead, 0: neither, -1: competitor ahead
    top_tokens: tuple[tuple[str, ...], ...]  # what the lens would say, [prompt, layer]
    top_probs: Float[np.ndarray, "prompt layer"]
    prompts: tuple[str, ...] = ()  # as running text; empty in runs of earlier versions
    lens_card: LensCard | None = None  # how good the lens is on text, where that was recorded

    #: Ranks among all tokens, 1 the likeliest, ties counting against them; None in runs of earlier versions.
    target_rank: Int[np.ndarray, "prompt layer"] | None = None
    competitor_rank: Int[np.ndarray, "prompt layer"] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The logit lens was called plain in runs of earlier versions."""
        return super().from_dict(_lens_renamed(data))

    @property
    def parting(self) -> int | None:
        """The column from which the marks differ up to the last; None where they agree at the end."""
        return last_run(self.marks[0] != self.marks[1])

    @property
    def hand_offs(self) -> tuple[int | None, int | None]:
        """Of each prompt the column at which the token that leads at the end takes the lead for good.

        None where neither leads at the end, or where that token leads from the embedding on.
        """
        first, second = (_hand_off(marks) for marks in self.marks)
        return first, second


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorCurve(Stored):
    """How the standard error of a Jacobian lens falls with the number of prompts, over which it is.

    As a share of the norm of each matrix (Frobenius); NaN where it is not known yet.
    """

    kind: ClassVar[str] = "error_curve"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"error"})
    layers: tuple[str, ...]  # the source layers: "embed", "0", "1", ...
    prompts: tuple[int, ...]
    error: Float[np.ndarray, "point source_layer"]


@dataclass(frozen=True, eq=False, kw_only=True)
class JacobianFitResult(Result):
    """A Jacobian lens that was fitted: how certain its matrices are, and how good it is on other text."""

    kind: ClassVar[str] = "jacobian_fit"
    shown_by: ClassVar[str] = "interp.figures.views.train_jacobian_lens"
    n_prompts: int
    target_layer: int
    curve: ErrorCurve
    quality: LensQualityResult


def crossover(rank: Int[np.ndarray, " layer"], layers: Sequence[str]) -> int | None:
    """The first layer from which on the rank is 1 up to the last; -1 is the embedding, None: not at the
    end."""
    row = last_run(rank == 1)
    return row - 1 if row is not None and layers[0] == "embed" else row


def last_run(true: Bool[np.ndarray, " layer"]) -> int | None:
    """Where the unbroken run of true values that reaches the end begins; None where the last is false."""
    if not true[-1]:
        return None
    false = np.flatnonzero(~true)
    return int(false[-1]) + 1 if len(false) else 0


def _lens_renamed(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a stored result with the logit lens under today's name."""
    named = {key: "logit" for key in ("lens",) if data.get(key) == "plain"}
    several = {"lenses": ["logit" if one == "plain" else one for one in data.get("lenses", ())]}
    return {**data, **named, **(several if "lenses" in data else {})}


def _hand_off(marks: Int[np.ndarray, " layer"]) -> int | None:
    if marks[-1] == NEITHER:
        return None
    return last_run(marks == marks[-1]) or None
