"""What the comparison of two models found, and what was found over checkpoints. Light: numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.provenance import Provenance
from interp.results import Interval, Pairs, Result, Stored

CARRIES: dict[str, str] = {
    "weights": "the part of the one reads what it finds in the other",
    "activation": "what the part gave in its own model's run, with all that came before it there",
}
#: Below so many nats two predictions are the same but for rounding.
SAME = 1e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class Alikeness(Stored):
    """How alike the streams of two models are, [layer]; see `interp.methods.comparison.alikeness`."""

    kind: ClassVar[str] = "alikeness"
    cka: Interval
    cosine: Interval
    distance: Interval  # the length of the difference, over that of the first model's stream


@dataclass(frozen=True, eq=False, kw_only=True)
class OnText(Stored):
    """Two models on the same text; means over tokens, intervals over sequences."""

    kind: ClassVar[str] = "two_on_text"
    described: str
    n_sequences: int
    n_tokens: int  # whose streams were compared
    alike: Alikeness
    untrained: tuple[Alikeness, Alikeness] | None  # each with an untrained model of their shape
    losses: Interval  # [model], nats a token
    loss_change: Interval  # [], the other's less the first's
    kl: Interval  # [], KL(first || other) of the next token, nats


@dataclass(frozen=True, eq=False, kw_only=True)
class Stitched(Stored):
    """One kind of part of the donor in the base, each in a run of its own. Cells are [layer, column]: a
    column is a head of ``z``, and there is one elsewhere; the layers of ``resid_pre`` are cuts, from "the
    donor's embedding" to "all but the base's unembedding"; ``unembed`` has one layer."""

    kind: ClassVar[str] = "stitched"
    carries: str  # weights | activation
    site: str
    into: int  # the base: 0 the first model, 1 the other
    kl: Interval  # KL(donor || stitched) of the next token, nats
    #: The share of the base's KL from the donor that is gone: 1 as the donor, 0 as the base; ratio of means.
    closed: Interval | None  # None: the two predict the same
    effect: Interval  # the change of the metric, stitched less base


@dataclass(frozen=True, eq=False, kw_only=True)
class OnTask(Stored):
    """Two models on the clean prompts of one task."""

    kind: ClassVar[str] = "two_on_task"
    pairs: Pairs
    metric: str
    values: Interval  # [model], the metric
    change: Interval  # [], the other's less the first's, paired
    first_choice: Interval  # [model], share of prompts after which the answer's first token is the likeliest
    lens: Interval  # [model, layer], log-probability of the answer read by the logit lens, nats
    kl: Interval  # [model], KL(donor || base) with this model as the base, nats
    stitched: tuple[Stitched, ...]

    def stitch(self, site: str, *, into: int = 0, carries: str = "weights") -> Stitched:
        """One kind of stitch; `KeyError` where it was not made."""
        for one in self.stitched:
            if (one.site, one.into, one.carries) == (site, into, carries):
                return one
        raise KeyError((site, into, carries))

    def parts(self, into: int = 0) -> dict[str, tuple[float, float, float]]:
        """The share of the difference that each part's weights close alone, with its ends, by the part's
        name (`interp.methods.common.names`; ``embed`` and ``unembed``). Empty where the two predict the
        same. Heads are not told: what an attention layer closes is its heads' and their output's."""
        own = {(one.carries, one.site): one.closed for one in self.stitched if one.into == into}
        if any(closed is None for closed in own.values()):
            return {}
        cells = {"embed": (own.get(("activation", "resid_pre")), 0)}
        for layer in range(self.lens.shape[1] - 1):
            cells[f"a{layer}"] = own.get(("weights", "attn_out")), layer
            cells[f"m{layer}"] = own.get(("weights", "mlp_out")), layer
        cells["unembed"] = own.get(("weights", "unembed")), 0
        found = {}
        for name, (closed, layer) in cells.items():
            if closed is not None:
                value, low, high = (float(of[layer, 0]) for of in (closed.value, closed.low, closed.high))
                found[name] = value, low, high
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareModelsResult(Result):
    """Two models of one architecture on a text and on tasks; see `interp.compare_models`. `provenance` is the
    first model's."""

    kind: ClassVar[str] = "compare_models"
    names: tuple[str, str]
    other: Provenance
    weight_bytes: tuple[int, int]
    layers: tuple[str, ...]  # of the streams: "embed", "0", ...
    text: OnText | None
    tasks: tuple[OnTask, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class OverCheckpointsResult(Result):
    """Numbers of one method or several over the checkpoints of a training. `provenance` is that of the model
    that the checkpoints were held to, or of the last one."""

    kind: ClassVar[str] = "over_checkpoints"
    MAY_BE_NAN: ClassVar[frozenset[str]] = frozenset({"low", "high"})
    checkpoints: tuple[str, ...]
    steps: Float[np.ndarray, " checkpoint"]  # of training; their order where no steps are known
    in_steps: bool
    measures: tuple[str, ...]  # "panel: line", or the name of both
    made_by: tuple[str, ...]  # of each measure: what was run, and which number of its result
    values: Float[np.ndarray, "checkpoint measure"]
    low: Float[np.ndarray, "checkpoint measure"]  # 95 % interval; NaN: there is none
    high: Float[np.ndarray, "checkpoint measure"]
    final: str = ""  # the model beside them, whose numbers are levels; empty: none
    final_values: Float[np.ndarray, " measure_or_none"]

    def of(self, measure: str) -> Float[np.ndarray, " checkpoint"]:
        """One measure over the checkpoints; `KeyError` where it is not there."""
        if measure not in self.measures:
            raise KeyError(measure)
        return self.values[:, self.measures.index(measure)]
