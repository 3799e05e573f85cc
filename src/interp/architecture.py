"""What is known of a model without its weights: which one it is, and the facts of its architecture.

Light: names of heads and nodes, and results, are read without torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Architecture:
    """Facts of a model's architecture that methods may rely on."""

    family: str  # the model_type of its configuration: gpt2, qwen3, ...
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int | None  # None: no one mlp_act, as in a mixture of experts, or no MLP at all
    d_vocab: int  # tokens that it predicts: columns of the unembedding
    d_vocab_in: int  # tokens that it reads: rows of the embedding
    n_ctx: int | None  # None: no limit known
    parallel_attention: bool  # attention and MLP read the same residual stream, so there is no resid_mid
    post_norms: bool = False  # what attention and MLP write is normalised before it is added
    attention_sinks: bool = False  # attention rows sum to less than 1: a learned sink takes the rest
    logit_soft_cap: float | None = None  # logits are cap * tanh(x / cap) of what the unembedding gives


@dataclass(frozen=True)
class Identity:
    """Which model this is, in enough detail to trust a result later."""

    name: str
    revision: str | None
    backend: str
    dtype: str
    device: str
    bos: str  # the text of the token put in front of prompts, or "none"
    processing: str  # none | folded
    self_check: str = "skipped"  # passed | skipped
    quantisation: str | None = None  # what weights were dequantised from (Q4_K_M), or are packed by
    weights: str | None = None  # SHA-256 of the weights of a model in memory, as they were when it was loaded

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@runtime_checkable
class HasArchitecture(Protocol):
    """Whatever says what model it is and how it is built, such as `interp.Model`."""

    @property
    def arch(self) -> Architecture: ...

    @property
    def identity(self) -> Identity: ...
