"""Counting what an experiment computes: it is run on a stand-in, and every call of a layer is seen.

Which runs an experiment makes depends on the prompts, the layers and the heads, hardly on the numbers. So the
stand-in has the layers and heads of the model and is narrow, with random weights, and its tally is the
model's: how many positions (rows) go through layers in calls of which size, forwards and backwards, how many
are read out, and what is held at once.

1. Of a dataset, a few pairs are run, and the rest is taken to be like them.
2. Of a deep model, a few layers are: a tally is a polynomial in the number of layers (a sweep over layers has
   as many branches, each through the layers above it), fitted through four depths and held to a fifth.
3. A random model may not tell the clean prompt from the corrupted one as an experiment asks; then other
   random weights are tried.

When it misleads: where what is run depends on what is found, as in searches that stop (circuit discovery),
and where pairs are dropped because the model fails on them (all are counted).
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from interp.errors import DegeneratePairError, InputError, InterpError
from interp.experiments.base import LOADING, Experiment, ExperimentConfig
from interp.models.base import Model
from interp.models.registry import load_model
from interp.plans.shapes import Shape
from interp.sites import SITES, parse_sites

_FEW = (2, 4)  # pairs that are run
_WHOLE = 32  # layers up to which all are run
_DEPTHS = (3, 4, 5, 6)  # layers that are run of a deeper model
_CHECKED = 8  # layers at which the fit is checked
_OFF = 0.05  # by how much it may be off there
_SEEDS = 40
_SIZES = 80  # numbers of a tally that are by the size of calls
#: Sites by the width of their last axis.
_WIDTHS = {"d_model": "d_model", "d_head": "d_head", "d_mlp": "d_mlp"}


@dataclass
class Tally:
    """What went through a model."""

    forward: Counter[int] = field(default_factory=Counter)  # calls of a layer, by their number of rows
    backward: Counter[int] = field(default_factory=Counter)
    passes: int = 0  # runs of the whole model
    attended: float = 0.0  # pairs of positions that look at each other, over all layers
    read_out: float = 0.0  # logits that are computed
    most_rows: int = 0  # of one call
    most_logits: float = 0.0  # that are held at once
    most_held: float = 0.0  # numbers of cached activations, in the widths of the model
    parts: int = 0
    inside: float = 0.0  # seconds of the processor in runs, layers and unembeddings of the stand-in
    beside: float = 0.0  # seconds beside layers and logits: what Python does for each branch, and intervals

    @property
    def rows(self) -> float:
        return float(sum(size * calls for size, calls in self.forward.items()))

    @property
    def backward_rows(self) -> float:
        return float(sum(size * calls for size, calls in self.backward.items()))

    def numbers(self) -> np.ndarray:
        """What grows with the work, as a vector: rows and calls by size class, then the rest."""
        classes = np.zeros((2, 2, 20))
        for way, counts in enumerate((self.forward, self.backward)):
            for size, calls in counts.items():
                where = min(19, max(0, size).bit_length())
                classes[way, 0, where] += calls
                classes[way, 1, where] += calls * size
        rest = [self.passes, self.attended, self.read_out, self.parts]
        return np.concatenate([classes.ravel(), np.array(rest, dtype=float)])


@dataclass(frozen=True)
class Work:
    """A tally of the whole experiment: calls of layers, each with its mean number of rows."""

    forward: tuple[tuple[float, float], ...]  # rows, calls
    backward: tuple[tuple[float, float], ...]
    passes: float
    attended: float
    read_out: float
    parts: int
    most_rows: int
    most_logits: float
    most_held: float
    n_pos: float  # of a run, on average
    beside: float  # seconds of this machine beside layers and logits

    @classmethod
    def of(cls, numbers: np.ndarray, largest: Tally) -> Work:
        classes = numbers[:_SIZES].reshape(2, 2, 20)
        ways = []
        for calls, rows in classes:
            ways.append(
                tuple(
                    (r / c, c) for c, r in zip(calls.tolist(), rows.tolist(), strict=True) if c > 0 and r > 0
                )
            )
        passes, attended, read_out, parts = numbers[_SIZES:].tolist()
        all_rows = sum(r * c for r, c in ways[0]) or 1.0
        return cls(
            forward=ways[0],
            backward=ways[1],
            passes=passes,
            attended=attended,
            read_out=read_out,
            parts=max(1, round(parts)),
            most_rows=largest.most_rows,
            most_logits=largest.most_logits,
            most_held=largest.most_held,
            n_pos=attended / all_rows,
            beside=largest.beside * max(1.0, all_rows / (largest.rows or 1.0)),
        )

    @property
    def rows(self) -> float:
        return sum(rows * calls for rows, calls in self.forward)

    @property
    def backward_rows(self) -> float:
        return sum(rows * calls for rows, calls in self.backward)


def rehearse(experiment: Experiment, config: ExperimentConfig, shape: Shape, tokenizer: Any) -> Work:
    """All that an experiment will compute on a model. `InterpError` where it cannot be rehearsed."""
    if getattr(config, "save_to", None) is not None:
        raise InputError("A rehearsal writes nothing; leave save_to out.")
    n, depth = getattr(config, "n", None), shape.arch.n_layers

    def at(layers: int) -> tuple[np.ndarray, Tally]:
        if not isinstance(n, int) or n <= _FEW[1]:
            tally = _run(experiment, config, shape, tokenizer, layers, n)
            return tally.numbers(), tally
        few, more = (_run(experiment, config, shape, tokenizer, layers, pairs) for pairs in _FEW)
        slope = (more.numbers() - few.numbers()) / (_FEW[1] - _FEW[0])
        return np.maximum(more.numbers() + (n - _FEW[1]) * slope, 0.0), more

    if depth <= _WHOLE:
        return Work.of(*at(depth))
    try:
        found = [at(layers) for layers in (*_DEPTHS, _CHECKED)]
    except InterpError:  # names a layer that a shallow model does not have
        return Work.of(*at(depth))
    totals = np.stack([_totals(numbers) for numbers, _ in found])
    fit = np.polyfit(_DEPTHS, totals[:-1], len(_DEPTHS) - 1)  # [power, number]
    foretold, seen = _polynomial(fit, _CHECKED), totals[-1]
    if (np.abs(foretold - seen) > _OFF * seen.clip(1.0)).any():
        return Work.of(*at(depth))
    numbers, tally = found[-1]
    tally.most_held *= depth / _CHECKED
    return Work.of(_scaled(numbers, _polynomial(fit, depth) / seen.clip(1.0)), tally)


def _totals(numbers: np.ndarray) -> np.ndarray:
    """Rows forwards and backwards, then the rest: these are polynomials in the depth, while how rows share
    out among sizes of calls is not."""
    return np.concatenate([numbers[:_SIZES].reshape(2, 2, -1)[:, 1].sum(-1), numbers[_SIZES:]])


def _scaled(numbers: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The numbers at another depth: as many times the rows, in calls of the same sizes."""
    classes = numbers[:_SIZES].reshape(2, 2, -1) * factors[:2, None, None]
    return np.concatenate([classes.ravel(), numbers[_SIZES:] * factors[2:]])


def _polynomial(fit: np.ndarray, at: int) -> np.ndarray:
    value = np.zeros(fit.shape[1])
    for row in fit:
        value = value * at + row
    return value


def _run(
    experiment: Experiment, config: ExperimentConfig, shape: Shape, tokenizer: Any, layers: int, n: int | None
) -> Tally:
    """The tally of the experiment on a stand-in of so many layers, with so many pairs."""
    values = {key: value for key, value in config.model_dump().items() if key not in LOADING}
    if n is not None:
        values["n"] = n
    if "pairs" in values:
        values["pairs"] = "all"
    neurons = any("neuron" in str(value) for key, value in values.items() if key in ("by", "what", "views"))
    error: InterpError | None = None
    for seed in range(_SEEDS):
        hf_model = shape.stand_in(
            n_layers=layers, n_tokens=max(len(tokenizer), 300), seed=seed, wide_mlp=neurons
        )
        model = load_model(hf_model, tokenizer, name=shape.name, self_check=False)
        resolved = experiment.make_config({**values, "model": shape.name})
        tally = Tally()
        try:
            with warnings.catch_warnings(), _counted(model, shape, tally):
                warnings.simplefilter("ignore")
                start = time.thread_time()
                experiment.run(resolved, model)
                tally.beside = max(0.0, time.thread_time() - start - tally.inside)
            return tally
        except DegeneratePairError as found:
            error = found
    raise InputError(
        f"{experiment.name} cannot be rehearsed on random weights ({str(error).rstrip('.')}); plan it with "
        "metric 'prob', or with more pairs."
    )


@contextmanager
def _counted(model: Model, shape: Shape, tally: Tally) -> Iterator[None]:
    """Count all that goes through the layers and out of the model."""
    from interp.parts import Work as PartsWork
    from interp.parts import computed_by, one_by_one

    hf_model: Any = model.hf_model
    handles = []

    def layer(_: Any, args: tuple, kwargs: dict, output: Any) -> None:
        leave("layer")
        hidden = args[0] if args else kwargs["hidden_states"]
        size = hidden.shape[0] * hidden.shape[1]
        tally.forward[size] += 1
        tally.most_rows = max(tally.most_rows, size)
        tally.attended += size * n_pos[0]
        out: Tensor = output[0] if isinstance(output, tuple) else output
        if out.requires_grad:
            out.register_hook(lambda gradient: tally.backward.update([gradient.shape[:-1].numel()]))

    def whole(_: Any, args: tuple, kwargs: dict) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is not None:
            n_pos[0] = ids.shape[1]
        tally.passes += 1
        enter("run")

    def logits(_: Any, __: Any, output: Any) -> None:
        _read_out(tally, output.logits.numel() * wider)

    n_pos = [1]
    wider = shape.arch.d_vocab / model.arch.d_vocab  # where another model's tokenizer is used
    began: dict[str, float] = {}

    def enter(what: str) -> None:
        began[what] = time.thread_time()

    def leave(what: str) -> None:
        """Count the time since it was entered; that of a layer, unless it is part of a run."""
        start = began.pop(what, None)
        if start is not None and not (what == "layer" and "run" in began):
            tally.inside += time.thread_time() - start

    for one in model.layers:  # type: ignore[attr-defined]
        handles.append(one.register_forward_pre_hook(lambda *_: enter("layer")))
        handles.append(one.register_forward_hook(layer, with_kwargs=True))
    handles.append(hf_model.base_model.register_forward_pre_hook(whole, with_kwargs=True))
    handles.append(hf_model.base_model.register_forward_hook(lambda *_: leave("run")))
    handles.append(hf_model.register_forward_hook(logits))
    own_unembed, own_cache = model._unembed, model.run_with_cache

    def unembed(resid: Tensor, columns: Any = None) -> Tensor:
        enter("unembed")
        found = own_unembed(resid) if columns is None else own_unembed(resid, columns)  # type: ignore[call-arg]
        leave("unembed")
        _read_out(tally, found.numel() * (wider if columns is None else 1.0))
        return found

    def run_with_cache(*args: Any, **kwargs: Any) -> Any:
        cache = own_cache(*args, **kwargs)
        leave("run")  # which may have ended behind the last site
        tally.most_held = max(tally.most_held, _held(cache, model, shape))
        return cache

    def parts(work: PartsWork) -> Any:
        tally.parts += work.total
        return one_by_one(work)

    model._unembed, model.run_with_cache = unembed, run_with_cache  # type: ignore[method-assign]
    try:
        with computed_by(parts):
            yield
    finally:
        del model._unembed, model.run_with_cache
        for handle in handles:
            handle.remove()


def _read_out(tally: Tally, logits: float) -> None:
    tally.read_out += logits
    tally.most_logits = max(tally.most_logits, logits)


def _held(cache: Any, model: Model, shape: Shape) -> float:
    """How many numbers a cache of the real model would hold."""
    total = 0.0
    for hook, value in cache.items():
        width = SITES[parse_sites([hook], model.arch.n_layers)[0].site].axes[-1]
        name = _WIDTHS.get(width)
        own, real = (getattr(arch, name) if name else None for arch in (model.arch, shape.arch))
        total += value.numel() * (real / own if own and real else 1.0)
    return total
