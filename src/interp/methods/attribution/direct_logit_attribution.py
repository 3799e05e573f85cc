"""Direct logit attribution: which parts of the model write the logit?

Elhage et al. 2021, https://transformer-circuits.pub/2021/framework ; nostalgebraist's logit lens, by parts.

1. The residual stream at a position is a sum: the embedding, and what each attention and MLP layer added.
2. The final norm divides it by a scale. With that scale frozen at the value of this run, the rest of the way
   to a logit (centring, the norm's weight and bias, the unembedding and its bias) is an affine map: a
   constant, and a direction in the residual stream (`FrozenReadout`).
3. The product of each part with the direction is its part of the logit. Together with the constant, these sum
   to the logit, which is checked. Heads, source positions and neurons split an attention or MLP part further:
   ``attn_out = sum of z @ W_O + bias``, ``z = sum over positions of pattern * v``, ``mlp_out = mlp_act @
   W_out + bias``.

The parts are those of the logit before a final soft cap (Gemma 2), where there is one: a cap is no sum.

When it misleads: these are *direct* effects. A head that acts through later heads has none, and one that is
removed may be made up for by others. A part of a *single* logit says little, as what moves all logits alike
moves no prediction; give a foil. And the frozen scale hides what a part does to the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError, InputError, SiteError, nearest
from interp.methods.common.statistics import bootstrap_interval
from interp.models.base import Cache, Model
from interp.progress import report
from interp.provenance import Provenance
from interp.results import Result
from interp.tokens import Prompt, Tokens

View = Literal["head", "source", "neuron"]
VIEWS: tuple[str, ...] = ("head", "source", "neuron")
TOLERANCE = 1e-3  # by how much the parts may miss the logit, in logits
_CHECKED = 32  # top logits of which the affine map must be right, besides those asked for


@dataclass(frozen=True, eq=False, kw_only=True)
class DirectLogitAttributionResult(Result):
    """Parts of a logit, or of a logit difference where there is a foil; each in logits (natural-log units).

    Values are means over prompts; ``*_low`` and ``*_high`` are their 95 % bootstrap intervals, ``*_each`` the
    values of each prompt. A finer view that was not asked for, or that this model or backend cannot give, is
    None; `left_out` says why.
    """

    kind: ClassVar[str] = "direct_logit_attribution"
    tokens: tuple[str, ...]  # of the first prompt, BOS included
    position: int  # that was read, in the first prompt
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    foils: tuple[str, ...] | None
    soft_cap: float | None  # of the model's logits; what is decomposed here is before it
    logits: Float[np.ndarray, " prompt"]  # what is decomposed: logit(answer), less logit(foil)
    components: tuple[str, ...]  # "embed", "pos_embed", "L0 attn", "L0 mlp", ..., "constant"
    by_component: Float[np.ndarray, " component"]
    by_component_low: Float[np.ndarray, " component"]
    by_component_high: Float[np.ndarray, " component"]
    by_component_each: Float[np.ndarray, "prompt component"]
    states: tuple[str, ...]  # "embed", "0", "1", ...
    accumulated: Float[np.ndarray, " state"]  # the constant and all parts up to this state
    accumulated_low: Float[np.ndarray, " state"]
    accumulated_high: Float[np.ndarray, " state"]
    by_head: Float[np.ndarray, "layer head"] | None
    by_head_low: Float[np.ndarray, "layer head"] | None
    by_head_high: Float[np.ndarray, "layer head"] | None
    by_head_each: Float[np.ndarray, "prompt layer head"] | None
    attn_bias: Float[np.ndarray, " layer"] | None  # what attention adds beside its heads
    by_source: Float[np.ndarray, "layer head position"] | None  # a head's part, by what it attended to
    neurons: tuple[tuple[int, int], ...]  # (layer, neuron), the largest part first
    by_neuron: Float[np.ndarray, " neuron"] | None
    by_neuron_low: Float[np.ndarray, " neuron"] | None
    by_neuron_high: Float[np.ndarray, " neuron"] | None
    other_neurons: Float[np.ndarray, " layer"] | None  # the sum of a layer's neurons that are not listed
    mlp_bias: Float[np.ndarray, " layer"] | None  # what an MLP adds beside its neurons
    left_out: tuple[tuple[str, str], ...]  # (view, why it is not here)

    def by_layer(self, part: Literal["attn", "mlp"]) -> Float[np.ndarray, " layer"]:
        """The parts of all attention or all MLP layers."""
        wanted = [i for i, name in enumerate(self.components) if name.endswith(f" {part}")]
        return self.by_component[wanted]


@dataclass(frozen=True, eq=False)
class FrozenReadout:
    """How a logit (difference) is read off the residual stream, with the final norm's scale frozen.

    ``value = resid @ direction + constant``. `constant` is what the norm's bias and the unembedding's bias
    give.
    """

    direction: Float[Tensor, " d_model"]  # float64, on the CPU
    constant: float
    value: float


@dataclass(frozen=True, eq=False)
class _Parts:
    """The parts of one prompt."""

    value: float
    components: dict[str, float]
    accumulated: Float[np.ndarray, " state"]
    heads: Float[Tensor, "layer head"] | None
    attn_bias: Float[Tensor, " layer"] | None
    sources: Float[Tensor, "layer head position"] | None
    neurons: Float[Tensor, "layer d_mlp"] | None
    mlp_bias: Float[Tensor, " layer"] | None


def direct_logit_attribution(
    model: Model,
    prompt: Prompt | Sequence[Prompt],
    answer: str | int | Sequence[str | int],
    foil: str | int | Sequence[str | int] | None = None,
    *,
    position: int = -1,
    views: Sequence[View] | Literal["all"] = "all",
    k: int = 10,
    seed: int = 0,
) -> DirectLogitAttributionResult:
    """Decompose logit(answer), or logit(answer) - logit(foil), into what each part of the model wrote.

    Args:
        prompt: one, or several of which the mean is shown; text or token ids.
        answer, foil: exactly one token each; one for all prompts, or as many as there are prompts.
        position: where the logit is read, counted from the end of each prompt where negative.
        views: finer views than by component: ``head``, ``source`` (a head's part by the position that it
            attended to; of one prompt, or several of one length) and ``neuron``. ``all`` gives those that can
            be had here and records the others in ``left_out``; a view that is named and cannot be had is an
            error.
        k: how many neurons to list.
        seed: of the bootstrap.

    Raises:
        SiteError: a view is named that the model (its norm stands behind the heads or neurons) or the backend
            (it does not reach the pattern) cannot give.
        InputError: unusable prompts, answers or choices.
        DecompositionError: the parts do not sum to the logit to 1e-3, as in half precision; or the final norm
            is of an unknown kind.
    """
    tokens = model.to_tokens(prompt)
    rows = [Tokens.pad([tokens.row(row)]) for row in range(len(tokens))]
    answers = _ids(model, answer, len(rows), "answer")
    foils = None if foil is None else _ids(model, foil, len(rows), "foil")
    if foils is not None and any(a == b for a, b in zip(answers, foils, strict=True)):
        raise InputError("The answer and the foil are the same token, so their logits differ by nothing.")
    if k < 1:
        raise InputError(f"k must be at least 1; got {k}.")
    for row in rows:
        if isinstance(position, bool) or not -row.lengths[0] <= position < row.lengths[0]:
            raise InputError(f"Position {position} is out of range; a prompt has {row.lengths[0]} tokens.")
    given, left_out = _views(model, rows, views)

    found = []
    for index, row in enumerate(rows):
        report("prompts", index, len(rows))
        wrong = None if foils is None else foils[index]
        found.append(_decompose(model, row, answers[index], wrong, position, given))
    report("prompts", len(rows), len(rows))

    names = tuple(found[0].components)
    values = np.array([[parts.components.get(name, 0.0) for name in names] for parts in found])
    low, high = bootstrap_interval(values, seed)
    states = np.stack([parts.accumulated for parts in found])
    states_low, states_high = bootstrap_interval(states, seed)
    return DirectLogitAttributionResult(
        provenance=Provenance.of(model, seed=seed),
        tokens=tuple(model.labels(rows[0].row(0))),
        position=position % rows[0].lengths[0],
        prompts=tuple("".join(model.labels(row.row(0))) for row in rows),
        answers=tuple(model.labels(answers)),
        foils=None if foils is None else tuple(model.labels(foils)),
        soft_cap=model.arch.logit_soft_cap,
        logits=np.array([parts.value for parts in found]),
        components=names,
        by_component=values.mean(0),
        by_component_low=low,
        by_component_high=high,
        by_component_each=values,
        states=("embed", *map(str, range(model.arch.n_layers))),
        accumulated=states.mean(0),
        accumulated_low=states_low,
        accumulated_high=states_high,
        **_head_fields(found, seed),
        by_source=_mean([parts.sources for parts in found]),
        **_neuron_fields(found, k, seed),
        left_out=left_out,
    )


# ---- what is asked ----


def _ids(model: Model, given: Any, n: int, what: str) -> list[int]:
    """A token id for each prompt: the one that was given for all, or as many as there are prompts."""
    several = [given] * n if isinstance(given, str | int) else list(given)
    if len(several) != n:
        raise InputError(
            f"There are {n} prompts and {len(several)} {what}s; give one for each, or one for all."
        )
    return [model.to_single_token(one) for one in several]


def _views(
    model: Model, rows: Sequence[Tokens], views: Any
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The views to compute, and those left out, each with the reason."""
    wanted = VIEWS if views == "all" else tuple(views)
    for view in wanted:
        if view not in VIEWS:
            raise InputError(f"Unknown view {view!r}; {nearest(str(view), VIEWS)}")
    given, left_out = [], []
    for view in wanted:
        try:
            _check_view(model, rows, view)
        except (SiteError, InputError) as error:
            if views != "all":
                raise
            left_out.append((view, str(error)))
        else:
            given.append(view)
    return tuple(given), tuple(left_out)


def _check_view(model: Model, rows: Sequence[Tokens], view: str) -> None:
    """Raise where a view cannot be had: `SiteError` of this model or backend, `InputError` of these
    prompts."""
    if model.arch.post_norms:
        part, whole = ("MLP neuron", "mlp") if view == "neuron" else ("head", "attn")
        raise SiteError(
            f"{model.identity.name} normalises what attention and MLP write before it is added, so the part "
            f"of one {part} is not what it writes alone; take the parts of whole layers ('L0 {whole}', ...),"
            " which are exact."
        )
    for site in {"head": ("z",), "source": ("v", "pattern"), "neuron": ("mlp_act",)}[view]:
        model.check_site(site)
    if view == "source" and len({row.lengths[0] for row in rows}) > 1:
        raise InputError(
            "The prompts have different numbers of tokens, so their source positions cannot be averaged; "
            "give prompts of one length."
        )


# ---- one prompt ----


def _decompose(
    model: Model, tokens: Tokens, answer: int, foil: int | None, position: int, views: Sequence[str]
) -> _Parts:
    """The parts of one prompt, checked against its logit."""
    sites: list[Any] = [("resid_pre", 0), "attn_out", "mlp_out", "resid_post"]
    if "embed" in model.sites:
        sites.append("embed")
    if "head" in views or "source" in views:
        sites.append("z")
    if "source" in views:
        sites += ["v", "pattern"]
    if "neuron" in views:
        sites.append("mlp_act")
    cache = model.run_with_cache(tokens, sites)
    at = position % tokens.lengths[0]
    layers = range(model.arch.n_layers)
    readout = frozen_readout(model, cache["resid_post", layers[-1]][0, at], cache.logits[0, at], answer, foil)

    def read(x: Tensor) -> Tensor:
        """The part of the logit that vectors [..., d_model] write."""
        return x.double().cpu() @ readout.direction

    components = {name: float(read(x)) for name, x in embeddings(model, tokens, cache, at).items()}
    for layer in layers:
        components[f"L{layer} attn"] = float(read(cache["attn_out", layer][0, at]))
        components[f"L{layer} mlp"] = float(read(cache["mlp_out", layer][0, at]))
    components["constant"] = readout.constant
    stream = [cache["resid_pre", 0][0, at], *(cache["resid_post", layer][0, at] for layer in layers)]
    accumulated = (read(torch.stack(stream)) + readout.constant).numpy()
    _check_sum(components, accumulated, readout.value)

    heads = attn_bias = sources = neurons = mlp_bias = None
    if "head" in views or "source" in views:
        W = torch.stack([read(model.W_O(layer)) for layer in layers])  # [layer, head, d_head]
    if "head" in views:
        z = cache.stack("z")[:, 0, at].double().cpu()  # [layer, head, d_head]
        heads = (z * W).sum(-1)
        attn_bias = read(cache.stack("attn_out")[:, 0, at]) - heads.sum(-1)
    if "source" in views:
        sources = torch.stack([_by_source(cache, layer, at, W[layer]) for layer in layers])
        _check_equal(
            sources.sum(-1), (cache.stack("z")[:, 0, at].double().cpu() * W).sum(-1), "source positions"
        )
    if "neuron" in views:
        split = [_by_neuron(model, cache, layer, at, read) for layer in layers]
        neurons, mlp_bias = (torch.stack(each) for each in zip(*split, strict=True))
    return _Parts(readout.value, components, accumulated, heads, attn_bias, sources, neurons, mlp_bias)


def frozen_readout(
    model: Model,
    resid: Float[Tensor, " d_model"],
    logits: Float[Tensor, " d_vocab"],
    answer: int,
    foil: int | None = None,
) -> FrozenReadout:
    """The direction whose product with the residual stream, and a constant, is a logit (difference).

    Without knowing the norm: a norm divides a linear map of its input by a scale and adds a bias, so that

        logits(x) = constant + A x / scale(x),   logits(0) = constant,   d logits / d x at 0 = A / scale(0).

    This holds for LayerNorm (A then centres) and RMSNorm, whatever their weights. So ``A / scale(resid)`` is
    the gradient at zero times ``scale(0) / scale(resid)``, one number for all tokens: that which carries the
    gradient times `resid` over into ``logits(resid) - logits(0)``.

    Args:
        resid: the last residual stream, at the position whose logit is read; its scale is the one frozen.
        logits: those of the model there.

    Raises `DecompositionError` where the final norm is of no such kind.
    """
    ids = [answer] if foil is None else [answer, foil]
    checked = torch.cat([torch.tensor(ids), logits.topk(min(_CHECKED, len(logits))).indices.cpu()])
    zeros = torch.zeros(len(checked), model.arch.d_model, dtype=model.dtype, requires_grad=True)
    at_zero = model.unembed(zeros, differentiable=True)  # [checked, d_vocab]
    own = at_zero.gather(1, checked[:, None].to(at_zero.device)).sum()
    (slopes,) = torch.autograd.grad(own, zeros)  # [checked, d_model]
    cap = model.arch.logit_soft_cap
    capped = at_zero[0].detach().double().cpu()[checked]
    slopes = slopes.double().cpu()
    if cap is not None:  # the slope of the cap at zero
        slopes = slopes / (1 - (capped / cap).square())[:, None]
    constants, values = (before_cap(x, cap) for x in (capped, logits.double().cpu()[checked]))
    reached, wanted = slopes @ resid.double().cpu(), values - constants
    scale = float((reached @ wanted) / (reached @ reached))
    off = (scale * reached - wanted).abs()
    if not off.max() <= TOLERANCE:  # NaN too
        raise DecompositionError(
            "With the final norm's scale frozen, the last residual stream gives logits that are off by up "
            f"to {off.max():.2g}; load the model with dtype='float32' or 'float64' where it is in half "
            "precision, otherwise its final norm is of a kind that cannot be decomposed."
        )
    signs = torch.tensor([1.0] if foil is None else [1.0, -1.0], dtype=torch.float64)
    n = len(ids)
    return FrozenReadout(
        direction=scale * (signs @ slopes[:n]),
        constant=float(signs @ constants[:n]),
        value=float(signs @ values[:n]),
    )


def before_cap(logits: Tensor, cap: float | None) -> Tensor:
    """Logits as they were before a final soft cap, where there is one."""
    return logits if cap is None else cap * torch.atanh(logits / cap)


def embeddings(model: Model, tokens: Tokens, cache: Cache, at: int) -> dict[str, Tensor]:
    """What the stream begins with at a position, by token and position embedding.

    Families scale or normalise the token embedding on its way into the stream, and some add one for the
    position.
    Two more prompts tell: if one token gives the same stream at all positions, there is no position
    embedding. If other tokens have the same difference between stream and embedding, that difference is the
    position's. Otherwise the two are not told apart.
    """
    stream = cache["resid_pre", 0][0]  # [pos, d_model]
    ids = tokens.ids[0]
    n = len(ids)
    sites: list[Any] = [("resid_pre", 0)] + (["embed"] if "embed" in model.sites else [])
    one_token = [int(ids[0])] * max(n, 2)
    other_tokens = ((ids + 1) % model.arch.d_vocab).tolist()
    probe = model.run_with_cache([one_token, other_tokens], sites)
    same_token = probe["resid_pre", 0][0]
    if _same(same_token, same_token[:1].expand_as(same_token)):
        return {"embed": stream[at]}
    if "embed" in model.sites:
        added = stream - cache["embed"][0]
        if _same(added, (probe["resid_pre", 0] - probe["embed"])[1, :n]):
            return {"embed": cache["embed"][0, at], "pos_embed": added[at]}
    return {"embed + pos_embed": stream[at]}


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-5 * max(1.0, float(b.abs().max())))


def _by_source(cache: Cache, layer: int, at: int, W: Float[Tensor, "head d_head"]) -> Tensor:
    """The parts of each head by the position whose value it read, [head, position]."""
    v = cache["v", layer][0].double().cpu()  # [pos, kv_head, d_head]
    v = v.repeat_interleave(W.shape[0] // v.shape[1], dim=1)  # [pos, head, d_head]
    pattern = cache["pattern", layer][0, :, at].double().cpu()  # [head, pos]
    return pattern * torch.einsum("phd,hd->hp", v, W)


def _by_neuron(model: Model, cache: Cache, layer: int, at: int, read: Any) -> tuple[Tensor, Tensor]:
    """The parts of a layer's neurons, [d_mlp], and of what its MLP adds beside them."""
    act = cache["mlp_act", layer][0].double().cpu()  # [pos, d_mlp]
    W = read(model.W_out(layer))  # [d_mlp]
    rest = read(cache["mlp_out", layer][0]) - act @ W  # [pos]
    _check_equal(rest, rest[:1].expand_as(rest), f"neurons of layer {layer}")
    return act[at] * W, rest[at]


# ---- the checks ----


def _check_sum(components: dict[str, float], accumulated: np.ndarray, value: float) -> None:
    """Raise `DecompositionError`, with the first place that is off, where the parts do not sum to the
    logit."""
    total = sum(components.values())
    if abs(total - value) <= TOLERANCE:
        return
    parts = list(components.values())
    n_layers = len(accumulated) - 1
    sums = np.cumsum(parts[:-1]) + parts[-1]  # [embedding parts, L0 attn, L0 mlp, ...]
    after = sums[len(parts) - 2 * n_layers - 2 :: 2]  # after the embedding, layer 0, layer 1, ...
    off = np.abs(after - accumulated)
    first = int(np.argmax(off > TOLERANCE)) if (off > TOLERANCE).any() else n_layers
    where = "the embedding" if first == 0 else f"layer {first - 1}"
    raise DecompositionError(
        f"The parts sum to {total:.6g}, but the logit is {value:.6g}, off by {abs(total - value):.2g}; they "
        f"leave the residual stream at {where} (off by {off[first]:.2g} there). Load the model with "
        "dtype='float64'."
    )


def _check_equal(parts: Tensor, whole: Tensor, what: str) -> None:
    off = float((parts - whole).abs().max())
    if not off <= TOLERANCE:
        raise DecompositionError(
            f"The parts of the {what} do not sum to their whole, off by up to {off:.2g}; load the model with "
            "dtype='float64'."
        )


# ---- over prompts ----


def _mean(each: Sequence[Tensor | None]) -> np.ndarray | None:
    return None if each[0] is None else torch.stack(cast(list[Tensor], each)).mean(0).numpy()


def _head_fields(found: Sequence[_Parts], seed: int) -> dict[str, Any]:
    if found[0].heads is None:
        return dict.fromkeys(("by_head", "by_head_low", "by_head_high", "by_head_each", "attn_bias"))
    each = np.stack([cast(Tensor, parts.heads).numpy() for parts in found])  # [prompt, layer, head]
    low, high = bootstrap_interval(each, seed)
    return {
        "by_head": each.mean(0),
        "by_head_low": low,
        "by_head_high": high,
        "by_head_each": each,
        "attn_bias": _mean([parts.attn_bias for parts in found]),
    }


def _neuron_fields(found: Sequence[_Parts], k: int, seed: int) -> dict[str, Any]:
    """The `k` neurons with the largest mean parts, and the sum of the others, by layer."""
    if found[0].neurons is None:
        names = ("by_neuron", "by_neuron_low", "by_neuron_high", "other_neurons", "mlp_bias")
        return {"neurons": (), **dict.fromkeys(names)}
    each = np.stack([cast(Tensor, parts.neurons).numpy() for parts in found])  # [prompt, layer, d_mlp]
    mean = each.mean(0)
    top = np.argsort(-np.abs(mean), axis=None, kind="stable")[:k]
    layers, neurons = np.unravel_index(top, mean.shape)
    others = mean.sum(-1)
    np.subtract.at(others, layers, mean[layers, neurons])
    low, high = bootstrap_interval(each[:, layers, neurons], seed)
    return {
        "neurons": tuple((int(a), int(b)) for a, b in zip(layers, neurons, strict=True)),
        "by_neuron": mean[layers, neurons],
        "by_neuron_low": low,
        "by_neuron_high": high,
        "other_neurons": others,
        "mlp_bias": _mean([parts.mlp_bias for parts in found]),
    }
