"""Steering: what a model says as a feature, or any direction, is added in more and more strength.

In one run for each strength, the feature's activation is raised by the strength (``add``) or held at it
(``set``), at all positions but the first or at some, and in what the model goes on to say as well. A plain
direction is added as it is, times the strength (activation addition, Turner et al. 2023,
https://arxiv.org/abs/2308.10248; features so held, Templeton et al. 2024,
https://transformer-circuits.pub/2024/scaling-monosemanticity).

When it misleads: that a direction can push a model to say something does not show that the model uses it to
do so; at a great strength any direction breaks what is said, so look at the divergence beside the wanted
token, and at a random direction of the same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit, EditFrom
from interp.errors import InputError, check_choice
from interp.methods.common.direction import Direction
from interp.methods.common.intervals import mean_interval, within
from interp.methods.common.text_costs import Edits, text_costs
from interp.methods.steering.results import Steered, SteeringResult, Unsteered
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.saes.dictionary import SAE, activations_for
from interp.saes.edits import FeatureOp, feature_edit, features_of
from interp.sites import Address
from interp.tokens import Prompt, Tokens

Unit = Literal["own", "norm"]
UNITS: tuple[Unit, ...] = ("own", "norm")


def steering(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    strengths: Sequence[float],
    *,
    sae: SAE | None = None,
    feature: int | None = None,
    direction: Float[Tensor, "*width"] | Direction | None = None,
    at: Address | None = None,
    op: Literal["add", "set"] = "add",
    unit: Unit = "own",
    positions: int | Sequence[int] | None = None,
    track: Sequence[str | int] = (),
    n_tokens: int = 12,
    k: int = 5,
    text: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> SteeringResult:
    """Steer by a feature of an SAE, or by a direction, at several strengths.

    Args:
        strengths: rising; below 0 they push the other way. In the SAE's units of activation; of a direction,
            multiples of it.
        sae, feature: what to steer by; or
        direction, at: a vector as wide as the activation at a site and layer, such as
            ``Address("resid_post", 3)``; or a `Direction`, which has its place with it and is of length 1.
        op: ``add`` to the feature's activation, or ``set`` it; a direction can only be added.
        unit: of the strengths: their ``own``, as above; or ``norm``, the typical norm at that site (the
            median over the prompts' positions), so that 1 adds as much as is there. Streams of models differ
            by a factor of hundreds, and grow over the layers. The result has both.
        positions: where, in each prompt; negative ones count from its end. None: all but the first, and all
            that is said.
        track: tokens of which the probability is kept.
        n_tokens: how many are said after each prompt, each time the likeliest; an end-of-text token does not
            end it. 0: none.
        k: how many of the likeliest next tokens are kept.
        text: sequences of token ids of neutral text (`interp.reading_text`), on which it is measured what
        each
            strength costs, at all positions but the first; none: it is not.

    Raises:
        InputError: not exactly one thing to steer by, strengths that do not rise, a tracked token that is
            none, a prompt without a second position or too long to go on from; an SAE of another model.
        EditError: a feature that is not there, a direction of another width.
        SiteError: the model does not have the site, or a prompt not the positions.
    """
    named = ""
    if isinstance(direction, Direction) and at is None:
        direction.check_fits(model)
        named, at, direction = direction.description, direction.address, direction.vector
    by = _steer_by(sae, feature, direction, at, op)
    check_choice("unit", unit, UNITS)
    strengths = _rising(strengths)
    if n_tokens < 0 or not 1 <= k <= model.arch.d_vocab:
        raise InputError("n_tokens is at least 0, and k at least 1 and no more than there are tokens.")
    tokens = model.to_tokens(prompts)
    _check_lengths(model, tokens, positions, n_tokens)
    tracked = [model.to_single_token(token) for token in track]
    by.edit(1.0, (0,), 0)  # made once before any prompt is run: a feature may not be there
    raw = model.run_with_cache(tokens, [by.address], logits=False)[by.address]
    typical, length = _lengths(model, tokens, raw, by, op)
    if unit == "norm":
        strengths = tuple(strength * typical / _known(length) for strength in strengths)
    runs = []
    for row in range(len(tokens)):
        report("prompts", row, len(tokens))
        runs.append(_steered_run(model, tokens.row(row), by, strengths, positions, n_tokens))
    report("prompts", len(tokens), len(tokens))
    unsteered, steered = _in_words(model, runs, tracked, k)
    costs = text_costs(model, text, [_at(by, strength) for strength in strengths]) if text else None
    return SteeringResult(
        provenance=Provenance.of(model, seed=seed),
        what=named or by.description,
        site=by.address.hook,
        op=op,
        where=_positions_in_words(positions),
        prompts=tuple(model.to_text(tokens.row(row)) for row in range(len(tokens))),
        strengths=strengths,
        typical_norm=typical,
        relative=() if length is None else tuple(strength * length / typical for strength in strengths),
        activation=by.activations(raw, tokens),
        tracked=tuple(model.labels(tracked)),
        unsteered=unsteered,
        steered=steered,
        text_tokens=sum(len(ids) - 1 for ids in text),
        text_loss=None if costs is None else float(costs.plain.mean()),
        cost=None if costs is None else within(mean_interval(costs.kl.T, seed), 0),
        rise=None if costs is None else mean_interval(costs.rise.T, seed),
    )


def _at(by: _ByFeature | _ByDirection, strength: float) -> Edits:
    return lambda where: [by.edit(strength, where, 0)]


# ---- what is steered by ----


@dataclass(frozen=True, eq=False)
class _ByFeature:
    """A feature of an SAE, to which the strength is added or which is held at it."""

    sae: SAE
    feature: int
    op: FeatureOp

    @property
    def address(self) -> Address:
        return self.sae.address

    @property
    def description(self) -> str:
        return f"feature {self.feature} of an SAE of {self.sae.model}"

    def edit(self, strength: float, positions: int | Sequence[int] | None, row: int) -> Edit:
        return feature_edit(self.sae, self.op, self.feature, value=strength, positions=positions, rows=row)

    def activations(self, raw: Float[Tensor, "row pos *width"], tokens: Tokens) -> tuple[float, ...]:
        """The feature's strongest activation in each prompt, without its first position."""
        values = features_of(self.sae, activations_for(self.sae, raw), [self.feature])[..., 0]
        return tuple(
            row[1:length].max().item() if length > 1 else 0.0
            for row, length in zip(values, tokens.lengths, strict=True)
        )


@dataclass(frozen=True, eq=False)
class _ByDirection:
    """A vector at a site, which is added times the strength."""

    direction: Float[Tensor, "*width"]
    address: Address

    @property
    def description(self) -> str:
        return f"a direction of length {float(torch.as_tensor(self.direction).norm()):.4g}"

    def edit(self, strength: float, positions: int | Sequence[int] | None, row: int) -> Edit:
        site, layer = self.address.site, self.address.layer
        return Edit.add(site, layer, value=strength * self.direction, positions=positions, rows=row)

    def activations(self, raw: Float[Tensor, "row pos *width"], tokens: Tokens) -> None:
        """A direction has none."""


def _steer_by(
    sae: SAE | None,
    feature: int | None,
    direction: Float[Tensor, "*width"] | Direction | None,
    at: Address | None,
    op: Literal["add", "set"],
) -> _ByFeature | _ByDirection:
    """The one thing to steer by; `InputError` where it is not exactly one."""
    check_choice("operation", op, ("add", "set"))
    if sae is not None and feature is not None and direction is None and at is None:
        return _ByFeature(sae, feature, op)
    if isinstance(direction, Direction):
        raise InputError("A Direction has its place with it; leave at out.")
    if direction is not None and at is not None and sae is None and feature is None:
        if op == "set":
            raise InputError("A direction has no activation to be set; add it.")
        return _ByDirection(direction, at)
    raise InputError("Steer by a feature of an SAE (sae and feature), or by a direction (direction and at).")


# ---- how much it is ----


def _lengths(
    model: Model,
    tokens: Tokens,
    raw: Float[Tensor, "row pos *width"],
    by: _ByFeature | _ByDirection,
    op: str,
) -> tuple[float, float | None]:
    """The typical norm at the site, over all positions of the prompts, of which `raw` are the activations;
    and the length of what a strength of 1 adds, measured in the first prompt. None where the feature is set:
    what that adds depends on what is there."""
    norms = [
        row[:n].flatten(1).norm(dim=-1) for row, n in zip(raw.double().cpu(), tokens.lengths, strict=True)
    ]
    typical = float(torch.cat(norms).median())
    if op == "set":
        return typical, None
    last = tokens.lengths[0] - 1
    steered = model.run_with_cache(
        Tokens.pad([tokens.row(0)]), [by.address], [by.edit(1.0, (last,), 0)], logits=False
    )
    added = steered[by.address][0, last].double().cpu() - raw[0, last].double().cpu()
    return typical, float(added.norm())


def _known(length: float | None) -> float:
    """`InputError` where strengths in norms have no meaning."""
    if not length:
        raise InputError(
            "Strengths in units of the norm are for what is added, and not for a feature that is set."
        )
    return length


# ---- what is asked ----


def _rising(strengths: Sequence[float]) -> tuple[float, ...]:
    found = tuple(map(float, strengths))
    if not found or list(found) != sorted(set(found)):
        raise InputError("Give at least one strength, each once and rising.")
    return found


def _check_lengths(
    model: Model, tokens: Tokens, positions: int | Sequence[int] | None, n_tokens: int
) -> None:
    """`InputError` where a prompt is too long to go on from, or too short to be steered."""
    limit = model.arch.n_ctx
    if limit is not None and max(tokens.lengths) + n_tokens > limit:
        raise InputError(
            f"The model reads at most {limit} tokens, so that {n_tokens} more do not fit behind a prompt of "
            f"{max(tokens.lengths)}; shorten it, or lower n_tokens."
        )
    if positions is None and min(tokens.lengths) < 2:
        raise InputError(
            "The first position is left out, so that a prompt needs two tokens; or give positions."
        )


def _positions_in_words(positions: int | Sequence[int] | None) -> str:
    if positions is None:
        return "at all positions but the first"
    several = [positions] if isinstance(positions, int) else list(positions)
    return f"at position {', '.join(map(str, several))}"


# ---- the runs ----


@dataclass(frozen=True, eq=False)
class _SteeredRun:
    """One prompt, not steered and at each strength, in this order."""

    logits: Float[Tensor, "run d_vocab"]  # of the next token after the prompt, float64
    continuations: list[list[int]]  # [run][token]


def _steered_run(
    model: Model,
    prompt: list[int],
    by: _ByFeature | _ByDirection,
    strengths: Sequence[float],
    positions: int | Sequence[int] | None,
    n_tokens: int,
) -> _SteeredRun:
    """Let the model go on from a prompt, in one batch of all strengths; the first row is not steered."""
    edits: list[Edit | EditFrom] = []
    for row, strength in enumerate(strengths, start=1):
        edit = by.edit(strength, positions, row)
        edits.append(EditFrom(edit, 1) if positions is None else edit)
    tokens = Tokens.pad([prompt] * (1 + len(strengths)))
    steps = list(model.stream(tokens, max(n_tokens, 1), edits=edits, stop=()))
    said = zip(*(step.ids for step in steps), strict=True)
    return _SteeredRun(steps[0].logits, [list(ids[:n_tokens]) for ids in said])


def _in_words(
    model: Model, runs: Sequence[_SteeredRun], tracked: list[int], k: int
) -> tuple[Unsteered, Steered]:
    """What was predicted and said, not steered and steered."""
    logits = torch.stack([run.logits for run in runs])  # [prompt, run, d_vocab]
    probabilities = logits.softmax(-1)
    best = probabilities[:, 1:].topk(k, dim=-1)
    texts = [[model.to_text(ids, goes_on=True) for ids in run.continuations] for run in runs]
    unsteered = Unsteered(
        probabilities=probabilities[:, 0, tracked].numpy(),
        likeliest=tuple(model.labels(probabilities[:, 0].argmax(-1))),
        continuations=tuple(of_prompt[0] for of_prompt in texts),
    )
    steered = Steered(
        probabilities=probabilities[:, 1:, tracked].numpy(),
        kl=kl_divergence(logits[:, :1], logits[:, 1:]).numpy(),
        top=tuple(tuple(tuple(model.labels(ids)) for ids in rows) for rows in best.indices.tolist()),
        top_probabilities=best.values.numpy(),
        continuations=tuple(tuple(of_prompt[1:]) for of_prompt in texts),
    )
    return unsteered, steered
