"""The results of probing, without what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from interp.results import Dropped, Interval, Result, Stored


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledData(Stored):
    """What was told apart, in numbers."""

    kind: ClassVar[str] = "labelled_data"
    name: str
    labels: tuple[str, str]  # of no and of yes
    prompts: tuple[int, int]  # how many of each
    groups: tuple[int, int]  # groups that have prompts of each
    grouped_by: str
    example: tuple[str, str]  # a prompt of each
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Selectivity(Stored):
    """How much of an accuracy could be memory (Hewitt & Liang 2019): here every group is in training, too,
    and other prompts of it are tested."""

    kind: ClassVar[str] = "selectivity"
    accuracy: Float[np.ndarray, "role layer"]  # balanced, of the labels as they are
    control: Float[np.ndarray, "role layer"]  # of labels that were drawn for each group, mean of the draws

    @property
    def value(self) -> Float[np.ndarray, "role layer"]:
        return self.accuracy - self.control


@dataclass(frozen=True, eq=False, kw_only=True)
class ProbingResult(Result):
    """How well a linear probe tells two labels apart on groups that it was not fitted to, and what else does.

    Accuracies are balanced. `accuracy` to `untrained` are on the same folds.
    """

    kind: ClassVar[str] = "probing"
    data: LabelledData
    site: str
    roles: tuple[str, ...]
    layers: tuple[str, ...]  # "embed" is the stream before the first
    folds: int
    accuracy: Interval  # [role, layer]
    auroc: Interval  # [role, layer]
    strength: Float[np.ndarray, "role layer fold"]  # the inverse strength of regularisation that was chosen
    shuffled: Float[np.ndarray, "role layer draw"]  # balanced accuracy with the groups' labels dealt anew
    surface: Interval  # [role], balanced accuracy of length, place and tokens
    surface_auroc: Interval  # [role]
    untrained: Interval | None  # [role, layer], balanced accuracy in a model before training; None: not asked
    untrained_auroc: Interval | None
    selectivity: Selectivity | None  # None: groups of a single prompt, or not asked

    def first_layer(self, role: int) -> int | None:
        """The first layer from which on every interval of the accuracy lies above chance and above what the
        surface gives; None where the last one's does not."""
        bar = max(0.5, float(self.surface.value[role]))
        above = self.accuracy.low[role] > bar
        if not above[-1]:
            return None
        below = np.flatnonzero(~above)
        return int(below[-1]) + 1 if len(below) else 0


# ---- directions ----


@dataclass(frozen=True, eq=False, kw_only=True)
class EditedBy(Stored):
    """What one direction does to the metric of each prompt, and what it costs on neutral text."""

    kind: ClassVar[str] = "edited_by"
    way: str  # direction | random | shuffled | other
    added: Float[np.ndarray, "strength prompt"]
    projected: Float[np.ndarray, " prompt"]
    clamped: Float[np.ndarray, "label prompt"]  # held at the mean of no, and of yes; of a random one, at 0
    cost: Interval | None  # [strength + 1], KL in nats a token; the last is of taking it out. None: no text
    rise: Interval | None = None  # [strength + 1], of the log-loss on text, nats a token; None: not measured


@dataclass(frozen=True, eq=False, kw_only=True)
class DirectionEffectsResult(Result):
    """What a direction does on groups that it was not found in: added, taken out, held; beside controls."""

    kind: ClassVar[str] = "direction_effects"
    data: LabelledData  # that it was measured on
    found_in: LabelledData
    direction: str  # in words
    other: str | None  # the data of the control of another question
    site: str  # the hook name
    role: str
    positions: str  # all | role
    metric: str
    answer: str
    foil: str | None
    strengths: tuple[float, ...]  # in units of `scale`
    scale: float  # the typical norm of the activations there
    ends: tuple[float, float]  # the mean coordinate of no and of yes along the direction
    labels_of_prompts: Bool[np.ndarray, " prompt"]
    before: Float[np.ndarray, " prompt"]  # the metric of the prompts as they are
    ways: tuple[EditedBy, ...]  # the direction itself first
    text_tokens: int  # on which the cost was measured
    text_loss: float | None = None  # the log-loss there as it is, nats a token; None: not measured

    @property
    def own(self) -> EditedBy:
        return self.ways[0]

    def of(self, way: str) -> list[EditedBy]:
        """The directions of one kind."""
        return [one for one in self.ways if one.way == way]


# ---- subspaces ----


@dataclass(frozen=True, eq=False, kw_only=True)
class VariableData(Stored):
    """The prompts of a variable, in numbers: those that were searched in, and those that were tested."""

    kind: ClassVar[str] = "variable_data"
    name: str
    variable: str  # answer | order
    role: str
    prompts: tuple[int, int]
    entities: tuple[int, int]
    exchanges: tuple[int, int]
    answers: tuple[int, int]  # tokens among which the likeliest is taken
    example: tuple[str, str, str, str]  # a base, a source, what the base says, and what is wanted of it
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class ExchangedWithin(Stored):
    """What exchanges within one kind of subspace do, by layer and number of dimensions."""

    kind: ClassVar[str] = "exchanged_within"
    way: str  # search | shuffled | untrained | random | components
    right: Interval  # [layer, dims], the interchange accuracy on entities that it was not searched with
    fitted: (
        Float[np.ndarray, "layer dims"] | None
    )  # that of the exchanges it was searched with; None: it was not
    own_labels: (
        Float[np.ndarray, "layer dims"] | None
    )  # of shuffled ones, tested on such labels; None: others


@dataclass(frozen=True, eq=False, kw_only=True)
class AlignmentSearchResult(Result):
    """Where exchanges within a subspace carry a variable over, and what else does as well."""

    kind: ClassVar[str] = "alignment_search"
    data: VariableData
    site: str
    layers: tuple[str, ...]  # "embed" is the stream before the first
    dims: tuple[int, ...]
    width: int
    steps: int
    batch_size: int
    learning_rate: float
    untouched: Interval  # how often the wanted token is said if nothing is exchanged
    whole: Interval  # [layer], if all that is there is exchanged
    ways: tuple[ExchangedWithin, ...]  # the search itself first
    bases: tuple[Float[np.ndarray, "layer width k"], ...]  # of the search, orthonormal, for each of `dims`

    @property
    def own(self) -> ExchangedWithin:
        return self.ways[0]

    @property
    def placebos(self) -> tuple[ExchangedWithin, ...]:
        return self.ways[1:]

    @property
    def exceeds(self) -> Bool[np.ndarray, "layer dims"]:
        """Where the interval of the search lies above those of every placebo, and above doing nothing."""
        highs = [
            np.full(self.own.right.low.shape, self.untouched.high),
            *(p.right.high for p in self.placebos),
        ]
        return self.own.right.low > np.max(highs, 0)

    @property
    def best(self) -> tuple[int, int]:
        """The layer and size at which the search is furthest ahead of the best placebo."""
        others = [
            np.full(self.own.right.value.shape, self.untouched.value),
            *(p.right.value for p in self.placebos),
        ]
        ahead = self.own.right.value - np.max(others, 0)
        layer, size = np.unravel_index(int(np.argmax(ahead)), ahead.shape)
        return int(layer), int(size)

    @property
    def highest(self) -> tuple[int, int]:
        """The layer and size at which the search most often does what is wanted."""
        layer, size = np.unravel_index(int(np.argmax(self.own.right.value)), self.own.right.value.shape)
        return int(layer), int(size)
