"""Weights planted by hand in ordinary Hugging Face models: the tools with which `compiled.py` builds.

The residual stream is cut into named spaces, each an axis per token (or position), so that every weight is a
one-hot selection that a reader can check. Two further entries: ``one``, which every token sets to 1, and
``balance``, to which whatever writes also writes minus the sum of the rest, so that the mean over the stream
is always 0. Nothing reads ``balance``.

The norms do nothing, exactly: their epsilon is 2^40 and their weight 2^20. In float32 a variance below 2^15
is lost beside 2^40, so that the norm divides by 2^20 and multiplies by 2^20; and LayerNorm has no mean to
take off. (In float64 it is the identity to one part in 10^9.) Qwen3's norms of queries and keys likewise.
A method that leaves out the norm's scale, its weight or its epsilon is off by a factor of a million.

Attention is sharp, not absolute: the planted place is ahead of every other by the score ``sharp``, so that it
gets more than 99 % and gradients do not vanish. An edge that is not planted is zero not by attention but by
the weights: its receiver does not read the space that its sender writes.

GPT-2 has an axis for each position. Qwen3 has rotary positions, and grouped queries: two heads share the keys
and values of one. There, of the 64 rotary pairs of a head, the fastest serve to look back (as the sum of
cosines is largest at the planted distance) and the slowest, one slot a pair, hold contents: at 1e-3 radians a
token and less, they hardly turn.

Gemma 3 and OLMo-2 are as Qwen3, with norms behind attention and MLP, which do nothing either. In the families
``*-rescaling`` those behind attention do normalise: entries of ``unread`` are halved, and what all heads of a
layer write together is multiplied so that it comes out about as large as it was, by another factor at each
position of each prompt. What is planted is then what it was, but for these factors; and as attention is not
absolute, heads of one layer act on each other a little, through the size of what they write together.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

Family = Literal["gpt2", "qwen3", "gemma3", "olmo2", "gemma3-rescaling", "olmo2-rescaling"]
FAMILIES: tuple[Family, ...] = ("gpt2", "qwen3")  # those that most tests go through
POST_NORMS: tuple[Family, ...] = ("gemma3", "olmo2")
RESCALING: tuple[Family, ...] = ("gemma3-rescaling", "olmo2-rescaling")

N_HEADS = 4
BOS = 0  # the id of the token that begins every prompt

_NEVER = 10.0  # by how much a part that lowers the logit of BOS does so
_EPSILON, _WEIGHT = 2.0**40, 2.0**20
_ROTARY_BASE, _ROTARY_WIDTH = 1e6, 128
_FAST = 8  # rotary pairs that see the distance; 1 to 0.22 radians a token
_SLOW = 32  # the first of the rotary pairs that hold contents


class Plant:
    """An empty model, to plant heads and neurons in: all weights zero, but embedding and unembedding.

    The embedding writes the token into space ``token`` (and 1 to ``one``), the position embedding into
    ``position``; the unembedding reads space ``output``. Each space in `spaces` has an axis for each token.
    `sharp` is how far the place that a head looks at is ahead in score: e^9 is 8,100, e^7 1,100.
    """

    def __init__(
        self,
        family: Family,
        *,
        vocab: int,
        n_layers: int,
        n_ctx: int,
        width: int,
        spaces: tuple[str, ...],
        sharp: float = 9.0,
    ) -> None:
        self.sharp = sharp
        self.family, self.vocab, self.n_layers, self.n_ctx = family, vocab, n_layers, n_ctx
        gpt2 = family == "gpt2"
        self.n_kv_heads = N_HEADS if gpt2 else N_HEADS // 2
        self.d_model, self.d_head = width, width // N_HEADS if gpt2 else _ROTARY_WIDTH
        sizes = (
            dict.fromkeys(spaces, vocab) | ({"position": n_ctx} if gpt2 else {}) | {"one": 1, "balance": 1}
        )
        assert sum(sizes.values()) <= width, f"{sizes} do not fit into a stream of width {width}"
        self.space: dict[str, range] = {}
        start = 0
        for name, size in sizes.items():
            self.space[name] = range(start, start := start + size)

        d_model, d_head, d_mlp = self.d_model, self.d_head, vocab + 1
        self.embed = self.read("token").T + self.read("one").T  # [token, d_model]
        self.positions = self.read("position").T if gpt2 else None  # [position, d_model]
        self.unembed = self.read("output") if "output" in spaces else torch.zeros(d_model, vocab)
        self.q = torch.zeros(n_layers, N_HEADS, d_model, d_head)
        self.k = torch.zeros(n_layers, self.n_kv_heads, d_model, d_head)
        self.v = torch.zeros(n_layers, self.n_kv_heads, d_model, d_head)
        self.o = torch.zeros(n_layers, N_HEADS, d_head, d_model)
        self.mlp_in = torch.zeros(n_layers, d_model, d_mlp)
        self.mlp_out = torch.zeros(n_layers, d_mlp, d_model)

    def read(self, name: str, rows: list[int] | None = None) -> Tensor:
        """[d_model, n], the columns that pick the axes `rows` (all) of a space out of the stream."""
        return torch.eye(self.d_model)[
            :, [self.space[name][row] for row in rows or range(len(self.space[name]))]
        ]

    def kv_head(self, head: int) -> int:
        """The head of keys and values that a query head has; its own number, but with grouped queries."""
        return head * self.n_kv_heads // N_HEADS

    def head(self, place: tuple[int, int]) -> Head:
        """An attention head to plant; those that share keys and values can not both be planted."""
        layer, head = place
        assert not self.k[layer, self.kv_head(head)].any(), f"the keys of {layer}.{head} are planted already"
        return Head(self, layer, head)

    def echo(self, layer: int) -> None:
        """An MLP that does something but does not matter: it writes each token into the space ``unread``."""
        self.mlp_in[layer, :, : self.vocab] = self.read("token")
        self.mlp_out[layer, : self.vocab] = self.read("unread").T

    def never_bos(self, layer: int) -> None:
        """A neuron that is always on and takes BOS out of the prediction: it acts on the logits, the same in
        every prompt."""
        self.mlp_in[layer, :, self.vocab] = self.read("one")[:, 0]
        self.mlp_out[layer, self.vocab] = -_NEVER * self.read("output", [BOS])[:, 0]

    def grow(self, activation: str | None = None) -> PreTrainedModel:
        """The Hugging Face model in float32; `activation` of its MLPs, if not the usual."""
        for writer in (self.embed, self.positions, self.o, self.mlp_out):
            if writer is not None:
                writer[..., self.space["balance"][0]] -= writer.sum(-1)
        if self.family == "gpt2":
            return self._gpt2(activation or "gelu_new").eval()
        model = self._rotary(activation or "silu").eval()
        if self.family in RESCALING:
            self._let_norms_rescale(model)
        return model

    def _gpt2(self, activation: str) -> GPT2LMHeadModel:
        config = GPT2Config(
            vocab_size=self.vocab,
            n_positions=self.n_ctx,
            n_embd=self.d_model,
            n_layer=self.n_layers,
            n_head=N_HEADS,
            n_inner=self.mlp_in.shape[2],
            activation_function=activation,
            layer_norm_epsilon=_EPSILON,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        model = _blank(GPT2LMHeadModel(config))
        assert self.positions is not None
        with torch.no_grad():
            model.transformer.wte.weight.copy_(self.embed)
            model.transformer.wpe.weight.copy_(self.positions)
            model.lm_head.weight.copy_(self.unembed.T)
            for n, block in enumerate(model.transformer.h):
                qkv = [_side_by_side(x[n]) for x in (self._scaled_q, self.k, self.v)]
                block.attn.c_attn.weight.copy_(torch.cat(qkv, dim=1))  # [d_model, 3 d_model]
                block.attn.c_proj.weight.copy_(self.o[n].flatten(0, 1))  # [head d_head, d_model]
                block.mlp.c_fc.weight.copy_(self.mlp_in[n])
                block.mlp.c_proj.weight.copy_(self.mlp_out[n])
        return model

    def _rotary(self, activation: str) -> PreTrainedModel:
        """Qwen3, Gemma 3 or OLMo-2, which call their parts alike."""
        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": _ROTARY_BASE}
        common: dict[str, Any] = {
            "vocab_size": self.vocab,
            "max_position_embeddings": self.n_ctx,
            "hidden_size": self.d_model,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": N_HEADS,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.d_head,
            "intermediate_size": self.mlp_in.shape[2],
            "rms_norm_eps": _EPSILON,
            "tie_word_embeddings": False,
            "pad_token_id": None,
            "eos_token_id": None,
        }
        embed = self.embed
        model: Any
        if self.family.startswith("gemma3"):
            config = Gemma3TextConfig(
                **common,
                hidden_activation=activation,
                query_pre_attn_scalar=self.d_head,
                layer_types=["full_attention"] * self.n_layers,
                rope_parameters={"full_attention": rope, "sliding_attention": rope},
            )
            model, embed = _blank(Gemma3ForCausalLM(config), weight_and=1.0), embed / self.d_model**0.5
        elif self.family.startswith("olmo2"):
            model = _blank(
                Olmo2ForCausalLM(Olmo2Config(**common, hidden_act=activation, rope_parameters=rope))
            )
        else:
            model = _blank(
                Qwen3ForCausalLM(Qwen3Config(**common, hidden_act=activation, rope_parameters=rope))
            )
        with torch.no_grad():
            model.model.embed_tokens.weight.copy_(embed)
            model.lm_head.weight.copy_(self.unembed.T)
            for n, layer in enumerate(model.model.layers):
                layer.self_attn.q_proj.weight.copy_(_side_by_side(self._scaled_q[n]).T)
                layer.self_attn.k_proj.weight.copy_(_side_by_side(self.k[n]).T)
                layer.self_attn.v_proj.weight.copy_(_side_by_side(self.v[n]).T)
                layer.self_attn.o_proj.weight.copy_(self.o[n].flatten(0, 1).T)
                layer.mlp.gate_proj.weight.copy_(self.read("one").T)  # every gate is open, always
                layer.mlp.up_proj.weight.copy_(self.mlp_in[n].T)
                layer.mlp.down_proj.weight.copy_(self.mlp_out[n].T)
        return model

    def _let_norms_rescale(self, model: Any) -> None:
        """Give norms behind attention a small epsilon, and a gain that keeps what is written at about its
        size."""
        sizes: dict[nn.Module, list[Tensor]] = {}
        norms = [layer.post_attention_layernorm for layer in model.model.layers]
        hooks = [
            norm.register_forward_pre_hook(
                lambda norm, args: sizes.setdefault(norm, []).append(args[0].square().mean(-1).sqrt())
            )
            for norm in norms
        ]
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            model(torch.randint(self.vocab, (8, min(self.n_ctx, 9)), generator=generator))
            for norm, hook in zip(norms, hooks, strict=True):
                hook.remove()
                gain = torch.cat(sizes[norm]).median() * torch.ones(self.d_model)
                if "unread" in self.space:
                    gain[self.space["unread"]] *= 0.5
                norm.weight.copy_(gain - 1 if self.family.startswith("gemma3") else gain)
                setattr(norm, "eps" if hasattr(norm, "eps") else "variance_epsilon", 1e-6)

    @property
    def _scaled_q(self) -> Tensor:
        """Queries times what attention will divide the scores by."""
        return self.q * math.sqrt(self.d_head)


class Head:
    """One attention head. Its score of a place is the sum of what the methods below plant."""

    def __init__(self, plant: Plant, layer: int, head: int) -> None:
        kv = plant.kv_head(head)
        self.plant = plant
        self.q, self.k = plant.q[layer, head], plant.k[layer, kv]  # [d_model, d_head], written in place
        self.v, self.o = plant.v[layer, kv], plant.o[layer, head]
        self.slot = 0 if plant.family == "gpt2" else _SLOW  # the first of queries and keys that is empty
        self.value = 0  # the first of values that is empty

    def matches(self, query: Tensor, key: Tensor) -> None:
        """Add query . key to the score, given columns [d_model, n] that read each from the stream."""
        slots = slice(self.slot, self.slot + query.shape[1])
        self.slot = slots.stop
        assert self.slot <= (self.plant.d_head if self.plant.family == "gpt2" else _ROTARY_WIDTH // 2)
        self.q[:, slots], self.k[:, slots] = query, key

    def looks_at_bos(self, times: float = 1.0) -> None:
        """Look at the first token, `times` sharp ahead of what nothing speaks for."""
        self.matches(times * self.plant.sharp * self.plant.read("one"), self.plant.read("token", [BOS]))

    def looks_back(self, distance: int) -> None:
        """Look at the place that is `distance` tokens back, from whatever the tokens are."""
        plant = self.plant
        if plant.family == "gpt2":
            position = plant.read("position")  # [d_model, position]
            self.matches(plant.sharp * position[:, distance:], position[:, : plant.n_ctx - distance])
            return
        turns = _speeds(_FAST)
        off = torch.arange(plant.n_ctx)[:, None] - distance  # [how far back, 1]
        behind = (1 - (off * turns).cos()).sum(1)  # how far the sum of cosines falls short of its largest
        strength = plant.sharp / behind[off[:, 0] != 0].min().item()
        self._turn(turns, strength, distance, plant.read("one"))

    def finds_duplicates(self, tokens: list[int]) -> None:
        """Look from one of `tokens` at its earlier occurrence, never at itself, and else at BOS.

        In units of ``sharp``. GPT-2: a match scores 2, BOS 1, and to every place its own scores -2.

        Qwen3 has no position to tell its own place by. A cosine of the distance, at 1 radian a token and
        largest 3 tokens back, of size 1.35, takes 1.34 off there, and adds 0.73 or more 2 to 4 tokens back,
        where the earlier occurrence must be. A match scores 2.62; BOS, which the cosine leaves alone, 2.35.
        So the earlier occurrence has at least 3.35, BOS 2.35, the own place 1.28, others 1.35 at most.
        """
        plant = self.plant
        named, one, bos = plant.read("token", tokens), plant.read("one"), plant.read("token", [BOS])
        match, rest, self_off = (2.0, 1.0, 2.0) if plant.family == "gpt2" else (2.62, 2.35, 1.35)
        self.matches(match * plant.sharp * named, named)
        self.looks_at_bos(rest)
        if plant.family == "gpt2":
            self.matches(-self_off * plant.sharp * plant.read("position"), plant.read("position"))
        else:
            self._turn(_speeds(1), self_off * plant.sharp, 3, one - bos)

    def _turn(self, turns: Tensor, strength: float, distance: int, key: Tensor) -> None:
        """Add strength . sum of cos(turn . (how far back - distance)) to the scores of places that `key`
        [d_model, 1] reads."""
        first, second = slice(len(turns)), slice(_ROTARY_WIDTH // 2, _ROTARY_WIDTH // 2 + len(turns))
        self.q[:, first] = strength * self.plant.read("one")
        self.k[:, first] = key * (turns * distance).cos()
        self.k[:, second] = key * (turns * distance).sin()

    def copies(self, source: str, target: str, strength: float = 1.0, rows: list[int] | None = None) -> None:
        """Write what stands in space `source`, where the head looks, into space `target`."""
        self._writes(self.plant.read(source, rows), strength * self.plant.read(target, rows))

    def lowers_bos(self) -> None:
        """Take BOS out of the prediction, by the same wherever the head looks."""
        self._writes(self.plant.read("one"), -_NEVER * self.plant.read("output", [BOS]))

    def _writes(self, read: Tensor, write: Tensor) -> None:
        values = slice(self.value, self.value + read.shape[1])
        self.value = values.stop
        self.v[:, values], self.o[values] = read, write.T


def _speeds(n: int) -> Tensor:
    """Radians a token of the `n` fastest rotary pairs."""
    return _ROTARY_BASE ** (-torch.arange(n) * 2 / _ROTARY_WIDTH)


def _blank(model: PreTrainedModel, *, weight_and: float = 0.0) -> PreTrainedModel:
    """Weights and biases zero, norms the identity; they multiply by their weight and so much."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = name.endswith("weight") and ("norm" in name or "ln_" in name)
            parameter.fill_(_WEIGHT - weight_and if is_norm else 0.0)
    return model


def _side_by_side(heads: Tensor) -> Tensor:
    """[head, d_model, d_head] -> [d_model, head d_head]"""
    return heads.permute(1, 0, 2).flatten(1)
