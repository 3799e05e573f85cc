"""Where a model runs, and in which precision: what is asked for, or a sentence."""

from __future__ import annotations

import torch

from interp.errors import ModelLoadError

DTYPES = ("float32", "float64", "bfloat16", "float16")


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
    """The precision of this name; `ModelLoadError` where the device cannot compute in it."""
    chosen: torch.dtype = getattr(torch, dtype)
    try:
        ones = torch.ones(2, 2, dtype=chosen, device=device)
        (ones @ ones).softmax(-1)
    except (RuntimeError, TypeError, NotImplementedError):
        raise ModelLoadError(f"The device {str(device)!r} cannot compute in {dtype}; use float32.") from None
    return chosen
