"""A model that several processes compute together: tensor parallelism, where transformers has a plan for it.

    torchrun --nproc-per-node 2 -m interp run activation_patching --model ... --set tp_plan=auto

Every process runs the same program. Each holds a slice of the large matrices: some of the heads, some of the
MLPs' neurons, some rows of the vocabulary. What attention and the MLP write is summed over the processes, so
that the residual stream and the logits are whole, and the same, on each. What lies inside (q, k, v, pattern
and z by head, mlp_act by neuron) is a slice on each process: a site that is read or edited there is gathered,
brought to the reader as on one process, and cut again. So every process reads and edits the same numbers;
gradients too (the pair of operators is that of Megatron-LM, https://arxiv.org/abs/1909.08053).

The processes must take the same decisions, as each waits for the others at every sum: what memory is free is
agreed on when the model is loaded, and parts that are kept are looked for by the first process alone
(`AgreedStore`). Sums over slices round otherwise than sums over the whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from interp.architecture import Architecture
from interp.errors import ModelLoadError
from interp.models.layouts import architecture, find_layout
from interp.models.slices import is_slice
from interp.parts import Arrays
from interp.ranks import is_first
from interp.resume import Folder


def sharding_options(tp_plan: str, config: Any) -> dict[str, Any]:
    """What transformers is told to cut a model of a configuration over the processes that were started.

    Where heads (or neurons) do not divide evenly, attention (or the MLP) is kept whole on every process.
    `ModelLoadError` where there are no several processes, where transformers has no plan for the model, or
    where nothing of it divides.
    """
    if tp_plan != "auto":
        raise ModelLoadError(
            f"tp_plan={tp_plan!r} is no choice; 'auto' takes transformers' plan for the model."
        )
    n = int(os.environ.get("WORLD_SIZE", "1"))
    if n < 2:
        raise ModelLoadError(
            "tp_plan='auto' cuts a model over several processes, and there is one; start them with "
            "torchrun --nproc-per-node N."
        )
    with torch.device("meta"):
        shape = AutoModelForCausalLM.from_config(config)
    plan: dict[str, str] = dict(shape.tp_plan or {})
    family = config.model_type
    if not plan:
        raise ModelLoadError(
            f"transformers has no plan to cut a {family} model over processes; use device_map='auto', which "
            "lays its layers out one after the other."
        )
    whole = _kept_whole(shape, plan, n)
    if plan.keys() <= whole | {"lm_head", "model.embed_tokens"}:
        arch = architecture(shape, find_layout(shape))
        raise ModelLoadError(
            f"Neither the heads ({arch.n_heads}, of {arch.n_kv_heads} for keys and values) nor the neurons "
            f"({arch.d_mlp}) of this {family} model divide by {n} processes; start another number of them."
        )
    from transformers.distributed import DistributedConfig

    return {
        "distributed_config": DistributedConfig(
            tp_size=n, tp_plan=dict.fromkeys(whole, "replicate") or "auto"
        )
    }


def _kept_whole(shape: PreTrainedModel, plan: Mapping[str, str], n: int) -> set[str]:
    """The parts of a plan that do not divide by `n`: those of attention, or of the MLP."""
    layout = find_layout(shape)
    arch = architecture(shape, layout)
    uneven = []
    if arch.n_heads % n or arch.n_kv_heads % n:
        uneven.append(layout.attn_proj.rpartition(".")[0])
    if arch.d_mlp is not None and arch.d_mlp % n:
        uneven.append(layout.mlp_proj.rpartition(".")[0])
    return {name for name in plan for part in uneven if f".*.{part}." in name}


@dataclass(frozen=True, eq=False)
class Shards:
    """How sites are cut over `n` processes, of which this one has the slice `rank`."""

    n: int
    rank: int
    sizes: Mapping[str, int]  # of what is cut, by site: heads, or numbers where heads are not apart

    @classmethod
    def of(cls, model: nn.Module, arch: Architecture) -> Shards | None:
        """Those of a model; None for one that is whole in this process."""
        if not any(is_slice(weight) for weight in model.parameters()):
            return None
        heads, keys = arch.n_heads, arch.n_kv_heads
        sizes = {"q": heads, "k": keys, "v": keys, "pattern": heads, "z": heads * arch.d_head}
        if arch.d_mlp is not None:
            sizes["mlp_act"] = arch.d_mlp
        return cls(dist.get_world_size(), dist.get_rank(), sizes)

    def around(self, site: str, own: Tensor, dim: int, change: Callable[[Tensor], Tensor]) -> Tensor:
        """What `change` makes of a site, given whole; of that the slice of this process. `own` itself where
        it changed nothing."""
        if own.shape[dim] == self.sizes.get(site, own.shape[dim]):
            return change(own)
        whole = _Gathered.apply(own, dim, self)
        changed = change(whole)
        return own if changed is whole else _Cut.apply(changed, dim, self)

    def gathered(self, own: Tensor, dim: int) -> Tensor:
        """The slices of all processes side by side."""
        slices = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(self.n)]
        dist.all_gather(slices, own.contiguous())
        return torch.cat(slices, dim)

    def cut(self, whole: Tensor, dim: int) -> Tensor:
        """The slice of this process."""
        return whole.chunk(self.n, dim)[self.rank].contiguous()


class _Gathered(torch.autograd.Function):
    """Slices to the whole. Its gradient is the same on every process: each takes its slice of it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, dim: int, shards: Shards) -> Tensor:
        ctx.dim, ctx.shards = dim, shards
        return shards.gathered(own, dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.shards.cut(grads[0], ctx.dim), None, None


class _Cut(torch.autograd.Function):
    """The whole to a slice. Each process knows the gradient of its slice; that of the whole is all of them
    together."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, dim: int, shards: Shards) -> Tensor:
        ctx.dim, ctx.shards = dim, shards
        return shards.cut(whole, dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.shards.gathered(grads[0], ctx.dim), None, None


def least_of_all(number: float) -> float:
    """The least of the numbers that the processes have."""
    least = torch.tensor(number, dtype=torch.float64)
    if dist.get_backend() == "nccl":
        least = least.cuda()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    return least.item()


@dataclass(frozen=True)
class AgreedStore:
    """Parts in a folder of the first process, which tells the others what it has found: whether a part is
    computed must not differ between them."""

    folder: Folder

    def kept(self, digest: str, make: Callable[[], Arrays]) -> Arrays:
        found: list[Arrays | None] = [self.folder.find(digest) if is_first() else None]
        dist.broadcast_object_list(found, src=0)
        if found[0] is not None:
            return found[0]
        made = make()
        if is_first():
            self.folder.keep(digest, made)
        return made
