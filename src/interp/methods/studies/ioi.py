"""Indirect objects from end to end: which heads name the one who was not said twice, and how.

Wang et al. 2022, "Interpretability in the Wild" (https://arxiv.org/abs/2211.00593), step by step, on any
model; what is found is the model's own, and nothing is carried over from GPT-2:

1. Baseline: logit(IO) - logit(S) over the templates, and on one prompt with the roles of its names swapped.
2. Every head by patching from prompts with three other names (p_ABC): its total effect, and its direct
   effect on the logits (path patching, in which heads are frozen and MLPs recomputed, as in the paper);
   beside these its direct logit attribution, in which MLPs have their own part.
3. Name movers: heads whose direct effect lowers the difference when it is taken away, that look from END to
   IO, and that copy the name they look at. Negative name movers: the same with the sign turned round.
   Others that act on the logits directly, but fail one of these tests, are kept apart.
4. S-inhibition heads: those that act on the queries at END of the heads that raise the difference, and look
   from END to S2.
5. Induction and duplicate-token heads: those that act on what S-inhibition heads read at S2, and look from S2
   to S1+1, or to S1. Previous-token heads: those that act on the induction heads' keys at S1+1, and look from
   S1+1 to S1.
6. Knock-outs of every class, by the mean over prompts of the same template; and the faithfulness of the
   paper's classes together, beside random heads, with MLPs left as they are. Heads that have a total effect
   and are in no class are listed, and a circuit with them, too, stands beside that of the classes.

A head "acts" where it changes the difference by `least` of the clean one, and "looks" there with `attends` of
its attention or more. When it misleads: thresholds make classes out of what comes in degrees, so the maps
stand beside them. A model may do the task in another way than GPT-2 does, and a class may stay empty; that is
seen in the faithfulness. Backup heads, which act only when others are gone, are not
looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.methods.ablation.ablation import ablation
from interp.methods.attribution.direct_logit_attribution import direct_logit_attribution
from interp.methods.circuits.faithfulness import faithfulness
from interp.methods.common.circuit import Circuit
from interp.methods.common.heads import Head, head_name
from interp.methods.heads.attention import attention_by_role
from interp.methods.heads.copying_scores import copying_scores
from interp.methods.patching.path_patching import path_patching
from interp.methods.patching.results import PathPatchingResult
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Estimate, Result
from interp.tasks.base import PairDataset
from interp.tasks.indirect_objects import indirect_objects, role_swaps
from interp.tasks.inspection import inspect_dataset

CLASSES: tuple[str, ...] = (
    "name mover",
    "negative name mover",
    "other direct",
    "S-inhibition",
    "induction",
    "duplicate token",
    "previous token",
    "other total",
)
LOOKS: tuple[tuple[str, str], ...] = (
    ("END", "IO"),
    ("END", "S1"),
    ("END", "S2"),
    ("S2", "S1"),
    ("S2", "S1+1"),
    ("S1+1", "S1"),
)
COPIES = 0.5  # a copying score from which on a head copies

#: What Wang et al. report of GPT-2 small.
PUBLISHED_HEADS: dict[str, tuple[str, ...]] = {
    "name mover": ("9.6", "9.9", "10.0"),
    "negative name mover": ("10.7", "11.10"),
    "S-inhibition": ("7.3", "7.9", "8.6", "8.10"),
    "induction": ("5.5", "5.8", "5.9", "6.9"),
    "duplicate token": ("0.1", "0.10", "3.0"),
    "previous token": ("2.2", "4.11"),
}
PUBLISHED: dict[str, float] = {
    "logit_diff": 3.56,
    "accuracy": 0.993,
    "prob": 0.49,
    "faithfulness": 0.87,
    "gap": 0.46,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class IOIResult(Result):
    """Every step's numbers. Maps are [layer, head]; effects are in logits, patched minus clean."""

    kind: ClassVar[str] = "ioi"
    prompts: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]  # of the words and prompts: what, and why
    clean_values: Float[np.ndarray, " prompt"]  # logit(IO) - logit(S)
    corrupted_values: Float[np.ndarray, " prompt"]  # of the same tokens, in p_ABC
    clean_probs: Float[np.ndarray, " prompt"]  # of IO
    swap_prompts: tuple[str, ...]
    swap_answers: tuple[str, ...]
    swap_values: Float[np.ndarray, " swap"]
    maps: tuple[str, ...]
    values: Float[np.ndarray, "map layer head"]
    low: Float[np.ndarray, "map layer head"]  # 95 % bootstrap intervals over prompts
    high: Float[np.ndarray, "map layer head"]
    least: float
    attends: float
    classes: tuple[tuple[str, tuple[str, ...]], ...]  # name, heads
    knocked_out: tuple[str, ...]  # classes, then all together
    after: Float[np.ndarray, " set"]  # the metric without them
    change_low: Float[np.ndarray, " set"]  # the interval of after - before
    change_high: Float[np.ndarray, " set"]
    circuits: tuple[tuple[str, ...], ...]  # heads: of the paper's classes, where there are any; all that act
    faithful: Float[np.ndarray, " circuit"]  # the share of the difference that the circuit alone keeps
    faithful_low: Float[np.ndarray, " circuit"]
    faithful_high: Float[np.ndarray, " circuit"]
    gap: Float[np.ndarray, " circuit"]  # |E[m(whole model) - m(circuit)]|, in logits
    random: Float[np.ndarray, "circuit seed"]  # the share that as many heads drawn at random keep
    path: str  # how patched runs were computed

    def map(self, name: str) -> Float[np.ndarray, "layer head"]:
        """One of the maps, by name."""
        if name not in self.maps:
            raise InputError(f"The result holds no map {name!r}; it has {', '.join(self.maps)}.")
        return self.values[self.maps.index(name)]

    def heads(self, name: str) -> tuple[str, ...]:
        """The heads of a class, such as ``("9.6", "9.9")``."""
        return dict(self.classes)[name]


class _Maps:
    """What is known of each head, growing step by step: name -> (mean, low, high), each [layer, head]."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.found[name][0]

    def add(self, name: str, mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self.found[name] = mean, low, high

    def add_paths(self, name: str, result: PathPatchingResult, effect: Estimate) -> None:
        """The direct or the total effect of every head."""
        self.add(name, *(result.by_head(part) for part in (effect.mean, effect.low, effect.high)))


def ioi(
    model: Model,
    dataset: PairDataset | None = None,
    *,
    n: int = 60,
    templates: str | Sequence[str] = "paper",
    names: tuple[str, str] = ("John", "Mary"),
    least: float = 0.02,
    attends: float = 0.2,
    n_random: int = 5,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> IOIResult:
    """Run all steps on `n` prompts, or on a dataset of one's own.

    Args:
        dataset: pairs of clean and p_ABC prompts with the roles IO, S1, S1+1, S2 and END, each template with
            several prompts; the roles of names are then not swapped. None: `n` prompts are made.
        templates: see `interp.tasks.indirect_objects.indirect_objects`; each needs several prompts, over
            which its means are taken.
        names: of the prompt whose roles are swapped.
        least: the share of the clean difference that a head must change to act on something.
        attends: the share of its attention that a head must pay to look somewhere.
        n_random: circuits of as many random heads, beside which the found one is measured.
        exact, batch_size: see `interp.Model.sweep`.
        seed: of the prompts, the random circuits and the bootstraps.

    Raises:
        InputError: words that are not single tokens, too few prompts for their templates, or a model of which
            no head acts on the logits.
        SiteError: the backend does not reach q, k, v or the pattern.
        DegeneratePairError: the model hardly tells the clean prompts from the others.
    """
    if not 0 < least < 1 or not 0 < attends < 1:
        raise InputError(f"least and attends are shares between 0 and 1; got {least} and {attends}.")
    swaps = None
    if dataset is None:
        dataset = indirect_objects(model, n=n, corruption="abc", templates=templates, seed=seed)
        swaps = inspect_dataset(model, role_swaps(model, names=[names]))
    few = [template for template, own in dataset.by_template().items() if len(own) < 2]
    if few:
        raise InputError(
            f"{len(few)} templates (in one order or the other) have one prompt alone, so there is no mean "
            f"over them; take n={2 * len(dataset.by_template())} or more, or fewer templates."
        )
    for site in ("q", "k", "v", "pattern"):
        model.check_site(site)
    baseline = inspect_dataset(model, dataset)
    maps = _Maps()
    options: dict[str, Any] = {"exact": exact, "batch_size": batch_size, "seed": seed}

    report("steps", 0, 6)
    to_logits = _paths(model, dataset, ["logits"], None, options)
    maps.add_paths("total", to_logits, to_logits.total)
    maps.add_paths("direct", to_logits, to_logits.direct)
    _attribution(model, dataset, maps, seed)
    report("steps", 1, 6)
    _looks_and_copies(model, dataset, maps, seed)
    report("steps", 2, 6)

    size = least * float(baseline.clean_logit_diff.mean())
    classes = _classes(model, dataset, maps, size, attends, options)
    report("steps", 4, 6)
    sets = {name: heads for name, heads in classes.items() if heads}
    if not sets:
        raise InputError("No head acts; look at the maps of a activation_patching, or lower `least`.")
    every = [head for heads in sets.values() for head in heads]
    if len(sets) > 1:
        sets["all of them"] = every
    lost = ablation(
        model,
        dataset,
        [[_node(head) for head in heads] for heads in sets.values()],
        kinds="mean_by_template",
        **options,
    )
    report("steps", 5, 6)
    of_paper = [head for name in PUBLISHED_HEADS for head in classes[name]]
    circuits = [heads for heads in (of_paper, every) if heads]
    alone = [
        faithfulness(
            model,
            dataset,
            Circuit.of(model, heads),
            ablation="mean_by_template",
            compare=(),
            keep_mlps=True,
            n_random=n_random,
            **options,
        )
        for heads in circuits
    ]
    report("steps", 6, 6)
    circuit = alone[0].runs.index("circuit")
    stacked = [np.stack(ends) for ends in zip(*maps.found.values(), strict=True)]
    return IOIResult(
        provenance=Provenance.of(model, seed=seed),
        prompts=baseline.clean,
        dropped=baseline.dropped,
        clean_values=baseline.clean_logit_diff,
        corrupted_values=baseline.corrupted_logit_diff,
        clean_probs=baseline.clean_prob,
        swap_prompts=() if swaps is None else swaps.clean,
        swap_answers=() if swaps is None else swaps.answers,
        swap_values=np.zeros(0) if swaps is None else swaps.clean_logit_diff,
        maps=tuple(maps.found),
        values=stacked[0],
        low=stacked[1],
        high=stacked[2],
        least=least,
        attends=attends,
        classes=tuple((name, tuple(map(head_name, heads))) for name, heads in classes.items()),
        knocked_out=tuple(sets),
        after=lost.after[0],
        change_low=lost.change.low[0],
        change_high=lost.change.high[0],
        circuits=tuple(tuple(map(head_name, heads)) for heads in circuits),
        faithful=np.array([one.faithfulness.value[0, circuit] for one in alone]),
        faithful_low=np.array([one.faithfulness.low[0, circuit] for one in alone]),
        faithful_high=np.array([one.faithfulness.high[0, circuit] for one in alone]),
        gap=np.array([one.gap.value[0, circuit] for one in alone]),
        random=np.stack([one.random_faithfulness[0] for one in alone]),
        path=to_logits.path,
    )


def _attribution(model: Model, dataset: PairDataset, maps: _Maps, seed: int) -> None:
    found = direct_logit_attribution(
        model, dataset.clean, dataset.answers, dataset.foils, views=["head"], seed=seed
    )
    assert found.by_head is not None  # it was asked for by name
    maps.add("attribution", found.by_head.mean, found.by_head.low, found.by_head.high)


def _looks_and_copies(model: Model, dataset: PairDataset, maps: _Maps, seed: int) -> None:
    looks = attention_by_role(model, dataset, between=LOOKS, seed=seed)
    for i, (query, key) in enumerate(LOOKS):
        maps.add(f"{query} to {key}", looks.attention[i], looks.low[i], looks.high[i])
    copies = copying_scores(model, dataset, seed=seed)
    maps.add("copying", copies.copying, copies.copying_low, copies.copying_high)
    maps.add("negative copying", copies.negative, copies.negative_low, copies.negative_high)


def _classes(
    model: Model, dataset: PairDataset, maps: _Maps, size: float, attends: float, options: dict[str, Any]
) -> dict[str, list[Head]]:
    """The heads of each class, the strongest first; from the logits backwards."""
    found: dict[str, list[Head]] = {name: [] for name in CLASSES}
    taken: set[Head] = set()

    def choose(name: str, effect: np.ndarray, *tests: np.ndarray) -> None:
        passed = np.logical_and.reduce((np.abs(effect) >= size, *tests))
        heads = [(int(layer), int(head)) for layer, head in np.argwhere(passed)]
        found[name] = sorted((h for h in heads if h not in taken), key=lambda h: -abs(effect[h]))
        taken.update(found[name])

    def acting_on(name: str, receivers: list[str], role: str) -> np.ndarray:
        """How much each head lowers the difference through receivers at a role; a map of that name."""
        paths = _paths(model, dataset, receivers, role, options)
        maps.add_paths(name, paths, paths.direct)
        return maps[name]

    direct, to_io = maps["direct"], maps["END to IO"]
    choose("name mover", direct, direct < 0, to_io >= attends, maps["copying"] >= COPIES)
    choose("negative name mover", direct, direct > 0, to_io >= attends, maps["negative copying"] >= COPIES)
    choose("other direct", direct)
    if movers := found["name mover"] + [h for h in found["other direct"] if direct[h] < 0]:
        on_queries = acting_on("on movers' queries", [f"{_node(h)}<q>" for h in movers], "END")
        choose("S-inhibition", on_queries, on_queries < 0, maps["END to S2"] >= attends)
    if inhibitors := found["S-inhibition"]:
        on_values = acting_on("on S-inhibition values", _of_kv_heads(model, inhibitors, "v"), "S2")
        choose("induction", on_values, on_values < 0, maps["S2 to S1+1"] >= attends)
        choose("duplicate token", on_values, on_values < 0, maps["S2 to S1"] >= attends)
    if inducers := found["induction"]:
        on_keys = acting_on("on induction keys", _of_kv_heads(model, inducers, "k"), "S1+1")
        choose("previous token", on_keys, on_keys < 0, maps["S1+1 to S1"] >= attends)
    choose("other total", maps["total"])
    return found


def _paths(
    model: Model, dataset: PairDataset, receivers: list[str], role: str | None, options: dict[str, Any]
) -> PathPatchingResult:
    """Every head's effect through these receivers; as in the paper, MLPs between are recomputed."""
    return path_patching(model, dataset, receivers=receivers, role=role, mlps="recomputed", **options)


def _node(head: Head) -> str:
    return f"a{head[0]}.h{head[1]}"


def _of_kv_heads(model: Model, heads: list[Head], site: str) -> list[str]:
    """What these heads read as keys or values; several may share one."""
    group = model.arch.n_heads // model.arch.n_kv_heads
    return list(dict.fromkeys(f"{_node((layer, head // group))}<{site}>" for layer, head in heads))
