"""Where a model runs, in which precision, and with how much memory: what is asked for, or a sentence."""

from __future__ import annotations

import psutil
import torch

from interp.errors import ModelLoadError

DTYPES = ("float32", "float64", "bfloat16", "float16", "auto")


def find_device(device: str) -> torch.device:
    """The device of this name; ``auto`` is CUDA or Apple's MPS where there is one, else the CPU.
    `ModelLoadError` for one that is not there."""
    if device == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ModelLoadError(f"The device {device!r} is not available here; use 'auto' or 'cpu'.") from None
    if chosen.type == "meta":
        raise ModelLoadError("The device 'meta' holds no numbers; use 'auto' or 'cpu'.")
    return chosen


def find_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The precision of this name; ``auto`` is bfloat16 where the device multiplies it in hardware, else
    float32. `ModelLoadError` where the device cannot compute in it."""
    chosen: torch.dtype = getattr(torch, _fast_dtype(device) if dtype == "auto" else dtype)
    try:
        ones = torch.ones(2, 2, dtype=chosen, device=device)
        (ones @ ones).softmax(-1)
    except (RuntimeError, TypeError, NotImplementedError):
        raise ModelLoadError(f"The device {str(device)!r} cannot compute in {dtype}; use float32.") from None
    return chosen


def _fast_dtype(device: torch.device) -> str:
    """By what the hardware is, not by a timing: the same machine always chooses alike."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        has: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch does not say
        fast = bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    else:
        fast = False
    return "bfloat16" if fast else "float32"


def free_bytes(device: torch.device) -> float:
    """How much memory is free on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused  # torch keeps what it has freed
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return psutil.virtual_memory().available
