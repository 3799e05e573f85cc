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
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.edits import Edit
from interp.errors import InputError, check_choice
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.results import Result
from interp.saes.dictionary import SAE, flat
from interp.saes.edits import feature_edit, features_of
from interp.sites import Address
from interp.tokens import Prompt, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringResult(Result):
    """What is predicted and said after each prompt at each strength. Probabilities and divergences are of the
    next token after the prompt."""

    kind: ClassVar[str] = "steering"
    what: str  # "feature 12 of an SAE of demo-gpt2", "a direction of length 3.2"
    site: str  # the hook name
    op: str  # add | set
    where: str  # the positions, in words
    prompts: tuple[str, ...]
    strengths: tuple[float, ...]
    activation: tuple[float, ...] | None  # the feature's strongest in each prompt; None for a direction
    tracked: tuple[str, ...]
    probabilities: Float[np.ndarray, "prompt strength tracked"]
    probabilities_before: Float[np.ndarray, "prompt tracked"]
    kl: Float[np.ndarray, "prompt strength"]  # KL(unsteered || steered), nats
    top: tuple[tuple[tuple[str, ...], ...], ...]  # [prompt][strength][rank]
    top_before: tuple[str, ...]  # the likeliest next token, not steered
    top_probabilities: Float[np.ndarray, "prompt strength rank"]
    said: tuple[tuple[str, ...], ...]  # [prompt][strength]: the greedy continuation
    said_before: tuple[str, ...]


def steering(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    strengths: Sequence[float],
    *,
    sae: SAE | None = None,
    feature: int | None = None,
    direction: Float[Tensor, "*width"] | None = None,
    at: Address | None = None,
    op: Literal["add", "set"] = "add",
    positions: int | Sequence[int] | None = None,
    track: Sequence[str | int] = (),
    n_tokens: int = 12,
    k: int = 5,
    seed: int = 0,
) -> SteeringResult:
    """Steer by a feature of an SAE, or by a direction, at several strengths.

    Args:
        strengths: rising; below 0 they push the other way. In the SAE's units of activation; of a direction,
            multiples of it.
        sae, feature: what to steer by; or
        direction, at: a vector as wide as the activation at a site and layer, such as
            ``Address("resid_post", 3)``.
        op: ``add`` to the feature's activation, or ``set`` it; a direction can only be added.
        positions: where, in each prompt; negative ones count from its end. None: all but the first, and all
            that is said.
        track: tokens of which the probability is kept.
        n_tokens: how many are said after each prompt, each time the likeliest; an end-of-text token does not
            end it. 0: none.
        k: how many of the likeliest next tokens are kept.

    Raises:
        InputError: not exactly one thing to steer by, strengths that do not rise, a tracked token that is
            none, a prompt without a second position or too long to go on from; an SAE of another model.
        EditError: a feature that is not there, a direction of another width.
        SiteError: the model does not have the site, or a prompt not the positions.
    """
    check_choice("operation", op, ("add", "set"))
    by_feature, by_direction = (sae is not None, feature is not None), (direction is not None, at is not None)
    if sorted([by_feature, by_direction]) != [(False, False), (True, True)]:
        raise InputError(
            "Steer by a feature of an SAE (sae and feature), or by a direction (direction and at)."
        )
    if by_direction[0] and op == "set":
        raise InputError("A direction has no activation to be set; add it.")
    strengths = tuple(map(float, strengths))
    if not strengths or list(strengths) != sorted(set(strengths)):
        raise InputError("Give at least one strength, each once and rising.")
    if n_tokens < 0 or not 1 <= k <= model.arch.d_vocab:
        raise InputError("n_tokens is at least 0, and k at least 1 and no more than there are tokens.")
    tokens = model.to_tokens(prompts)
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
    tracked = [model.to_single_token(token) for token in track]

    def edit(strength: float, row: int, n_pos: int, length: int) -> Edit:
        """The edit of one row, [.., n_pos] of which the prompt is the first `length`."""
        if positions is None:
            where: tuple[int, ...] = tuple(range(1, n_pos))
        else:  # counted in the prompt alone, also when it has grown; a wrong one is the model's to refuse
            named = Address("embed", positions=positions).positions or ()
            where = tuple(p + length if -length <= p < 0 else p for p in named)
        if sae is not None and feature is not None:
            return feature_edit(sae, op, feature, value=strength, positions=where, rows=row)
        assert direction is not None
        assert at is not None
        return Edit.add(at.site, at.layer, value=strength * direction, positions=where, rows=(row,))

    found = []
    for number in range(len(tokens)):
        report("prompts", number, len(tokens))
        ids = tokens.row(number)
        grown = [list(ids) for _ in range(1 + len(strengths))]  # the first is not steered
        first = None
        for _ in range(max(n_tokens, 1)):
            edits = [edit(s, row + 1, len(grown[0]), len(ids)) for row, s in enumerate(strengths)]
            last = model.forward(Tokens.pad(grown), edits)[:, -1].cpu().double()  # [row, d_vocab]
            first = last if first is None else first
            for row, token in zip(grown, last.argmax(-1).tolist(), strict=True):
                row.append(token)
        assert first is not None
        found.append((first, [row[len(ids) : len(ids) + n_tokens] for row in grown]))
    report("prompts", len(tokens), len(tokens))

    logits = torch.stack([first for first, _ in found])  # [prompt, 1 + strength, d_vocab]
    probabilities = logits.softmax(-1)
    best = probabilities[:, 1:].topk(k, dim=-1)
    said = [["".join(model.labels(row)) for row in rows] for _, rows in found]
    address = sae.address if sae is not None else at
    assert address is not None
    return SteeringResult(
        provenance=Provenance.of(model, seed=seed),
        what=(
            f"feature {feature} of an SAE of {sae.model}"
            if sae is not None
            else f"a direction of length {float(torch.as_tensor(direction).norm()):.4g}"
        ),
        site=address.hook,
        op=op,
        where=_in_words(positions),
        prompts=tuple("".join(model.labels(tokens.row(row))) for row in range(len(tokens))),
        strengths=strengths,
        activation=None if sae is None or feature is None else _activation(model, sae, feature, tokens),
        tracked=tuple(model.labels(tracked)),
        probabilities=probabilities[:, 1:, tracked].numpy(),
        probabilities_before=probabilities[:, 0, tracked].numpy(),
        kl=kl_divergence(logits[:, :1], logits[:, 1:]).numpy(),
        top=tuple(tuple(tuple(model.labels(ids)) for ids in rows) for rows in best.indices.tolist()),
        top_before=tuple(model.labels(probabilities[:, 0].argmax(-1))),
        top_probabilities=best.values.numpy(),
        said=tuple(tuple(rows[1:]) for rows in said),
        said_before=tuple(rows[0] for rows in said),
    )


def _activation(model: Model, sae: SAE, feature: int, tokens: Tokens) -> tuple[float, ...]:
    """The feature's strongest activation in each prompt, without its first position."""
    x = flat(sae.address.site, model.run_with_cache(tokens, [sae.address])[sae.address])
    values = features_of(sae, x.to(torch.promote_types(x.dtype, sae.W_dec.dtype)), [feature])[..., 0]
    return tuple(
        row[1:length].max().item() if length > 1 else 0.0
        for row, length in zip(values, tokens.lengths, strict=True)
    )


def _in_words(positions: int | Sequence[int] | None) -> str:
    if positions is None:
        return "at all positions but the first"
    several = [positions] if isinstance(positions, int) else list(positions)
    return f"at position {', '.join(map(str, several))}"
