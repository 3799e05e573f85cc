"""What each feature does to an answer: exactly, by changing it alone, and by two estimates from gradients.

A cell is a feature at a place: a position of one prompt, or, over a dataset, the positions of a role. The
effect of a cell is

    metric after the change - metric of the run as it is

and a change is one of

- ``ablate``: in the clean run, the feature is set to 0;
- ``noising``: in the clean run, it is set to what it is in the corrupted run, position by position;
- ``denoising``: the other way round.

All that it changes is the feature, as an edit of it does (`interp.feature_edit`). Cells of which the feature
is the same before and after have no effect and are left out; in means over prompts they count as 0.

Three numbers for each cell:

- **exact**: one edited run, computed as a branch of the run as it is (`interp.Model.sweep`);
- **attribution**: ``(f' - f) * (W_dec @ gradient)``, the first-order estimate, one backward pass for all
  cells (Nanda 2023; for features, Marks et al. 2024, https://arxiv.org/abs/2403.19647);
- **integrated**: the same with the gradient averaged over `steps` runs, midpoints of the way on which all
  features go together from f to f' (as the code of Marks et al. goes it).

When they mislead: attribution where the metric is far from linear, as behind a saturated softmax. The
integrated estimates add up to the effect of changing all features at once, as far as steps allow, which is
not what each does alone. And an exact effect is that of one feature with all others in place: of two that
say the same, neither may matter.

The first position of each prompt is left out, as an SAE is not trained there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.methods.common.answers import answer_ids
from interp.methods.common.statistics import bootstrap_interval, pearson, spearman
from interp.metrics import METRICS, MetricKind
from interp.models.base import Exact, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import Readout, metric_readout
from interp.results import Result
from interp.resume import kept
from interp.saes.activations import JumpReLU
from interp.saes.dictionary import SAE, flat
from interp.saes.edits import written
from interp.saes.metrics import EXCLUDED
from interp.sites import SITES
from interp.tasks.base import PairDataset
from interp.tokens import Prompt, Tokens, differing_positions

FeatureChangeKind = Literal["ablate", "noising", "denoising"]
CHANGES: tuple[str, ...] = ("ablate", "noising", "denoising")
ESTIMATES = ("attribution", "integrated")


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureEffectsResult(Result):
    """The effect of each feature at each place, of each prompt and on average; see the module for what the
    numbers mean. An entry is a cell of one prompt in which the feature changes."""

    kind: ClassVar[str] = "feature_effects"
    task: str  # of the dataset; "one prompt"
    change: str
    metric: str
    steps: int
    path: str  # branching | plain
    excluded: str
    sae_model: str
    site: str  # the hook name
    n_features: int
    prompts: tuple[str, ...]  # of the runs that were edited
    answers: tuple[str, ...]
    foils: tuple[str, ...] | None
    dropped: tuple[tuple[str, str], ...]  # of the dataset: what, and why
    places: tuple[str, ...]  # roles; tokens, where there is one prompt
    before: Float[np.ndarray, " prompt"]  # the metric of the run as it is
    entry_prompt: Int[np.ndarray, " entry"]
    entry_place: Int[np.ndarray, " entry"]
    entry_feature: Int[np.ndarray, " entry"]
    activation: Float[np.ndarray, " entry"]  # in the run as it is; the strongest of the place
    exact: Float[np.ndarray, " entry"]
    attribution: Float[np.ndarray, " entry"]
    integrated: Float[np.ndarray, " entry"]
    cell_place: Int[np.ndarray, " cell"]
    cell_feature: Int[np.ndarray, " cell"]
    share: Float[np.ndarray, " cell"]  # of the prompts in which the cell changes
    mean: Float[np.ndarray, " cell"]  # of the exact effect, over all prompts
    low: Float[np.ndarray, " cell"]  # 95 % bootstrap interval over prompts; the mean itself for one prompt
    high: Float[np.ndarray, " cell"]
    mean_attribution: Float[np.ndarray, " cell"]
    mean_integrated: Float[np.ndarray, " cell"]
    pearson: tuple[float | None, ...]  # with the exact effect, over entries, of each of `ESTIMATES`
    spearman: tuple[float | None, ...]  # None: one of the two is the same throughout

    def strongest(self, n: int, *, place: str | None = None) -> tuple[int, ...]:
        """The `n` cells of the largest mean effects, by their size, the largest first."""
        where = np.arange(len(self.mean))
        if place is not None:
            check_choice("place", place, self.places)
            where = where[[self.places[i] == place for i in self.cell_place]]
        order = np.argsort(-np.abs(self.mean[where]), kind="stable")
        return tuple(where[order[:n]].tolist())

    def name(self, cell: int) -> str:
        """A cell as it is written: ``1234@END``."""
        return f"{self.cell_feature[cell]}@{self.places[self.cell_place[cell]]}"


@dataclass(frozen=True, eq=False)
class _Case:
    """One prompt, ready: the run to be edited, the one that values come from, and where to look."""

    base: Tokens
    donor: Tokens | None
    metric: Readout
    answer: int
    foil: int | None
    places: tuple[tuple[int, ...], ...]  # the positions of each


def feature_effects(
    model: Model,
    sae: SAE,
    data: PairDataset | Prompt,
    *,
    answer: str | int | None = None,
    foil: str | int | None = None,
    corrupted: Prompt | None = None,
    change: FeatureChangeKind = "ablate",
    roles: Sequence[str] | None = None,
    metric: MetricKind | None = None,
    steps: int = 8,
    exact: Exact = "auto",
    batch_size: int = 64,
    seed: int = 0,
) -> FeatureEffectsResult:
    """Change each feature that is active in a prompt, or in each prompt of a dataset, alone, and see what
    becomes of the answer; with the two estimates beside.

    Args:
        data: a dataset; or one prompt (text or token ids), with its `answer`, a `foil` unless the metric
            does without, and a `corrupted` prompt of as many tokens unless the change is ``ablate``.
        change: ``ablate``, ``noising`` or ``denoising``; see above.
        roles: the places to look at in a dataset; None: every role that all its pairs have. Of a single
            prompt, every position is one.
        metric: ``logit_diff``, ``prob`` or ``kl``, at the last position; by default the first where there is
            a foil, else the second.
        steps: of the integrated estimate.
        exact, batch_size: see `interp.Model.sweep`; ``path`` in the result says how it was computed.
        seed: of the bootstrap.

    Within `interp.resuming`, prompts that were done before it was stopped are not done again.

    Raises:
        InputError: an SAE of another model, an unknown choice or role, prompts that do not align, an answer
            that is missing, and where no feature changes anywhere.
        SiteError: the model does not have the SAE's site.
    """
    sae.check_fits(model)
    check_choice("change", change, CHANGES)
    if metric is not None:
        check_choice("metric", metric, METRICS)
    if steps < 1:
        raise InputError(f"steps must be at least 1; got {steps}.")
    if isinstance(data, PairDataset):
        if (answer, foil, corrupted) != (None, None, None):
            raise InputError("A dataset has its own answers and corrupted prompts; give no others.")
        metric = metric or "logit_diff"
        names = data.roles if roles is None else tuple(roles)
        cases = _of_dataset(model, data, change, names, metric)
    else:
        metric = metric or ("prob" if foil is None else "logit_diff")
        if roles is not None:
            raise InputError("Roles are those of a dataset; of one prompt, all positions are looked at.")
        cases = [_of_prompt(model, data, answer, foil, corrupted, change, metric)]
        names = tuple(model.labels(cases[0].base.row(0)))

    digest = _digest(sae)
    parts = []
    for number, case in enumerate(cases):
        report("prompts", number, len(cases))
        parts.append(_measured(model, sae, digest, case, change, metric, steps, exact, batch_size))
    report("prompts", len(cases), len(cases))
    prompt = np.repeat(np.arange(len(parts)), [len(part["feature"]) for part in parts])
    entries = {name: np.concatenate([part[name] for part in parts]) for name in _OF_ENTRY}
    if not len(prompt):
        raise InputError(
            "No feature of this SAE changes at any of these places, so there is nothing to measure."
        )
    foils = [case.foil for case in cases]
    dropped = data.dropped if isinstance(data, PairDataset) else ()
    return FeatureEffectsResult(
        provenance=Provenance.of(model, seed=seed),
        task=data.name if isinstance(data, PairDataset) else "one prompt",
        change=change,
        metric=metric,
        steps=steps,
        path=" and ".join(sorted({str(part["path"]) for part in parts})),
        excluded=EXCLUDED,
        sae_model=sae.model,
        site=str(sae.address),
        n_features=sae.n_features,
        prompts=tuple("".join(model.labels(case.base.row(0))) for case in cases),
        answers=tuple(model.labels([case.answer for case in cases])),
        foils=None if None in foils else tuple(model.labels([foil for foil in foils if foil is not None])),
        dropped=tuple((one.what, one.why) for one in dropped),
        places=names,
        before=np.array([float(part["before"]) for part in parts]),
        entry_prompt=prompt,
        entry_place=entries["place"],
        entry_feature=entries["feature"],
        **{name: entries[name] for name in ("activation", "exact", *ESTIMATES)},
        **_means(prompt, entries, len(cases), seed),
        pearson=tuple(_correlation(pearson, entries[name], entries["exact"]) for name in ESTIMATES),
        spearman=tuple(_correlation(spearman, entries[name], entries["exact"]) for name in ESTIMATES),
    )


# ---- what is asked ----


def _of_dataset(
    model: Model, dataset: PairDataset, change: str, roles: tuple[str, ...], metric: MetricKind
) -> list[_Case]:
    if not roles:
        raise InputError(f"The pairs of {dataset.name!r} have no roles in common; give pairs with roles.")
    places = list(zip(*(dataset.positions(role) for role in roles), strict=True))  # [pair][role]
    return [
        _case(model, pair.clean, pair.corrupted, pair.answer, pair.foil, change, where, metric)
        for pair, where in zip(dataset, places, strict=True)
    ]


def _of_prompt(
    model: Model,
    prompt: Prompt,
    answer: str | int | None,
    foil: str | int | None,
    corrupted: Prompt | None,
    change: str,
    metric: MetricKind,
) -> _Case:
    if answer is None:
        raise InputError("A prompt needs its answer, which the metric is about; give it as one token.")
    if (corrupted is None) != (change == "ablate"):
        need = "needs a corrupted prompt" if corrupted is None else "takes no corrupted prompt"
        raise InputError(f"The change {change!r} {need}.")
    answer_id, foil_id = answer_ids(model, answer, foil, metric)
    ids = model.to_tokens(prompt).repeat(1).row(0)
    other = None if corrupted is None else model.to_tokens(corrupted).repeat(1).row(0)
    if other is not None:
        differing_positions(ids, other, names=["|".join(model.labels(one)) for one in (ids, other)])
    places = tuple((position,) for position in range(len(ids)))
    return _case(model, ids, other, answer_id, foil_id, change, places, metric)


def _case(
    model: Model,
    clean: Sequence[int],
    corrupted: Sequence[int] | None,
    answer: int,
    foil: int | None,
    change: str,
    places: Sequence[tuple[int, ...]],
    metric: MetricKind,
) -> _Case:
    # The clean prediction is needed for the divergence alone; a pass that the others need not pay for.
    logits = model.forward([list(clean)]) if metric == "kl" else torch.empty(1, 1, 0)
    readout = metric_readout(metric, answer=answer, foil=foil, clean_logits=logits)
    tokens = [None if ids is None else Tokens.pad([ids]) for ids in (clean, corrupted)]
    if change == "ablate":
        tokens[1] = None
    base, donor = tokens if change != "denoising" else reversed(tokens)
    assert base is not None
    return _Case(base, donor, readout, answer, foil, tuple(places))


# ---- one prompt ----

_OF_ENTRY = ("place", "feature", "activation", "exact", *ESTIMATES)


def _measured(
    model: Model,
    sae: SAE,
    digest: str,
    case: _Case,
    change: str,
    metric: str,
    steps: int,
    exact: Exact,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """The entries of one prompt; kept where it can be resumed. The metric before stands for the weights."""
    cache = model.run_with_cache(case.base, [sae.address])
    before = float(case.metric(cache.logits)[0])
    question = {
        "feature_effects": digest,
        "model": model.identity.to_dict(),
        "base": case.base.row(0),
        "donor": None if case.donor is None else case.donor.row(0),
        "metric": [metric, case.answer, case.foil, before],
        "places": [list(where) for where in case.places],
        "how": [change, steps, str(exact)],
    }

    def make() -> dict[str, np.ndarray]:
        x = _precise(sae, cache[sae.address])
        features = sae.encode(x)  # [pos, feature]
        target = torch.zeros_like(features)
        if case.donor is not None:
            target = sae.encode(_precise(sae, model.run_with_cache(case.donor, [sae.address])[sae.address]))
        moves = target - features
        moves[0] = 0  # the first position is left out
        cells = [
            (place, feature)
            for place, where in enumerate(case.places)
            for feature in moves[list(where)].any(0).nonzero()[:, 0].tolist()
        ]
        branches = []
        for place, feature in cells:
            where = [position for position in case.places[place] if position]
            # As `feature_edit` would have it; but a TopK SAE need not be encoded anew for each branch.
            changed = written(sae, x[where], moves[where][:, [feature]], [feature])
            branches.append(_added(sae, model, changed, where))
        swept = model.sweep(case.base, [[], *branches], case.metric, batch_size=batch_size, exact=exact)
        values = swept.values.double().numpy()
        estimates = zip(ESTIMATES, _estimates(model, sae, case, x, moves, steps), strict=True)

        def at_cells(each: Float[Tensor, "pos feature"], combine: Callable[[Tensor], Tensor]) -> np.ndarray:
            of_places = torch.stack([combine(each[list(where)]) for where in case.places]).cpu().double()
            return np.array([of_places[cell].item() for cell in cells])

        return {
            "place": np.array([place for place, _ in cells], dtype=int),
            "feature": np.array([feature for _, feature in cells], dtype=int),
            "activation": at_cells(features, lambda each: each.amax(0)),
            "exact": values[1:] - values[0],
            **{name: at_cells(each, lambda each: each.sum(0)) for name, each in estimates},
            "path": np.array(swept.path),
            "before": values[0],
        }

    return kept(question, make)


def _precise(sae: SAE, raw: Tensor) -> Float[Tensor, "pos d_in"]:
    """The activations of one prompt with heads side by side, in no less than the SAE's precision."""
    return flat(sae.address.site, raw)[0].to(torch.promote_types(raw.dtype, sae.W_dec.dtype))


def _estimates(
    model: Model,
    sae: SAE,
    case: _Case,
    x: Float[Tensor, "pos d_in"],
    moves: Float[Tensor, "pos feature"],
    steps: int,
) -> tuple[Float[Tensor, "pos feature"], Float[Tensor, "pos feature"]]:
    """What each move of a feature does, to first order and by integrated gradients."""
    _, size = sae.coordinates(x)
    every = written(sae, x, moves, range(sae.n_features))  # [pos, d_in]

    def slopes(share: float) -> Float[Tensor, "pos feature"]:
        gradient = model.gradients(case.base, [sae.address], case.metric, _added(sae, model, share * every))[
            0
        ]
        return (flat(sae.address.site, gradient)[0].to(x) * size) @ sae.W_dec.to(x).T

    middle = torch.stack([slopes((step + 0.5) / steps) for step in range(steps)]).mean(0)
    return moves * slopes(0.0), moves * middle


def _added(
    sae: SAE, model: Model, value: Float[Tensor, "pos d_in"], positions: Sequence[int] | None = None
) -> list[Edit]:
    """The edit that adds this to the activations of a prompt."""
    site, layer = sae.address.site, sae.address.layer
    if SITES[site].per_head:
        value = value.unflatten(-1, (-1, model.arch.d_head))  # [pos, head, d_head]
    return [Edit.add(site, layer, value=value[None], positions=positions)]


def _digest(sae: SAE) -> str:
    """Which dictionary it is, by its weights."""
    digest = hashlib.sha256(
        f"{sae.address} {sae.activation} {sae.normalise} {sae.apply_b_dec_to_input}".encode()
    )
    weights = [sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec]
    if isinstance(sae.activation, JumpReLU):
        weights.append(sae.activation.threshold)
    for weight in weights:
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


# ---- over prompts ----


def _means(
    prompt: np.ndarray, entries: dict[str, np.ndarray], n_prompts: int, seed: int
) -> dict[str, np.ndarray]:
    """Each cell over all prompts: 0 where it does not change."""
    cells, index = np.unique(
        np.stack([entries["place"], entries["feature"]]), axis=1, return_inverse=True
    )  # [2, cell], [entry]
    dense = {name: np.zeros((n_prompts, cells.shape[1])) for name in ("exact", *ESTIMATES)}
    for name, values in dense.items():
        values[prompt, index] = entries[name]
    low, high = bootstrap_interval(dense["exact"], seed)
    return {
        "cell_place": cells[0],
        "cell_feature": cells[1],
        "share": np.bincount(index, minlength=cells.shape[1]) / n_prompts,
        "mean": dense["exact"].mean(0),
        "low": low,
        "high": high,
        "mean_attribution": dense["attribution"].mean(0),
        "mean_integrated": dense["integrated"].mean(0),
    }


def _correlation(kind: Any, x: np.ndarray, y: np.ndarray) -> float | None:
    try:
        return kind(x, y)
    except InputError:
        return None
