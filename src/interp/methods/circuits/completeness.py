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

import numpy as np

from interp.errors import InputError
from interp.methods.circuits.faithfulness import check_full_and_empty, with_kept
from interp.methods.circuits.results import CompletenessResult
from interp.methods.circuits.runs import Ablation, circuit_values
from interp.methods.common.circuit import Circuit, node_name
from interp.metrics import MetricKind
from interp.models.base import Exact, Model
from interp.provenance import Provenance
from interp.tasks.base import PairDataset, pairs_in_words

MOST_MEMBERS = 100  # of a circuit that is taken apart without being asked twice


def completeness(
    model: Model,
    dataset: PairDataset,
    circuit: Circuit,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    n_random: int = 5,
    n_greedy: int = 3,
    most_members: int = MOST_MEMBERS,
    ablation: Ablation = "resample",
    metric: MetricKind = "logit_diff",
    keep_mlps: bool = False,
    batch_size: int = 64,
    exact: Exact = "auto",
    seed: int = 0,
) -> CompletenessResult:
    """Measure completeness and minimality of a circuit.

    Args:
        groups: parts of the circuit by name.
        n_random: random halves of the circuit.
        n_greedy: steps of the greedy search.
        most_members: refuse larger circuits. The number of runs grows with the members times the parts.
        ablation, metric, keep_mlps, batch_size, exact: see `interp.faithfulness`.
        seed: of the random halves.

    Raises:
        InputError: besides the reasons of `interp.faithfulness`, an empty circuit or one of too many members,
        and
            a group that is no part of it.
        DegeneratePairError: full and empty circuit hardly differ.
    """
    for name, count in (("n_random", n_random), ("n_greedy", n_greedy)):
        if count < 0:
            raise InputError(f"{name} must be 0 or more; got {count}.")
    circuit, _, kept = with_kept(circuit, keep_mlps)
    members = tuple(name for name in circuit.names if name not in set(kept))
    if not 0 < len(members) <= most_members:
        raise InputError(
            f"The circuit has {len(members)} members, and one of 1 to most_members={most_members} can be "
            "taken apart; choose a smaller circuit, or raise most_members."
        )

    def values(circuits: Sequence[Circuit]) -> np.ndarray:
        return circuit_values(
            model, dataset, circuits, ablation=ablation, metric=metric, batch_size=batch_size, exact=exact
        )

    parts = _parts(members, groups or {}, n_random, seed)
    left = [circuit.without(part) for part in parts.values()]  # C without each K
    without_v = [one.without([v]) for v in members for one in left]
    baselines = [circuit.full, circuit.empty.union(kept)]
    found = values([*baselines, *left, *(circuit.full.without(p) for p in parts.values()), *without_v])
    check_full_and_empty(found[0], found[1], metric, ablation)
    means = found.mean(-1)
    n = len(parts)
    in_circuit, in_model = means[2 : 2 + n], means[2 + n : 2 + 2 * n]
    scores = np.abs(
        means[2 + 2 * n :].reshape(len(members), n) - in_circuit
    )  # [member, K]; 0 where v is in K
    found_greedily = _greedy(circuit, members, n_greedy, lambda circuits: values(circuits).mean(-1))
    names = list(parts)
    return CompletenessResult(
        provenance=Provenance.of(model, seed=seed),
        pairs=pairs_in_words(model, dataset),
        level=circuit.level,
        metric=metric,
        ablation=ablation,
        circuit=members,
        kept=kept,
        full_value=float(means[0]),
        empty_value=float(means[1]),
        parts=(*names, *(f"greedy {i + 1}" for i in range(len(found_greedily)))),
        part_members=(*parts.values(), *(part for part, _, _ in found_greedily)),
        circuit_without=np.append(in_circuit, [value for _, value, _ in found_greedily]),
        model_without=np.append(in_model, [value for _, _, value in found_greedily]),
        minimality=scores.max(1),
        minimality_part=tuple(names[i] for i in scores.argmax(1)),
        minimality_alone=scores[:, 0],
    )


def _parts(
    members: tuple[str, ...], groups: Mapping[str, Sequence[str]], n_random: int, seed: int
) -> dict[str, tuple[str, ...]]:
    """The parts K by name, the first of them nothing."""
    parts: dict[str, tuple[str, ...]] = {"nothing": ()}
    for name, group in groups.items():
        part = tuple(map(node_name, group))
        if outside := [one for one in part if one not in members]:
            raise InputError(
                f"The group {name!r} has {outside[0]!r}, which is not in the circuit; leave it out."
            )
        parts[name] = part
    rng = random.Random(f"parts of a circuit {seed}")
    for i in range(n_random):
        drawn = set(rng.sample(members, len(members) // 2))
        parts[f"random {i}"] = tuple(name for name in members if name in drawn)
    return parts


def _greedy(
    circuit: Circuit,
    members: tuple[str, ...],
    n_steps: int,
    means: Callable[[Sequence[Circuit]], np.ndarray],
) -> list[tuple[tuple[str, ...], float, float]]:
    """The part K after each step, m(C without K) and m(M without K)."""
    part: tuple[str, ...] = ()
    steps = []
    for _ in range(min(n_steps, len(members))):
        tried = [(*part, name) for name in members if name not in part]
        left = [circuit.without(one) for one in tried] + [circuit.full.without(one) for one in tried]
        in_circuit, in_model = means(left).reshape(2, len(tried))
        worst = int(np.abs(in_circuit - in_model).argmax())
        part = tried[worst]
        steps.append((part, float(in_circuit[worst]), float(in_model[worst])))
    return steps
