"""How many workers share a GPU: as many as its memory has room for, by the estimates of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from interp.errors import ModelLoadError, RunError
from interp.models.branching.sweep import ROWS_AT_ONCE
from interp.plans.plan import packed_bytes
from interp.plans.shapes import Shape

_POSITIONS = 64  # of the prompts that a worker is to have room for
_BESIDE = 1e9  # bytes that CUDA and its libraries take in each process
_WIDTHS = {"torchao-int8": 1.0, "bitsandbytes-int8": 1.0, "bitsandbytes-nf4": 0.6}  # bytes of a packed weight


def worker_bytes(job: Any) -> float | None:
    """How much of a GPU's memory a worker needs for a job: weights, one packed batch of branches, and what
    CUDA takes; of the largest model where there are several. None where it is not known."""
    needs = [_model_bytes(given) for given in _models(job)]
    known = [need for need in needs if need is not None]
    return max(known) if known and len(known) == len(needs) else None


def _models(job: Any) -> Iterator[Mapping[str, Any]]:
    """What the models of a job are loaded from."""
    if hasattr(job, "configs"):
        yield from job.configs
    elif hasattr(job, "config"):
        yield job.config
    elif isinstance(getattr(job, "model", None), Mapping):
        yield job.model


def _model_bytes(given: Mapping[str, Any]) -> float | None:
    model, dtype = given.get("model"), given.get("dtype", "float32")
    width = 2 if dtype == "auto" else getattr(torch, str(dtype)).itemsize
    try:
        shape = Shape.of(str(model)) if isinstance(model, str) else Shape("", model.config)  # type: ignore[union-attr]
        weights = shape.parameters * _WIDTHS.get(str(given.get("quantisation")), width)
        return weights + packed_bytes(shape, ROWS_AT_ONCE, _POSITIONS, width) + _BESIDE
    except (ModelLoadError, AttributeError):
        return None  # no configuration says it: a GGUF file, or another library's model


def gpus_for(need: float | None, memory: float | None) -> float:
    """The share of a GPU with so many bytes that a worker gets, in the ten-thousandths that Ray counts in;
    one where nothing is known. `RunError` where a worker does not fit."""
    if need is None or memory is None:
        return 1.0
    if need > memory:
        raise RunError(
            f"A worker needs about {need / 1e9:.3g} GB, and a GPU of the cluster has {memory / 1e9:.3g} GB; "
            "pack the weights (quantisation), or give each worker several GPUs (gpus_per_worker, and a "
            "device_map)."
        )
    return math.floor(1e4 / math.floor(memory / need)) / 1e4


def least_memory(ray: Any) -> float | None:
    """Bytes of the smallest GPU of a cluster, as its machines say; None where one of them cannot."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    @ray.remote(num_cpus=0, num_gpus=0.0001)
    def memory() -> float | None:
        import torch

        return float(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    on = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    found = ray.get([memory.options(scheduling_strategy=where).remote() for where in on])
    known = [one for one in found if one is not None]
    return min(known) if known and len(known) == len(found) else None
