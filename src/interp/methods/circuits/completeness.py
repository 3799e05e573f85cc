"""Does a circuit have all that it needs, and nothing else? Completeness and minimality.

Wang et al. 2022, https://arxiv.org/abs/2211.00593, section 4. m is the metric's mean over pairs with all but
some nodes or edges ablated; C is the circuit, M the whole model.

- *Completeness*: for every part K of C, ``|m(C without K) - m(M without K)|`` should be small: the circuit
  then breaks where the model breaks. Where it is large, the model has something to fall back on that the
  circuit lacks.
- *Minimality*: for every member v of C there should be a part K for which
  ``|m(C without K and v) - m(C without K)|`` is large. Where there is none, v may be left out.

There are too many parts to try them all. Tried as K are: nothing; named groups, such as name movers; random
halves; and, for completeness, the one that a greedy search finds, which adds, step by step, the member by
which the difference grows most.

When it misleads: more tries can only make the worst incompleteness and the best minimality larger, so compare
circuits by the same tries. Both depend on the ablation, as faithfulness does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.circuits.measures import MeasuredCircuit, check_full_and_empty
from interp.methods.circuits.results import Ablation, CompletenessResult
from interp.methods.circuits.runs import circuit_values
from interp.methods.common.circuit import Circuit, member_names
from interp.methods.common.first_choice import pairs_with_choices
from interp.methods.common.names import Head
from interp.methods.common.outliers import outliers_under
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, check_count

MOST_MEMBERS = 100  # of a circuit that is taken apart without being asked twice


def completeness(
    model: Model,
    dataset: PairDataset,
    circuit: Circuit,
    *,
    groups: Mapping[str, Sequence[str | Head]] | None = None,
    n_random: int = 5,
    n_greedy: int = 3,
    most_members: int = MOST_MEMBERS,
    ablation: Ablation = "resample",
    metric: MetricKind = "logit_diff",
    keep_mlps: bool = False,
    batch_size: int = 64,
    exact: Exact = "auto",
    include_outliers: bool = False,
    seed: int = 0,
) -> CompletenessResult:
    """Measure completeness and minimality of a circuit.

    Args:
        groups: parts of the circuit by name.
        n_random: random halves of the circuit.
        n_greedy: steps of the greedy search.
        most_members: refuse larger circuits. The number of runs grows with the members times the parts.
        ablation, metric, keep_mlps, batch_size, exact: see `interp.faithfulness`.
        include_outliers: put zeros and means also at positions of outlying norm; see `interp.ablation`.
        seed: of the random halves.

    Raises:
        InputError: besides the reasons of `interp.faithfulness`, an empty circuit or one of too many members,
            and a group that is no part of it.
        DegeneratePairError: full and empty circuit hardly differ.
    """
    check_count(n_random, of="n_random", least=0)
    check_count(n_greedy, of="n_greedy", least=0)
    measured = MeasuredCircuit.of(circuit, keep_mlps=keep_mlps)
    members = measured.members
    if not 0 < len(members) <= most_members:
        raise InputError(
            f"The circuit has {len(members)} members, and one of 1 to most_members={most_members} can be "
            "taken apart; choose a smaller circuit, or raise most_members."
        )

    outliers = outliers_under(model, dataset.clean, [ablation], include=include_outliers)

    def values(circuits: Sequence[Circuit]) -> Float[np.ndarray, "circuit pair"]:
        return circuit_values(
            model,
            dataset,
            circuits,
            ablation=ablation,
            metric=metric,
            batch_size=batch_size,
            exact=exact,
            outliers=outliers,
        )

    parts = _parts(measured, groups or {}, n_random, seed)
    found = values(_taken_apart(measured, list(parts.values())))
    check_full_and_empty(model, dataset, found[0], found[1], metric, ablation)
    means = _Means.of(found.mean(-1), n_parts=len(parts), n_members=len(members))
    greedy = _greedy(measured, n_greedy, lambda circuits: values(circuits).mean(-1))
    scores = np.abs(means.without_member - means.circuit_without)  # [member, part]; 0 where v is in K
    names = list(parts)
    return CompletenessResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_with_choices(model, dataset),
        outliers=outliers,
        level=circuit.level,
        metric=metric,
        ablation=ablation,
        circuit=members,
        kept=measured.kept,
        full_value=means.full,
        empty_value=means.empty,
        full_values=found[0],
        parts=(*names, *(f"greedy {i + 1}" for i in range(len(greedy)))),
        part_members=(*parts.values(), *(step.part for step in greedy)),
        circuit_without=np.append(means.circuit_without, [step.circuit_without for step in greedy]),
        model_without=np.append(means.model_without, [step.model_without for step in greedy]),
        minimality=scores.max(1),
        minimality_part=tuple(names[i] for i in scores.argmax(1)),
        minimality_alone=scores[:, 0],
    )


# ---- the parts K ----


def named_parts(
    measured: MeasuredCircuit, groups: Mapping[str, Sequence[str | Head]]
) -> dict[str, tuple[str, ...]]:
    """The members of each group. `InputError` for one that is not in the circuit."""
    parts = {}
    for name, group in groups.items():
        part = tuple(one for member in group for one in member_names(measured.circuit.graph, member))
        if outside := [one for one in part if one not in measured.members]:
            raise InputError(
                f"The group {name!r} has {outside[0]!r}, which is not in the circuit; leave it out."
            )
        parts[name] = part
    return parts


def _parts(
    measured: MeasuredCircuit, groups: Mapping[str, Sequence[str | Head]], n_random: int, seed: int
) -> dict[str, tuple[str, ...]]:
    """The parts K by name, the first of them nothing."""
    members = measured.members
    parts = {"nothing": (), **named_parts(measured, groups)}
    rng = random.Random(f"parts of a circuit {seed}")
    for i in range(n_random):
        half = set(rng.sample(members, len(members) // 2))
        parts[f"random {i}"] = tuple(name for name in members if name in half)
    return parts


def _taken_apart(measured: MeasuredCircuit, parts: Sequence[tuple[str, ...]]) -> list[Circuit]:
    """All circuits that are run: M, the empty one, C without each K, M without each K, and for each member v,
    C without each K and v."""
    circuits_left = [measured.circuit.without(part) for part in parts]
    return [
        measured.full,
        measured.empty,
        *circuits_left,
        *(measured.full.without(part) for part in parts),
        *(left.without([member]) for member in measured.members for left in circuits_left),
    ]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Means:
    """The metric of what `_taken_apart` made, means over pairs."""

    full: float
    empty: float
    circuit_without: Float[np.ndarray, " part"]
    model_without: Float[np.ndarray, " part"]
    without_member: Float[np.ndarray, "member part"]  # m(C without K and v)

    @classmethod
    def of(cls, means: Float[np.ndarray, " circuit"], *, n_parts: int, n_members: int) -> _Means:
        """Of the means in the order of `_taken_apart`."""
        circuit_without, model_without, rest = np.split(means[2:], [n_parts, 2 * n_parts])
        return cls(
            full=float(means[0]),
            empty=float(means[1]),
            circuit_without=circuit_without,
            model_without=model_without,
            without_member=rest.reshape(n_members, n_parts),
        )


# ---- the greedy search ----


@dataclass(frozen=True, kw_only=True)
class _GreedyStep:
    """The part K after a step of the greedy search, m(C without K) and m(M without K)."""

    part: tuple[str, ...]
    circuit_without: float
    model_without: float


def _greedy(
    measured: MeasuredCircuit,
    n_steps: int,
    means: Callable[[Sequence[Circuit]], Float[np.ndarray, " circuit"]],
) -> list[_GreedyStep]:
    """The part K that grows, step by step, by the member with which the difference is largest."""
    part: tuple[str, ...] = ()
    steps = []
    for _ in range(min(n_steps, len(measured.members))):
        tried = [(*part, name) for name in measured.members if name not in part]
        wholes = (measured.circuit, measured.full)
        in_circuit, in_model = means([whole.without(one) for whole in wholes for one in tried]).reshape(2, -1)
        worst = int(np.abs(in_circuit - in_model).argmax())
        part = tried[worst]
        steps.append(
            _GreedyStep(
                part=part,
                circuit_without=float(in_circuit[worst]),
                model_without=float(in_model[worst]),
            )
        )
    return steps
