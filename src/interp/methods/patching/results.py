"""What patching found: results, read and shown without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from interp.methods.common.names import SENDERS, parse
from interp.metrics import weak_pairs
from interp.results import Estimate, Pairs, Result

#: What recovery says at its two ends, by direction.
MEANING: dict[str, str] = {
    "denoising": "1: this clean activation alone, put into the corrupted run, brings the clean answer back "
    "(sufficient here); 0: it brings back nothing.",
    "noising": "0: this corrupted activation alone, put into the clean run, loses the clean answer "
    "(necessary here); 1: the answer does not depend on it alone.",
}
#: The same, where the clean run does not give the answer.
MEANING_OF_DOUBT: dict[str, str] = {
    "denoising": "1: this clean activation alone, put into the corrupted run, brings back the clean run's "
    "metric, though that run does not give the answer; 0: it brings back nothing.",
    "noising": "0: this corrupted activation alone, put into the clean run, loses the clean run's metric, "
    "though that run does not give the answer; 1: nothing is lost.",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class ActivationPatchingResult(Result):
    """Recovery of each cell, [layer, column]: 1 as in the clean run, 0 as in the corrupted one; see
    `interp.activation_patching`."""

    kind: ClassVar[str] = "activation_patching"
    site: str
    by: str  # what a column is: position | head | neuron | layer
    direction: str  # denoising | noising
    method: str  # exact | attribution | integrated
    steps: int  # of integrated gradients; 0 elsewhere
    metric: str
    path: str  # branching | plain | gradients
    columns: tuple[str, ...]  # tokens of the first pair's clean prompt, or numbers of heads or neurons
    corrupted_columns: tuple[str, ...] = ()  # by position: tokens of the first pair's corrupted prompt
    pairs: Pairs
    clean_values: Float[np.ndarray, " pair"]  # the metric, unpatched
    corrupted_values: Float[np.ndarray, " pair"]
    recovery: Estimate  # [layer, column], over pairs; no unit
    aggregation: str = "mean of ratios"  # as runs were stored before; now a ratio of means

    @property
    def weak(self) -> tuple[int, ...]:
        """The pairs whose clean value does not lie above the corrupted one, by index."""
        return weak_pairs(self.metric, self.clean_values, self.corrupted_values)

    @property
    def values(self) -> Float[np.ndarray, "pair layer column"]:
        """The metric of each pair after each patch, in its own unit."""
        spans = self.clean_values - self.corrupted_values
        if self.aggregation == "ratio of means":
            spans = np.full_like(spans, spans.mean())  # each pair's is a share of the mean span
        return self.corrupted_values[:, None, None] + self.recovery.each * spans[:, None, None]

    @property
    def effects(self) -> Float[np.ndarray, "pair layer column"]:
        """By how much each patch changes the metric of each pair, in its own unit: patched - unpatched."""
        base = self.corrupted_values if self.direction == "denoising" else self.clean_values
        return self.values - base[:, None, None]

    @property
    def peak(self) -> tuple[int, int]:
        """(layer, column) of the strongest effect: highest recovery denoising, lowest noising."""
        return strongest(self.recovery.mean, self.direction)


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparedActivationPatchingResult(Result):
    """Activation patching by gradients, and the exact one of the same question."""

    kind: ClassVar[str] = "compared_activation_patching"
    shown_by: ClassVar[str] = "interp.figures.views.activation_patching"
    approximate: ActivationPatchingResult
    exact: ActivationPatchingResult
    rank_correlation: float  # Spearman's, over all cells
    worst_cell: tuple[int, int]  # (layer, column) at which the two differ most
    worst_difference: float  # of recovery, there


@dataclass(frozen=True, eq=False, kw_only=True)
class CausalTracingResult(Result):
    """Recovery at each [layer, position], with the two baselines that it is measured between."""

    kind: ClassVar[str] = "causal_tracing"
    clean_tokens: tuple[str, ...]
    corrupted_tokens: tuple[str, ...]  # the clean ones again where the corruption is noise
    corrupted_positions: tuple[int, ...]  # where the two runs differ at the input
    answer: str
    answer_id: int  # of several tokens or forms, the first token of the first form
    foil: str | None
    foil_id: int | None
    site: str
    window: int  # how many layers are patched at once, centred on each
    direction: str  # denoising | noising
    corruption: str  # interchange | noise
    noise_std: float | None  # of the noise added to each embedding entry
    samples: int
    metric: str
    clean_value: float  # of the metric
    corrupted_value: float  # mean over samples
    clean_answer_prob: float
    corrupted_answer_prob: float
    clean_top: str  # the likeliest next token, unpatched
    corrupted_top: str  # of the first sample, where the corruption is noise
    path: str  # how the patched runs were computed: branching | plain
    values: Float[np.ndarray, "layer position"]  # the metric after each patch, mean over samples
    recovery: Float[np.ndarray, "layer position"]  # no unit
    several_tokens: bool = False  # of answer or foil: log-probabilities stand for logits
    clean_prompt: str | None = None  # as running text; None in runs of earlier versions
    corrupted_prompt: str | None = None
    noise_norm: float | None = None  # the noise's length, over the typical norm of the subject's embeddings
    noise_of: str = "matrix"  # whose deviation sigma is of: the subject's embeddings; before, their matrix
    corrupted_error: float | None = None  # the standard error of `corrupted_value` over draws of noise
    recovery_error: Float[np.ndarray, "layer position"] | None = None  # likewise

    @property
    def gives_answer(self) -> bool:
        """Whether the clean run says the answer first, and, against a foil, above it. Of several tokens, or
        several forms, whether it is favoured alone."""
        favoured = self.metric != "logit_diff" or self.clean_value > 0
        return favoured and (self.several_tokens or self.clean_top in self.answer.split("|"))

    @property
    def meaning(self) -> str:
        """What a recovery of 0 and of 1 says, in this direction; of a clean run that does not give the
        answer, not that anything suffices for it or is needed."""
        return (MEANING if self.gives_answer else MEANING_OF_DOUBT)[self.direction]

    @property
    def peak(self) -> tuple[int, int]:
        """(layer, position) of the strongest effect: highest recovery denoising, lowest noising."""
        return strongest(self.recovery, self.direction)


Mlps = Literal["frozen", "recomputed"]
MLPS: tuple[Mlps, ...] = ("frozen", "recomputed")


@dataclass(frozen=True, eq=False, kw_only=True)
class PathPatchingResult(Result):
    """The direct and the total effect of each sender: the metric patched minus the metric of the base run."""

    kind: ClassVar[str] = "path_patching"
    pairs: Pairs
    direction: str  # noising | denoising
    mlps: Mlps  # those between senders and receivers
    metric: str
    path: str  # branching | plain
    n_layers: int
    n_heads: int
    senders: tuple[str, ...]  # such as a9.h6, or a9.h6+a9.h9 for several at once
    receivers: tuple[str, ...]
    role: str  # of the positions at which receivers are patched; empty: all
    direct: Estimate  # [sender], through the receivers alone; in the metric's unit
    total: Estimate | None  # [sender], through all who read it; None: not measured
    clean_values: Float[np.ndarray, " pair"]  # the metric, unpatched
    corrupted_values: Float[np.ndarray, " pair"]

    @property
    def base_value(self) -> float:
        """The metric of the base run, the mean over pairs."""
        return float((self.clean_values if self.direction == "noising" else self.corrupted_values).mean())

    def by_head(self, effect: Float[np.ndarray, " sender"]) -> Float[np.ndarray, "layer head"]:
        """Effects of senders, such as `direct.mean`, as a map of heads; NaN where a head is no sender."""
        grid = np.full((self.n_layers, self.n_heads), np.nan)
        for sender, value in zip(self.senders, effect, strict=True):
            node = None if "+" in sender else parse(sender, SENDERS)
            if node is not None and node.kind == "head":
                grid[node.layer, node.index] = value
        return grid


def strongest(recovery: Float[np.ndarray, "layer column"], direction: str) -> tuple[int, int]:
    """(layer, column) of the strongest effect: highest recovery denoising, lowest noising."""
    flat = recovery.argmax() if direction == "denoising" else recovery.argmin()
    layer, column = np.unravel_index(flat, recovery.shape)
    return int(layer), int(column)
