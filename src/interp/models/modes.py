"""Methods that take gradients work whatever mode of torch they are called in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")


def outside_inference_mode(function: Callable[_Arguments, _Returned]) -> Callable[_Arguments, _Returned]:
    """Decorate what takes gradients, or makes tensors for what does: within `torch.inference_mode()`, tensors
    are made that can never have one. (`torch.no_grad()` is undone where a gradient is taken.)"""

    @wraps(function)
    def called(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Returned:
        with torch.inference_mode(False):
            return function(*args, **kwargs)

    return called
