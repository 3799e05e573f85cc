"""Logit lens: what would the model say, if it had to answer after this layer?

nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens

Each layer's residual stream goes through the model's own final norm and unembedding, or through another lens
(`interp.methods.lens.lens`). When it misleads: early layers may keep their content in another basis than the
last, so a token that the logit lens does not show can be there all the same. A tuned lens
(`interp.methods.lens.tuned_lens`) allows for that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer, AnswerLike
from interp.edits import Edit
from interp.errors import InputError, InterpWarning, check_choice
from interp.methods.lens.answer_reading import read_answer
from interp.methods.lens.columns import Column, LensReadings, read_columns, rounding
from interp.methods.lens.lens import check_site, layer_names, stream_layers
from interp.methods.lens.results import LogitLensResult
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.tokens import Prompt

LensSite = Literal["resid", "attn_out", "mlp_out"]
SITES: tuple[str, ...] = get_args(LensSite)


def logit_lens(
    model: Model,
    prompt: Prompt,
    answer: AnswerLike | None = None,
    *,
    position: int | Sequence[int] | Literal["all"] = -1,
    site: LensSite = "resid",
    k: int = 5,
    lens: AnyLens = "logit",
    edits: Sequence[Edit] = (),
    kept: LensReadings | None = None,
    seed: int = 0,
) -> LogitLensResult:
    """Read the model's prediction off at every layer.

    Args:
        prompt: text, or token ids that are taken as they are.
        answer: what is to follow, of one token or several, in one form or several (`interp.answers`); by
            default the token that the model itself says at the last position read. One of several tokens is
            read in a run of its own behind each position (`interp.methods.lens.answer_reading`).
        position: which position to read, counted from the end where negative; several, in their order; or
            ``all``.
        site: ``resid`` reads the residual stream (the embedding, then after each layer);
            ``attn_out`` and ``mlp_out`` what a layer's attention or MLP alone would say.
        k: how many top tokens to keep.
        lens: what the streams are read with: a name, a place, or a lens itself (`interp.load_lens`).
        edits: changes to the run that is read; the answer is then of one token.
        kept: what was read before, of this model, and what is read now for the next time.
        seed: recorded only; the lens draws nothing.

    Raises:
        InputError: an unusable prompt, what is no answer, a position out of range, a lens of another model
            or one that does not read this site.
        SiteError, EditError: an edit at a place that this model does not have, or that it cannot take.
    """
    check_choice("site", site, SITES)
    if not 1 <= k <= model.arch.d_vocab:
        raise InputError(f"k must lie between 1 and {model.arch.d_vocab}; got {k}.")
    lens = load_lens(lens, model)
    check_site(lens, site)
    ids = model.to_tokens(prompt).repeat(1).row(0)
    positions = positions_to_read(position, len(ids))
    asked = None if answer is None else model.to_answer(answer)
    if edits and asked is not None and not asked.at_once:
        raise InputError("With edits, a lens reads an answer of one token; give one, or leave the edits out.")
    kept_here = kept or LensReadings(column_bytes=0)
    columns = partial(read_columns, model, lens=lens, site=site, k=k, kept=kept_here, edits=edits)
    if kept is None or not kept.has_run(site, ids):
        _warn_of_rounding(model, ids, positions)
    (last,) = columns(ids, positions[-1:])
    asked = asked or Answer.of(last.final_id)
    every = chain(columns(ids, positions[:-1]), [last])
    found = _measure(every, k, asked) | _read_sequences(columns, ids, positions, asked)
    token_log_probs = found.pop("token_log_probs", None)
    one_position = isinstance(position, int)
    if one_position:
        found = {name: array[:, 0] for name, array in found.items()}
    return LogitLensResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(ids)),
        positions=tuple(positions),
        one_position=one_position,
        answer=model.answer_label(asked),
        answer_id=asked.first,
        answer_tokens=() if asked.token is not None else tuple(tuple(model.labels(form)) for form in asked),
        answer_token_log_probs=token_log_probs if one_position else None,
        site=site,
        layers=layer_names(stream_layers(model) if site == "resid" else range(model.arch.n_layers)),
        **found,
        top_tokens=_texts(model, found["top_ids"]),
        final_top_token=model.labels([last.final_id])[0],
        final_top_prob=last.final_prob,
        lens=lens.name,
        lens_description=lens.description,
        lens_card=lens.card,
        prompt=model.to_text(ids),
        edits=tuple(f"{edit.op} at {edit.address}" for edit in edits),
    )


def _warn_of_rounding(model: Model, ids: list[int], positions: list[int]) -> None:
    """Below float32, say what was measured of the rounding of the model's own logits."""
    measured = rounding(model, ids, positions)
    if measured is None:
        return
    off, tied = measured
    shared = f"; up to {tied} tokens share the highest one" if tied > 1 else ""
    warnings.warn(
        f"In {model.identity.dtype} the model's own logits are rounded by up to {off:.2g} here{shared}. The "
        "lens reads the streams in float32; their own error stays, so load with dtype='float32' to be sure.",
        InterpWarning,
        stacklevel=3,
    )


def _read_sequences(
    columns: Callable[[Sequence[int], Sequence[int]], Iterator[Column]],
    ids: list[int],
    positions: list[int],
    answer: Answer,
) -> dict[str, np.ndarray]:
    """What the result holds of an answer of several tokens, [layer, pos]; nothing of another. Of one form,
    its tokens at the last position as well, [layer, token]."""
    if answer.at_once:
        return {}

    def read(run: Sequence[int], places: Sequence[int]) -> Float[Tensor, "layer place d_vocab"]:
        return torch.stack([column.logits for column in columns(run, places)], 1).double()

    found = []
    for done, position in enumerate(positions):
        report("positions", done, len(positions))
        found.append(read_answer(read, ids[: position + 1], answer))
    report("positions", len(positions), len(positions))
    arrays = {
        "answer_prob": torch.stack([one.log_prob.exp() for one in found], 1).numpy(),
        "answer_rank": torch.stack([one.rank for one in found], 1).numpy(),
    }
    if len(answer.forms) == 1:
        arrays["token_log_probs"] = found[-1].tokens[0][0].numpy()
    return arrays


def _measure(columns: Iterable[Column], k: int, answer: Answer) -> dict[str, np.ndarray]:
    """What the result holds of each column, [layer, pos] and [layer, pos, k]."""
    tokens = [form[0] for form in answer]  # those that the answer begins with
    parts = []
    for column in columns:
        rank, ties = column.rank(tokens)
        part = {
            "answer_prob": column.probs(tokens).sum(-1),
            "answer_rank": rank,
            "answer_ties": ties,
            "entropy": column.entropy,
            "kl_to_final": column.kl_to_final,
            "top_ids": column.top_ids[:, :k],
            "top_probs": column.top_probs[:, :k],
        }
        parts.append(part)
    return {name: torch.stack([part[name] for part in parts], dim=1).numpy() for name in parts[0]}


def positions_to_read(position: int | Sequence[int] | Literal["all"], n: int) -> list[int]:
    """The positions that are asked for, of `n`. `InputError` where there is none such."""
    if position == "all":
        return list(range(n))
    if isinstance(position, Sequence) and not isinstance(position, str):
        found = [place for one in position for place in positions_to_read(one, n)]
        if not found or len(set(found)) < len(found):
            raise InputError(f"position must name each position once, and one at least; got {position}.")
        return found
    if isinstance(position, bool) or not isinstance(position, int):
        raise InputError(f"position must be a number, several in a list, or 'all', not {position!r}.")
    if not -n <= position < n:
        raise InputError(
            f"Position {position} is out of range; the prompt has {n} tokens, from 0 to {n - 1}."
        )
    return [position % n]


def _texts(model: Model, ids: np.ndarray) -> tuple:
    """Token texts, nested as the array of ids."""
    if ids.ndim == 1:
        return tuple(model.labels(ids.tolist()))
    return tuple(_texts(model, row) for row in ids)
