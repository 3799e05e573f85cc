"""Where the activations come from that replace others: means, deviations and other prompts' activations."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from interp.errors import InputError
from interp.methods.ablation.replacement import Key
from interp.methods.common.outliers import find_outliers
from interp.models.base import Cache, Model
from interp.readout import AnyReadout
from interp.sites import SITES
from interp.tasks.base import PairDataset
from interp.tokens import Tokens

Reference = Literal["corrupted", "clean"]
REFERENCES: tuple[Reference, ...] = ("corrupted", "clean")
PROMPTS_AT_ONCE = 16

#: What is taken of an activation of a run, [prompt, pos, ...] at a key; of this there are means.
Taken = Callable[[Key, Tensor], Tensor]
Group = tuple[str, int]  # the template and the length of prompts that have a mean of their own


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over some prompts, [pos, ...] in float64, of an activation and of its square."""

    prompts: int
    total: Tensor
    squares: Tensor
    outlying: tuple[int, Tensor, Tensor]  # of the positions left out of means over everything: n, and [...]

    def __add__(self, other: Sums) -> Sums:
        (n, total, squares), (m, others_total, others_squares) = self.outlying, other.outlying
        return Sums(
            self.prompts + other.prompts,
            self.total + other.total,
            self.squares + other.squares,
            (n + m, total + others_total, squares + others_squares),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ReferenceActivations:
    """What replaces the activations of each prompt of a dataset; made by `ReferenceActivations.of`.

    It keeps sums over the reference prompts of each template and length, and for each prompt another one to
    resample from.
    """

    model: Model
    dataset: PairDataset
    keys: tuple[Key, ...]
    prompts: tuple[tuple[int, ...], ...]  # the reference prompts, one of each pair
    others: tuple[tuple[int, ...], ...]  # the prompt to resample from, for each; none where none is resampled
    sums: dict[Group, dict[Key, Sums]]
    seed: int
    taken: Taken
    #: Means and standard deviations over everything, as far as they were asked for.
    computed: dict[tuple[str, Key], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        dataset: PairDataset,
        keys: Iterable[Key],
        kinds: Sequence[str],
        *,
        reference: Reference = "corrupted",
        seed: int = 0,
        taken: Taken = lambda _, value: value,
        leave_out_outliers: bool = False,
    ) -> ReferenceActivations:
        """For activations at `keys`, and the `kinds` of ablation of `interp.methods.ablation.replacement`.
        What is `taken` of an activation takes its place: by default itself. Outlying positions of the
        reference prompts (`interp.methods.common.outliers`) may be left out of means over everything.

        With `reference` ``corrupted``, a prompt is resampled from its own corrupted one; with ``clean``, from
        another prompt of as many tokens. Raises `InputError` for means that these prompts do not have, and
        where there is no other prompt to resample from.
        """
        _check_means(dataset, kinds)
        prompts = dataset.corrupted if reference == "corrupted" else dataset.clean
        others: Sequence[tuple[int, ...]] = ()
        if "resample" in kinds:
            others = prompts if reference == "corrupted" else _other_clean_prompts(dataset, seed)
        sites = list(SITES)
        ordered = tuple(sorted(keys, key=lambda key: (key[1], sites.index(key[0]))))
        need_sums = any(kind not in ("zero", "resample") for kind in kinds)
        left_out: Sequence[tuple[int, ...]] = [()] * len(prompts)
        if leave_out_outliers and need_sums:
            left_out = find_outliers(model, prompts).at
        return cls(
            model=model,
            dataset=dataset,
            keys=ordered,
            prompts=tuple(prompts),
            others=tuple(others),
            sums=_sums_of_groups(model, dataset, prompts, ordered, taken, left_out) if need_sums else {},
            seed=seed,
            taken=taken,
        )

    def for_prompt(self, number: int, readout: AnyReadout) -> Callable[[str, Key], Tensor]:
        """What replaces the activations of one prompt in the runs that `readout` reads: of a kind and a key,
        [run or 1, pos or 1, ...].

        Where an answer follows the prompt in these, it follows those of other prompts as well. Means by
        position are then of reference prompts followed by this answer: as many runs for each prompt.
        """
        other: Cache | None = None
        if self.others and self.keys:
            other = self.model.run_with_cache(readout.runs(Tokens.pad([self.others[number]])), self.keys)
        following = [part.continuation for part in readout.parts]
        n_pos = len(self.dataset[number]) + max(map(len, following))
        extended: dict[bool, dict[Key, Tensor]] = {}

        def replacement(kind: str, key: Key) -> Tensor:
            if kind == "resample":
                assert other is not None
                return self.taken(key, other[key]).cpu()
            if kind == "mean":
                return self._over_everything("mean", key)[None]
            if kind == "noise":
                return (self._noise(number, key, n_pos) * self._over_everything("std", key))[None]
            same_template = kind == "mean_by_template"
            if not any(following):
                return self._mean_at_positions(number, key, same_template=same_template)[None]
            if same_template not in extended:
                extended[same_template] = self._means_with(number, following, same_template=same_template)
            return extended[same_template][key]

        return replacement

    def _means_with(
        self, number: int, following: Sequence[tuple[int, ...]], *, same_template: bool
    ) -> dict[Key, Tensor]:
        """As `_mean_at_positions`, of reference prompts with each of these behind them, [run, pos, ...]."""
        pair = self.dataset[number]
        alike = [
            prompt
            for prompt, other in zip(self.prompts, self.dataset, strict=True)
            if len(other) == len(pair) and (other.template == pair.template or not same_template)
        ]
        runs = [
            _sums(self.model, [((*p, *ids), ()) for p in alike], self.keys, self.taken) for ids in following
        ]
        return {
            key: pad_sequence([sums[key].total / len(alike) for sums in runs], batch_first=True).to(
                self.model.dtype
            )
            for key in self.keys
        }

    def _mean_at_positions(self, number: int, key: Key, *, same_template: bool) -> Tensor:
        """The mean at each position, over prompts as long as this one, perhaps of its template only."""
        pair = self.dataset[number]
        groups = [
            sums[key]
            for (template, length), sums in self.sums.items()
            if length == len(pair) and (template == pair.template or not same_template)
        ]
        total = torch.stack([one.total for one in groups]).sum(0)
        return (total / sum(one.prompts for one in groups)).to(self.model.dtype)

    def _over_everything(self, what: Literal["mean", "std"], key: Key) -> Tensor:
        """The mean or the standard deviation of each entry, over all prompts and positions, [1, ...]."""
        if (what, key) not in self.computed:
            sums = [group[key] for group in self.sums.values()]
            n = sum(one.prompts * len(one.total) - one.outlying[0] for one in sums)
            mean = torch.stack([one.total.sum(0) - one.outlying[1] for one in sums]).sum(0) / n
            squares = torch.stack([one.squares.sum(0) - one.outlying[2] for one in sums]).sum(0)
            variance = squares / n - mean**2
            std = variance.clamp(min=0).sqrt()  # below 0 by rounding alone
            for name, value in (("mean", mean), ("std", std)):
                self.computed[name, key] = value[None].to(self.model.dtype)
        return self.computed[what, key]

    def _noise(self, number: int, key: Key, n_pos: int) -> Tensor:
        """Standard normal noise, the same for a prompt and an activation whatever else is ablated."""
        shape = next(iter(self.sums.values()))[key].total.shape[1:]
        site, layer = key
        seed = random.Random(f"noise {self.seed} {number} {site} {layer}").getrandbits(63)
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n_pos, *shape, generator=generator).to(self.model.dtype)


def _check_means(dataset: PairDataset, kinds: Sequence[str]) -> None:
    """`InputError` where positions or templates of these prompts have no mean."""
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


def _other_clean_prompts(dataset: PairDataset, seed: int) -> list[tuple[int, ...]]:
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


def _sums_of_groups(
    model: Model,
    dataset: PairDataset,
    prompts: Sequence[tuple[int, ...]],
    keys: Sequence[Key],
    taken: Taken,
    left_out: Sequence[tuple[int, ...]],
) -> dict[Group, dict[Key, Sums]]:
    """The sums over the reference prompts, for each template and length."""
    groups: dict[Group, list[tuple[tuple[int, ...], tuple[int, ...]]]] = defaultdict(list)
    for prompt, pair, outliers in zip(prompts, dataset, left_out, strict=True):
        groups[pair.template, len(pair)].append((prompt, outliers))
    return {group: _sums(model, alike, keys, taken) for group, alike in groups.items()}


def _sums(
    model: Model,
    prompts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    keys: Sequence[Key],
    taken: Taken,
) -> dict[Key, Sums]:
    """The sums over prompts of one length, each with its positions that are left out."""
    sums: dict[Key, Sums] = {}
    for start in range(0, len(prompts), PROMPTS_AT_ONCE):
        part = prompts[start : start + PROMPTS_AT_ONCE]
        cache = model.run_with_cache([prompt for prompt, _ in part], keys, logits=False)
        rows = [(row, position) for row, (_, outliers) in enumerate(part) for position in outliers]
        at = torch.tensor(rows, dtype=torch.long).reshape(-1, 2).T
        for key in keys:
            values = taken(key, cache[key]).cpu().double()  # [prompt, pos, ...]
            outlying = values[at[0], at[1]]  # [outlier, ...]
            off = len(outlying), outlying.sum(0), outlying.square().sum(0)
            new = Sums(len(values), values.sum(0), values.square().sum(0), off)
            sums[key] = sums[key] + new if key in sums else new
    return sums
