"""Ablation: what does the model lose without a head, an MLP, a neuron, a layer, a position, or a set of them?

In each prompt of a dataset, components (see `interp.methods.common.components`) are replaced, and a metric is
measured before and after. By what they are replaced matters, and conclusions change with it, so that several
kinds are shown side by side:

- ``zero``: zeros. Simple, and far from anything that the model has seen: it also removes what the component
  always writes, as a bias does.
- ``mean``: its mean over all positions of the reference prompts. Removes what varies, keeps what is constant.
- ``mean_by_position``: its mean over the reference prompts at the same position; they must be of one length.
- ``mean_by_template``: the same over the prompts of the same template and length (Wang et al. 2022,
  https://arxiv.org/abs/2211.00593, section 2.3): keeps what the template alone says, removes the names.
- ``resample``: what it is in another prompt, at the same position (Chan et al. 2022, causal scrubbing): an
  activation that the model did have. It may carry another answer, so the metric can fall below 0.
- ``noise``: Gaussian noise is added, of the standard deviation that each entry of the activation has over all
  positions of the reference prompts.

The reference prompts are the dataset's corrupted ones (for Wang et al., p_ABC) or its clean ones.

When it misleads: other components may take over (backup heads), so that a head that does the work seems not
to matter; ablate sets. A component can matter for being there, not for what it says about this prompt: see
whether ``mean`` and ``resample`` agree with ``zero``. What can be concluded depends on the kind (Miller et
al. 2024, https://arxiv.org/abs/2407.08734).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.components import find_sets
from interp.methods.common.names import Component, parse_set, set_name
from interp.methods.common.statistics import bootstrap_interval
from interp.metrics import METRICS, MetricKind
from interp.models.base import Cache, Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout, metric_readout
from interp.results import Result
from interp.sites import SITES
from interp.tasks.base import Pair, PairDataset

Kind = Literal["zero", "mean", "mean_by_position", "mean_by_template", "resample", "noise"]
KINDS: tuple[str, ...] = ("zero", "mean", "mean_by_position", "mean_by_template", "resample", "noise")
Key = tuple[str, int]  # site, layer
PROMPTS_AT_ONCE = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationResult(Result):
    """The metric before, and after each set of components was knocked out in each way.

    `change` is after - before, the mean over prompts, with its bootstrap interval over prompts.
    """

    kind: ClassVar[str] = "ablation"
    task: str
    metric: str
    kinds: tuple[str, ...]
    reference: str  # corrupted | clean: the prompts that means, deviations and resampled activations are of
    path: str  # branching | plain
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...]
    sets: tuple[str, ...]  # what was knocked out: the components of each set, joined by " + "
    before: float
    before_low: float
    before_high: float
    after: Float[np.ndarray, "kind set"]
    change: Float[np.ndarray, "kind set"]
    change_low: Float[np.ndarray, "kind set"]
    change_high: Float[np.ndarray, "kind set"]
    before_by_prompt: Float[np.ndarray, " prompt"]
    after_by_prompt: Float[np.ndarray, "kind set prompt"]

    def changes(self, kind: str) -> dict[str, float]:
        """The change of each set under one kind of ablation. `InputError` for a kind that is not there."""
        check_choice("kind of ablation", kind, self.kinds)
        return dict(zip(self.sets, self.change[self.kinds.index(kind)].tolist(), strict=True))

    @property
    def components(self) -> tuple[tuple[Component, ...], ...]:
        """The components of each set."""
        return tuple(map(parse_set, self.sets))


def ablation(
    model: Model,
    dataset: PairDataset,
    what: str | Sequence[str | Sequence[str]] = "heads",
    *,
    kinds: str | Sequence[str] = ("zero", "mean", "resample"),
    reference: Literal["corrupted", "clean"] = "corrupted",
    metric: MetricKind = "logit_diff",
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> AblationResult:
    """Knock out each set of components in the clean prompts of a dataset, in each way.

    Args:
        what: ``heads``, ``attention``, ``mlps``, ``layers``, ``positions``, ``m3.neurons``; or a list of
            names, ``["a5.h1", "m3@END", ["a5.h1", "a5.h2"]]``, of which those in a list are knocked out
            together. See `interp.methods.common.components`.
        kinds: one or several of ``zero``, ``mean``, ``mean_by_position``, ``mean_by_template``, ``resample``
            and ``noise``; see the top of this module.
        reference: where means, deviations and resampled activations come from. With ``corrupted``, a prompt
            is resampled from its own corrupted one; with ``clean``, from another prompt of as many tokens.
        metric: ``logit_diff``, ``prob`` or ``kl`` (from the prediction before), at the last position.
        exact, batch_size: see `interp.Model.sweep`; ``path`` in the result says how it was computed.
        seed: of the noise, of which prompt is resampled from which, and of the bootstrap.

    Raises:
        InputError: a component, kind or role that is not there; prompts of different lengths for
            ``mean_by_position``, or one alone of its template and length for ``mean_by_template``; no other
            prompt of as many tokens to resample from.
        SiteError: the backend or model does not have a component's activation.
    """
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    for kind in kinds:
        check_choice("kind of ablation", kind, KINDS)
    if not kinds or len(set(kinds)) != len(kinds):
        raise InputError("Name at least one kind of ablation, and each once.")
    check_choice("reference", reference, ("corrupted", "clean"))
    check_choice("metric", metric, METRICS)
    sets = find_sets(model, what, dataset.roles)
    for role in {c.where for one in sets for c in one if isinstance(c.where, str)}:
        dataset.positions(role)  # refused where not every prompt has it
    parts = [component for one in sets for component in one]
    donors = Donors.of(
        model,
        dataset,
        {key for component in parts for key in component.sites},
        kinds,
        reference=reference,
        neurons=any(component.kind == "neuron" for component in parts),
        seed=seed,
    )

    before, after, paths = [], [], set()
    for number, pair in enumerate(dataset):
        report("prompts", number, len(dataset))
        replace = donors.for_prompt(number)
        branches = [
            [edit for component in one for edit in _edits(component, kind, pair, replace)]
            for kind in kinds
            for one in sets
        ]
        readout = _readout(model, pair, metric)
        swept = model.sweep(pair.clean, [[], *branches], readout, exact=exact, batch_size=batch_size)
        before.append(float(swept.values[0]))
        after.append(swept.values[1:].view(len(kinds), len(sets)).numpy())
        paths.add(swept.path)
    report("prompts", len(dataset), len(dataset))

    unablated, ablated = np.array(before), np.stack(after)  # [prompt], [prompt, kind, set]
    change = ablated - unablated[:, None, None]
    before_low, before_high = bootstrap_interval(unablated, seed)
    change_low, change_high = bootstrap_interval(change, seed)
    return AblationResult(
        provenance=Provenance.of(model, seed=seed),
        task=dataset.name,
        metric=metric,
        kinds=kinds,
        reference=reference,
        path=" and ".join(sorted(paths)),
        prompts=tuple("".join(model.labels(ids)) for ids in dataset.clean),
        answers=tuple(model.labels(dataset.answers)),
        foils=tuple(model.labels(dataset.foils)),
        sets=tuple(map(set_name, sets)),
        before=float(unablated.mean()),
        before_low=float(before_low),
        before_high=float(before_high),
        after=ablated.mean(0),
        change=change.mean(0),
        change_low=change_low,
        change_high=change_high,
        before_by_prompt=unablated,
        after_by_prompt=ablated.transpose(1, 2, 0),
    )


def _readout(model: Model, pair: Pair, metric: MetricKind) -> Readout:
    # The clean prediction is needed for the divergence alone; a pass that the others need not pay for.
    logits = model.forward(pair.clean) if metric == "kl" else torch.empty(1, 1, 0)
    return metric_readout(metric, answer=pair.answer, foil=pair.foil, clean_logits=logits)


# ---- from a component to edits ----

#: (kind, key) -> what stands in its place: [pos, ...], [1, ...] for all positions, or noise to be added.
Replace = Callable[[str, Key], Tensor]


def _edits(component: Component, kind: str, pair: Pair, replace: Replace) -> list[Edit]:
    """The edits of a branch that knock out one component."""
    positions = _positions(component, pair)
    edits = []
    for site, layer in component.sites:
        where = {} if positions is None else {"positions": positions}
        if component.kind == "neuron":
            edits += _neuron_edits(component, kind, where, replace)
            continue
        if component.kind == "head":
            where["heads"] = (component.index,)  # type: ignore[assignment]
        if kind == "zero":
            edits.append(Edit.zero(site, layer, **where))
            continue
        value = _at(replace(kind, (site, layer)), positions)  # [pos or 1, (head,) width]
        if component.kind == "head":
            value = value[:, component.index : component.index + 1]  # type: ignore[operator]
        op = Edit.add if kind == "noise" else Edit.set
        edits.append(op(site, layer, value=value[None], **where))
    return edits


def _neuron_edits(component: Component, kind: str, where: dict, replace: Replace) -> list[Edit]:
    """Edits of one entry of mlp_act, whatever the others are: the entry is taken out, then put in anew."""
    (site, layer), neuron = component.sites[0], component.index
    value = replace("mean" if kind == "zero" else kind, (site, layer))  # for its width
    only = torch.zeros(value.shape[-1], dtype=value.dtype)
    only[neuron] = 1.0
    take_out = [] if kind == "noise" else [Edit.project_out(site, layer, value=only, **where)]
    if kind == "zero":
        return take_out
    new = _at(value, where.get("positions")) * only  # [pos or 1, d_mlp]
    return [*take_out, Edit.add(site, layer, value=new[None], **where)]


def _at(value: Tensor, positions: tuple[int, ...] | None) -> Tensor:
    return value if positions is None or len(value) == 1 else value[list(positions)]


def _positions(component: Component, pair: Pair) -> tuple[int, ...] | None:
    if component.where is None:
        return None
    if isinstance(component.where, str):
        return pair.positions[component.where]
    if not -len(pair) <= component.where < len(pair):
        raise InputError(f"{component} is at no position of {pair.text!r}, which has {len(pair)} tokens.")
    return (component.where % len(pair),)


# ---- what stands in its place ----


@dataclass
class _Sums:
    """Sums over prompts, [pos, ...] in float64, of an activation and of its square."""

    prompts: int
    total: Tensor
    squares: Tensor


@dataclass(frozen=True, eq=False)
class Donors:
    """Where replacements come from: sums over the reference prompts of each template and length, and for each
    prompt another one to resample from."""

    model: Model
    dataset: PairDataset
    keys: tuple[Key, ...]
    others: tuple[tuple[int, ...], ...]  # the prompt to resample from, for each
    sums: dict[tuple[str, int], dict[Key, _Sums]]
    seed: int
    resampled: bool
    made: dict[tuple[str, Key], Tensor] = field(default_factory=dict)  # means over everything, deviations

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: PairDataset,
        keys: Iterable[Key],
        kinds: Sequence[str],
        *,
        reference: str = "corrupted",
        neurons: bool = False,
        seed: int = 0,
    ) -> Donors:
        """For activations at `keys`; with `neurons`, for single entries of them. `kinds` and `reference` are
        those of `ablate`."""
        order = list(SITES)
        _check_means(dataset, kinds)
        prompts = dataset.corrupted if reference == "corrupted" else dataset.clean
        resampled = "resample" in kinds
        others = _shuffled(dataset, seed) if resampled and reference == "clean" else prompts
        summed = any(kind not in ("zero", "resample") for kind in kinds)
        ordered = tuple(sorted(keys, key=lambda key: (key[1], order.index(key[0]))))
        sums = _summed(model, dataset, prompts, ordered) if summed or neurons else {}
        return cls(model, dataset, ordered, tuple(others), sums, seed, resampled)

    def for_prompt(self, number: int) -> Replace:
        """What replaces the activations of one prompt."""
        pair = self.dataset[number]
        other: Cache | None = None
        if self.resampled and self.keys:
            other = self.model.run_with_cache(self.others[number], self.keys)

        def replace(kind: str, key: Key) -> Tensor:
            if kind == "resample":
                assert other is not None
                return other[key][0].cpu()
            if kind == "mean":
                return self._over_everything("mean", key)
            if kind == "noise":
                return self._noise(number, key, len(pair)) * self._over_everything("std", key)
            groups = [
                sums[key]
                for (template, length), sums in self.sums.items()
                if length == len(pair) and (kind == "mean_by_position" or template == pair.template)
            ]
            total = torch.stack([one.total for one in groups]).sum(0)
            return (total / sum(one.prompts for one in groups)).to(self.model.dtype)

        return replace

    def _over_everything(self, what: str, key: Key) -> Tensor:
        """The mean or the standard deviation of each entry, over all prompts and positions, [1, ...]."""
        if (what, key) not in self.made:
            sums = [group[key] for group in self.sums.values()]
            n = sum(one.prompts * len(one.total) for one in sums)
            mean = torch.stack([one.total.sum(0) for one in sums]).sum(0) / n
            variance = torch.stack([one.squares.sum(0) for one in sums]).sum(0) / n - mean**2
            std = variance.clamp(min=0).sqrt()  # below 0 by rounding alone
            for name, value in (("mean", mean), ("std", std)):
                self.made[name, key] = value[None].to(self.model.dtype)
        return self.made[what, key]

    def _noise(self, number: int, key: Key, n_pos: int) -> Tensor:
        """Standard normal noise, the same for a prompt and an activation whatever else is ablated."""
        shape = next(iter(self.sums.values()))[key].total.shape[1:]
        site, layer = key
        drawn = random.Random(f"noise {self.seed} {number} {site} {layer}").getrandbits(63)
        return torch.randn(n_pos, *shape, generator=torch.Generator().manual_seed(drawn)).to(self.model.dtype)


def _check_means(dataset: PairDataset, kinds: Sequence[str]) -> None:
    if "mean_by_position" in kinds and len(lengths := dataset.by_length()) > 1:
        raise InputError(
            f"The prompts have {', '.join(map(str, sorted(lengths)))} tokens, so that a position does not "
            "mean the same in all of them; use 'mean_by_template' or 'mean', or prompts of one length."
        )
    if "mean_by_template" not in kinds:
        return
    for template, group in dataset.by_template().items():
        for length, alike in group.by_length().items():
            if len(alike) == 1:
                raise InputError(
                    f"There is one prompt alone of the template {template!r} with {length} tokens, so that "
                    f"its mean would be itself; take more prompts than {len(dataset)}, or fewer templates."
                )


def _shuffled(dataset: PairDataset, seed: int) -> list[tuple[int, ...]]:
    """For each clean prompt another one of as many tokens: the next one, in a seeded order."""
    rng = random.Random(f"resample {seed}")
    others: dict[int, tuple[int, ...]] = {}
    of_length: dict[int, list[int]] = defaultdict(list)
    for i, pair in enumerate(dataset):
        of_length[len(pair)].append(i)
    for length, rows in of_length.items():
        if len(rows) == 1:
            raise InputError(
                f"There is no other clean prompt of {length} tokens to resample {dataset[rows[0]].text!r} "
                "from; use reference='corrupted', or prompts of fewer lengths."
            )
        rng.shuffle(rows)
        for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
            others[row] = dataset[other].clean
    return [others[i] for i in range(len(dataset))]


def _summed(
    model: Model, dataset: PairDataset, prompts: Sequence[tuple[int, ...]], keys: Sequence[Key]
) -> dict[tuple[str, int], dict[Key, _Sums]]:
    """The sums of the reference prompts, for each (template, length)."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row, pair in enumerate(dataset):
        groups[pair.template, len(pair)].append(row)
    sums: dict[tuple[str, int], dict[Key, _Sums]] = {}
    for group, rows in groups.items():
        sums[group] = {}
        for start in range(0, len(rows), PROMPTS_AT_ONCE):
            chosen = [prompts[row] for row in rows[start : start + PROMPTS_AT_ONCE]]
            cache = model.run_with_cache(chosen, keys)
            for key in keys:
                values = cache[key].cpu().double()  # [prompt, pos, ...]
                found = _Sums(len(values), values.sum(0), (values**2).sum(0))
                if key in sums[group]:
                    before = sums[group][key]
                    found = _Sums(
                        before.prompts + found.prompts,
                        before.total + found.total,
                        before.squares + found.squares,
                    )
                sums[group][key] = found
    return sums
