"""Weights packed in 8 or 4 bits, by torchao or bitsandbytes: a model in half or a quarter of the memory.

What such a model computes is what it is asked about: its activations are read, edited and swept as those of
any other. It is not the model that was packed; and packages differ in what else they round:

- torchao-int8 packs weights alone (int8, a scale for each row), and multiplies in the precision of the model.
- bitsandbytes-nf4 packs weights alone (4 bits, a scale for each 64 numbers; Dettmers et al. 2023,
  https://arxiv.org/abs/2305.14314).
- bitsandbytes-int8 packs what a projection reads, too, and takes large columns of the whole batch out of it
  (Dettmers et al. 2022, https://arxiv.org/abs/2208.07339): the numbers of a row depend on the rows beside it.

Gradients go through the package's own operators, some of which have none and say nothing: before the first
gradient is taken, that of a projection of each kind is held to what the projection does (`check_gradients`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from interp.errors import InputError, ModelLoadError, how_to_install, nearest
from interp.models.slices import is_slice

_OFF = 0.05  # by which a gradient may differ from what the projection does, where that rounds what it reads


def _torchao_int8(dtype: torch.dtype) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


def _bitsandbytes_int8(dtype: torch.dtype) -> Any:
    import bitsandbytes  # noqa: F401
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


def _bitsandbytes_nf4(dtype: torch.dtype) -> Any:
    import bitsandbytes  # noqa: F401
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


#: The ways to pack weights that can be asked for, and what transformers is told.
PACKINGS: dict[str, Callable[[torch.dtype], Any]] = {
    "torchao-int8": _torchao_int8,
    "bitsandbytes-int8": _bitsandbytes_int8,
    "bitsandbytes-nf4": _bitsandbytes_nf4,
}


def packing_options(quantisation: str, dtype: torch.dtype) -> dict[str, Any]:
    """What transformers is told to pack weights as it loads them. `ModelLoadError` for a way that there is
    not, and where the package is missing."""
    if quantisation not in PACKINGS:
        raise ModelLoadError(f"Unknown quantisation {quantisation!r}; {nearest(quantisation, PACKINGS)}")
    try:
        import accelerate  # noqa: F401

        return {"quantization_config": PACKINGS[quantisation](dtype)}
    except ImportError as error:
        missing = (error.name or quantisation.partition("-")[0]).partition(".")[0]
        raise ModelLoadError(
            f"quantisation={quantisation!r} needs {missing}, which is not installed or does not load; run: "
            f"{how_to_install('quantised')}."
        ) from None


def packed_by(model: nn.Module) -> str | None:
    """Which package has packed the weights of a model, and how; None where they are plain numbers."""
    flagged = any(getattr(model, flag, False) for flag in ("is_quantized", "is_loaded_in_4bit"))
    if not flagged and all(weight.is_floating_point() for weight in model.parameters()):
        return None
    given: Any = getattr(getattr(model, "config", None), "quantization_config", None) or {}
    config = given if isinstance(given, dict) else vars(given)
    package = str(getattr(config.get("quant_method"), "value", config.get("quant_method")) or "a quantiser")
    if package == "bitsandbytes":
        four = config.get("load_in_4bit") or config.get("_load_in_4bit")
        return f"bitsandbytes {config.get('bnb_4bit_quant_type', '4 bits') if four else 'int8'}"
    kind = config.get("quant_type")
    return f"{package} {kind if isinstance(kind, str) else type(kind).__name__}" if kind else package


def is_packed(module: nn.Module) -> bool:
    """Whether a module's own weight is packed."""
    weight = module._parameters.get("weight")
    if weight is None or is_slice(weight):
        return False
    return not weight.is_floating_point() or type(weight) not in (Tensor, nn.Parameter)


def check_unpacks(model: nn.Module, packed: str) -> None:
    """`ModelLoadError` where weights are packed by another package, or lie where nothing unpacks them."""
    bare = any(is_packed(part) and type(part) is nn.Linear and _is_plain(part) for part in model.modules())
    if bare or packed.split()[0] not in ("torchao", "bitsandbytes"):
        raise ModelLoadError(
            f"The weights of this model are packed in few bits (by {packed}), in a way that cannot be looked "
            "into; load it unquantised (without quantization_config, or dequantised), in bfloat16 if it is "
            "large, or packed by torchao or bitsandbytes."
        )


def _is_plain(module: nn.Module) -> bool:
    return type(module._parameters["weight"]) in (Tensor, nn.Parameter)


def check_gradients(model: nn.Module, name: str, packed: str) -> None:
    """`InputError` where a projection with packed weights has no gradient, or another than what it does to a
    change of what it reads."""
    kinds: dict[Any, nn.Linear] = {}
    for part in model.modules():
        if is_packed(part) and isinstance(part, nn.Linear):
            kinds.setdefault((type(part), type(part.weight)), part)
    if not all(gradient_is_right(part) for part in kinds.values()):
        raise InputError(
            f"The weights of {name} are packed by {packed}, through which no gradient can be relied on here; "
            "use a method that runs the model, such as patching, or load it unquantised."
        )


def gradient_is_right(projection: nn.Linear) -> bool:
    """Whether the gradient of what a projection writes is what it does to a change of what it reads."""
    generator = torch.Generator().manual_seed(0)
    where = projection.weight
    dtype = where.dtype if where.is_floating_point() else getattr(projection, "compute_dtype", None)
    x, change = (
        torch.randn(1, projection.in_features, generator=generator).to(where.device, dtype or torch.float32)
        for _ in range(2)
    )
    with torch.enable_grad():
        x.requires_grad_()
        wrote = projection(x)
        moved = (projection(x + change) - wrote).detach()
        if not wrote.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(wrote, x, moved, allow_unused=True)
    if gradient is None:
        return False
    expected, found = moved.double().square().sum(), (gradient.double() * change.double()).sum()
    return bool((found - expected).abs() <= _OFF * expected)
