"""Logit lens: what would the model say, if it had to answer after this layer?

nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens

Each layer's residual stream goes through the model's own final norm and unembedding, or through another lens
(`interp.methods.lens.lens`). When it misleads: early layers may keep their content in another basis than the
last, so a token that the logit lens does not show can be there all the same. A tuned lens
(`interp.methods.lens.tuned_lens`) allows for that.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.answers import Answer, AnswerLike
from interp.errors import InputError, InterpWarning, check_choice
from interp.methods.lens.answer_reading import read_answer
from interp.methods.lens.lens import STREAMS, Lens, layer_names, residual_streams, stream_layers
from interp.methods.lens.results import LogitLensResult
from interp.methods.lens.sources import AnyLens, load_lens
from interp.models.base import Model
from interp.models.precise import HALF, precise_unembed
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.tokens import Prompt

LensSite = Literal["resid", "attn_out", "mlp_out"]
SITES: tuple[str, ...] = get_args(LensSite)
AT_ONCE = 2**22  # logits that are looked at together


def logit_lens(
    model: Model,
    prompt: Prompt,
    answer: AnswerLike | None = None,
    *,
    position: int | Literal["all"] = -1,
    site: LensSite = "resid",
    k: int = 5,
    lens: AnyLens = "logit",
    seed: int = 0,
) -> LogitLensResult:
    """Read the model's prediction off at every layer.

    Args:
        prompt: text, or token ids that are taken as they are.
        answer: what is to follow, of one token or several, in one form or several (`interp.answers`); by
            default the token that the model itself says at the last position read. One of several tokens is
            read in a run of its own behind each position (`interp.methods.lens.answer_reading`).
        position: which position to read, counted from the end where negative, or ``all``.
        site: ``resid`` reads the residual stream (the embedding, then after each layer);
            ``attn_out`` and ``mlp_out`` what a layer's attention or MLP alone would say.
        k: how many top tokens to keep.
        lens: what the streams are read with: a name, a place, or a lens itself (`interp.load_lens`).
        seed: recorded only; the lens draws nothing.

    Raises:
        InputError: an unusable prompt, what is no answer, a position out of range, a lens of another model
            or one that does not read this site.
    """
    check_choice("site", site, SITES)
    if not 1 <= k <= model.arch.d_vocab:
        raise InputError(f"k must lie between 1 and {model.arch.d_vocab}; got {k}.")
    lens = load_lens(lens, model)
    ids = model.to_tokens(prompt).repeat(1).row(0)
    positions = positions_to_read(position, len(ids))
    asked = None if answer is None else model.to_answer(answer)
    states = _read_states(model, prompt, positions, site, lens)
    last = states.final[-1]
    asked = asked or Answer.of(int(last.argmax()))
    _warn_of_rounding(model, states)
    found = _measure(states, k, asked) | _read_sequences(model, ids, positions, site, lens, asked)
    token_log_probs = found.pop("token_log_probs", None)
    if position != "all":
        found = {name: array[:, 0] for name, array in found.items()}
    return LogitLensResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(ids)),
        positions=tuple(positions),
        one_position=position != "all",
        answer=model.answer_label(asked),
        answer_id=asked.first,
        answer_tokens=() if asked.token is not None else tuple(tuple(model.labels(form)) for form in asked),
        answer_token_log_probs=token_log_probs if position != "all" else None,
        site=site,
        layers=layer_names(states.layers),
        **found,
        top_tokens=_texts(model, found["top_ids"]),
        final_top_token=model.labels([int(last.argmax())])[0],
        final_top_prob=float(last.double().softmax(-1).max()),
        lens=lens.name,
        lens_description=lens.description,
        lens_card=lens.card,
        prompt=model.to_text(ids),
    )


def lens_logits(
    model: Model,
    prompt: Prompt,
    positions: Sequence[int],
    *,
    site: LensSite = "resid",
    lens: AnyLens = "logit",
) -> tuple[Float[Tensor, "layer pos d_vocab"], Float[Tensor, "pos d_vocab"]]:
    """The logits that a lens reads at each layer, and the model's own, in float64 on the CPU. Arguments and
    errors as of `logit_lens`."""
    states = _read_states(model, prompt, list(positions), site, load_lens(lens, model))
    return states.read(slice(None)), states.final.double().cpu()


@dataclass(frozen=True, eq=False)
class _States:
    """Some positions of a prompt, and the lens that reads them."""

    model: Model
    lens: Lens
    layers: range
    resid: Float[Tensor, "layer pos d_model"]
    final: Float[Tensor, "pos d_vocab"]  # of the last stream; below float32, read in float32
    own: Float[Tensor, "pos d_vocab"]  # the model's own logits, as it rounds them

    def read(self, here: slice) -> Float[Tensor, "layer pos d_vocab"]:
        """What the lens reads at some of the positions, in float64 on the CPU."""
        return self.lens.logits_of_layers(self.model, self.resid[:, here], self.layers).cpu().double()


def _read_states(model: Model, prompt: Prompt, positions: list[int], site: str, lens: Lens) -> _States:
    if site not in lens.sites:
        raise InputError(
            f"A {lens.name} lens does not read {site!r} but {', '.join(lens.sites)}; use site='resid'."
        )
    layers: range
    last = ("resid_post", model.arch.n_layers - 1)
    if site == "resid":
        cache = model.run_with_cache(prompt, STREAMS)
        found, layers = residual_streams(cache), stream_layers(model)
    else:
        cache = model.run_with_cache(prompt, [site, last])
        found, layers = cache.stack(site), range(model.arch.n_layers)
    return _States(
        model=model,
        lens=lens,
        layers=layers,
        resid=found[:, 0, positions],
        final=precise_unembed(model, cache[last][0, positions])
        if model.dtype in HALF
        else cache.logits[0, positions],
        own=cache.logits[0, positions],
    )


def _warn_of_rounding(model: Model, states: _States) -> None:
    """Below float32, say what was measured of the rounding of the model's own logits."""
    if model.dtype not in HALF:
        return
    own, precise = states.own.double().cpu(), states.final.double().cpu()
    off = float((own - precise).abs().max())
    tied = int((own == own.max(-1, keepdim=True).values).sum(-1).max())
    shared = f"; up to {tied} tokens share the highest one" if tied > 1 else ""
    warnings.warn(
        f"In {model.identity.dtype} the model's own logits are rounded by up to {off:.2g} here{shared}. The "
        "lens reads the streams in float32; their own error stays, so load with dtype='float32' to be sure.",
        InterpWarning,
        stacklevel=3,
    )


def _read_sequences(
    model: Model, ids: list[int], positions: list[int], site: str, lens: Lens, answer: Answer
) -> dict[str, np.ndarray]:
    """What the result holds of an answer of several tokens, [layer, pos]; nothing of another. Of one form,
    its tokens at the last position as well, [layer, token]."""
    if answer.at_once:
        return {}

    def read(run: Sequence[int], places: Sequence[int]) -> Float[Tensor, "layer place d_vocab"]:
        return _read_states(model, list(run), list(places), site, lens).read(slice(None))

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


def _measure(states: _States, k: int, answer: Answer) -> dict[str, np.ndarray]:
    """What the result holds of each state, [layer, pos] and [layer, pos, k]; some positions at a time, as the
    logits of a long prompt would fill the memory."""
    n, d_vocab = states.final.shape
    tokens = [form[0] for form in answer]  # those that the answer begins with
    step = max(1, AT_ONCE // (len(states.layers) * d_vocab))
    parts = []
    for start in range(0, n, step):
        report("positions", start, n)
        here = slice(start, start + step)
        read = states.read(here)  # [layer, pos, d_vocab]
        log_probs = read.log_softmax(-1)
        probs = log_probs.exp()
        top = probs.topk(k, dim=-1)  # [layer, pos, k]
        best = read[..., tokens].amax(-1, keepdim=True)
        others = read.index_fill(-1, torch.tensor(tokens), -torch.inf)
        part = {
            "answer_prob": probs[..., tokens].sum(-1),
            "answer_rank": (others >= best).sum(-1) + 1,
            "answer_ties": (others == best).sum(-1),
            "entropy": -(probs * log_probs).sum(-1),
            "kl_to_final": kl_divergence(states.final[here].double().cpu(), read),
            "top_ids": top.indices,
            "top_probs": top.values,
        }
        parts.append(part)
    report("positions", n, n)
    return {name: torch.cat([part[name] for part in parts], dim=1).numpy() for name in parts[0]}


def positions_to_read(position: int | str, n: int) -> list[int]:
    """The positions that are asked for, of `n`. `InputError` where there is none such."""
    if position == "all":
        return list(range(n))
    if isinstance(position, bool) or not isinstance(position, int):
        raise InputError(f"position must be a number or 'all', not {position!r}.")
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
