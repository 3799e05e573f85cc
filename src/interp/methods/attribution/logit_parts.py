"""The parts of one logit (difference) in one prompt: by component, head, source position and neuron.

See `interp.methods.attribution.direct_logit_attribution` for the sums. Each is checked: parts that do not sum
to their whole are a `DecompositionError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import DecompositionError
from interp.methods.attribution.frozen_readout import TOLERANCE, FrozenReadout, frozen_sum
from interp.methods.common.senders import frozen_factor
from interp.models.base import Cache, Model, SiteSpec
from interp.parts import Arrays
from interp.tokens import Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class LogitQuestion:
    """Which sum of logits is decomposed: of one prompt, read at one position."""

    tokens: Tokens
    weights: Mapping[int, float]  # of the tokens: 1 of the answer, -1 of the foil
    position: int  # counted from the end where negative
    normalised: float = 0.0  # see `interp.methods.attribution.frozen_readout.frozen_sum`
    offset: float = 0.0  # what is added to the constant


@dataclass(frozen=True, eq=False)
class _Run:
    """A prompt's activations, and how its logit is read off them."""

    model: Model
    tokens: Tokens
    cache: Cache
    at: int  # the position that is read
    said: int  # the likeliest token there
    readout: FrozenReadout

    @property
    def layers(self) -> range:
        return range(self.model.arch.n_layers)

    def read(self, written: Float[Tensor, "*what d_model"]) -> Float[Tensor, "*what"]:
        """The part of the logit that vectors in the residual stream write."""
        return written.double().cpu() @ self.readout.direction

    def at_position(self, site: str) -> Float[Tensor, "layer ..."]:
        """An activation of every layer at the position."""
        return self.cache.stack(site)[:, 0, self.at]

    @cached_property
    def head_directions(self) -> Float[Tensor, "layer head d_head"]:
        """What the entries of each head's z write to the logit; behind a norm, with its scale frozen."""
        return torch.stack([self._head_directions(layer) for layer in self.layers])

    def _head_directions(self, layer: int) -> Float[Tensor, "head d_head"]:
        rows, factor = self.model.W_O(layer), self.attention_factors[layer]
        return self.read(rows if factor is None else rows.double().cpu() * factor)

    @cached_property
    def attention_factors(self) -> list[Float[Tensor, " d_model"] | None]:
        """What the norm behind each layer's attention multiplies each entry by at the position, its scale
        frozen; None where there is none."""
        at_position = (self.cache["z", layer][0, self.at].double().cpu() for layer in self.layers)
        return [frozen_factor(self.model, "attn_out", i, z) for i, z in enumerate(at_position)]

    @cached_property
    def heads(self) -> Float[Tensor, "layer head"]:
        """The parts of all heads."""
        return (self.at_position("z").double().cpu() * self.head_directions).sum(-1)


def logit_parts(model: Model, question: LogitQuestion, views: Sequence[str]) -> Arrays:
    """The parts of the logit of one prompt, in float64.

    ``logit``, what they sum to; ``said``, the token that the model says at the position; ``names`` and
    ``components``, [component]; ``accumulated``, the constant and all parts up to each state of the residual
    stream, [state]. With the view ``head``: ``heads``, [layer, head], and ``attn_bias``, [layer]; with
    ``source``: ``sources``, [layer, head, position]; with ``neuron``: ``neurons``, [layer, d_mlp], and
    ``mlp_bias``, [layer].
    """
    run = _run(model, question, views)
    parts = {"logit": np.array(run.readout.value), "said": np.array(run.said), **_by_component(run)}
    if "head" in views:
        parts |= _by_head(run)
    if "source" in views:
        parts |= _by_source(run)
    if "neuron" in views:
        parts |= _by_neuron(run)
    return parts


def _run(model: Model, question: LogitQuestion, views: Sequence[str]) -> _Run:
    """Run the prompt, and freeze the final norm's scale."""
    sites: list[SiteSpec] = [("resid_pre", 0), "attn_out", "mlp_out", "resid_post"]
    if "embed" in model.sites:
        sites.append("embed")
    if "head" in views or "source" in views:
        sites.append("z")
    if "source" in views:
        sites += ["v", "pattern"]
    if "neuron" in views:
        sites.append("mlp_act")
    cache = model.run_with_cache(question.tokens, sites, logits=False)
    at = question.position % question.tokens.lengths[0]
    last = cache["resid_post", model.arch.n_layers - 1][0, at]
    logits = model.unembed(last)
    readout = frozen_sum(model, last, logits, question.weights, normalised=question.normalised)
    if question.offset:
        constant, value = readout.constant + question.offset, readout.value + question.offset
        readout = replace(readout, constant=constant, value=value)
    return _Run(model, question.tokens, cache, at, int(logits.argmax()), readout)


# ---- by component ----


def _by_component(run: _Run) -> Arrays:
    """The parts of the embeddings, of whole layers, and the constant."""
    embedded = embeddings(run.model, run.tokens, run.cache, run.at)
    components = {name: float(run.read(written)) for name, written in embedded.items()}
    for layer in run.layers:
        for part, site in (("attn", "attn_out"), ("mlp", "mlp_out")):
            components[f"L{layer} {part}"] = float(run.read(run.cache[site, layer][0, run.at]))
    components["constant"] = run.readout.constant
    states = torch.cat([run.cache["resid_pre", 0][0, run.at][None], run.at_position("resid_post")])
    accumulated = (run.read(states) + run.readout.constant).numpy()  # [state]
    _check_sum(components, accumulated, run.readout.value)
    return {
        "names": np.array(list(components)),
        "components": np.array(list(components.values())),
        "accumulated": accumulated,
    }


def embeddings(model: Model, tokens: Tokens, cache: Cache, at: int) -> dict[str, Tensor]:
    """What the stream begins with at a position, by token and position embedding.

    Families scale or normalise the token embedding on its way into the stream, and some add one for the
    position. Two more prompts tell: if one token gives the same stream at all positions, there is no position
    embedding. If other tokens have the same difference between stream and embedding, that difference is the
    position's. Otherwise the two are not told apart.
    """
    stream = cache["resid_pre", 0][0]  # [pos, d_model]
    ids = tokens.ids[0]
    n = len(ids)
    sites: list[SiteSpec] = [("resid_pre", 0), *(["embed"] if "embed" in model.sites else [])]
    one_token = [int(ids[0])] * max(n, 2)
    other_tokens = ((ids + 1) % model.arch.d_vocab_in).tolist()
    probe = model.run_with_cache(Tokens.pad([one_token, other_tokens]), sites, logits=False)
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


# ---- finer ----


def _by_head(run: _Run) -> Arrays:
    """The parts of the heads, and of what attention adds beside them."""
    bias = run.read(run.at_position("attn_out")) - run.heads.sum(-1)
    if run.model.arch.post_norms:
        _check_equal(bias, torch.stack([_attention_bias(run, layer) for layer in run.layers]), "heads")
    return {"heads": run.heads.numpy(), "attn_bias": bias.numpy()}


def _attention_bias(run: _Run, layer: int) -> Float[Tensor, ""]:
    """What the bias of attention adds behind a norm."""
    factor = run.attention_factors[layer]
    assert factor is not None
    return run.read(run.model.b_O(layer).double().cpu() * factor)


def _by_source(run: _Run) -> Arrays:
    """The parts of each head by the position whose value it read."""
    sources = torch.stack([_by_source_in_layer(run, layer) for layer in run.layers])
    _check_equal(sources.sum(-1), run.heads, "source positions")
    return {"sources": sources.numpy()}


def _by_source_in_layer(run: _Run, layer: int) -> Float[Tensor, "head position"]:
    directions = run.head_directions[layer]  # [head, d_head]
    v = run.cache["v", layer][0].double().cpu()  # [pos, kv_head, d_head]
    v = v.repeat_interleave(len(directions) // v.shape[1], dim=1)  # [pos, head, d_head]
    pattern = run.cache["pattern", layer][0, :, run.at].double().cpu()  # [head, pos]
    return pattern * torch.einsum("phd,hd->hp", v, directions)


def _by_neuron(run: _Run) -> Arrays:
    """The parts of the neurons, and of what MLPs add beside them."""
    layers = [_by_neuron_in_layer(run, layer) for layer in run.layers]
    neurons, biases = (torch.stack(parts) for parts in zip(*layers, strict=True))
    return {"neurons": neurons.numpy(), "mlp_bias": biases.numpy()}


def _by_neuron_in_layer(run: _Run, layer: int) -> tuple[Float[Tensor, " d_mlp"], Float[Tensor, ""]]:
    act = run.cache["mlp_act", layer][0].double().cpu()  # [pos, d_mlp]
    rows, factor = run.model.W_out(layer).double().cpu(), frozen_factor(run.model, "mlp_out", layer, act)
    written = run.read(run.cache["mlp_out", layer][0])  # [pos]
    what = f"neurons of layer {layer}"
    if factor is None:
        directions = run.read(rows)  # [d_mlp]
        bias = written - act @ directions  # [pos]
        _check_equal(bias, bias[:1].expand_as(bias), what)
    else:
        directions = run.read(rows * factor[run.at])
        bias = written - run.read((act @ rows) * factor)
        _check_equal(bias, run.read(run.model.b_out(layer).double().cpu() * factor), what)
    return act[run.at] * directions, bias[run.at]


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
