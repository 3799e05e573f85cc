"""How fast a machine runs the layers of a model: measured here, or from what is said of another.

Here, layers of the real width are built with random weights and timed at several numbers of rows, as
`interp` runs them: with eager attention, and what Python costs. Of a layer that is too large to be built, the
rate of its matrix products is measured instead.

Elsewhere, a call takes as long as its operations at the device's rate, or as its weights take to be read,
whichever is more, and `OVERHEAD` for Python. These are assumptions: the plan prints them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import psutil
import torch

from interp.models.layouts import find_layout, part
from interp.models.quick_products import with_quick_products
from interp.plans.shapes import Shape

OVERHEAD = 1.5e-3  # seconds of Python and kernel launches for a call of a layer, on a GPU
ROWS = (16, 128, 1024)  # at which a layer is timed
_TRIES = 3
_LARGEST = 4e9  # bytes of layers that are built to be timed


@runtime_checkable
class Machine(Protocol):
    """What a plan wants to know of a machine."""

    @property
    def name(self) -> str: ...

    @property
    def memory(self) -> float:
        """Bytes of each device."""
        ...

    @property
    def devices(self) -> int: ...

    def layer(self, rows: float) -> float:
        """Seconds of one call of a layer."""
        ...

    def once(self) -> float:
        """Seconds of a run beside its layers and what is read out."""
        ...

    def read_out(self, logits: float) -> float:
        """Seconds for so many logits."""
        ...


@dataclass(frozen=True)
class Here:
    """This machine's processor, as it was measured a moment ago."""

    name: str
    memory: float
    seconds: tuple[float, ...]  # of a layer, at `ROWS`
    fixed: float  # of a run, beside its layers
    per_logit: float
    rate: float  # operations a second, at most of the measured
    devices: int = 1

    @classmethod
    def measured(cls, shape: Shape, *, dtype: torch.dtype, n_pos: int) -> Here:
        """For the layers of one model, at prompts of so many tokens."""
        width, operations = dtype.itemsize, shape.operations_per_row(n_pos)
        if 3 * shape.layer_parameters * width < min(_LARGEST, psutil.virtual_memory().available / 4):
            seconds, fixed = _of_layers(shape, dtype, n_pos)
        else:
            rates = [_products(shape.arch.d_model, rows, dtype) for rows in ROWS]
            seconds = tuple(rows * operations / rate for rows, rate in zip(ROWS, rates, strict=True))
            fixed = 0.0
        rate = max(rows * operations / each for rows, each in zip(ROWS, seconds, strict=True))
        return cls(
            name=f"this machine, {torch.get_num_threads()} threads",
            memory=float(psutil.virtual_memory().total),
            seconds=seconds,
            fixed=fixed,
            per_logit=_per_logit(shape, dtype),
            rate=rate,
        )

    def layer(self, rows: float) -> float:
        """Between the measured numbers of rows by a line; beyond them, as many times as long."""
        if rows > ROWS[-1]:
            return self.seconds[-1] * rows / ROWS[-1]
        return float(np.interp(rows, ROWS, self.seconds))

    def once(self) -> float:
        return self.fixed

    def read_out(self, logits: float) -> float:
        return logits * self.per_logit


@dataclass(frozen=True)
class Devices:
    """GPUs, by what is said of each."""

    name: str
    memory: float
    devices: int
    rate: float  # operations a second
    bandwidth: float  # bytes a second
    operations_per_row: float
    layer_bytes: float
    d_model: int
    together: int = 1  # devices that hold one copy of the model, one after the other

    def layer(self, rows: float) -> float:
        computing, reading = rows * self.operations_per_row / self.rate, self.layer_bytes / self.bandwidth
        return max(computing, reading) + OVERHEAD

    def once(self) -> float:
        return 5 * OVERHEAD

    def read_out(self, logits: float) -> float:
        return logits * 2 * self.d_model / self.rate


# ---- measuring ----


def _of_layers(shape: Shape, dtype: torch.dtype, n_pos: int) -> tuple[tuple[float, ...], float]:
    """The seconds of a layer at each of `ROWS`, and those of a run beside its layers."""
    models = [shape.layers_alone(n).to(dtype) for n in (1, 3)]
    for model in models:
        with_quick_products(model)
    seconds, fixed = [], 0.0
    for rows in ROWS:
        batch = max(1, round(rows / n_pos))
        x = torch.randn(batch, n_pos, shape.arch.d_model, dtype=dtype)

        def run(model: torch.nn.Module, x: torch.Tensor = x) -> Callable[[], object]:
            base = model.base_model
            return lambda: base(inputs_embeds=x, use_cache=False)  # type: ignore[operator]

        one, three = (_least(run(model)) for model in models)
        each = max((three - one) / 2, three / 10) * rows / (batch * n_pos)
        seconds.append(each)
        if not fixed:
            fixed = max(0.0, one - each)
    assert all(part(model, find_layout(model).layers) for model in models)
    return tuple(seconds), fixed


def _least(work: Callable[[], object]) -> float:
    """The least time of a few tries: others use the machine, too."""
    times = []
    with torch.no_grad():
        work()
        for _ in range(_TRIES):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return min(times)


def _products(width: int, rows: int, dtype: torch.dtype) -> float:
    """Operations a second of matrix products of this width."""
    return 2.0 * rows * width * 4096 / _of_product(rows, width, 4096, dtype)


def _per_logit(shape: Shape, dtype: torch.dtype) -> float:
    columns = min(shape.arch.d_vocab, 32768)
    return _of_product(64, shape.arch.d_model, columns, dtype) / (64 * columns)


def _of_product(rows: int, n_in: int, n_out: int, dtype: torch.dtype) -> float:
    """The seconds of a product, as loaded models compute it."""
    linear = torch.nn.Linear(n_in, n_out, bias=False, dtype=dtype)
    with_quick_products(linear)
    x = torch.randn(rows, n_in, dtype=dtype)
    return _least(lambda: linear(x))
