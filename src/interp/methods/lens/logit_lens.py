"""Logit lens: what would the model say, if it had to answer after this layer?

nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens

Each layer's residual stream goes through the model's own final norm and unembedding. When it
misleads: early layers may keep their content in another basis than the last, so a token that the
lens does not show can be there all the same. A tuned lens (`interp.methods.lens.tuned_lens`) allows for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError, nearest
from interp.models.base import Model
from interp.progress import report
from interp.provenance import Provenance
from interp.readout import kl_divergence
from interp.results import Result
from interp.tokens import Prompt

if TYPE_CHECKING:
    from interp.methods.lens.tuned_lens import TunedLens

LensSite = Literal["resid", "attn_out", "mlp_out"]
SITES: tuple[str, ...] = ("resid", "attn_out", "mlp_out")
AT_ONCE = 2**22  # logits that are looked at together


@dataclass(frozen=True, eq=False, kw_only=True)
class LogitLensResult(Result):
    """The prediction read off at each layer.

    The arrays are [layer] for one position and [layer, position] for all. The first row is the
    embedding where `site` is ``resid`` (`layers` = "embed", "0", "1", ...).
    """

    kind: ClassVar[str] = "logit_lens"
    tokens: tuple[str, ...]  # the whole prompt, BOS included
    positions: tuple[int, ...]  # those that were read
    one_position: bool
    answer: str
    answer_id: int
    site: str
    layers: tuple[str, ...]
    answer_prob: Float[np.ndarray, " layer*position"]
    answer_rank: Int[np.ndarray, " layer*position"]  # 1 is top
    entropy: Float[np.ndarray, " layer*position"]  # nats
    kl_to_final: Float[np.ndarray, " layer*position"]  # KL(final || layer), nats
    top_ids: Int[np.ndarray, "layer *position k"]
    top_probs: Float[np.ndarray, "layer *position k"]
    top_tokens: tuple  # texts, nested as top_ids
    final_top_token: str  # the model's own prediction at the last position read
    final_top_prob: float
    lens: str = "plain"  # plain | tuned

    @property
    def crossover_layer(self) -> int | None:
        """The first layer from which on the answer is top-1 up to the last, at the last position read.

        -1 is the embedding; None where the answer is not top-1 at the end.
        """
        rank = self.answer_rank if self.one_position else self.answer_rank[:, -1]
        return crossover(rank, self.layers)

    @property
    def grid(self) -> dict[str, np.ndarray]:
        """The arrays as [layer, position, ...], also where there is one position."""
        names = ("answer_prob", "answer_rank", "entropy", "kl_to_final", "top_ids", "top_probs")
        arrays = {name: getattr(self, name) for name in names}
        arrays["top_tokens"] = np.array(self.top_tokens, dtype=object)
        return {name: a[:, None] if self.one_position else a for name, a in arrays.items()}


def crossover(rank: Int[np.ndarray, " layer"], layers: Sequence[str]) -> int | None:
    """The first layer from which on the rank is 1 up to the last; -1 is the embedding, None: not at the
    end."""
    if rank[-1] != 1:
        return None
    misses = np.flatnonzero(rank != 1)
    row = int(misses[-1]) + 1 if len(misses) else 0
    return row - 1 if layers[0] == "embed" else row


def logit_lens(
    model: Model,
    prompt: Prompt,
    answer: str | int | None = None,
    *,
    position: int | Literal["all"] = -1,
    site: LensSite = "resid",
    k: int = 5,
    lens: TunedLens | None = None,
    seed: int = 0,
) -> LogitLensResult:
    """Read the model's prediction off at every layer.

    Args:
        prompt: text, or token ids that are taken as they are.
        answer: the token to follow, as text (exactly one token) or id; by default what the model
            itself says at the last position read.
        position: which position to read, counted from the end where negative, or ``all``.
        site: ``resid`` reads the residual stream (the embedding, then after each layer);
            ``attn_out`` and ``mlp_out`` what a layer's attention or MLP alone would say.
        k: how many top tokens to keep.
        lens: a tuned lens, which translates each layer's stream first; only of ``resid``.
        seed: recorded only; the lens draws nothing.

    Raises:
        InputError: an unusable prompt, an answer of several tokens, a position out of range, a tuned
            lens of another model or site.
    """
    if site not in SITES:
        raise InputError(f"Unknown lens site {site!r}; {nearest(site, SITES)}")
    if lens is not None and site != "resid":
        raise InputError(f"A tuned lens translates the residual stream, not {site!r}; use site='resid'.")
    if not 1 <= k <= model.arch.d_vocab:
        raise InputError(f"k must lie between 1 and {model.arch.d_vocab}; got {k}.")
    tokens = model.to_tokens(prompt)
    ids = tokens.repeat(1).row(0)
    positions = _positions(position, len(ids))

    states, final = _translated(model, prompt, positions, site, lens)  # [layer, pos, d_model], [pos, d_vocab]
    answer_id = int(final[-1].argmax()) if answer is None else model.to_single_token(answer)
    found = _measured(model, states, final, answer_id, k)
    one = position != "all"

    def array(name: str) -> np.ndarray:
        return (found[name][:, 0] if one else found[name]).numpy()

    top_ids = array("top_ids")
    n_layers = model.arch.n_layers
    return LogitLensResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(ids)),
        positions=tuple(positions),
        one_position=one,
        answer=model.labels([answer_id])[0],
        answer_id=answer_id,
        site=site,
        layers=(*(["embed"] if site == "resid" else []), *map(str, range(n_layers))),
        answer_prob=array("answer_prob"),
        answer_rank=array("answer_rank"),
        entropy=array("entropy"),
        kl_to_final=array("kl_to_final"),
        top_ids=top_ids,
        top_probs=array("top_probs"),
        top_tokens=_texts(model, top_ids),
        final_top_token=model.labels([int(final[-1].argmax())])[0],
        final_top_prob=float(final[-1].double().softmax(-1).max()),
        lens="plain" if lens is None else "tuned",
    )


def lens_logits(
    model: Model,
    prompt: Prompt,
    positions: Sequence[int],
    *,
    site: LensSite = "resid",
    lens: TunedLens | None = None,
) -> tuple[Float[Tensor, "layer pos d_vocab"], Float[Tensor, "pos d_vocab"]]:
    """The logits that the lens reads at each layer, and the model's own, in float64 on the CPU."""
    states, final = _translated(model, prompt, list(positions), site, lens)
    return model.unembed(states).cpu().double(), final.double().cpu()


def _measured(
    model: Model,
    states: Float[Tensor, "layer pos d_model"],
    final: Float[Tensor, "pos d_vocab"],
    answer_id: int,
    k: int,
) -> dict[str, Tensor]:
    """What the result holds of each state, [layer, pos] and [layer, pos, k]; some positions at a time, as the
    logits of a long prompt would fill the memory."""
    n, step = len(final), max(1, AT_ONCE // (len(states) * final.shape[-1]))
    parts = []
    for start in range(0, n, step):
        report("positions", start, n)
        here = slice(start, start + step)
        read = model.unembed(states[:, here]).cpu().double()  # [layer, pos, d_vocab]
        log_probs = read.log_softmax(-1)
        probs = log_probs.exp()
        top = probs.topk(k, dim=-1)  # [layer, pos, k]
        part = {
            "answer_prob": probs[..., answer_id].clone(),  # a view would keep all of them
            "answer_rank": (read > read[..., answer_id, None]).sum(-1) + 1,
            "entropy": -(probs * log_probs).sum(-1),
            "kl_to_final": kl_divergence(final[here].double().cpu(), read),
            "top_ids": top.indices,
            "top_probs": top.values,
        }
        parts.append(part)
    report("positions", n, n)
    return {name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]}


def _translated(
    model: Model, prompt: Prompt, positions: list[int], site: str, lens: TunedLens | None
) -> tuple[Tensor, Tensor]:
    """What is unembedded, [layer, pos, d_model], and the final logits [pos, d_vocab]."""
    states, logits = _states(model, prompt, site, positions)
    if lens is not None:
        lens.check_fits(model)
        states = lens.translate(states)
    return states, logits


def _positions(position: int | str, n: int) -> list[int]:
    if position == "all":
        return list(range(n))
    if isinstance(position, bool) or not isinstance(position, int):
        raise InputError(f"position must be a number or 'all', not {position!r}.")
    if not -n <= position < n:
        raise InputError(
            f"Position {position} is out of range; the prompt has {n} tokens, from 0 to {n - 1}."
        )
    return [position % n]


def _states(model: Model, prompt: Prompt, site: str, positions: list[int]) -> tuple[Tensor, Tensor]:
    """What the lens unembeds, [layer, pos, d_model], and the final logits [pos, d_vocab]."""
    if site == "resid":
        cache = model.run_with_cache(prompt, [("resid_pre", 0), "resid_post"])
        states = torch.cat([cache["resid_pre", 0][None], cache.stack("resid_post")])
    else:
        cache = model.run_with_cache(prompt, [site])
        states = cache.stack(site)
    return states[:, 0, positions], cache.logits[0, positions]


def _texts(model: Model, ids: np.ndarray) -> tuple:
    """Token texts, nested as the array of ids."""
    if ids.ndim == 1:
        return tuple(model.labels(ids.tolist()))
    return tuple(_texts(model, row) for row in ids)
