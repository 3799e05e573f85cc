"""What the comparison of lenses found: on text, at a known step in between, and when it is exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.results import Dropped, Interval, Result, Stored


@dataclass(frozen=True, eq=False, kw_only=True)
class LensOnText(Stored):
    """How well one lens says, at each layer, what the model says; means over the tokens of a text, with
    intervals over its sequences."""

    kind: ClassVar[str] = "lens_on_text"
    kl: Interval  # [layer] KL(final || lens), nats
    top1: Interval  # [layer] share of tokens of which the likeliest next one is the model's
    #: [layer] mean of ln(rank) of the model's own likeliest token; e to that is a typical rank
    log_rank: Interval
    bias: Float[np.ndarray, " layer"]  # lens bias, bits (`interp.measure_lens`)
    #: By how much the mean of KL over the layers before the last is below that of the first lens; nats,
    #: paired by sequence. Of the first lens itself, 0 throughout.
    gain: Interval


@dataclass(frozen=True, eq=False, kw_only=True)
class LensOnBridges(Stored):
    """What one lens reads of the step in between (the bridge) of prompts that need two.

    Ranks are the best over the positions behind the first, of one token; 1 is top. `other` is the bridge of
    another prompt of the same relation: what the lens reads of it is chance.
    """

    kind: ClassVar[str] = "lens_on_bridges"
    rank: Int[np.ndarray, "prompt layer"]
    other_rank: Int[np.ndarray, "prompt layer"]
    in_top: Interval  # [layer] share of prompts with the bridge within the first `k`
    other_in_top: Interval  # [layer] the same of the other bridge
    #: By how much the mean of `in_top` over the layers before the last is above that of `other_in_top`.
    above_chance: Interval
    #: [layer] mean of ln(rank); e to that is a typical rank
    log_rank: Interval
    other_log_rank: Interval  # [layer] the same of the other bridge
    #: By how much ln(rank) is below that of the other bridge, mean over the layers before the last; e to that
    #: is how many times nearer to the top the bridge is.
    nearer: Interval


@dataclass(frozen=True, eq=False, kw_only=True)
class LensExchange(Stored):
    """Prompts in which the lens's coordinates of the bridge and of another one were exchanged after a layer,
    at all positions behind the first. The lens foretells that the model then says the other one's answer.

    `random` are as large changes in directions that are drawn.
    """

    kind: ClassVar[str] = "lens_exchange"
    flipped: Bool[np.ndarray, "prompt layer"]  # the model's first token is the foretold answer
    shift: Float[np.ndarray, "prompt layer"]  # of logit(foretold) - logit(answer)
    random_flipped: Float[np.ndarray, "prompt layer"]  # share of the draws
    random_shift: Float[np.ndarray, "prompt layer"]  # mean over the draws
    flips: Interval  # [layer] share of prompts
    random_flips: Interval  # [layer]
    #: By how much the mean over layers of the shift is above that of random changes, logits.
    above_random: Interval


@dataclass(frozen=True, eq=False, kw_only=True)
class LensBands(Stored):
    """The exchange over bands of layers, by their width: the share of prompts in which the model says the
    foretold answer, and the shift of logit(foretold) - logit(answer); means over the layers `starts` after
    which bands begin, the same for all widths, with intervals over prompts.

    `held`: each layer of a band has the exchanged coordinates of the clean run. `live`: it exchanges those
    that it finds, so that every second one undoes what the one before did. `random`: changes as large as the
    held ones in directions that are drawn, one for each layer, and held.
    """

    kind: ClassVar[str] = "lens_bands"
    widths: tuple[int, ...]
    starts: tuple[str, ...]
    held_flips: Interval  # [width]
    live_flips: Interval  # [width]
    random_flips: Interval  # [width]
    held_shift: Interval  # [width] logits
    live_shift: Interval  # [width]
    random_shift: Interval  # [width]


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedLens(Stored):
    """All that one lens was asked."""

    kind: ClassVar[str] = "judged_lens"
    label: str  # as it was asked for
    description: str
    control: bool  # a lens that is known to be wrong, or to add nothing
    text: LensOnText
    bridges: LensOnBridges | None  # None: there are no prompts
    exchange: LensExchange | None  # None: no prompts, or the lens has no direction for a token
    bands: LensBands | None = None  # None: the same, a control, or none were asked for


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareLensesResult(Result):
    """Several lenses on the same text and the same prompts; the first is what the others are held against."""

    kind: ClassVar[str] = "compare_lenses"
    text: str  # what was read, in words
    n_sequences: int
    n_tokens: int
    layers: tuple[str, ...]  # "embed", "0", "1", ...
    lenses: tuple[JudgedLens, ...]
    k: int  # a bridge is read where it is within the first k
    prompts: tuple[str, ...]  # those that need two steps, and the model knows
    bridges: tuple[str, ...]
    answers: tuple[str, ...]
    others: tuple[str, ...]  # of each prompt, the bridge that it is exchanged with
    foretold: tuple[str, ...]  # and its answer
    dropped: tuple[Dropped, ...]  # prompts that were left out, and why
