"""The local replacement model of one prompt: its MLPs replaced by transcoder features and errors.

    mlp_out = features @ W_dec + b_dec (+ skip) + error

Of a cross-layer transcoder the features of the layers below write to it, too, each by a W_dec of its own. The
error is what the transcoder leaves over in this run, so that on this prompt the local replacement model says
exactly what the model says. With attention patterns and the scales of all norms frozen at those of the run,
everything but the features' activation function is linear. At the first position, where transcoders are not
trained, all that the MLP writes is error.

Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.methods.graphs.frozen_attention import SITES, FrozenAttention
from interp.models.base import Cache, Model
from interp.saes.transcoder import Transcoder, Transcoders
from interp.tokens import Prompt, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenMLP:
    """The transcoder of one layer in one run; float64, on the CPU."""

    transcoder: Transcoder
    resid_mid: Float[Tensor, "pos d_model"]
    scale: Float[Tensor, "pos 1"]  # of the norm; 0 at the first position, which has no features
    pre: Float[Tensor, "pos feature"]  # pre-activations
    features: Float[Tensor, "pos feature"]  # 0 at the first position
    out: Float[Tensor, "pos d_model"]  # what the MLP writes
    error: Float[Tensor, "pos d_model"]  # less what is written in its place

    @classmethod
    def of(cls, transcoders: Transcoders, layer: int, below: Sequence[FrozenMLP], cache: Cache) -> FrozenMLP:
        """Of the run of one prompt, given those of the layers below."""
        one = transcoders[layer].to(torch.float64)
        x, out = (cache[address][0].double().cpu() for address in (one.address, one.target))
        pre = one.pre_activations(x)
        features = one.activation(pre)
        written = transcoders.written(layer, [*(mlp.features for mlp in below), features], x)
        features[0], written[0] = 0.0, 0.0
        scale = one.norm.scale(x)
        scale[0] = 0.0
        return cls(
            transcoder=one,
            resid_mid=x,
            scale=scale,
            pre=pre,
            features=features,
            out=out,
            error=out - written,
        )

    @property
    def constant(self) -> Float[Tensor, "pos d_model"]:
        """What it writes whatever it reads: the decoder's bias, but not at the first position."""
        constant = self.transcoder.b_dec.expand_as(self.resid_mid).clone()
        constant[0] = 0.0
        return constant

    def read(self, position: int, feature: Sequence[int]) -> Float[Tensor, "feature d_model"]:
        """The vectors whose products with the stream at a position are pre-activations less b_enc."""
        directions = self.transcoder.W_enc[:, list(feature)].T
        return self.transcoder.norm.centred(directions) * self.scale[position]

    def skip(self, x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What the skip connection makes of (changes of) streams; nothing where there is none."""
        W_skip = self.transcoder.W_skip
        return (
            torch.zeros_like(x) if W_skip is None else self.transcoder.norm.centred(x) * self.scale @ W_skip
        )

    def skip_transposed(self, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What gradients with respect to the skip connection's output are with respect to the stream."""
        W_skip = self.transcoder.W_skip
        if W_skip is None:
            return torch.zeros_like(g)
        return self.transcoder.norm.centred(g @ W_skip.T) * self.scale

    def changed(self, change: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos feature"]:
        """The features where the stream is changed by so much, the norm's scale frozen."""
        moved = (self.transcoder.norm.centred(change) * self.scale) @ self.transcoder.W_enc
        features = self.transcoder.activation(self.pre + moved)
        features[:, 0] = 0.0
        return features


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalModel:
    """One prompt's run, in which all but the features' activation function is frozen to be linear."""

    tokens: Tokens
    embedding: Float[Tensor, "pos d_model"]  # the first residual stream
    attention: tuple[FrozenAttention, ...]
    transcoders: Transcoders
    mlps: tuple[FrozenMLP, ...]
    last: Float[Tensor, "pos d_model"]  # the last residual stream
    logits: Float[Tensor, " d_vocab"]  # at the last position

    @property
    def n_pos(self) -> int:
        return self.tokens.lengths[0]

    @property
    def n_layers(self) -> int:
        return len(self.mlps)

    @classmethod
    def of(cls, model: Model, transcoders: Transcoders, prompt: Prompt | Tokens) -> LocalModel:
        """Of the run of one prompt. Raises `InputError` for transcoders of another model, `SiteError` where
        attention is not seen, `DecompositionError` where it cannot be frozen."""
        transcoders.check_fits(model)
        for site in SITES:
            model.check_site(site)
        model.post_norm("attn_out", 0)  # an error where heads have no parts of their own
        tokens = model.to_tokens(prompt).repeat(1)
        layers = range(model.arch.n_layers)
        sites = [("resid_post", layers[-1]), *((site, layer) for layer in layers for site in SITES)]
        mlp_sites = [one.address for one in transcoders] + [one.target for one in transcoders]
        cache = model.run_with_cache(tokens, [*sites, *mlp_sites])
        mlps: list[FrozenMLP] = []
        for layer in layers:
            mlps.append(FrozenMLP.of(transcoders, layer, mlps, cache))
        return cls(
            tokens=tokens,
            embedding=cache["resid_pre", 0][0].double().cpu(),
            attention=tuple(FrozenAttention.of(model, tokens, cache, layer) for layer in layers),
            transcoders=transcoders,
            mlps=tuple(mlps),
            last=cache["resid_post", layers[-1]][0].double().cpu(),
            logits=cache.logits[0, -1].double().cpu(),
        )
